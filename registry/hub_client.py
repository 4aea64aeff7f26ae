"""Pinned snapshots of the Hugging Face Hub, read from its cache where they are there."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import StringConstraints

from registry.errors import RemoteError
from registry.retries import Broken, broken_off, tries

Repo = Annotated[str, StringConstraints(pattern=r"^[\w.-]+(/[\w.-]+)?$")]
Revision = Annotated[str, StringConstraints(pattern="^[0-9a-f]{40}$")]  # a commit: a branch would move


def cached(repo: str, revision: str, file: str) -> Path | None:
    """Return a model's file of exactly this commit, if it is in the Hub's cache; nothing is fetched."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repo, file, revision=revision)
    return Path(found) if isinstance(found, str) else None


def snapshot(repo: str, revision: str, patterns: Sequence[str], *, kind: Literal["dataset", "model"]) -> Path:
    """Return the folder that holds the files of exactly this commit that `patterns` (globs or names) mean.

    Once loaded they are read from the cache, without the network. Raises RemoteError if they cannot be had.
    """
    import httpx2
    from huggingface_hub import snapshot_download

    def at(local_files_only: bool) -> Path:
        return Path(
            snapshot_download(
                repo, repo_type=kind, revision=revision, allow_patterns=list(patterns), local_files_only=local_files_only
            )
        )

    try:
        folder = at(True)
        if all(any(folder.glob(pattern)) for pattern in patterns):
            return folder
    except FileNotFoundError:  # nothing of this revision was ever downloaded
        pass
    try:
        for attempt in tries(attempts=3):
            with attempt, broken_off():
                folder = at(False)
    except (OSError, Broken, httpx2.HTTPError) as error:
        raise RemoteError(
            f"{repo} at {revision[:12]} could not be loaded: {said(error)}. Check the network and the revision; once loaded, it is read from the cache."
        ) from error
    if missing := [pattern for pattern in patterns if not any(folder.glob(pattern))]:
        raise RemoteError(f"{repo} at {revision[:12]} has no {missing[0]}. Check the revision.")
    return folder


def files_at(repo: str, revision: str) -> list[str]:
    """Return the names of a model repository's files at a commit; RemoteError if the Hub does not say.

    Without a network, those in the cache: what is missing there shows when the model is loaded.
    """
    import httpx2
    from huggingface_hub import snapshot_download

    names: list[str] = []
    try:
        for attempt in tries(attempts=3):
            with attempt:
                names = [file.filename for file in snapshot_download(repo, revision=revision, dry_run=True)]
        return names
    except (OSError, httpx2.HTTPError) as error:
        try:
            folder = Path(snapshot_download(repo, revision=revision, local_files_only=True))
        except FileNotFoundError:
            raise RemoteError(
                f"{repo} at {revision[:12]} could not be listed: {said(error.__cause__ or error)}. Check the network, the revision, and that you may read it (HF_TOKEN)."
            ) from error
        return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def said(error: BaseException) -> str:
    """Return what the Hub's client says on one line, without a full stop."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and "developer.mozilla.org" not in line]
    return (" ".join(lines) or type(error).__name__)[:500].rstrip(".")

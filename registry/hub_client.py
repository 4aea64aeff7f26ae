"""Pinned snapshots of the Hugging Face Hub, read from its cache where they are there; and which of its failures pass."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Annotated, Literal

from pydantic import StringConstraints

from registry.errors import RemoteError

REDO = (408, 409, 412, 425, 429, 500, 502, 503, 504)  # HTTP answers after which looking again and going on may help
TRIES = 5

Repo = Annotated[str, StringConstraints(pattern=r"^[\w.-]+(/[\w.-]+)?$")]
Revision = Annotated[str, StringConstraints(pattern="^[0-9a-f]{40}$")]  # a commit: a branch would move


class Differs(Exception):
    """What was read back is not what was sent."""


class Broken(Exception):
    """An upload or a download broke off, as the Hub's client says by a RuntimeError."""


@contextmanager
def broken_off() -> Iterator[None]:
    """Raise Broken, or what was behind it, where the client raises RuntimeError: on an LFS upload, and on anything with xet."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error.__cause__, Exception) and not isinstance(error.__cause__, RuntimeError):
            raise error.__cause__ from error
        raise Broken(str(error)) from error


def worth_another_look(error: Exception) -> bool | float:
    """Return whether an error may pass, in seconds if the server says when."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    if isinstance(error, HfHubHTTPError):
        if error.response.status_code not in REDO:
            return False
        wait = error.response.headers.get("Retry-After", "")
        return min(float(wait), 300.0) if wait.isdecimal() else True
    if isinstance(error, LocalEntryNotFoundError):  # a download that got no answer
        return isinstance(error.__cause__, Exception) and worth_another_look(error.__cause__)
    if isinstance(error, httpx2.ConnectError | httpx2.UnsupportedProtocol | OfflineModeIsEnabled):
        return False  # no network, or no such server: that is better said at once
    # The client says plain OSError of a file that arrived with another length; the disk's have a number.
    cut = type(error) is OSError and error.errno is None
    return isinstance(error, Differs | Broken | httpx2.TransportError | ConnectionError) or cut


def tries(
    on: Callable[[Exception], bool | float] = worth_another_look, attempts: int = TRIES
) -> Iterable[AbstractContextManager[object]]:
    """Yield attempts, with waits of one second to half a minute between them, until one succeeds or fails for good."""
    import stamina

    return stamina.retry_context(on=on, attempts=attempts, timeout=None, wait_initial=1.0, wait_max=30.0)


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

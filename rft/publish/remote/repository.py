"""A dataset repository of the Hugging Face Hub, as far as publishing needs it. HF_ENDPOINT and HF_TOKEN say where and who."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from registry.errors import InputError, RemoteError, UsageError
from registry.files import no_space_is_an_error, sha256_file
from registry.hub_client import said
from registry.retries import Broken, Differs, broken_off

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoFile

README = "README.md"


@dataclass(frozen=True)
class File:
    """A file to be published: its path in the repository, and its bytes or the file that holds them."""

    path: str
    source: Path | bytes

    @property
    def size(self) -> int:
        return len(self.source) if isinstance(self.source, bytes) else self.source.stat().st_size

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.source).hexdigest() if isinstance(self.source, bytes) else sha256_file(self.source)

    def is_same(self, there: "RepoFile | None") -> bool:
        """Return whether the repository lists exactly these bytes."""
        if there is None or there.size != self.size:
            return False
        if there.lfs is not None:
            return bool(there.lfs.sha256 == self.sha256)
        data = self.source if isinstance(self.source, bytes) else self.source.read_bytes()
        return bool(there.blob_id == hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest())  # git's name for them


class Look(NamedTuple):
    """What a repository is at a moment: its head, whether it is private, and the commit of each tag."""

    head: str
    private: bool
    tags: dict[str, str]


class Repository:
    """The dataset repository called `name` (user/name). Errors are the Hub client's own; `remote_errors` translates them."""

    def __init__(self, name: str) -> None:
        from huggingface_hub import HfApi

        self.name = name
        self._api = HfApi()

    def look(self) -> Look | None:
        """Return what is there now, or None if there is no such repository."""
        from huggingface_hub.errors import RepositoryNotFoundError

        try:
            info = self._api.dataset_info(self.name)
        except RepositoryNotFoundError as error:
            if error.response.status_code in (401, 403):
                raise
            return None
        refs = self._api.list_repo_refs(self.name, repo_type="dataset")
        return Look(str(info.sha), bool(info.private), {tag.name: tag.target_commit for tag in refs.tags})

    def create(self, *, private: bool) -> Look:
        """Make the repository if it is not there."""
        self._api.create_repo(self.name, repo_type="dataset", private=private, exist_ok=True)
        look = self.look()
        if look is None:
            raise RemoteError(f"{self.name} was made, but cannot be read. Check that your token may read it.")
        return look

    def files(self, revision: str) -> "dict[str, RepoFile]":
        """Return every file at a commit, by path."""
        from huggingface_hub.hf_api import RepoFile

        tree = self._api.list_repo_tree(self.name, recursive=True, revision=revision, repo_type="dataset")
        return {entry.path: entry for entry in tree if isinstance(entry, RepoFile)}

    def read(self, path: str, revision: str) -> bytes:
        """Return the bytes of a file at a commit."""
        with TemporaryDirectory(prefix="rft-") as folder:
            return self._download(path, revision, Path(folder)).read_bytes()

    def readme(self, revision: str) -> str:
        """Return README.md at a commit; InputError if it is no text."""
        try:
            return self.read(README, revision).decode()
        except UnicodeDecodeError as error:
            raise InputError(
                f"{README} of {self.name} is not UTF-8 text (byte {error.start}). Save it as UTF-8 and push again."
            ) from error

    def fetch(self, paths: Sequence[str], revision: str, folder: Path) -> dict[str, Path]:
        """Load files of a commit into `folder`, past every cache; return where each lies."""
        from huggingface_hub.utils.tqdm import disable_progress_bars

        disable_progress_bars()  # one for each file says nothing
        return {path: self._download(path, revision, folder) for path in paths}

    def _download(self, path: str, revision: str, folder: Path) -> Path:
        from huggingface_hub import hf_hub_download

        with broken_off():
            return Path(hf_hub_download(self.name, path, repo_type="dataset", revision=revision, cache_dir=folder))

    def commit(self, files: Sequence[File], gone: Sequence[str], parent: str, message: str) -> str:
        """Put files in place of what is there, and take others away, in one commit on top of `parent`; return the commit."""
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        add = [CommitOperationAdd(file.path, file.source) for file in files]
        take = [CommitOperationDelete(path) for path in gone]
        with broken_off():
            done = self._api.create_commit(
                self.name,
                [*add, *take],
                commit_message=message,
                repo_type="dataset",
                revision="main",
                parent_commit=parent,
            )
        return str(done.oid)

    def read_back(self, files: Sequence[File], revision: str) -> None:
        """Load every file of a commit again and compare it with what was meant; Differs names the first that is not it."""
        with TemporaryDirectory(prefix="rft-") as folder:
            there = self.fetch([file.path for file in files], revision, Path(folder))
            for file in files:
                if sha256_file(there[file.path]) != file.sha256:
                    raise Differs(f"{file.path} of {self.name} at {revision[:12]} has other bytes than were sent")

    def tag(self, name: str, revision: str) -> None:
        """Put a tag on a commit; the Hub's error says if there is one of that name."""
        self._api.create_tag(self.name, tag=name, revision=revision, repo_type="dataset")


def check_repository(name: str) -> None:
    """Raise UsageError unless `name` is user/name."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise UsageError(f"{name!r} is no repository of the Hub: write user/name, without an address before it.")


@contextmanager
def remote_errors(what: str, state: str) -> Iterator[None]:
    """Turn what the Hub's client raises into RemoteError: `what` failed, why, and what to do or in which `state` things are."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

    try:
        with no_space_is_an_error():
            yield
    except (HfHubHTTPError, httpx2.HTTPError, Differs, Broken, OSError, ValueError) as error:
        status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
        cure = "Log in (`hf auth login`) or set HF_TOKEN to a token that may do this." if status in (401, 403, 404) else state
        raise RemoteError(f"{what}: {said(error)}. {cure}") from error

"""What a repository of the Hub of tests holds: files, commits, branches and tags."""

import codecs
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, NamedTuple

MOST_REGULAR = 10 * 2**20  # bytes; what is larger must be an LFS object
LARGE = ["arrow", "bin", "bz2", "gz", "h5", "jpg", "npy", "npz", "onnx", "parquet", "png", "pt", "safetensors", "tar", "zip"]
ATTRIBUTES = "".join(f"*.{kind} filter=lfs diff=lfs merge=lfs -text\n" for kind in LARGE)
REF = re.compile(r"(?!.*(\.\.|//|@\{|\.lock$))[^\s~^:?*\[\\/.-][^\s~^:?*\[\\]*(?<![/.])")  # git's rules for a name


@dataclass(frozen=True)
class File:
    """The bytes of a file, and whether they are an LFS object (then git knows only a pointer to them)."""

    data: bytes
    lfs: bool = False

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @cached_property
    def pointer(self) -> bytes:
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {len(self.data)}\n".encode()

    @cached_property
    def oid(self) -> str:
        """The id of git's blob."""
        blob = self.pointer if self.lfs else self.data
        return hashlib.sha1(b"blob %d\0%b" % (len(blob), blob)).hexdigest()

    @property
    def etag(self) -> str:
        return self.sha256 if self.lfs else self.oid

    def about(self, sha256: str) -> dict[str, Any]:
        """What listings say; they call the sha256 `oid` or `sha256`."""
        lfs = {sha256: self.sha256, "size": len(self.data), "pointerSize": len(self.pointer)}
        return {"size": len(self.data)} | ({"lfs": lfs} if self.lfs else {})


class Commit(NamedTuple):
    id: str  # 40 hex digits
    parent: str | None
    tree: dict[str, File]  # path -> file
    title: str
    message: str
    user: str
    date: str


class Repo:
    """A dataset or a model. A test may look at everything, and commit as somebody else."""

    def __init__(self, id: str, kind: str, private: bool = False) -> None:
        self.id, self.kind, self.private = id, kind, private
        self.commits: dict[str, Commit] = {}
        self.branches: dict[str, str] = {}  # name -> commit
        self.tags: dict[str, str] = {}
        self.objects: dict[str, File] = {}  # LFS objects by their sha256
        self.promised: dict[str, int] = {}  # sha256 -> bytes, of the LFS objects that may be uploaded
        self.damaged: set[str] = set()  # sha256 of what is stored with another byte than was sent; clear() mends it

    @property
    def head(self) -> str:
        return self.branches["main"]

    def at(self, revision: str) -> Commit | None:
        """Return the commit that a branch, a tag or an id means."""
        return self.commits.get(self.branches.get(revision) or self.tags.get(revision) or revision)

    def files(self, revision: str = "main") -> dict[str, bytes]:
        """Return the files of a revision as they are stored. Raises KeyError if there is no such revision."""
        commit = self.at(revision)
        if commit is None:
            raise KeyError(revision)
        return {path: self.stored(file) for path, file in commit.tree.items()}

    def stored(self, file: File) -> bytes:
        return flipped(file.data) if file.sha256 in self.damaged else file.data

    def history(self, revision: str = "main") -> list[Commit]:
        """Return a revision's commits, the newest first."""
        found, commit = [], self.at(revision)
        while commit:
            found.append(commit)
            commit = self.commits.get(commit.parent or "")
        return found

    def wants_lfs(self, path: str, size: int, sample: bytes) -> bool:
        """Say what the Hub says when it is asked before an upload: by .gitattributes, size, or first bytes that are no text."""
        tree = self.commits[self.head].tree if self.branches else {}
        rules = tree[".gitattributes"].data.decode() if ".gitattributes" in tree else ""
        globs = [line.split()[0] for line in rules.splitlines() if "filter=lfs" in line]
        matched = any(fnmatchcase(path if "/" in glob else PurePosixPath(path).name, glob) for glob in globs)
        return size > 0 and (matched or size > MOST_REGULAR or not is_text(sample))

    def commit(
        self,
        changes: Mapping[str, bytes | File | None],
        title: str = "Somebody else was here",
        *,
        message: str = "",
        user: str = "somebody-else",
        branch: str | None = "main",
        id: str | None = None,
    ) -> str:
        """Write files (None: remove it) on a branch, or on none, above main; return the commit's id."""
        parent = self.branches.get(branch or "main")
        tree = dict(self.commits[parent].tree) if parent else {}
        for path, change in changes.items():
            if change is None:
                del tree[path]
                continue
            file = change if isinstance(change, File) else File(change, self.wants_lfs(path, len(change), change[:512]))
            tree[path] = file
            if file.lfs:
                self.objects[file.sha256] = file
        date = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=len(self.commits))
        facts = [parent, sorted((path, file.oid) for path, file in tree.items()), title, message, user, str(date)]
        id = id or hashlib.sha1(json.dumps(facts).encode()).hexdigest()
        self.commits[id] = Commit(id, parent, tree, title, message, user, date.strftime("%Y-%m-%dT%H:%M:%S.000Z"))
        if branch:
            self.branches[branch] = id
        return id


def flipped(data: bytes) -> bytes:
    """Return as many bytes, of which the middle one is another."""
    middle = len(data) // 2
    return data[:middle] + bytes(byte ^ 1 for byte in data[middle : middle + 1]) + data[middle + 1 :]


def is_text(sample: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)  # the last character may be cut off
    except UnicodeDecodeError:
        return False
    return b"\0" not in sample

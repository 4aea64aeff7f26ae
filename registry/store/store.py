"""The artifacts on disk: `.rft/artifacts/<name>/<version>/`, each with an artifact.json that says where it came from.

An artifact exists if and only if its artifact.json does. It is written in a temporary folder on the same file system,
artifact.json last, and becomes visible by one rename; so it is whole or absent, whatever happens to the writer.
"""

import errno
import fcntl
import hashlib
import json
import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from registry.errors import Conflict, Corrupt, NotFound, OutOfResources, RftError, near
from registry.names import DEV, MAX_LENGTH, NAME, ArtifactId

RECORD = "artifact.json"
NO_SPACE = "the disk is full. Free some space (`rft gc` shows what can go) and run the command again."
Kind = Literal["dataset", "model", "eval"]


# A record may come from elsewhere: what becomes part of a path, of SQL or of a line is checked where it is read.
Name = Annotated[str, StringConstraints(pattern=f"^{NAME.pattern}$", max_length=MAX_LENGTH)]
Id = Annotated[str, StringConstraints(pattern=f"^{NAME.pattern}@(dev|[1-9][0-9]{{0,8}})$", max_length=MAX_LENGTH + 10)]
Word = Annotated[str, StringConstraints(pattern=r"^\w+$", max_length=MAX_LENGTH)]
Hash = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, lt=2**31)]
Size = Annotated[int, Field(ge=0, lt=2**63)]


def _inside(name: str) -> str:
    parts = name.split("/")
    if "" in parts or "." in parts or ".." in parts or "\0" in name or "\\" in name:
        raise ValueError(f"{name!r} is no path inside an artifact")
    return name


class FileRecord(BaseModel):
    """One data file: its name inside the artifact's folder, its size and its sha256."""

    model_config = ConfigDict(frozen=True)
    name: Annotated[str, AfterValidator(_inside)]
    bytes: Size
    sha256: Hash


class InputRecord(BaseModel):
    """One input, as it was when it was used: its id (`name@version`) and its content."""

    model_config = ConfigDict(frozen=True)
    id: Id
    content: Hash


class Manifest(BaseModel):
    """What artifact.json holds: the recipe with every parameter bound, the content, counts, files and provenance."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    format: Literal[1] = 1
    name: Name
    version: Annotated[int, Field(ge=0, lt=10**9)]
    kind: Kind
    maker: Word
    edition: Count
    inputs: list[InputRecord]
    params: dict[Word, Any]
    rows_are: Word | None = None  # the shape of the rows: QUESTIONS, TRAINING, ...
    content: Hash
    rows: Size
    drops: dict[str, Size]
    facts: dict[str, Any]
    files: list[FileRecord]
    provenance: dict[str, Any]
    built_at: datetime

    @property
    def id(self) -> ArtifactId:
        return ArtifactId(self.name, self.version)

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)

    @property
    def again(self) -> str:
        """What brings the artifact back once it was removed."""
        published = self.provenance.get("published")
        return (
            f"`rft pull {published['repository']}@{published['tag']}` brings it back"
            if published
            else f"`rft build {self.id}` makes it again"
        )


@dataclass(frozen=True)
class Stored:
    """An artifact that exists: its record and its folder."""

    manifest: Manifest
    folder: Path

    @property
    def id(self) -> ArtifactId:
        return self.manifest.id

    def file(self, name: str) -> Path | None:
        """Return the path of a data file, or None if the artifact has none of that name."""
        return self.folder / name if any(file.name == name for file in self.manifest.files) else None


class Store:
    """The folder that holds every artifact. Opening it creates nothing."""

    def __init__(self, home: Path) -> None:
        self.home = home.resolve()
        if bad := sorted(set("*?[") & set(str(self.home))):
            # Polars and DuckDB take these for patterns and would read other folders' files.
            raise RftError(
                f"the store cannot lie in {self.home}: its path has {' '.join(bad)} in it. --home or RFT_HOME names another."
            )
        self.artifacts = self.home / "artifacts"
        self.temporary = self.home / "tmp"
        self.seen = self.home / "seen"
        self.work = self.home / "work"  # of trainings: checkpoints
        self.records = self.home / "records"  # of artifacts that are not here: those that pulled ones were made from

    def make_home(self) -> None:
        """Make the store's folder if it is not there; RftError if that cannot be."""
        try:
            self.temporary.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise RftError(f"{self.home} cannot be written ({error.strerror}). --home names another store.") from error

    def folder(self, id: ArtifactId) -> Path:
        return self.artifacts / id.name / ("dev" if id.version == DEV else str(id.version))

    def stamps(self) -> dict[ArtifactId, int]:
        """Return every artifact with the time (ns) of its record, which changes when a @dev one is built again."""
        found = {}
        for name in _entries(self.artifacts):
            for version in _versions(name.path):
                with suppress(FileNotFoundError, NotADirectoryError):
                    stamp = os.stat(f"{version.path}/{RECORD}").st_mtime_ns
                    found[ArtifactId(name.name, DEV if version.name == "dev" else int(version.name))] = stamp
        return found

    def get(self, id: ArtifactId) -> Stored | None:
        """Return the artifact, or None if it does not exist; Corrupt if its record cannot be read."""
        folder = self.folder(id)
        try:
            manifest = Manifest.model_validate_json((folder / RECORD).read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except ValidationError as error:
            raise Corrupt(
                f"{id}: {folder / RECORD} is damaged ({error.errors()[0]['msg']}). Remove it with `rft rm {id}` and build it again."
            ) from error
        if manifest.id != id:
            raise Corrupt(
                f"{id}: {folder / RECORD} is the record of {manifest.id}. Remove it with `rft rm {id}` and build it again."
            )
        return Stored(manifest, folder)

    def require(self, id: ArtifactId) -> Stored:
        """Return the artifact; NotFound names the nearest ones if it does not exist."""
        stored = self.get(id)
        if stored is None:
            raise NotFound(
                f"{id} is not built. `rft build {id}` makes it if the catalog lists it.{near(str(id), map(str, self.stamps()))}"
            )
        return stored

    def highest(self, name: str) -> ArtifactId | None:
        """Return the highest built version of `name` (a @dev one only if there is no other)."""
        versions = [
            DEV if v.name == "dev" else int(v.name)
            for v in _versions(self.artifacts / name)
            if os.path.exists(f"{v.path}/{RECORD}")
        ]
        return ArtifactId(name, max(versions)) if versions else None

    def record(self, id: ArtifactId, content: str) -> Manifest | None:
        """Return the record of an artifact with exactly this content: of one that is here, or of one that is only known."""
        stored = self.get(id)
        if stored is not None and stored.manifest.content == content:
            return stored.manifest
        file = self._record_file(id, content)
        try:
            known = Manifest.model_validate_json(file.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise Corrupt(f"{file} is damaged. Remove it and pull what was made from {id} again.") from error
        return known if (known.id, known.content) == (id, content) else None

    def keep_record(self, manifest: Manifest) -> None:
        """Remember an artifact that is not here. Of two records of one content the first that came stays."""
        file = self._record_file(manifest.id, manifest.content)
        if file.exists():
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        scratch = file.with_name(f".{uuid.uuid4().hex}")
        scratch.write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")
        scratch.replace(file)

    def _record_file(self, id: ArtifactId, content: str) -> Path:
        return self.records / f"{id}.{content}.json"

    # -- checking ---------------------------------------------------------------------------------------------------

    def damage(self, stored: Stored, *, thorough: bool = False) -> str | None:
        """Return what is wrong with an artifact's files, or None.

        A file is hashed when it is first seen on this machine, and again when its size, time or inode differ from
        what was seen; `thorough` hashes every byte anyway.
        """
        return self.damage_of(stored.folder, stored.manifest.files, str(stored.id), thorough=thorough)

    def damage_of(self, folder: Path, files: list[FileRecord], name: str, *, thorough: bool = False) -> str | None:
        """Return what is wrong with `files` in any folder, or None; what was seen is remembered under `name`."""
        memory_file = self.seen / f"{name}.json"
        memory = {} if thorough else _read_json(memory_file)
        now: dict[str, list[int]] = {}
        for file in files:
            path = folder / file.name
            try:
                status = path.stat()
            except (FileNotFoundError, NotADirectoryError):
                return f"{file.name} is missing"
            if status.st_size != file.bytes:
                return f"{file.name} has {status.st_size} bytes, {file.bytes} were written"
            now[file.name] = [status.st_dev, status.st_ino, status.st_mtime_ns]
            if memory.get(file.name) != now[file.name] and sha256_file(path) != file.sha256:
                return f"{file.name} has other bytes than were written"
        if now != memory:
            self._remember(memory_file, now)
        return None

    def check(self, stored: Stored) -> Stored:
        """Return `stored` if its files are the ones that were written; Corrupt otherwise.

        If it was replaced since its record was read (a @dev one), the new one is returned.
        """
        while damage := self.damage(stored):
            now = self.require(stored.id)
            if now.manifest != stored.manifest:
                stored = now
                continue
            raise Corrupt(f"{stored.id}: {damage}. `rft rm {stored.id}` removes it, {stored.manifest.again}.")
        return stored

    def _remember(self, file: Path, seen: dict[str, list[int]]) -> None:
        with suppress(OSError):  # a store that may only be read is checked every time
            self.seen.mkdir(parents=True, exist_ok=True)
            scratch = file.with_name(f".{uuid.uuid4().hex}")
            scratch.write_text(json.dumps(seen))
            scratch.replace(file)

    # -- writing ----------------------------------------------------------------------------------------------------

    def draft(self, id: ArtifactId) -> "Draft":
        """Return a new temporary folder for `id`, to be written and published."""
        return Draft(self, id)

    def sweep(self) -> int:
        """Remove what dead writers left in the temporary folder; return how many."""
        removed = 0
        for entry in _entries(self.temporary):
            if not entry.name.endswith(".lock"):
                continue
            lock = Path(entry.path)
            with _try_lock(lock) as ours:
                if ours:
                    removed += lock.with_suffix("").exists()
                    _remove_tree(lock.with_suffix(""))
                    lock.unlink(missing_ok=True)
        return removed

    def leftovers(self) -> int:
        """Return how many temporary folders dead writers left."""
        count = 0
        for entry in _entries(self.temporary):
            if entry.name.endswith(".lock"):
                with _try_lock(Path(entry.path)) as ours:
                    count += ours
        return count

    def is_busy(self, folder: Path) -> bool:
        """Return whether a training works in a folder of `work`."""
        lock = folder.with_name(folder.name + ".lock")
        with _try_lock(lock) as ours:
            return lock.exists() and not ours

    def remove(self, id: ArtifactId) -> None:
        """Remove an artifact: it is renamed away first, so it is never half there.

        The folder of its name stays, if empty: another process may be about to put a version into it.
        """
        folder = self.folder(id)
        draft = self.draft(id)
        try:
            os.rename(folder, draft.folder / "removed")
        except FileNotFoundError:
            raise NotFound(f"{id} is not built.") from None
        finally:
            draft.discard()
        (self.seen / f"{id}.json").unlink(missing_ok=True)


class Draft:
    """An artifact that is being written, in a folder nobody else looks at; its lock file says that its writer lives."""

    def __init__(self, store: Store, id: ArtifactId) -> None:
        self.store, self.id = store, id
        store.make_home()
        while True:
            self.folder = store.temporary / f"{id}.{os.getpid()}.{uuid.uuid4().hex[:8]}"
            self._lock_path = self.folder.with_name(self.folder.name + ".lock")
            self._lock = os.open(self._lock_path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o644)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            if self._lock_path.exists():
                break
            os.close(self._lock)  # a sweep took it for a dead writer's before it was locked: another name, another try
        self.folder.mkdir()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.discard()

    def discard(self) -> None:
        """Remove the folder and give up the lock; does nothing the second time."""
        if self._lock < 0:
            return
        _remove_tree(self.folder)
        self._lock_path.unlink(missing_ok=True)
        os.close(self._lock)
        self._lock = -1

    def files(self) -> list[FileRecord]:
        """Return the data files written so far, hashed."""
        return files_in(self.folder)

    def publish(self, manifest: Manifest) -> bool:
        """Make the artifact exist; return whether it was this call that did.

        Two writers of one name cannot both win: if it exists by now with the same content this one gives way, with
        other content Conflict is raised. A @dev artifact is replaced.
        """
        seen = {}
        for file in manifest.files:
            path = self.folder / file.name
            os.chmod(path, 0o444)
            sync(path)
            status = path.stat()
            seen[file.name] = [status.st_dev, status.st_ino, status.st_mtime_ns]
        record = self.folder / RECORD
        record.write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")
        record.chmod(0o444)
        sync(record)
        for folder in (*(path for path in self.folder.rglob("*") if path.is_dir()), self.folder):
            sync(folder)
        target = self.store.folder(self.id)
        with ExitStack() as aside:
            while not self._rename_to(target):
                if self.id.is_dev:
                    # The old one is moved aside and removed at the end: readers miss it for an instant only.
                    old = aside.enter_context(self.store.draft(self.id))
                    with suppress(FileNotFoundError):
                        os.rename(target, old.folder / "removed")
                    continue
                other = self.store.get(self.id)
                if other is None and target.exists() and not (target / RECORD).exists():
                    raise Conflict(f"{target} is in the way and holds no {RECORD}. Move it away and build {self.id} again.")
                if other is None:
                    continue  # it was removed just now
                if other.manifest.content == manifest.content:
                    return False
                raise Conflict(
                    f"{self.id} was registered by another build with other content: {other.manifest.content[:12]} is there, "
                    f"{manifest.content[:12]} is this one. Give one of them another version."
                )
        sync(target.parent)
        sync(target.parent.parent)
        self.store._remember(self.store.seen / f"{self.id}.json", seen)
        return True

    def _rename_to(self, target: Path) -> bool:
        """Make this folder visible as `target`; return whether nothing was in the way."""
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.rename(self.folder, target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
            return False
        return True


def files_in(folder: Path) -> list[FileRecord]:
    """Return every file below `folder`, hashed, in order of name."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return [FileRecord(name=p.relative_to(folder).as_posix(), bytes=p.stat().st_size, sha256=sha256_file(p)) for p in paths]


def sha256_file(path: Path) -> str:
    """Return the sha256 of a file's bytes as hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def no_space_is_an_error() -> Iterator[None]:
    """Turn a full disk or exhausted memory into OutOfResources."""
    try:
        yield
    except MemoryError as error:
        raise OutOfResources(
            "out of memory. Close other programs, or build with fewer questions at a time (RFT_CHUNK)."
        ) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OutOfResources(NO_SPACE) from error
        raise
    except Exception as error:
        # Libraries written in other languages have errors of their own: those of safetensors and of torch's writer.
        if "No space left on device" in str(error) or ("inline_container" in str(error) and "unexpected pos" in str(error)):
            raise OutOfResources(NO_SPACE) from error
        raise


def _entries(folder: Path | str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _versions(folder: Path | str) -> list[os.DirEntry[str]]:
    return [entry for entry in _entries(folder) if entry.name == "dev" or entry.name.isdecimal()]


def _read_json(file: Path) -> dict[str, Any]:
    try:
        read = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}


@contextmanager
def _try_lock(path: Path) -> Iterator[bool]:
    """Yield whether the lock file could be locked (its writer is dead)."""
    try:
        handle = os.open(path, os.O_RDWR)
    except OSError:
        yield False
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True
    finally:
        os.close(handle)


def sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove_tree(folder: Path) -> None:
    if folder.exists():
        for path in folder.rglob("*"):
            if path.is_dir():
                path.chmod(path.stat().st_mode | stat.S_IWUSR | stat.S_IXUSR)
        shutil.rmtree(folder)

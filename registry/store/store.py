"""The artifacts on disk: `.rft/artifacts/<name>/<version>/`, each with an artifact.json that says where it came from.

An artifact exists if and only if its artifact.json does. It is written in a temporary folder on the same file system,
artifact.json last, and becomes visible by one rename; so it is whole or absent, whatever happens to the writer.
"""

import errno
import json
import os
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from registry.errors import Corrupt, NotFound, RftError, near
from registry.files import entries, locked, read_json, remove_tree, replaced, sha256_file
from registry.names import DEV, ArtifactId
from registry.store.draft import Draft
from registry.store.record import RECORD, Damaged, FileRecord, Record, Stored


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
        for name in entries(self.artifacts):
            for version in _versions(name.path):
                with suppress(FileNotFoundError, NotADirectoryError):
                    stamp = os.stat(f"{version.path}/{RECORD}").st_mtime_ns
                    found[ArtifactId(name.name, DEV if version.name == "dev" else int(version.name))] = stamp
        return found

    def peek(self, id: ArtifactId) -> Stored | Damaged | None:
        """Return the artifact, what is wrong with its record, or None if it does not exist."""
        folder = self.folder(id)
        try:
            record = Record.model_validate_json((folder / RECORD).read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except ValidationError as error:
            wrong = f"is damaged ({error.errors()[0]['msg']})"
        else:
            if record.id == id:
                return Stored(record, folder)
            wrong = f"is the record of {record.id}"
        return Damaged(f"{id}: {folder / RECORD} {wrong}. Remove it with `rft rm {id}` and build it again.")

    def get(self, id: ArtifactId) -> Stored | None:
        """Return the artifact, or None if it does not exist; Corrupt if its record cannot be read."""
        found = self.peek(id)
        if isinstance(found, Damaged):
            raise Corrupt(found.why)
        return found

    def readable(self, id: ArtifactId) -> Stored | None:
        """Return the artifact; None if it does not exist, or is damaged: that is `rft verify`'s business, and hides no other."""
        found = self.peek(id)
        return found if isinstance(found, Stored) else None

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

    def record(self, id: ArtifactId, content: str) -> Record | None:
        """Return the record of an artifact with exactly this content: of one that is here, or of one that is only known."""
        stored = self.get(id)
        if stored is not None and stored.record.content == content:
            return stored.record
        file = self._record_file(id, content)
        try:
            known = Record.model_validate_json(file.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise Corrupt(f"{file} is damaged. Remove it and pull what was made from {id} again.") from error
        return known if (known.id, known.content) == (id, content) else None

    def keep_record(self, record: Record) -> None:
        """Remember an artifact that is not here. Of two records of one content the first that came stays."""
        file = self._record_file(record.id, record.content)
        if file.exists():
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        with replaced(file) as scratch:
            scratch.write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")

    def _record_file(self, id: ArtifactId, content: str) -> Path:
        return self.records / f"{id}.{content}.json"

    # -- checking ---------------------------------------------------------------------------------------------------

    def damage(self, stored: Stored, *, thorough: bool = False) -> str | None:
        """Return what is wrong with an artifact's files, or None.

        A file is hashed when it is first seen on this machine, and again when its size, time or inode differ from
        what was seen; `thorough` hashes every byte anyway.
        """
        return self.damage_of(stored.folder, stored.record.files, str(stored.id), thorough=thorough)

    def damage_of(self, folder: Path, files: list[FileRecord], name: str, *, thorough: bool = False) -> str | None:
        """Return what is wrong with `files` in any folder, or None; what was seen is remembered under `name`."""
        memory_file = self.seen / f"{name}.json"
        memory = {} if thorough else read_json(memory_file)
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
            if now.record != stored.record:
                stored = now
                continue
            raise Corrupt(f"{stored.id}: {damage}. `rft rm {stored.id}` removes it, {stored.record.again}.")
        return stored

    def _remember(self, file: Path, seen: dict[str, list[int]]) -> None:
        with suppress(OSError):  # a store that may only be read is checked every time
            self.seen.mkdir(parents=True, exist_ok=True)
            with replaced(file) as scratch:
                scratch.write_text(json.dumps(seen))

    # -- writing ----------------------------------------------------------------------------------------------------

    def draft(self, id: ArtifactId) -> "Draft":
        """Return a new temporary folder for `id`, to be written and published."""
        return Draft(self, id)

    def sweep(self) -> int:
        """Remove what dead writers left in the temporary folder; return how many."""
        removed = 0
        for entry in entries(self.temporary):
            if not entry.name.endswith(".lock"):
                continue
            lock = Path(entry.path)
            with locked(lock, 0, make=False) as ours:
                if ours:
                    removed += lock.with_suffix("").exists()
                    remove_tree(lock.with_suffix(""))
                    lock.unlink(missing_ok=True)
        return removed

    def leftovers(self) -> int:
        """Return how many temporary folders dead writers left."""
        count = 0
        for entry in entries(self.temporary):
            if entry.name.endswith(".lock"):
                with locked(Path(entry.path), 0, make=False) as ours:
                    count += ours
        return count

    def is_busy(self, folder: Path) -> bool:
        """Return whether a training works in a folder of `work`."""
        lock = folder.with_name(folder.name + ".lock")
        with locked(lock, 0, make=False) as ours:
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


def _versions(folder: Path | str) -> list[os.DirEntry[str]]:
    return [entry for entry in entries(folder) if entry.name == "dev" or entry.name.isdecimal()]

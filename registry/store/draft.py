"""An artifact that is being written; it becomes visible by one rename, so it is whole or absent."""

import errno
import os
import uuid
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from registry.errors import Conflict
from registry.files import locked, remove_tree, sync
from registry.names import ArtifactId
from registry.store.record import RECORD, FileRecord, Record, files_in

if TYPE_CHECKING:
    from registry.store.store import Store


class Draft:
    """An artifact that is being written, in a folder nobody else looks at; its lock file says that its writer lives."""

    def __init__(self, store: "Store", id: ArtifactId) -> None:
        self.store, self.id = store, id
        store.make_home()
        while True:
            self.folder = store.temporary / f"{id}.{os.getpid()}.{uuid.uuid4().hex[:8]}"
            self._lock_path = self.folder.with_name(self.folder.name + ".lock")
            self._lock = ExitStack()
            self._lock.enter_context(locked(self._lock_path))
            if self._lock_path.exists():
                break
            self._lock.close()  # a sweep took it for a dead writer's before it was locked: another name, another try
        self.folder.mkdir()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.discard()

    def discard(self) -> None:
        """Remove the folder and give up the lock; does nothing the second time."""
        remove_tree(self.folder)
        self._lock_path.unlink(missing_ok=True)
        self._lock.close()

    def files(self) -> list[FileRecord]:
        """Return the data files written so far, hashed."""
        return files_in(self.folder)

    def publish(self, record: Record) -> bool:
        """Make the artifact exist; return whether it was this call that did.

        Two writers of one name cannot both win: if it exists by now with the same content this one gives way, with
        other content Conflict is raised. A @dev artifact is replaced.
        """
        seen = {}
        for file in record.files:
            path = self.folder / file.name
            os.chmod(path, 0o444)
            sync(path)
            status = path.stat()
            seen[file.name] = [status.st_dev, status.st_ino, status.st_mtime_ns]
        last = self.folder / RECORD
        last.write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")
        last.chmod(0o444)
        sync(last)
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
                if other.record.content == record.content:
                    return False
                raise Conflict(
                    f"{self.id} was registered by another build with other content: {other.record.content[:12]} is there, "
                    f"{record.content[:12]} is this one. Give one of them another version."
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

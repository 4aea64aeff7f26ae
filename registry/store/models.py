"""Models as artifacts: folders of files that `transformers` loads, their content, and where they lie."""

import hashlib
from collections.abc import Iterable

from registry.errors import Corrupt
from registry.maker import Model
from registry.store.record import FileRecord, HubFiles, Stored
from registry.store.store import Store

HUB_RECORD = "hub.json"  # in the place of the files of a model that stay in the Hub's cache
BESIDE = ("loss.parquet", "drops.parquet", HUB_RECORD)  # files of a model artifact that are not the model's own


def files_hash(files: Iterable[FileRecord]) -> str:
    """Return sha256 over (path, sha256) of a model's files, sorted by path: its content."""
    lines = sorted(f"{file.name} {file.sha256}\n" for file in files if file.name not in BESIDE)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def open_model(stored: Stored, store: Store) -> Model:
    """Return a registered model, ready to load; its files are checked against what was recorded.

    Files that stay in the Hub's cache are fetched if they are gone. Raises RemoteError if they cannot be had, Corrupt if
    they are not the recorded ones.
    """
    folder = stored.folder
    if record := stored.file(HUB_RECORD):
        from registry.hub_client import snapshot

        hub = HubFiles.model_validate_json(record.read_bytes())
        folder = snapshot(hub.repo, hub.revision, [file.name for file in hub.files], kind="model")
        if damage := store.damage_of(folder, hub.files, f"{stored.id}.hub"):
            raise Corrupt(
                f"{stored.id}: {damage} in {folder.name[:12]}, the Hub's cache. Remove that folder and run the command again."
            )
    return Model(str(stored.id), stored.record.content, folder, stored.record.facts)

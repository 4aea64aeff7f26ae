"""Models as artifacts: folders of files that `transformers` loads, their content, and where they lie."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict

from registry.errors import Corrupt
from registry.rows import LOSS
from registry.store.store import FileRecord, Store, Stored

HUB_RECORD = "hub.json"  # in the place of the files of a model that stay in the Hub's cache
BESIDE = ("loss.parquet", "drops.parquet", HUB_RECORD)  # files of a model artifact that are not the model's own


@dataclass(frozen=True)
class Model:
    """A model as a maker sees it: its id (`name@version`), its content, and the folder that transformers loads it from.

    `facts` are what its trainer recorded: `loss` (the pre-training loss of its base), `parameters`, ...
    """

    id: str
    content: str
    folder: Path
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Trained:
    """What a trainer returns; the model's own files it has put into the `folder` of its Run.

    `loss`: LOSS rows, the view "name@v/loss". `drops`: DROPS rows, what was refused of the data and why. `hub`: for a
    model whose files stay in the Hub's cache: its repo, revision and files.
    """

    facts: Mapping[str, Any]
    loss: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=dict(LOSS.columns)))
    drops: pl.DataFrame | None = None
    hub: "HubFiles | None" = None


class HubFiles(BaseModel):
    """A pinned snapshot: which files, with their sizes and hashes."""

    model_config = ConfigDict(frozen=True)
    repo: str
    revision: str
    files: list[FileRecord]


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
    return Model(str(stored.id), stored.manifest.content, folder, stored.manifest.facts)

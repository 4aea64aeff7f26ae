"""One build, several processes: who publishes, who follows, and the folder a training keeps its checkpoints in."""

import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from registry.build.inputs import given_to, opened, with_run
from registry.catalog.bind import Recipe, recorded
from registry.errors import Conflict, UsageError
from registry.files import locked
from registry.maker import Options, Run
from registry.store.record import Record, Stored
from registry.store.store import Store

WAIT = 1.0  # seconds between two looks at what another process makes


def rank() -> int:
    """Return which process of a launcher this is (`accelerate launch`, `torchrun`); 0 is the one that publishes."""
    return int(os.environ.get("RANK", "0")) if int(os.environ.get("WORLD_SIZE", "1")) > 1 else 0


def follow(recipe: Recipe, store: Store, folder: Path, options: Options) -> Record:
    """Take part in the training that process 0 leads, if it is one; return the record once it has published."""
    entry = recipe.entry
    if entry.id.is_dev:
        raise UsageError(
            f"{entry.id} is built every time, so no process could tell whether it is the new one. Give it a version."
        )
    if entry.kind == "model":
        inputs = [store.check(store.require(id)) for id in entry.inputs]
        with store.draft(entry.id) as draft, opened(recipe, folder) as params:
            run = Run(draft.folder, work_folder(recipe, store, inputs), store.home, options)
            recipe.maker.function(*given_to(recipe, inputs, store), **with_run(recipe, params, run))
    while (stored := store.get(entry.id)) is None:
        time.sleep(WAIT)
    return stored.record


def work_folder(recipe: Recipe, store: Store, inputs: list[Stored]) -> Path:
    what = [recipe.maker.name, recipe.maker.edition, recorded(recipe), [given.record.content for given in inputs]]
    key = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
    return store.work / f"{recipe.entry.id}.{key[:12]}"


@contextmanager
def work_folder_of(recipe: Recipe, store: Store, inputs: list[Stored]) -> Iterator[Path]:
    """Yield the folder in which a training keeps what must survive it; Conflict if another process works there."""
    folder = work_folder(recipe, store, inputs)
    if recipe.entry.kind != "model":
        yield folder
        return
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder.with_name(folder.name + ".lock"), 0) as ours:
        if not ours:
            raise Conflict(f"{recipe.entry.id} is being trained by another process. Wait for it, or stop it.")
        yield folder

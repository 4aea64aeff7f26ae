"""Take artifacts out of the store, without taking anything out from under another."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from inference.draws import Kept, stores
from registry.errors import Conflict, NotFound, near
from registry.graph import Graph
from registry.names import ArtifactId, parse_id
from registry.store.record import Damaged
from registry.store.store import Store


@dataclass(frozen=True)
class Garbage:
    """What can go: temporary folders of dead builds, artifacts nothing needs, checkpoints and draws of models that are gone."""

    leftovers: int
    artifacts: list[ArtifactId]
    work: list[Path]
    draws: list[Kept]
    bytes: int


def remove(store: Store, ids: Sequence[ArtifactId]) -> list[ArtifactId]:
    """Remove artifacts, those that depend on others first; Conflict if something else that is built depends on one.

    A damaged artifact may go all the same: nothing can be made from it, and those made from it keep its recorded content.
    """
    for id in ids:
        if not store.folder(id).exists():
            raise NotFound(f"{id} is not built.{near(str(id), map(str, store.stamps()))}")
    graph = _graph(store)
    for id in ids:
        others = sorted(user for user in graph.users.get(id, ()) if user not in ids)
        if others and not _damaged(store, id):
            raise Conflict(f"{id} is used by {', '.join(map(str, others))}. Remove those first, or all in one command.")
    ordered = sorted(ids, key=lambda id: len(graph.below(id)))
    for id in ordered:
        store.remove(id)
    return ordered


def garbage(store: Store, listed: set[ArtifactId] | None) -> Garbage:
    """Return what can go.

    With the set of `listed` ids, artifacts outside it that no listed one was made from go too, checkpoints of trainings
    that are not listed, and the draws of models that are no longer there. What was pulled stays: no line could make it.
    """
    built = store.stamps()
    idle = [folder for folder in sorted(store.work.glob("*/")) if not store.is_busy(folder)]
    work = [folder for folder in idle if parse_id(_of_work(folder)) in built]
    artifacts: list[ArtifactId] = []
    draws: list[Kept] = []
    if listed is not None:
        graph = _graph(store)
        artifacts = sorted(id for id in built if id not in listed and not graph.below(id) & listed and not _pulled(store, id))
        work = [folder for folder in idle if folder in work or parse_id(_of_work(folder)) not in listed]
        models = {stored.record.content for id in built if id not in artifacts and (stored := store.readable(id))}
        draws = [kept for kept in stores(store.home) if kept.content and kept.content not in models]
    size = sum(map(_bytes, [*map(store.folder, artifacts), *work])) + sum(kept.bytes for kept in draws)
    return Garbage(store.leftovers(), artifacts, work, draws, size)


def _pulled(store: Store, id: ArtifactId) -> bool:
    stored = store.readable(id)
    return stored is not None and "published" in stored.record.provenance


def _of_work(folder: Path) -> str:
    return folder.name.rpartition(".")[0]


def collect(store: Store, found: Garbage) -> None:
    """Remove what `garbage` found."""
    store.sweep()
    if found.artifacts:
        remove(store, found.artifacts)
    for folder in (*found.work, *(store.home / "draws" / kept.key for kept in found.draws)):
        shutil.rmtree(folder)


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _damaged(store: Store, id: ArtifactId) -> bool:
    found = store.peek(id)
    return isinstance(found, Damaged) or (found is not None and store.damage(found) is not None)


def _graph(store: Store) -> Graph[ArtifactId]:
    """Return what was made from what; what is damaged cannot say it."""
    readable = {id: stored for id in store.stamps() if (stored := store.readable(id))}
    return Graph({id: [parse_id(given.id) for given in stored.record.inputs] for id, stored in readable.items()})

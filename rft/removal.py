"""Take artifacts out of the store, without taking anything out from under another."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from inference.draws import Kept, stores
from registry.errors import Conflict, Corrupt, NotFound, near
from registry.names import ArtifactId, parse_id
from registry.store.record import Stored
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
    users = _users(store)
    for id in ids:
        others = sorted(user for user in users.get(id, ()) if user not in ids)
        if others and not _damaged(store, id):
            raise Conflict(f"{id} is used by {', '.join(map(str, others))}. Remove those first, or all in one command.")
    ordered = sorted(ids, key=lambda id: len(_below(id, users)))
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
        users = _users(store)
        artifacts = sorted(id for id in built if id not in listed and not _below(id, users) & listed and not _pulled(store, id))
        work = [folder for folder in idle if folder in work or parse_id(_of_work(folder)) not in listed]
        models = {stored.record.content for id in built if id not in artifacts and (stored := _readable(store, id))}
        draws = [kept for kept in stores(store.home) if kept.content and kept.content not in models]
    size = sum(map(_bytes, [*map(store.folder, artifacts), *work])) + sum(kept.bytes for kept in draws)
    return Garbage(store.leftovers(), artifacts, work, draws, size)


def _pulled(store: Store, id: ArtifactId) -> bool:
    stored = _readable(store, id)
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


def _readable(store: Store, id: ArtifactId) -> Stored | None:
    try:
        return store.get(id)
    except Corrupt:
        return None


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _damaged(store: Store, id: ArtifactId) -> bool:
    try:
        stored = store.get(id)
    except Corrupt:
        return True
    return stored is not None and store.damage(stored) is not None


def _users(store: Store) -> dict[ArtifactId, set[ArtifactId]]:
    users: dict[ArtifactId, set[ArtifactId]] = {}
    for id in store.stamps():
        try:
            stored = store.get(id)
        except Corrupt:
            continue  # it cannot say what it was made from
        for given in stored.record.inputs if stored else ():
            users.setdefault(parse_id(given.id), set()).add(id)
    return users


def _below(id: ArtifactId, users: dict[ArtifactId, set[ArtifactId]]) -> set[ArtifactId]:
    """Return everything that was made from `id`, directly or not."""
    found: set[ArtifactId] = set()
    stack = [id]
    while stack:
        for user in users.get(stack.pop(), ()):
            if user not in found:
                found.add(user)
                stack.append(user)
    return found

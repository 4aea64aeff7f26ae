"""`rft pull`: take artifacts that were published into the store, checked to the last byte, with the records of what made them.

Only tags are read: what is under one was read back whole by the push that set it.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, ValidationError

from eval.grading.rules import Key
from registry.errors import Conflict, InputError, NotFound, RemoteError, near
from registry.graph import Cycle, Graph
from registry.names import ArtifactId, check_name
from registry.retries import tries
from registry.rows import TABLES
from registry.store.draft import Draft
from registry.store.record import Record
from registry.store.store import Store
from registry.text import size
from rft.publish.gate.check import content_in
from rft.publish.gate.contamination import Compared
from rft.publish.gate.licences import Term
from rft.publish.remote.layout import ANCESTORS, PUBLICATION, id_of, published_name, record_path, tag_of
from rft.publish.remote.repository import Look, Repository, check_repository, remote_errors

T = TypeVar("T")


class Facts(BaseModel):
    """What the commands here need of a record's facts, where they are."""

    key: Key = "canonical"
    sources: list[str] = []
    notes: list[str] = []


class Said(BaseModel):
    """What publication.json holds of use here."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    format: Literal[1]
    split: Literal["train", "validation", "test"]
    overrides: list[str] = []
    compared: list[Compared] = []
    licences: list[Term] = []


@dataclass(frozen=True)
class Pulled:
    """An artifact that was taken in: its record, the tag it came from, and whether it was not here before."""

    record: Record
    tag: str
    new: bool
    known: int  # ancestors whose records came with it

    def as_dict(self) -> dict[str, Any]:
        m = self.record
        return {
            "id": str(m.id),
            "tag": self.tag,
            "rows": m.rows,
            "content": m.content,
            "new": self.new,
            "ancestors": self.known,
        }


def pull(
    store: Store,
    name: str,
    tag: str | None = None,
    configs: Sequence[str] = (),
    *,
    rename: str | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> list[Pulled]:
    """Register artifacts of the dataset repository `name`: the one that `tag` stands for, or the highest version of each.

    `configs` are the names of those wanted (default: with a tag that one, without all). `rename` is another name for a
    single one. Raises NotFound if there is no such tag or name, Conflict if a name is taken by other content, RemoteError if
    the Hub cannot be reached or what it holds is not what its record says.
    """
    check_repository(name)
    if rename is not None:
        check_name(rename)
    with remote_errors(f"pulling from {name}", "What was registered before stays; the same command goes on from there."):
        repository = Repository(name)
        look = _tried(repository.look)
        if look is None:
            raise NotFound(f"there is no dataset repository {name}, or you may not read it. Log in with `hf auth login`.")
        wanted = _wanted(look, name, tag, configs)
        if rename is not None and len(wanted) != 1:
            raise InputError(f"--as names one artifact; {', '.join(map(str, wanted))} are meant. Name the one wanted.")
        return [_tried(partial(_take, store, repository, id, commit, rename, say)) for id, commit in wanted.items()]


def _tried(act: Callable[[], T]) -> T:
    """Return what `act` returns, trying again what may pass."""
    done: list[T] = []
    for attempt in tries():
        with attempt:
            done.append(act())
    return done[-1]


def _wanted(look: Look, repository: str, tag: str | None, configs: Sequence[str]) -> dict[ArtifactId, str]:
    """Return the artifacts to take, each with its commit."""
    tagged = {id: commit for name, commit in look.tags.items() if (id := id_of(name)) is not None}
    if tag is not None:
        commit = look.tags.get(tag)
        if commit is None:
            raise NotFound(f"{repository} has no tag {tag}.{near(tag, look.tags) or _list(tagged)}")
        ids = [id for id, there in tagged.items() if there == commit]
        meant = id_of(tag)
        if not configs:
            if meant is None:
                raise NotFound(f"the tag {tag} of {repository} stands for no artifact.{_list(tagged)}")
            return {meant: commit}
    else:
        ids = [max(id for id in tagged if id.name == name) for name in sorted({id.name for id in tagged})]
        ids += [id for id in tagged if str(id) in configs and id not in ids]  # an older version, by name@version
        if not ids:
            raise NotFound(f"{repository} holds nothing that `rft push` published: it has no tag like gsm8k-rft-u13b-v1.")
    known = {*map(str, ids), *(id.name for id in ids)}
    if unknown := [name for name in configs if name not in known]:
        where = f"{repository}@{tag}" if tag else repository
        raise NotFound(f"{where} has no {unknown[0]}.{near(unknown[0], known) or _list(tagged)}")
    highest = {id.name: id for id in sorted(ids)}
    return {
        id: tagged[id] for id in ids if not configs or str(id) in configs or (id.name in configs and id == highest[id.name])
    }


def _list(tagged: dict[ArtifactId, str]) -> str:
    return f" There are {', '.join(map(tag_of, sorted(tagged)))}." if tagged else ""


def _take(
    store: Store, repository: Repository, id: ArtifactId, commit: str, rename: str | None, say: Callable[[str], None]
) -> Pulled:
    at = f"{repository.name}@{tag_of(id)}"
    with store.draft(ArtifactId(rename or id.name, id.version)) as draft:
        loaded = draft.folder / "loaded"
        record, ancestors, published = _records(repository, id, commit, loaded, at)
        came = {"repository": repository.name, "revision": commit, "tag": tag_of(id), "as": str(id)}
        came |= published.model_dump(exclude={"format"})
        registered = record.model_copy(update={"name": draft.id.name, "provenance": {**record.provenance, "published": came}})
        new = False
        if not _is_here(store, record, draft.id):
            names = {file.name: f"{id.name}/{published_name(file.name, published.split)}" for file in record.files}
            if unknown := sorted(set(names) - {"rows.parquet", *(f"{table}.parquet" for table in TABLES)}):
                raise RemoteError(f"{at} lists a file that no artifact has: {unknown[0]!r}. It was not registered.")
            say(f"{id}: loading {size(record.bytes)}")
            there = repository.fetch(list(names.values()), commit, loaded)
            for name, path in names.items():
                shutil.copyfile(there[path], draft.folder / name)
            shutil.rmtree(loaded)
            _check(draft, record, at)
            new = draft.publish(registered)
        for ancestor in ancestors:
            store.keep_record(ancestor)
        return Pulled(store.require(draft.id).record, tag_of(id), new, len(ancestors))


def _records(repository: Repository, id: ArtifactId, commit: str, folder: Path, at: str) -> tuple[Record, list[Record], Said]:
    """Return the record of a published artifact, those of what it was made from, and what was said when it was published.

    Raises RemoteError if they are not what they must be: no record names a path, refers in a circle, or is of something else.
    """
    from huggingface_hub.errors import RemoteEntryNotFoundError

    paths = [record_path(id.name), f"{id.name}/{ANCESTORS}", f"{id.name}/{PUBLICATION}"]
    try:
        texts = [path.read_bytes() for path in repository.fetch(paths, commit, folder).values()]
        record = Record.model_validate_json(texts[0])
        sent = [Record.model_validate_json(line) for line in texts[1].splitlines()]
        said = Said.model_validate_json(texts[2])
        Facts.model_validate(record.facts)
    except RemoteEntryNotFoundError as error:
        raise RemoteError(f"{at} holds no artifact: it was not set by `rft push`. It was not registered.") from error
    except (ValidationError, RecursionError) as error:
        why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else "nested too deep"
        raise RemoteError(f"{at}: a record is damaged: {why}. It was not registered.") from error
    if record.id != id or record.kind == "model":
        raise RemoteError(f"{at} holds the record of {record.kind} {record.id}. It was not registered.")
    return record, _reached(record, sent, at), said


def _reached(record: Record, sent: Sequence[Record], at: str) -> list[Record]:
    """Return the records among `sent` that an artifact was made from, without what they say of other publications."""
    known = {(str(one.id), one.content): one for one in sent}
    start = (str(record.id), record.content)
    inputs: dict[tuple[str, str], list[tuple[str, str]]] = {}
    waiting = [start]
    while waiting:
        key = waiting.pop()
        one = record if key == start else known[key]
        inputs[key] = [(given.id, given.content) for given in one.inputs]
        waiting += [given for given in inputs[key] if given in known and given not in inputs]
    try:
        Graph(inputs).order()
    except Cycle as error:
        raise RemoteError(f"{at}: {error.ring[0][0]} was made from itself, its records say. It was not registered.") from error
    return [
        one.model_copy(update={"provenance": {k: v for k, v in one.provenance.items() if k != "published"}})
        for one in (known[key] for key in inputs if key != start)
    ]


def _is_here(store: Store, record: Record, id: ArtifactId) -> bool:
    """Return whether the artifact is here already, whole; Conflict, before anything is loaded, if the name is taken."""
    here = store.get(id)
    if here is None:
        return False
    if here.record.content != record.content:
        raise Conflict(
            f"{id} is taken by other content: {here.record.content[:12]} is here, {record.content[:12]} would come. "
            "Take it in under another name: --as NAME."
        )
    store.check(here)
    return True


def _check(draft: Draft, record: Record, at: str) -> None:
    """Raise RemoteError unless the files are the recorded ones and hold what the record says: shapes, rows and content."""
    there = {file.name: file for file in draft.files()}
    for file in record.files:
        if there.get(file.name) != file:
            raise RemoteError(f"{at}: {file.name} has other bytes than its record says. It was not registered.")
    try:
        content, rows = content_in(draft.folder, record)
    except (pa.ArrowException, InputError, KeyError) as error:
        raise RemoteError(f"{at}: its tables cannot be read ({error}). It was not registered.") from error
    if (content, rows) != (record.content, record.rows):
        raise RemoteError(
            f"{at}: its rows are not those of its record: {rows:,} rows of content {content[:12]}, "
            f"recorded are {record.rows:,} of {record.content[:12]}. It was not registered."
        )

"""`rft pull`: take artifacts that were published into the store, checked to the last byte, with the records of what made them.

Only tags are read: what is under one was read back whole by the push that set it.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, ValidationError

from registry.errors import Conflict, InputError, NotFound, RemoteError, near
from registry.names import ArtifactId
from registry.publish.check import content_in
from registry.publish.layout import ANCESTORS, PUBLICATION, id_of, published_name, record_path, tag_of
from registry.publish.repository import Look, Repository, remote_errors
from registry.rows import TABLES
from registry.store import Draft, Manifest, Store


class Publication(BaseModel):
    """What publication.json holds of use here."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    format: Literal[1]
    split: Literal["train", "validation", "test"]
    overrides: list[str] = []
    licences: list[dict[str, str | bool | None]] = []


@dataclass(frozen=True)
class Pulled:
    """An artifact that was taken in: its record, the tag it came from, and whether it was not here before."""

    manifest: Manifest
    tag: str
    new: bool
    known: int  # ancestors whose records came with it

    def as_dict(self) -> dict[str, Any]:
        m = self.manifest
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
    with remote_errors(f"pulling from {name}"):
        repository = Repository(name)
        look = repository.look()
        if look is None:
            raise NotFound(f"there is no dataset repository {name}, or you may not read it. Log in with `hf auth login`.")
        wanted = _wanted(look, name, tag, configs)
        if rename is not None and len(wanted) != 1:
            raise InputError(f"--as names one artifact; {', '.join(map(str, wanted))} are meant. Name the one wanted.")
        return [_take(store, repository, id, commit, rename, say) for id, commit in wanted.items()]


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
        if not ids:
            raise NotFound(f"{repository} holds nothing that `rft push` published: it has no tag like gsm8k-rft-u13b-v1.")
    if unknown := [name for name in configs if name not in {id.name for id in ids}]:
        where = f"{repository}@{tag}" if tag else repository
        raise NotFound(f"{where} has no {unknown[0]}.{near(unknown[0], [id.name for id in ids]) or _list(tagged)}")
    return {id: tagged[id] for id in ids if not configs or id.name in configs}


def _list(tagged: dict[ArtifactId, str]) -> str:
    return f" There are {', '.join(map(tag_of, sorted(tagged)))}." if tagged else ""


def _take(
    store: Store, repository: Repository, id: ArtifactId, commit: str, rename: str | None, say: Callable[[str], None]
) -> Pulled:
    at = f"{repository.name}@{tag_of(id)}"
    with store.draft(ArtifactId(rename or id.name, id.version)) as draft:
        loaded = draft.folder / "loaded"
        texts = [record_path(id.name), f"{id.name}/{ANCESTORS}", f"{id.name}/{PUBLICATION}"]
        try:
            there = repository.fetch(texts, commit, loaded)
            manifest = Manifest.model_validate_json(there[texts[0]].read_bytes())
            ancestors = [Manifest.model_validate_json(line) for line in there[texts[1]].read_bytes().splitlines()]
            published = Publication.model_validate_json(there[texts[2]].read_bytes())
        except ValidationError as error:
            raise RemoteError(f"{at}: a record is damaged: {error.errors()[0]['msg']}. Nothing was registered.") from error
        if manifest.id != id or manifest.kind == "model":
            raise RemoteError(f"{at} holds the record of {manifest.kind} {manifest.id}. Nothing was registered.")
        _check_free(store, manifest, draft.id)
        for ancestor in ancestors:
            store.keep_record(ancestor)
        if (here := store.get(draft.id)) is not None:
            return Pulled(here.manifest, tag_of(id), False, len(ancestors))
        names = {file.name: f"{id.name}/{published_name(file.name, published.split)}" for file in manifest.files}
        if unknown := sorted(set(names) - {"rows.parquet", *(f"{table}.parquet" for table in TABLES)}):
            raise RemoteError(f"{at} lists a file that no artifact has: {unknown[0]!r}. Nothing was registered.")
        say(f"{id}: loading {manifest.bytes / 1e6:,.1f} MB")
        for file, path in repository.fetch(list(names.values()), commit, loaded).items():
            shutil.copyfile(path, draft.folder / next(n for n, f in names.items() if f == file))
        shutil.rmtree(loaded)
        _check(draft, manifest, at)
        came = {
            "repository": repository.name,
            "revision": commit,
            "tag": tag_of(id),
            **published.model_dump(exclude={"format"}),
        }
        registered = manifest.model_copy(
            update={"name": draft.id.name, "provenance": {**manifest.provenance, "published": {**came, "as": str(id)}}}
        )
        return Pulled(registered, tag_of(id), draft.publish(registered), len(ancestors))


def _check_free(store: Store, manifest: Manifest, id: ArtifactId) -> None:
    """Raise Conflict before anything is loaded if the name is taken by other content."""
    here = store.get(id)
    if here is not None and here.manifest.content != manifest.content:
        raise Conflict(
            f"{id} is taken by other content: {here.manifest.content[:12]} is here, {manifest.content[:12]} would come. "
            "Take it in under another name: --as NAME."
        )


def _check(draft: Draft, manifest: Manifest, at: str) -> None:
    """Raise RemoteError unless the files are the recorded ones and hold what the record says: shapes, rows and content."""
    there = {file.name: file for file in draft.files()}
    for file in manifest.files:
        if there.get(file.name) != file:
            raise RemoteError(f"{at}: {file.name} has other bytes than its record says. Nothing was registered.")
    try:
        content, rows = content_in(draft.folder, manifest)
    except (pa.ArrowException, InputError, KeyError) as error:
        raise RemoteError(f"{at}: its tables cannot be read ({error}). Nothing was registered.") from error
    if (content, rows) != (manifest.content, manifest.rows):
        raise RemoteError(
            f"{at}: its rows are not those of its record: {rows:,} rows of content {content[:12]}, "
            f"recorded are {manifest.rows:,} of {manifest.content[:12]}. Nothing was registered."
        )

"""What licence each source of an artifact has, and whether those licences go together.

    demo-rft@1: questions of openai/gsm8k (mit), samples of a file (cc-by-4.0), the model llama2-7b (llama2)

licences.yaml holds what is known: licences with the clauses worth quoting, repositories, and the pairs that stop a push.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Self

import yaml
from pydantic import BaseModel, ConfigDict, model_validator

from registry.errors import near
from registry.graph import Graph
from registry.store.record import Record
from rft.publish import Finding

ANY = "any"  # in a pair: whatever else there is
UNKNOWN, OTHER = "unknown", "other"  # the Hub's ids for no licence known, and for one it has no id for


@dataclass(frozen=True)
class Term:
    """The licence of one thing in a lineage.

    `source`: the artifact that brought it. `what`: questions, samples, text, training (rows of that shape) or model.
    `name`: its repository or file. `licence`: the Hub's id; None: unknown. `note`: what its licence says that a reader
    should know. `inside`: it is rows that what is published was made of; models, and what models learned from, are not.
    """

    source: str
    what: str
    name: str
    licence: str | None
    url: str | None = None
    note: str = ""
    inside: bool = True

    def __str__(self) -> str:
        return f"{self.what} {self.name} (of {self.source})"


class _Checked(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Clause(_Checked):
    section: str
    clause: str

    def __str__(self) -> str:
        return f'section {self.section}: "{self.clause}"'


class Licence(_Checked):
    name: str
    url: str
    seen: str | None = None
    terms: list[Clause] = []

    @property
    def quoted(self) -> str:
        return f"{self.name}, {'; '.join(map(str, self.terms))}" if self.terms else ""


class Source(_Checked):
    licence: str
    seen: str


class Pair(_Checked):
    pair: list[str]
    why: str


class Table(_Checked):
    """licences.yaml. Making one raises ValidationError if it speaks of a licence, or a clause, that it does not have."""

    hub: list[str]
    licences: dict[str, Licence]
    sources: dict[str, Source]
    made_here: dict[str, str]
    conflicts: list[Pair]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for id in [*(source.licence for source in self.sources.values()), *self.made_here.values()]:
            if id not in self.licences:
                raise ValueError(f"{id} is not among the licences")
        for conflict in self.conflicts:
            one, other = conflict.pair
            for id in {one, other} - {ANY}:
                if id not in self.licences or not self.licences[id].terms or not self.licences[id].seen:
                    raise ValueError(f"{one}+{other}: {id} needs a clause that is quoted, and where it was seen")
        return self


@cache
def table() -> Table:
    """Return licences.yaml; ValidationError or YAMLError if it is not what it must be, which is our bug."""
    text = resources.files("rft.publish.gate").joinpath("licences.yaml").read_text(encoding="utf-8")
    return Table.model_validate(yaml.safe_load(text))


def terms(record: Record, ancestors: Mapping[str, Record]) -> list[Term]:
    """Return the licence of everything that has one of its own and that `record` was made from, nearest first.

    `ancestors` are all of them by id, in any order. A line's own `licence` wins over what its repository is known for.
    """
    known = {**ancestors, str(record.id): record}
    given = {id: [given.id for given in one.inputs] for id, one in known.items()}
    rows = Graph({id: [] if known[id].kind == "model" else ids for id, ids in given.items()}).nearest(str(record.id))
    return [term for id in Graph(given).nearest(str(record.id)) for term in _own(known[id], inside=id in rows)]


def _own(record: Record, inside: bool) -> Iterator[Term]:
    """Yield what came into the lineage by this artifact itself: from a repository, from a file, or invented here."""
    params, what = record.params, "model" if record.kind == "model" else (record.rows_are or "rows").lower()
    inside = inside and what != "model"
    name, said = params.get("repo") or params.get("path"), params.get("licence")
    if name:
        yield _term(record, what, name, said or _of(name), inside)
        if what != "model" and (model := params.get("model")):
            # Only its name is known. Who gives the samples a licence is taken to have had the right to.
            yield _term(record, "model", model, _of(model) or said, inside=False)
    elif not record.inputs:
        yield _term(record, what, f"made by {record.maker}", table().made_here.get(record.maker), inside)


def _of(repo: str) -> str | None:
    source = table().sources.get(repo)
    return source.licence if source else None


def _term(record: Record, what: str, name: str, licence: str | None, inside: bool) -> Term:
    licence = None if licence == UNKNOWN else licence
    known = table().licences.get(licence or "")
    url, note = (known.url, known.quoted) if known else (None, "")
    return Term(str(record.id), what, name, licence, url, note, inside)


def conflicts(terms: Sequence[Term]) -> list[Finding]:
    """Return what is to be said about the licences of a lineage.

    Only a pair of licences.yaml stops. It counts between rows, not between rows and a model that read others: a model's
    training data does not stand in what it writes; but what may not be adapted may not be so with a model's help either.
    """
    found = []
    for conflict in table().conflicts:
        one, other = conflict.pair
        first = [term for term in terms if term.inside and term.licence == one]
        second = [term for term in terms if (term.licence != one if other == ANY else term.inside and term.licence == other)]
        if first and second:
            name = f"licence/{one}+{other}"
            clauses = "; ".join(table().licences[id].quoted for id in (one, other) if id != ANY)
            found.append(
                Finding(
                    "licence",
                    name,
                    f"{_listed(first)}: {one}; {_listed(second, say=other == ANY)}{'' if other == ANY else f': {other}'}. These do "
                    f"not go together in one set: {conflict.why}. Publish a set of one of them alone, correct the `licence` of a "
                    f"line that says it wrongly, or override {name} if their owners allow it. {clauses}",
                    stops=True,
                )
            )
    for id in sorted({term.licence for term in terms if term.licence} - {OTHER, *table().hub, *table().licences}):
        which = _listed([term for term in terms if term.licence == id])
        found.append(
            Finding(
                "licence",
                f"licence/{id}",
                f"{which}: {id} is no licence that the Hub has an id for, so the card says {OTHER}.{near(id, table().hub)} "
                "Correct the parameter `licence` of the line if it is misspelt: that needs no new version.",
                stops=False,
            )
        )
    if unknown := [term for term in terms if term.licence is None]:
        found.append(
            Finding(
                "licence",
                f"licence/{UNKNOWN}",
                f"{_listed(unknown)}: no licence is known, and the card says so. If you know it, give the line the parameter "
                "`licence` (licence: mit): that changes no row and needs no new version.",
                stops=False,
            )
        )
    return found


def _listed(terms: Sequence[Term], say: bool = False) -> str:
    return ", ".join(f"{term}{f' ({term.licence or UNKNOWN})' if say else ''}" for term in terms)


def hub_license(terms: Sequence[Term]) -> str | list[str]:
    """Return `license` for the YAML of a card: an id of the Hub, or several in order, `other` and `unknown` last."""
    hub = {*table().hub} - {UNKNOWN}
    ids = {UNKNOWN if term.licence is None else term.licence if term.licence in hub else OTHER for term in terms} or {UNKNOWN}
    ordered = sorted(ids, key=lambda id: ((OTHER, UNKNOWN).index(id) if id in (OTHER, UNKNOWN) else -1, id))
    return ordered[0] if len(ordered) == 1 else ordered

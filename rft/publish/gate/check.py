"""What is checked before anything is published: the rows themselves, test questions among them, licences, secrets."""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from textwrap import indent
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from registry.catalog.bind import bind, find_maker
from registry.catalog.edit import line
from registry.catalog.plan import difference
from registry.catalog.read import SECTIONS, Catalog, Entry
from registry.content import ContentHash, content_of
from registry.errors import InputError, UsageError, near
from registry.names import ArtifactId, parse_id
from registry.query.api import Artifact, Registry
from registry.rows import TYPE_NAMES, question_id
from registry.store.lineage import ancestors
from registry.store.record import RECORD, Record
from registry.tables import columns_of, shape_of
from registry.text import escaped
from rft.publish import Finding
from rft.publish.gate.contamination import Compared, check_contamination, role_of
from rft.publish.gate.licences import Term, conflicts, terms
from rft.publish.gate.secrets import find_secrets, masked

NAMING = ("origin", "model", "source", "engine")  # columns of rows that say whose they are


@dataclass(frozen=True)
class Checked:
    """An artifact that may be published, or not, and what the checks found.

    `records` are those of what it was made from, with what the catalog says today about sources (`role`, `licence`).
    """

    artifact: Artifact
    records: Mapping[str, Record]
    split: str
    lines: str
    terms: Sequence[Term]
    compared: Sequence[Compared]
    findings: Sequence[Finding]
    overrides: Sequence[str]  # names of findings that would stop it, and do not
    first: str  # where it was published before it was pulled

    @property
    def stops(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.stops and finding.name not in self.overrides]

    @property
    def overridden(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.stops and finding.name in self.overrides]

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.artifact.id,
            "passes": not self.stops,
            "findings": [asdict(finding) | {"overridden": finding.name in self.overrides} for finding in self.findings],
            "compared": [asdict(figures) for figures in self.compared],
            "licences": [asdict(term) for term in self.terms],
        }

    def report(self) -> str:
        """Return the findings for people, those that stop first."""
        lines = [f"{self.artifact.id}: {'would be stopped' if self.stops else 'may be published'}"]
        for finding in sorted(self.findings, key=lambda finding: not finding.stops):
            mark = "overridden" if finding.name in self.overrides else "stops" if finding.stops else "note"
            lines.append(f"{mark.ljust(10)}  {finding.name}\n" + indent(finding.says, " " * 12))
        for term in self.terms:
            note = masked(f"{term}: {term.licence or 'unknown'}") + (f"\n{term.note}" if term.note else "")
            lines.append(indent(note, " " * 12).replace(" " * 12, "licence     ", 1))
        return escaped("\n".join(lines))


def check(
    registry: Registry,
    catalog: Catalog | None,
    ids: Sequence[ArtifactId],
    *,
    against: Sequence[str] = (),
    overrides: Sequence[str] = (),
) -> list[Checked]:
    """Return each artifact with what the checks found.

    Questions are compared with every set of test questions in the catalog or the store, and with those `against` names.
    `overrides` are names of findings, or globs. Raises UsageError for one that overrides nothing, InputError for a model or
    a @dev artifact.
    """
    tests = _test_sets(registry, catalog, against)
    found = [_check(registry, catalog, id, tests, overrides) for id in ids]
    stopping = {finding.name for checked in found for finding in checked.findings if finding.stops}
    for pattern in overrides:
        if not any(_means(pattern, name) for name in stopping):
            there = f"There are {', '.join(sorted(stopping))}." if stopping else "Nothing stops."
            raise UsageError(f"--override {pattern}: nothing that stops is called so.{near(pattern, stopping) or f' {there}'}")
    return found


def _check(
    registry: Registry,
    catalog: Catalog | None,
    id: ArtifactId,
    tests: Mapping[str, pl.DataFrame | None],
    overrides: Sequence[str],
) -> Checked:
    artifact = registry.load(str(id))
    m = artifact.record
    if m.kind == "model":
        raise InputError(
            f"{id} is a model. Data sets and evals are published here; a model's folder is what `hf upload` takes."
        )
    if id.is_dev:
        raise InputError(f"{id} is built anew every time. Give it a version to publish it.")
    record = _as_said_today(m, catalog)
    records = {name: _as_said_today(one, catalog) for name, one in ancestors(registry.store, m).items()}
    role = role_of(record, records.get)
    lines = _lines(m, records, catalog)
    findings = [*check_rows(artifact), *check_lineage(m, records)]
    rows = artifact.polars()
    compared, overlapping = check_contamination(artifact.stored, rows, role, tests)
    licensed = _as_published(terms(record, records), [m, *records.values()])
    published = {f"artifact.json of {id}": (artifact.stored.folder / RECORD).read_text("utf-8"), f"catalog.yaml of {id}": lines}
    published |= {f"artifact.json of {name}": one.model_dump_json() for name, one in records.items()}
    for column in NAMING:
        if column in rows.columns:
            values = rows[column].unique().drop_nulls().sort().to_list()
            published[f"column {column} of {id}"] = json.dumps(dict(enumerate(values)))
    findings += [*overlapping, *conflicts(licensed)]
    findings = [replace(finding, says=masked(finding.says)) for finding in findings] + find_secrets(published)
    before = m.provenance.get("published", {})
    earlier = [Compared(**figures) for figures in before.get("compared", []) if figures["test_set"] not in tests]
    return Checked(
        artifact,
        records,
        split="test" if m.kind == "eval" else role or "train",
        lines=lines,
        terms=licensed,
        compared=[*compared, *earlier],
        findings=findings,
        overrides=[f.name for f in findings if f.stops and any(_means(pattern, f.name) for pattern in overrides)],
        first=f"{before['as']} in {before['repository']}, tag {before['tag']}" if before else "",
    )


def _means(pattern: str, name: str) -> bool:
    """Return whether an override means a finding. A secret must be named: a glob would let out more than was looked at."""
    return pattern == name or (fnmatchcase(name, pattern) and not name.startswith("secrets/"))


def _as_said_today(record: Record, catalog: Catalog | None) -> Record:
    """Return a record with what its catalog line says about its source by now: that may have come after it was built."""
    record = _as_pulled(record)
    entry = catalog.get(record.id) if catalog else None
    if entry is None or (entry.kind, entry.maker) != (record.kind, record.maker):
        return record
    about = {name: entry.params[name] for name in find_maker(entry.kind, entry.maker).about if name in entry.params}
    return record.model_copy(update={"params": record.params | about})


def _as_pulled(record: Record) -> Record:
    """Return the record of pulled questions with what they are for: elsewhere a line said it, perhaps later."""
    published = record.provenance.get("published")
    if published is None or record.rows_are != "QUESTIONS":
        return record
    return record.model_copy(update={"params": record.params | {"role": published["split"]}})


def _as_published(terms: Sequence[Term], records: Sequence[Record]) -> list[Term]:
    """Return terms with the licences that were published with what was pulled: its own lines, elsewhere, may have said them."""
    known = {}
    for record in records:
        published = record.provenance.get("published", {})
        for term in (Term(**each) for each in published.get("licences", [])):
            source = str(record.id) if term.source == published["as"] else term.source
            known[source, term.what, term.name] = replace(term, source=source)
    return [known.get((term.source, term.what, term.name), term) if term.licence is None else term for term in terms]


def _test_sets(registry: Registry, catalog: Catalog | None, against: Sequence[str]) -> dict[str, pl.DataFrame | None]:
    """Return the questions of every test set, by id; None of one that is listed and not built."""
    sets: dict[str, pl.DataFrame | None] = {}
    questions = registry.sql("select name, version from artifacts where rows_are = 'QUESTIONS' order by all")
    for id in itertools.starmap(ArtifactId, questions.iter_rows()):
        m = registry.store.require(id).record
        records = {name: _as_said_today(record, catalog) for name, record in ancestors(registry.store, m).items()}
        if role_of(_as_said_today(m, catalog), records.get) == "test":
            sets[str(id)] = registry.load(str(id)).polars()
    if catalog is not None:
        listed = (str(entry.id) for entry in catalog.entries.values() if _asks_tests(entry, catalog))
        sets |= {id: None for id in listed if id not in sets}
    for id in registry.select(against):
        artifact = registry.load(str(id))
        if artifact.record.rows_are not in ("QUESTIONS", "TRAINING"):
            raise InputError(
                f"--against {id}: it has {artifact.record.rows_are or 'no'} rows, and no questions to compare with."
            )
        sets[str(id)] = artifact.polars().unique("question_id", maintain_order=True)
    return sets


def _asks_tests(entry: Entry, catalog: Catalog) -> bool:
    params = bind(entry, catalog).params
    return "role" in params and (params["role"] or params.get("split")) == "test"


def _lines(record: Record, ancestors: Mapping[str, Record], catalog: Catalog | None) -> str:
    """Return a catalog.yaml with the lines that made an artifact and its ancestors: the catalog's own where it has them."""
    sections: dict[str, list[str]] = {section: [] for section in SECTIONS}
    for one in (*reversed(list(ancestors.values())), record):
        section = next(section for section, (kind, _) in SECTIONS.items() if kind == one.kind)
        listed = _made_by(one, catalog)
        inputs = tuple(parse_id(given.id) for given in one.inputs)
        sections[section].append(line(listed or Entry(one.id, one.kind, one.maker, inputs, one.params)))
    return "".join(f"{section}:\n" + "".join(f"  {line}\n" for line in lines) for section, lines in sections.items() if lines)


def _made_by(record: Record, catalog: Catalog | None) -> Entry | None:
    """Return the catalog's line of a record, if it is the one that made it."""
    entry = catalog.get(record.id) if catalog else None
    return entry if entry and catalog and not difference(bind(entry, catalog), record) else None


def check_lineage(record: Record, records: Mapping[str, Record]) -> Iterator[Finding]:
    """Yield what an artifact was made from, and of which nothing is known any more."""
    known = [record, *records.values()]
    if gone := sorted({given.id for one in known for given in one.inputs if given.id not in records}):
        says = (
            f"{record.id} was made from {', '.join(gone)}, and no record of it is left. Build it again; its content will tell."
        )
        yield Finding("rows", f"rows/{record.id}/lineage", says, True)


def check_rows(artifact: Artifact) -> Iterator[Finding]:
    """Yield what is wrong with an artifact's files, content and rows: every byte is read."""
    if damage := artifact.store.damage(artifact.stored, thorough=True):
        says = f"{artifact.id}: {damage}. `rft rm {artifact.id}` and build it again."
        yield Finding("rows", f"rows/{artifact.id}/files", says, True)
        return
    m = artifact.record
    try:
        content, rows = content_in(artifact.stored.folder, m)
    except InputError as error:
        yield Finding("rows", f"rows/{artifact.id}/columns", f"{artifact.id}: {error}.", True)
        return
    if (content, rows) != (m.content, m.rows):
        says = f"{artifact.id}: its {rows:,} rows are not those of its record ({m.rows:,} of content {m.content[:12]})."
        yield Finding("rows", f"rows/{artifact.id}/content", says, True)
    frame = artifact.polars()
    if "question" in frame.columns:
        asked = frame.unique(["question_id", "question"], maintain_order=True).select("question_id", "question")
        if wrong := [id for id, question in asked.iter_rows() if question_id(question) != id]:
            says = f"{artifact.id}: {len(wrong):,} question_ids are not those of their questions, the first {wrong[0]}."
            yield Finding("rows", f"rows/{artifact.id}/question_id", says, True)


def content_in(folder: Path, record: Record) -> tuple[str, int]:
    """Return the content and the number of rows of the tables in an artifact's folder, read anew.

    Raises InputError if they have not the columns that the record says, or those have not the types of their shape.
    """
    hashes: dict[str, ContentHash] = {}
    for file in record.files:
        table = file.name.removesuffix(".parquet")
        shape, wanted = shape_of(record, table), columns_of(record, table)
        there = {name: kind.base_type() for name, kind in pl.read_parquet_schema(folder / file.name).items()}
        types = {name: shape.schema.get(name, kind) for name, kind in there.items()}
        lacking = [name for name in shape.first if name not in wanted]
        if lacking or list(there) != wanted or there != types or not set(types.values()) <= set(TYPE_NAMES):
            raise InputError(f"{file.name} has other columns than {shape.name} rows: {there}")
        source = pq.ParquetFile(folder / file.name)
        hashes[table] = ContentHash(shape, {name: TYPE_NAMES[kind] for name, kind in types.items()})
        for group in range(source.num_row_groups):
            frame = pl.from_arrow(source.read_row_group(group))
            assert isinstance(frame, pl.DataFrame)
            shape.fit(frame, file.name)
            hashes[table].add(frame.to_arrow())
    return content_of(hashes), hashes["rows"].rows

"""What is checked before anything is published: the rows themselves, test questions among them, licences, secrets."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from textwrap import indent
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from registry import catalog as catalogs
from registry.access import Artifact, Registry
from registry.catalog import SECTIONS, Catalog, Entry
from registry.errors import InputError, UsageError, near
from registry.lineage import ancestors
from registry.names import ArtifactId, parse_id
from registry.publish import Finding
from registry.publish.contamination import Compared, check_contamination, role_of
from registry.publish.licences import Term, conflicts, terms
from registry.publish.secrets import find_secrets
from registry.recipe import bind, find_maker
from registry.rows import ROW_SHAPES, TABLES, ContentHash, content_of, question_id
from registry.store import Manifest
from registry.text import escaped


@dataclass(frozen=True)
class Checked:
    """An artifact that may be published, or not: its record, what is known of it, and what the checks found.

    `records` are its ancestors'; both carry what the catalog says today about sources (`role`, `licence`).
    """

    artifact: Artifact
    manifest: Manifest
    records: Mapping[str, Manifest]
    split: str
    lines: str
    terms: Sequence[Term]
    compared: Sequence[Compared]
    findings: Sequence[Finding]
    overrides: Sequence[str]  # names of findings that would stop it, and do not

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
        if not any(fnmatchcase(name, pattern) for name in stopping):
            raise UsageError(f"--override {pattern}: nothing that stops is called so.{near(pattern, stopping)}")
    return found


def _check(
    registry: Registry,
    catalog: Catalog | None,
    id: ArtifactId,
    tests: Mapping[str, pl.DataFrame | None],
    overrides: Sequence[str],
) -> Checked:
    artifact = registry.load(str(id))
    m = artifact.manifest
    if m.kind == "model":
        raise InputError(
            f"{id} is a model. Data sets and evals are published here; a model's folder is what `hf upload` takes."
        )
    if id.is_dev:
        raise InputError(f"{id} is built anew every time. Give it a version to publish it.")
    manifest = _as_said_today(m, catalog)
    records = {name: _as_said_today(record, catalog) for name, record in ancestors(registry.store, m).items()}
    role = role_of(manifest, records.get)
    lines = _lines(m, records, catalog)
    findings = list(check_rows(artifact))
    compared, overlapping = check_contamination(artifact.stored, artifact.polars(), role, tests)
    licensed = _as_published(terms(manifest, records), [m, *records.values()])
    published = {f"artifact.json of {id}": m.model_dump_json(), f"catalog.yaml of {id}": lines}
    published |= {f"artifact.json of {name}": record.model_dump_json() for name, record in records.items()}
    findings += [*overlapping, *conflicts(licensed), *find_secrets(published)]
    return Checked(
        artifact,
        manifest,
        records,
        split="test" if m.kind == "eval" else role or "train",
        lines=lines,
        terms=licensed,
        compared=compared,
        findings=findings,
        overrides=[f.name for f in findings if f.stops and any(fnmatchcase(f.name, pattern) for pattern in overrides)],
    )


def _as_said_today(record: Manifest, catalog: Catalog | None) -> Manifest:
    """Return a record with what its catalog line says about its source by now: that may have come after it was built."""
    entry = catalog.get(record.id) if catalog else None
    if entry is None or (entry.kind, entry.maker) != (record.kind, record.maker):
        return record
    about = {name: entry.params[name] for name in find_maker(entry.kind, entry.maker).about if name in entry.params}
    return record.model_copy(update={"params": record.params | about})


def _as_published(terms: Sequence[Term], records: Sequence[Manifest]) -> list[Term]:
    """Return terms with the licences that were published with what was pulled: its own lines, elsewhere, may have said them."""
    published = [Term(**term) for record in records for term in record.provenance.get("published", {}).get("licences", [])]
    known = {(term.source, term.what, term.name): term for term in published}
    return [known.get((term.source, term.what, term.name), term) if term.licence is None else term for term in terms]


def _test_sets(registry: Registry, catalog: Catalog | None, against: Sequence[str]) -> dict[str, pl.DataFrame | None]:
    """Return the questions of every test set, by id; None of one that is listed and not built."""
    sets: dict[str, pl.DataFrame | None] = {}
    built = [stored.manifest for id in sorted(registry.store.stamps()) if (stored := registry.store.get(id))]
    for m in built:
        asks = m.rows_are == "QUESTIONS" and not m.inputs
        if asks and role_of(_as_said_today(m, catalog), lambda _: None) == "test":
            sets[str(m.id)] = registry.load(str(m.id)).polars()
    if catalog is not None:
        listed = (str(entry.id) for entry in catalog.entries.values() if _asks_tests(entry, catalog))
        sets |= {id: None for id in listed if id not in sets}
    for id in registry.select(against):
        artifact = registry.load(str(id))
        if artifact.manifest.rows_are not in ("QUESTIONS", "TRAINING"):
            raise InputError(
                f"--against {id}: it has {artifact.manifest.rows_are or 'no'} rows, and no questions to compare with."
            )
        sets[str(id)] = artifact.polars().unique("question_id", maintain_order=True)
    return sets


def _asks_tests(entry: Entry, catalog: Catalog) -> bool:
    params = bind(entry, catalog).params
    return "role" in params and (params["role"] or params.get("split")) == "test"


def _lines(manifest: Manifest, ancestors: Mapping[str, Manifest], catalog: Catalog | None) -> str:
    """Return a catalog.yaml with the lines that made an artifact and its ancestors: the catalog's own where it has them."""
    sections: dict[str, list[str]] = {section: [] for section in SECTIONS}
    for record in (*reversed(list(ancestors.values())), manifest):
        section = next(section for section, (kind, _) in SECTIONS.items() if kind == record.kind)
        listed = catalog.get(record.id) if catalog else None
        inputs = tuple(parse_id(given.id) for given in record.inputs)
        sections[section].append(catalogs.line(listed or Entry(record.id, record.kind, record.maker, inputs, record.params)))
    return "".join(f"{section}:\n" + "".join(f"  {line}\n" for line in lines) for section, lines in sections.items() if lines)


def check_rows(artifact: Artifact) -> Iterator[Finding]:
    """Yield what is wrong with an artifact's files, content and rows: every byte is read."""
    if damage := artifact.store.damage(artifact.stored, thorough=True):
        says = f"{artifact.id}: {damage}. `rft rm {artifact.id}` and build it again."
        yield Finding("rows", f"rows/{artifact.id}/files", says, True)
        return
    m = artifact.manifest
    content, rows = content_in(artifact.stored.folder, m)
    if (content, rows) != (m.content, m.rows):
        says = f"{artifact.id}: its {rows:,} rows are not those of its record ({m.rows:,} of content {m.content[:12]})."
        yield Finding("rows", f"rows/{artifact.id}/content", says, True)
    frame = artifact.polars()
    if "question" in frame.columns:
        asked = frame.unique(["question_id", "question"], maintain_order=True).select("question_id", "question")
        if wrong := [id for id, question in asked.iter_rows() if question_id(question) != id]:
            says = f"{artifact.id}: {len(wrong):,} question_ids are not those of their questions, the first {wrong[0]}."
            yield Finding("rows", f"rows/{artifact.id}/question_id", says, True)


def content_in(folder: Path, manifest: Manifest) -> tuple[str, int]:
    """Return the content and the number of rows of the tables in an artifact's folder, read anew.

    Raises InputError if they have not the columns of their shape.
    """
    hashes: dict[str, ContentHash] = {}
    for file in manifest.files:
        table = file.name.removesuffix(".parquet")
        shape = ROW_SHAPES[manifest.rows_are or ""] if table == "rows" else TABLES[table]
        source = pq.ParquetFile(folder / file.name)
        hashes[table] = ContentHash(shape)
        for group in range(source.num_row_groups):
            frame = pl.from_arrow(source.read_row_group(group))
            assert isinstance(frame, pl.DataFrame)
            if frame.columns != list(shape.columns):
                raise InputError(f"{file.name} has the columns {', '.join(frame.columns)}; {shape.name} rows have others")
            hashes[table].add(shape.fit(frame, file.name).to_arrow())
    return content_of(hashes), hashes["rows"].rows

"""What a report knows of the artifacts, and the page of each: recipe, provenance, counts, statistics, rows, paths."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from markupsafe import Markup

from registry.catalog.edit import line
from registry.catalog.read import SECTIONS, Catalog, Entry
from registry.graph import Graph
from registry.names import ArtifactId, parse_id
from registry.query.api import Artifact, Registry
from registry.store.record import Damaged, Record
from registry.text import fact, number, size
from rft.reports.paths import Statistics, report, statistics, tables
from rft.reports.scores import scores
from rft.reports.site.graph import Node, pictures
from rft.reports.site.html import Link, drawn
from rft.reports.site.questions import Questions, questions
from rft.reports.table import Table, literal, quoted

Licences = Callable[[Record, Mapping[str, Record]], Sequence[tuple[Any, ...]]]  # what, name, artifact, licence, what it says

FIRST_ROWS = 5
KINDS = {
    "questions": "questions",
    "samples": "samples",
    "training": "training sets",
    "scores": "scores",
    "text": "text",
    "model": "models",
}
ROW_COLUMNS = {
    "QUESTIONS": "question_id, question, response, answer",
    "SAMPLES": "question_id, model, draw, finish_reason, response",
    "TEXT": "text, source",
}


@dataclass(frozen=True)
class Site:
    """The artifacts of a report, by id: the records of those that have a page, what is wrong with those that are damaged.

    `here`: those that are built here; of the others only the record is known. `entries`: lines of the catalog that are not built.
    `chosen`: it is of some artifacts only.
    """

    registry: Registry
    records: Mapping[str, Record]
    here: frozenset[str]
    damaged: Mapping[str, str]
    entries: Mapping[str, Entry]
    licences: Licences
    chosen: bool = False
    counted: dict[str, Statistics | None] = field(default_factory=dict)

    def link(self, id: str) -> Link:
        return Link(id, f"{id}.html" if id in self.records else None)

    @cached_property
    def graph(self) -> Graph[str]:
        """What was made from what; without inputs that are other ones today."""
        now = {id: record.content for id, record in self.records.items()}
        return Graph({id: [g.id for g in m.inputs if now.get(g.id) == g.content] for id, m in self.records.items()})

    @cached_property
    def nodes(self) -> dict[str, Node]:
        """What the picture of everything shows: what has a page, and the lines that are not built."""
        built = {
            id: Node(
                id,
                (m.maker, "model" if m.kind == "model" else f"{m.rows:,} rows"),
                kind_of(m),
                self.graph.inputs[id],
                f"{id}.html",
            )
            for id, m in self.records.items()
        }
        return built | {
            id: Node(id, (entry.maker, "not built"), "other", list(map(str, entry.inputs)), None)
            for id, entry in self.entries.items()
        }

    def statistics(self, id: str) -> Statistics | None:
        """Return the statistics of an artifact that has verdicts and is whole; else None."""
        if id not in self.counted:
            stored = self.registry.store.readable(parse_id(id)) if id in self.here else None
            has = stored is not None and stored.file("path_stats.parquet") and stored.file("verdicts.parquet")
            self.counted[id] = statistics(self.registry.load(id)) if has and id not in self.damaged else None
        return self.counted[id]


def site(registry: Registry, catalog: Catalog | None, ids: Sequence[ArtifactId] | None, licences: Licences) -> Site:
    """Return what a report of `ids` and all they were made from shows; None: of all that is built, and the catalog."""
    store = registry.store
    records: dict[str, Record] = {}
    here, damaged = set(), {}
    waiting: list[tuple[str, str | None]] = [(str(id), None) for id in (sorted(store.stamps()) if ids is None else ids)]
    while waiting:
        id, content = waiting.pop(0)
        if id in records or id in damaged:
            continue
        found = store.peek(parse_id(id))
        if isinstance(found, Damaged):
            damaged[id] = found.why.replace(f"{store.home}/", "")  # nobody else has that folder
        elif found is not None:
            records[id] = found.record
            here.add(id)
            if wrong := store.damage(found):
                damaged[id] = f"{id}: {wrong}. `rft rm {id}` removes it, {found.record.again}."
            waiting += [(given.id, given.content) for given in found.record.inputs]
        elif content is not None and (known := store.record(parse_id(id), content)) is not None:
            records[id] = known
            waiting += [(given.id, given.content) for given in known.inputs]
    entries = catalog.entries if catalog is not None and ids is None else {}
    unbuilt = {str(id): entry for id, entry in entries.items() if str(id) not in records and str(id) not in damaged}
    return Site(registry, dict(sorted(records.items())), frozenset(here), damaged, unbuilt, licences, ids is not None)


def kind_of(record: Record) -> str:
    return "model" if record.kind == "model" else (record.rows_are or "other").lower()


@dataclass(frozen=True)
class Page:
    """All that the page of one artifact shows. `figures`: pictures as `html.figure` makes them."""

    id: str
    what: str
    remarks: list[str]
    line: str
    provenance: list[tuple[str, Any]]
    tables_of_provenance: list[Table]
    lineage: Markup | None
    counts: list[Table]
    summary: str
    statistics: list[Table]
    load: list[tuple[str, str]]
    rows: Table | None
    questions: Questions | None
    figures: list[Markup]


def page(site: Site, id: str) -> Page:
    """Return the page of an artifact. One that is damaged, or of which only the record is here, has no rows to show."""
    record, whole = site.records[id], id in site.here and id not in site.damaged
    artifact = site.registry.load(id) if whole else None
    counted = site.statistics(id)
    above = {each: site.nodes[each] for each in site.graph.order(id)}
    svgs = pictures(above, f"What {id} was made from", id) if len(above) > 1 else []
    return Page(
        id=id,
        what=_what(record),
        remarks=_remarks(site, id),
        line=_line(record),
        provenance=_provenance(site, id),
        tables_of_provenance=_provenance_tables(site, record),
        lineage=svgs[0][1] if svgs else None,
        counts=_counts(site, record, artifact),
        summary=report(counted).partition("\n\n")[0].replace("\n", ". ") if counted else "",
        statistics=tables(counted) if counted else [],
        load=_load(artifact) if artifact else [],
        rows=_rows(artifact) if artifact else None,
        questions=questions(artifact) if artifact else None,
        figures=_figures(artifact, counted) if artifact else [],
    )


def _what(m: Record) -> str:
    made = f"made by {m.maker} (edition {m.edition})"
    if m.kind == "model":
        return f"A model, {made}."
    return f"{'An eval' if m.kind == 'eval' else 'A dataset'}, {made}: {number(m.rows, 'row')} of the kind {m.rows_are}."


def _remarks(site: Site, id: str) -> list[str]:
    found = [site.damaged[id]] if id in site.damaged else []
    if id not in site.here:
        found.append("only its record is here: it was not pulled with what was made from it.")
    for given in site.records[id].inputs:
        now = site.records.get(given.id)
        if given.id in site.damaged and now is None:
            found.append(f"its input {site.damaged[given.id]}")
        elif now is None:
            found.append(f"its input {given.id} is gone.")
        elif now.content != given.content:
            found.append(f"its input {given.id} is another one today: {now.content[:12]}, it was {given.content[:12]}.")
    return found


def _line(m: Record) -> str:
    section = next(name for name, (kind, _) in SECTIONS.items() if kind == m.kind)
    entry = Entry(m.id, m.kind, m.maker, tuple(parse_id(given.id) for given in m.inputs), m.params)
    return f"{section}:\n  {line(entry)}"


def _provenance(site: Site, id: str) -> list[tuple[str, Any]]:
    m = site.records[id]
    commit, pulled = m.provenance.get("git_commit"), m.provenance.get("published")
    return [
        ("content", m.content),
        ("made by", f"{m.maker}, edition {m.edition}"),
        ("built at", f"{m.built_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("commit", f"{commit[:12]}{' (dirty)' if m.provenance.get('git_dirty') else ''}" if commit else "none"),
        *([("pulled from", f"{pulled['repository']}, tag {pulled['tag']}, as {pulled['as']}")] if pulled else []),
        *(("used by", site.link(user)) for user in site.graph.users.get(id, [])),
    ]


def _provenance_tables(site: Site, m: Record) -> list[Table]:
    where = _where(m.id)
    found = []
    if m.inputs:
        rows = []
        for given in m.inputs:
            known = site.records.get(given.id)
            rows.append(
                [
                    site.link(given.id),
                    known.maker if known else None,
                    known.rows if known and known.kind != "model" else None,
                    given.content[:12],
                ]
            )
        sql = f"select input, input_content from inputs where {where} order by position"
        found.append(Table("inputs", ["artifact", "made by", "rows", "content used"], rows, sql))
    above = {id: site.records[id] for id in site.graph.order(str(m.id)) if id != str(m.id)}
    licences = [[what, name, site.link(source), *rest] for what, name, source, *rest in site.licences(m, above)]
    if licences:
        shown = 5 if any(row[4] for row in licences) else 4
        columns = ["what", "source", "artifact", "licence", "what it says"]
        found.append(Table("licences of its sources", columns[:shown], [row[:shown] for row in licences]))
    return found


def _where(id: ArtifactId) -> str:
    return f"name = {literal(id.name)} and version = {id.version}"


def _counts(site: Site, m: Record, artifact: Artifact | None) -> list[Table]:
    where = _where(m.id)
    rows = [["rows", m.rows]] if m.kind != "model" else []
    rows += [["columns", len(columns)] for table, columns in m.columns.items() if table == "rows"]
    rows += [["files", len(m.files)], ["size", size(m.bytes)]]
    found = [Table("what there is", ["", ""], rows, f"select rows, bytes from artifacts where {where}")]
    if m.drops:
        drops = sorted(m.drops.items(), key=lambda drop: (-drop[1], drop[0]))
        sql = f"select reason, rows from drops_by_reason where {where} order by rows desc, reason"
        found.append(Table("not kept, by reason", ["reason", "rows"], [list(drop) for drop in drops], sql))
    if m.facts:
        sql = f"select fact, value from facts where {where}"
        found.append(Table("facts of its making", ["", ""], [[key, fact(key, value)] for key, value in m.facts.items()], sql))
    if artifact is not None and m.rows_are == "SCORES":
        sql = f"select * from scores where {where} order by rowid"
        columns, scored = scores(site.registry.sql(sql).to_dicts())
        linked = [[row[1], site.link(row[2]), *row[3:]] for row in scored]
        found.append(Table("scores", columns[1:], linked, sql))
    files = [[file.name, size(file.bytes), file.sha256[:12]] for file in m.files]
    found.append(Table("files", ["file", "size", "sha256"], files))
    return found


def _load(artifact: Artifact) -> list[tuple[str, str]]:
    m, id = artifact.record, artifact.id
    file = artifact.stored.file
    if m.kind == "model":
        code = ['print(model.folder, model.record.facts.get("loss"))']
        if file("config.json"):
            code.append("# AutoModelForCausalLM.from_pretrained(model.folder) of transformers loads it.")
        code = ["from registry import open_registry", "", f'model = open_registry().load("{id}").stored', *code]
        sql = [f"rft sql 'select * from {quoted(f'{id}/loss')}'"] if file("loss.parquet") else []
    else:
        code = ["from registry import open_registry", "", f'artifact = open_registry().load("{id}")']
        code.append("print(artifact.polars())  # also .arrow(), .to_datasets()")
        if file("verdicts.parquet"):
            code.append("print(artifact.graded().head())  # every sample with its verdict and its text")
        sql = [f"rft sql 'select * from {quoted(id)} limit 3'"]
    words = ["show", "lineage", *(["head"] if m.kind != "model" else []), *(["stats"] if file("path_stats.parquet") else [])]
    found = [("Python", "\n".join(code)), ("SQL", "\n".join(sql)), ("Command", "\n".join(f"rft {word} {id}" for word in words))]
    return [(name, text) for name, text in found if text]


def _figures(artifact: Artifact, counted: Statistics | None) -> list[Markup]:
    """Return what `rft plot` draws of this artifact alone."""
    if artifact.stored.file("loss.parquet"):
        names = ["curves"]
    elif counted is None or not counted.at_k:
        return []
    elif artifact.record.rows_are == "TRAINING":
        names = ["paths", "difficulty", *(["contributions"] if len(counted.sources) > 1 else [])]
    else:
        names = ["processes", "difficulty"]
    return drawn(names, Registry(artifact.store.home), [artifact.stored.id])[0]


def _rows(artifact: Artifact) -> Table | None:
    """Return the first rows of what has no paths to show."""
    columns = ROW_COLUMNS.get(artifact.record.rows_are or "")
    if columns is None or artifact.stored.file("rows.parquet") is None:
        return None
    sql = f"select {columns} from {quoted(artifact.id)} limit {FIRST_ROWS}"
    frame = Registry(artifact.store.home).sql(sql)
    return Table(f"the first {FIRST_ROWS} rows", frame.columns, [list(row) for row in frame.iter_rows()], sql)

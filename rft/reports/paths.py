"""Statistics of reasoning paths in a rejection set, a union or an eval: the tables of section 3.3 of the paper.

A path counts when its response is accepted: right answer, and every equation holds. Means are over all questions,
unsolved ones included. Numbers with and without the human path never share a column.
"""

from dataclasses import asdict, dataclass
from importlib import resources
from typing import Any

import duckdb

from eval.grading.rules import PATHS, Key
from registry.errors import InputError
from registry.names import parse_id
from registry.query.api import Artifact
from registry.rows import PATH_STATS
from registry.tables import select
from rft.reports.table import Bar, Table, literal, quoted

KS = (1, 3, 6, 12, 25, 50, 100)  # Table 2


@dataclass(frozen=True)
class Statistics:
    """All that `rft stats` prints about one artifact.

    `at_k`: draws, right_answers, accepted and distinct paths per question, of the draws below k of each source; the
    columns that count the human path too are there for sets only.
    `histogram`: how many questions have so many distinct paths (by the artifact's own key).
    `sources`: draws, right_answers and accepted of each source, its `own` paths, those that `only` it has (Fig. 6 of the
    paper), and those it `added` to the sources before it. `overlap`: the paths each two sources share.
    """

    id: str
    key: Key
    questions: int
    solved: int
    rows: int
    human_rows: int
    kept: int
    path_coverage: float | None
    sampled: int  # questions that have samples
    held_paths: int  # distinct paths of the rows themselves
    at_k: list[dict[str, Any]]
    histogram: list[dict[str, int]]
    sources: list[dict[str, Any]]
    overlap: list[dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def statistics(artifact: Artifact) -> Statistics:
    """Return the statistics of an artifact that has verdicts; InputError for one that has none."""
    tables = {name: select(artifact.stored, name) for name in ("rows", "verdicts", "path_stats")}
    if None in tables.values():
        raise InputError(
            f"{artifact.id} ({artifact.record.maker}) has no verdicts on samples. Statistics are of rejection sets, unions and evals."
        )
    facts = artifact.record.facts
    key, sources = facts["key"], facts["sources"]
    is_set = artifact.record.rows_are == "TRAINING"
    with duckdb.connect() as connection:
        tables["verdicts"] = _verdicts(f"({tables['verdicts']})", key)
        for name, query in tables.items():
            connection.execute(f"create view {name} as {query}")
        connection.execute(f"create view human as {_HUMAN if is_set else _NO_HUMAN}")
        questions, solved, kept = _one(
            connection, "select count(*), count(*) filter (right_answers > 0), coalesce(sum(kept), 0)::bigint from path_stats"
        )
        draws = _one(connection, "select coalesce(max(draw), -1) + 1 from verdicts")[0]
        names = {"sources": sources}
        return Statistics(
            id=artifact.id,
            key=key,
            questions=questions,
            solved=solved,
            rows=artifact.record.rows if is_set else 0,
            human_rows=_one(connection, "select count(*) from human")[0],
            kept=kept,
            path_coverage=_one(connection, _COVERAGE)[0],
            sampled=_one(connection, "select count(*) from path_stats where draws > 0")[0],
            held_paths=_one(connection, _HELD.format(path=PATHS[key]))[0] if is_set else 0,
            at_k=[
                {name: value for name, value in row.items() if is_set or not name.endswith("with_human")}
                for row in _rows(
                    connection,
                    _sql("paths_at_k"),
                    {"ks": sorted({*(k for k in KS if k < draws), draws}), "questions": questions},
                )
            ],
            histogram=_rows(
                connection,
                f"select {PATHS[key].replace('path', 'paths')} as paths, count(*) as questions from path_stats group by 1 order by 1",
            ),
            sources=_rows(connection, _sql("sources"), names),
            overlap=_rows(connection, _sql("overlap"), names) if len(sources) > 1 else [],
        )


_COVERAGE = "select avg((path is not null)::integer) from verdicts where right_answer"
_HELD = "select count(distinct (question_id, {path})), count(distinct question_id) from rows where {path} is not null"
_HUMAN = "select question_id, path, path_canonical from rows where origin = 'human'"
_NO_HUMAN = "select null::varchar as question_id, null::varchar as path, null::varchar as path_canonical where false"


def _sql(name: str) -> str:
    return (resources.files("rft.reports") / f"{name}.sql").read_text()


def _verdicts(table: str, key: Key) -> str:
    """Return the verdicts as the queries see them: a path that does not show all is none, and the path of the set's key has a name."""
    whole = ", ".join(f"if(coalesce(coverage, 1) >= 1, {path}, null) as {path}" for path in PATHS.values())
    return f"select * replace ({whole}), {PATHS[key]} as path_of_key from {table}"


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    return connection.execute(query).fetchone() or ()


def _rows(connection: duckdb.DuckDBPyConnection, query: str, params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    cursor = connection.execute(query, params)
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


# -- for people ---------------------------------------------------------------------------------------------------------


def report(s: Statistics) -> str:
    """Return the statistics of one artifact as text: a summary, then a table for each question they answer."""
    summary = f"{s.id}: {s.solved:,} of {s.questions:,} questions solved" + (
        f" ({s.solved / s.questions:.1%})" if s.questions else ""
    )
    if s.sampled < s.questions:
        summary += (
            f", and {s.solved / s.sampled:.1%} of the {s.sampled:,} that have samples" if s.sampled else ", none has samples"
        )
    if s.rows:
        summary += (
            f"; {s.rows:,} rows: {s.human_rows:,} human, {s.kept:,} kept samples; "
            f"{s.held_paths:,} distinct paths in them ({s.held_paths / s.questions:.2f} a question)"
        )
    if s.path_coverage is not None:
        summary += f"\n{s.path_coverage:.1%} of the right samples show all their results in their path"
    return "\n\n".join([summary, *map(str, tables(s))])


def tables(s: Statistics) -> list[Table]:
    """Return the statistics of one artifact as tables, each with its SQL."""
    found = []
    if s.at_k:
        columns = list(s.at_k[0])
        found.append(
            Table(
                "per question, by draws of each source below k (paths are distinct, of accepted samples)",
                [heading(c) for c in columns],
                [list(row.values()) for row in s.at_k],
                _written(s, "paths_at_k", ks=[row["k"] for row in s.at_k], questions=s.questions),
            )
        )
    most = max((row["questions"] for row in s.histogram), default=1)
    id, counted = parse_id(s.id), PATHS[s.key].replace("path", "paths")
    found.append(
        Table(
            f"questions by number of distinct paths ({s.key} key)",
            ["paths", "questions", ""],
            [[r["paths"], r["questions"], Bar(r["questions"] / most)] for r in s.histogram],
            f"select {counted} as paths, count(*) as questions\nfrom path_stats\n"
            f"where name = {literal(id.name)} and version = {id.version}\ngroup by 1\norder by 1",
        )
    )
    names = [r["source"] for r in s.sources]
    if names:
        total = sum(row["added"] for row in s.sources) or 1
        shown = ("source", "draws", "right_answers", "accepted", "own", "only")
        found.append(
            Table(
                f"distinct paths by source ({s.key} key): its own, those only it has, those new after the ones above",
                ["source", "draws", "right", "accepted", "own", "only", "of all", "added"],
                [[*(r[name] for name in shown), f"{r['only'] / total:.1%}", r["added"]] for r in s.sources],
                _written(s, "sources", sources=names),
            )
        )
    if s.overlap:
        shared = {(r["a"], r["b"]): r["shared"] for r in s.overlap}
        found.append(
            Table(
                "paths that two sources share",
                ["", *names],
                [[a, *(shared[a, b] for b in names)] for a in names],
                _written(s, "overlap", sources=names),
            )
        )
    return found


def _written(s: Statistics, name: str, **values: Any) -> str:
    """Return a query as `rft sql` takes it: over the views of the artifact, with its values written out."""
    query = _sql(name).strip()
    for parameter, value in values.items():
        query = query.replace(f"${parameter}", literal(value))
    is_set = not s.at_k or "paths_with_human" in s.at_k[0]
    human = _HUMAN.replace("from rows", f"from {quoted(s.id)}") if is_set else _NO_HUMAN
    needed = {"verdicts": _verdicts(quoted(f"{s.id}/verdicts"), s.key), **({"human": human} if "human" in query else {})}
    given = ",\n".join(f"{view} as ({text})" for view, text in needed.items())
    return f"with {given}\nselect * from (\n{query}\n)"


def heading(column: str) -> str:
    """Return what a table for people calls a column of PATH_STATS."""
    return (PATH_STATS.columns[column].heading if column in PATH_STATS.columns else "") or column

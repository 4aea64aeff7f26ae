"""Statistics of reasoning paths in a rejection set, a union or an eval: the tables of section 3.3 of the paper.

A path counts when its response is accepted: right answer, and every equation holds. Means are over all questions,
unsolved ones included. Numbers with and without the human path never share a column.
"""

from dataclasses import asdict, dataclass
from importlib import resources
from typing import Any

import duckdb

from registry.access import Artifact
from registry.errors import InputError

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
    key: str
    questions: int
    solved: int
    rows: int
    human_rows: int
    kept: int
    at_k: list[dict[str, Any]]
    histogram: list[dict[str, int]]
    sources: list[dict[str, Any]]
    overlap: list[dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def statistics(artifact: Artifact) -> Statistics:
    """Return the statistics of an artifact that has verdicts; InputError for one that has none."""
    files = {name: artifact.stored.file(f"{name}.parquet") for name in ("rows", "verdicts", "path_stats")}
    if any(file is None for file in files.values()):
        raise InputError(
            f"{artifact.id} ({artifact.manifest.maker}) has no verdicts on samples. Statistics are of rejection sets, unions and evals."
        )
    facts = artifact.manifest.facts
    key, sources = facts["key"], facts["sources"]
    is_set = artifact.manifest.rows_are == "TRAINING"
    with duckdb.connect() as connection:
        for name, file in files.items():
            connection.read_parquet(str(file)).create_view(name)
        connection.execute(f"create view human as {_HUMAN if is_set else _NO_HUMAN}")
        questions, solved, kept = _one(
            connection, "select count(*), count(*) filter (right_answers > 0), coalesce(sum(kept), 0)::bigint from path_stats"
        )
        draws = _one(connection, "select coalesce(max(draw), -1) + 1 from verdicts")[0]
        names = {"sources": sources, "canonical": key == "canonical"}
        return Statistics(
            id=artifact.id,
            key=key,
            questions=questions,
            solved=solved,
            rows=artifact.manifest.rows if is_set else 0,
            human_rows=_one(connection, "select count(*) from human")[0],
            kept=kept,
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
                f"select {'paths_canonical' if key == 'canonical' else 'paths'} as paths, count(*) as questions from path_stats group by 1 order by 1",
            ),
            sources=_rows(connection, _sql("sources"), names),
            overlap=_rows(connection, _sql("overlap"), names) if len(sources) > 1 else [],
        )


_HUMAN = "select question_id, path, path_canonical from rows where origin = 'human'"
_NO_HUMAN = "select null::varchar as question_id, null::varchar as path, null::varchar as path_canonical where false"


def _sql(name: str) -> str:
    return (resources.files("registry") / "sql" / f"{name}.sql").read_text()


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    return connection.execute(query).fetchone() or ()


def _rows(connection: duckdb.DuckDBPyConnection, query: str, params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    cursor = connection.execute(query, params)
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

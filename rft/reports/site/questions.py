"""Up to twenty questions of an artifact with their distinct paths side by side, and the wrong answers that were given.

Which ones depends on the artifact alone: evenly spaced, from the question with the fewest paths to the one with the most.
"""

from dataclasses import dataclass
from typing import Any

from eval.grading.rules import PATHS
from registry.errors import RftError
from registry.query.api import Artifact, Registry
from rft.reports.site.steps import MOST_STEPS, Cell, side_by_side, steps_of
from rft.reports.table import literal, quoted

MOST, MOST_PATHS, MOST_ANSWERS = 20, 12, 10

PICKED = """select question_id, paths, of
from (
  select question_id, paths, row_number() over (order by paths, question_id) - 1 as place, count(*) over () as of
  from ({counted})
)
where place in (select i * (of - 1) // {last} from range({most}) as t(i))
order by paths, question_id"""
ROWS = """select question_id, origin, source, draw, path, {key} as key, response
from {rows}
where question_id in ({ids})"""
TIMES = """select
  question_id,
  {key} as key,
  count(*) as samples,
  arg_min(model, draw) as model,
  arg_min(path, draw) as path
from {verdicts}
where question_id in ({ids}) and right_answer and not bad_equation and {key} is not null and coalesce(coverage, 1) >= 1
group by all
order by samples desc, key"""
WRONG = """select question_id, answer, count(*) as samples
from {verdicts}
where question_id in ({ids}) and not right_answer
group by all
order by samples desc, answer"""


@dataclass(frozen=True)
class Path:
    """One path of a question: who wrote it, how many right samples took it, one text of it (None: not here)."""

    who: str
    samples: int | None
    text: str | None


@dataclass(frozen=True)
class Question:
    """A question as its page shows it. `lines`: its paths step by step; `more`: how many paths are not shown."""

    id: str
    question: str | None
    answer: str | None
    count: int  # of its distinct paths
    paths: list[Path]
    lines: list[list[Cell]]
    longer: bool  # than the lines that are shown
    more: int
    wrong: list[tuple[str | None, int]]
    other_wrong: int  # samples with an answer that is not listed
    paths_sql: str
    wrong_sql: str

    @property
    def texts(self) -> bool:
        """Whether there is a text of any path."""
        return any(path.text is not None for path in self.paths)


@dataclass(frozen=True)
class Questions:
    """`of`: how many questions the artifact has; `sql`: which of them are shown."""

    of: int
    shown: list[Question]
    sql: str


def questions(artifact: Artifact) -> Questions | None:
    """Return the questions that the page of an artifact shows; None if it has no paths."""
    record = artifact.record
    is_set, graded = record.rows_are == "TRAINING", artifact.stored.file("verdicts.parquet") is not None
    if not is_set and not graded:
        return None
    registry = Registry(artifact.store.home)
    key = PATHS[record.facts.get("key", "canonical")]
    sql = PICKED.format(counted=_counted(artifact, key, is_set), last=MOST - 1, most=MOST)
    picked = registry.sql(sql)
    ids = picked["question_id"].to_list()
    texts = _texts(registry, artifact, is_set, ids)
    views = {"rows": quoted(artifact.id), "verdicts": quoted(f"{artifact.id}/verdicts"), "key": key}
    wanted = {**views, "ids": ", ".join(map(literal, ids)) or "null"}
    rows = _by_question(registry, ROWS.format(**wanted)) if is_set else {}
    times = _by_question(registry, TIMES.format(**wanted)) if graded else {}
    wrong = _by_question(registry, WRONG.format(**wanted)) if graded else {}
    shown = []
    for id, count in picked.select("question_id", "paths").iter_rows():
        how = {**views, "ids": literal(id)}
        paths, written = _set_paths(rows.get(id, []), times.get(id, [])) if is_set else _eval_paths(times.get(id, []))
        lines = side_by_side([steps_of(path) for path in written[:MOST_PATHS]])
        answers = [(row["answer"], row["samples"]) for row in wrong.get(id, [])]
        shown.append(
            Question(
                id=id,
                question=texts.get(id, {}).get("question"),
                answer=texts.get(id, {}).get("answer"),
                count=count,
                paths=paths[:MOST_PATHS],
                lines=lines[:MOST_STEPS],
                longer=len(lines) > MOST_STEPS,
                more=len(paths) - len(paths[:MOST_PATHS]),
                wrong=answers[:MOST_ANSWERS],
                other_wrong=sum(samples for _, samples in answers[MOST_ANSWERS:]),
                paths_sql=(ROWS if is_set else TIMES).format(**how),
                wrong_sql=WRONG.format(**how) if graded else "",
            )
        )
    return Questions(picked["of"][0] if picked.height else 0, shown, sql)


def _counted(artifact: Artifact, key: str, is_set: bool) -> str:
    """Return SQL for question_id and paths: of those that were kept and the human's in a set, else of those drawn."""
    if is_set:
        return f"select question_id, count(distinct {key}) as paths from {quoted(artifact.id)} group by 1"
    id = artifact.stored.id
    return (
        f"select question_id, {key.replace('path', 'paths')} as paths from path_stats "
        f"where name = {literal(id.name)} and version = {id.version}"
    )


def _by_question(registry: Registry, query: str) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in registry.sql(query).iter_rows(named=True):
        found.setdefault(row["question_id"], []).append(row)
    return found


def _texts(registry: Registry, artifact: Artifact, is_set: bool, ids: list[str]) -> dict[str, dict[str, Any]]:
    """Return question and gold answer of the questions that are here: of a set in its rows, of an eval in its first input."""
    name = artifact.id
    if not is_set:
        given = artifact.record.inputs[0] if artifact.record.inputs else None
        try:
            if given is None or registry.load(given.id).record.content != given.content:
                return {}
        except RftError:  # it is gone, or damaged: the paths can be shown without
            return {}
        name = given.id
    wanted = ", ".join(map(literal, ids)) or "null"
    found = registry.sql(
        f"select question_id, any_value(question) as question, any_value(answer) as answer from {quoted(name)} "
        f"where question_id in ({wanted}) group by 1"
    )
    return {row["question_id"]: row for row in found.iter_rows(named=True)}


def _set_paths(rows: list[dict[str, Any]], times: list[dict[str, Any]]) -> tuple[list[Path], list[str | None]]:
    """Return the distinct paths of a set's rows, the human's first, with one text of each."""
    samples = {row["key"]: row["samples"] for row in times}
    first: dict[str | None, dict[str, Any]] = {}
    for row in rows:
        first.setdefault(row["key"], row)
    paths = []
    for row in first.values():
        draw = "" if row["draw"] is None else f", draw {row['draw']}"
        paths.append(Path(f"{row['origin']}{draw}", samples.get(row["key"], 0) if times else None, row["response"]))
    return paths, [row["path"] for row in first.values()]


def _eval_paths(times: list[dict[str, Any]]) -> tuple[list[Path], list[str | None]]:
    return [Path(row["model"] or "a sample", row["samples"], None) for row in times], [row["path"] for row in times]

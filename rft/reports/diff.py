"""What differs between two artifacts of one kind: rows, paths, questions solved, verdicts."""

from dataclasses import asdict, dataclass, field
from typing import Any

import polars as pl

from eval.grading.rules import PATHS, Key
from registry.errors import InputError
from registry.query.api import Artifact
from registry.tables import read

EXAMPLES = 5


@dataclass(frozen=True)
class Difference:
    """Counts of what only the first or only the second artifact has.

    `rows` compare question, text, answer, origin and draw; `paths` distinct (question, path) pairs of kept rows or accepted samples, by the
    canonical `key` if both have it, else the paper's; `solved` questions with a right answer. `examples` are question ids, a few for each count.
    `verdicts`: of the samples that both judged, each change of verdict (`before` and `after`), how many samples changed so, and examples:
    question_id, source, draw, and the answers that were read. A sample is the same by its source's name, question, model and draw.
    """

    a: str
    b: str
    identical: bool
    key: str
    rows_removed: int
    rows_added: int
    rows_in_both: int
    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)
    verdicts: list[dict[str, Any]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def difference(a: Artifact, b: Artifact) -> Difference:
    """Return what `b` has more and less than `a`; InputError if their rows are of different kinds."""
    if a.record.rows_are != b.record.rows_are:
        raise InputError(f"{a.id} has {a.record.rows_are} rows and {b.id} {b.record.rows_are} rows: they cannot be compared.")
    left, right = _keys(a), _keys(b)
    key: Key = "canonical" if a.record.facts.get("key") == b.record.facts.get("key") == "canonical" else "paper"
    path = PATHS[key]
    counts: dict[str, int] = {}
    examples: dict[str, list[str]] = {}
    for name, one, other in (("paths", _paths(a, path), _paths(b, path)), ("solved", _solved(a), _solved(b))):
        if one is None or other is None:
            continue
        words = ("removed", "added") if name == "paths" else ("lost", "gained")
        for word, x, y in zip(words, (one, other), (other, one), strict=True):
            only = x.join(y, on=x.columns, how="anti", nulls_equal=True)
            counts[f"{name}_{word}"] = only.height
            examples[f"{name}_{word}"] = only["question_id"].unique(maintain_order=True).head(EXAMPLES).to_list()
    return Difference(
        a=a.id,
        b=b.id,
        key=key,
        identical=a.record.content == b.record.content,
        rows_removed=_missing(left, right),
        rows_added=_missing(right, left),
        rows_in_both=left.height - _missing(left, right),
        counts=counts,
        examples=examples,
        verdicts=_changed_verdicts(a, b),
    )


def _changed_verdicts(a: Artifact, b: Artifact) -> list[dict[str, Any]]:
    """Return each change of verdict, most samples first."""
    before, after = read(a.stored, "verdicts"), read(b.stored, "verdicts")
    if before is None or after is None:
        return []
    name = pl.col("source").str.split("@").list.first()
    key = ["question_id", "model", "draw", "source"]
    left = before.select(*key[:3], name, "verdict", "answer").unique(key, keep="first", maintain_order=True)
    right = after.select(*key[:3], name, "verdict", "answer").unique(key, keep="first", maintain_order=True)
    both = left.join(right, on=key, how="inner", nulls_equal=True, suffix="_after", maintain_order="left")
    changed = both.filter(pl.col("verdict") != pl.col("verdict_after")).rename({"verdict": "before", "verdict_after": "after"})
    example = pl.struct("question_id", "source", "draw", "answer", "answer_after")
    counted = changed.group_by("before", "after", maintain_order=True).agg(samples=pl.len(), examples=example.head(EXAMPLES))
    return counted.sort("samples", descending=True, maintain_order=True).to_dicts()


def _keys(artifact: Artifact) -> pl.DataFrame:
    """Return the rows numbered among their equals, so that a row that stands twice counts twice."""
    rows = artifact.polars()
    rows = rows.select(c for c in rows.columns if c not in ("source", "source_row", "path", "path_canonical", "same_as_human"))
    return rows.with_columns(pl.int_range(pl.len()).over(rows.columns).alias("_copy"))


def _missing(x: pl.DataFrame, y: pl.DataFrame) -> int:
    return x.join(y, on=x.columns, how="anti", nulls_equal=True).height


def _paths(artifact: Artifact, path: str) -> pl.DataFrame | None:
    if artifact.record.rows_are == "TRAINING":
        return artifact.polars().filter(pl.col("origin") != "human").select("question_id", path).unique(maintain_order=True)
    verdicts = read(artifact.stored, "verdicts")
    if verdicts is None:
        return None
    accepted = verdicts.filter(pl.col("right_answer") & ~pl.col("bad_equation") & pl.col(path).is_not_null())
    return accepted.select("question_id", path).unique(maintain_order=True)


def _solved(artifact: Artifact) -> pl.DataFrame | None:
    stats = read(artifact.stored, "path_stats")
    return None if stats is None else stats.filter(pl.col("right_answers") > 0).select("question_id")

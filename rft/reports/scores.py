"""The scores of evals as a table, each with its 95 % bootstrap interval over questions."""

from collections.abc import Sequence
from typing import Any

from registry.names import ArtifactId


def scores(found: Sequence[dict[str, Any]]) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Return the columns and rows for people of rows of the table `scores`."""
    rows = [
        (
            str(ArtifactId(r["name"], r["version"])),
            r["model"],
            r["dataset"],
            r["metric"],
            metric(r["metric"], r["value"]),
            f"{metric(r['metric'], r['low'])} to {metric(r['metric'], r['high'])}",
            r["n"],
            *_covered(r),
        )
        for r in found
    ]
    shown = 9 if any(row[7] is not None and row[7] < row[6] for row in rows) else 7
    columns = ["eval", "model", "questions", "metric", "value", "95 % interval", "n", "covered", "over those"]
    return columns[:shown], [row[:shown] for row in rows]


def _covered(row: dict[str, Any]) -> tuple[int | None, str | None]:
    """Return how many questions have samples, and the metric's mean over those alone: the others count as 0."""
    if not row["covered"]:
        return None, None
    return row["covered"], metric(row["metric"], row["value"] * row["n"] / row["covered"])


def metric(name: str, value: float) -> str:
    """Return the value of a metric as people read it: a share of questions, or a mean."""
    return f"{value:.2f}" if name == "distinct_paths" else f"{value:.1%}"

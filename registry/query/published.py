"""What the paper published, as tables: published_scores, published_paths and published_costs of `rft sql`.

The numbers are in published.yaml, each with its table or figure and how it was got; nothing here computes any.
"""

from functools import cache
from importlib import resources
from typing import Any

import polars as pl
import yaml

SCORES = {
    "base": pl.String,  # as catalog.yaml calls it
    "loss": pl.Float64,  # of its pre-training, in nats per token
    "setting": pl.String,  # icl, sft, rft, rft-no-dedup, rft-u13b, rft-u33b; of Table 3 also fcs+pcs, core, aligned
    "metric": pl.String,
    "value": pl.Float64,  # a share, as `scores` has it: 0.359
    "share": pl.Float64,  # of the human data
    "k": pl.Int64,  # draws of each question behind the training set
    "epochs": pl.Int64,
    "rows": pl.Int64,  # of the training set, about
    "source": pl.String,  # the table or figure
    "mark": pl.String,  # P printed, F measured in a figure, D derived
    "note": pl.String,
}
PATHS = {
    "base": pl.String,
    "statistic": pl.String,  # correct, or distinct paths: means per question; or the share of a union that one model alone found
    "k": pl.Int64,
    "temperature": pl.Float64,
    "value": pl.Float64,
    "source": pl.String,
    "mark": pl.String,
}
COSTS = {
    "base": pl.String,
    "what": pl.String,
    "unit": pl.String,
    "value": pl.Float64,
    "parameters": pl.Float64,  # nominal
    "tokens": pl.Float64,  # of its pre-training
    "source": pl.String,
    "mark": pl.String,
}


def published() -> dict[str, pl.DataFrame]:
    """Return the tables by the names that SQL has for them."""
    data = _data()
    bases = data["bases"]
    scores = [
        line | {"base": base, "value": round(value / 100, 4), "loss": bases[base].get("loss")}
        for line in data["scores"]
        for base, value in _values(line)
    ]
    paths = [line | {"base": base, "value": value} for line in data["paths"] for base, value in _values(line)]
    paths += [line | {"base": line["name"]} for line in data["pooled"]]
    costs = [
        line | {"base": base, "value": value} | {name: bases[base][name] for name in ("parameters", "tokens")}
        for line in data["costs"]
        for base, value in _values(line)
    ]
    return {
        name: pl.DataFrame([{c: row.get(c) for c in schema} for row in rows], schema=schema)
        for name, rows, schema in (
            ("published_scores", scores, SCORES),
            ("published_paths", paths, PATHS),
            ("published_costs", costs, COSTS),
        )
    }


@cache
def _data() -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load((resources.files("registry.query") / "published.yaml").read_text())
    return data


def _values(line: dict[str, Any]) -> list[tuple[str, float]]:
    """Return the bases of a line that have a value, with it."""
    bases = _data()[line.get("at", "at")]
    return [(base, float(value)) for base, value in zip(bases, line["values"], strict=True) if value is not None]

"""A part of a data set, chosen by hash: 1of32 lies inside 1of16, which lies inside 1of8."""

import hashlib
from typing import Annotated, Literal

import polars as pl
from annotated_types import Ge

from registry.errors import InputError

EDITION = 1


def build(
    rows: pl.DataFrame, *, denominator: Annotated[int, Ge(1)], seed: int, part: Literal["in", "out"] = "in"
) -> pl.DataFrame:
    """Return the first floor(n / denominator) rows by sha256 of (seed, identity), in their own order; `out` is the rest.

    QUESTIONS are ranked by question_id. Of TRAINING rows the kept samples are ranked by (question_id, source,
    model, draw) and every human row stays. InputError if nothing would be left, or if `rows` are neither.
    """
    if "origin" in rows.columns:
        ranked = (pl.col("origin") != "human").fill_null(True)
        identity = pl.concat_str(
            "question_id",
            pl.col("source").fill_null(""),
            "origin",
            pl.col("draw").cast(pl.String).fill_null(""),
            separator="\0",
        )
    elif "answer" in rows.columns:
        ranked, identity = pl.lit(True), pl.col("question_id")
    else:
        raise InputError(f"a fraction is taken of QUESTIONS or TRAINING rows; these have {', '.join(rows.columns)}.")
    frame = rows.with_row_index("_row").with_columns(_ranked=ranked, _identity=identity)
    candidates = frame.filter("_ranked").select("_row", "_identity")
    rank = [hashlib.sha256(f"{seed}\0{identity}".encode()).digest() for identity in candidates["_identity"]]
    first = (
        candidates.with_columns(rank=pl.Series(rank, dtype=pl.Binary))
        .sort("rank", "_row")
        .head(candidates.height // denominator)["_row"]
    )
    inside = pl.col("_row").is_in(first.implode())
    chosen = frame.filter(~pl.col("_ranked") | (inside if part == "in" else ~inside))
    if not chosen.height:
        raise InputError(
            f"1 of {denominator} of {candidates.height} rows ({part}) is none. Choose a {'smaller' if part == 'in' else 'larger'} denominator."
        )
    return chosen.select(rows.columns)

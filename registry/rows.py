"""The shapes of rows: their columns, the identity of a question, and the hash of a table's content.

A row of SAMPLES, as a maker sees it:
    {"question_id": "9c4a...", "draw": 0, "response": "48/2=<<48/2=24>>24\\n#### 24", "model": "llama2-7b", ...}
"""

import hashlib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from registry.errors import InputError


@dataclass(frozen=True)
class Shape:
    """A kind of row: its columns and types, those that may not be null, and those that are not content."""

    name: str
    columns: Mapping[str, type[pl.DataType]]
    required: frozenset[str] = frozenset()
    outside: frozenset[str] = frozenset()  # stored, but two tables that differ only here have the same content

    def fit(self, frame: pl.DataFrame, where: str) -> pl.DataFrame:
        """Return `frame` with exactly this shape's columns, in order; a missing optional one is null.

        Raises InputError, naming `where`, for a missing or null required column or a type that does not fit.
        """
        if missing := sorted(self.required - set(frame.columns)):
            raise InputError(
                f"{where}: {self.name} rows need the columns {', '.join(missing)}; these have {', '.join(frame.columns)}."
            )
        if cut := [
            n for n, kind in self.columns.items() if kind.is_integer() and n in frame.columns and frame.schema[n].is_float()
        ]:
            raise InputError(f"{where}: {', '.join(cut)} of {self.name} rows must be whole numbers.")
        try:
            fitted = frame.select(
                (pl.col(name) if name in frame.columns else pl.lit(None)).cast(kind).alias(name)
                for name, kind in self.columns.items()
            )
        except pl.exceptions.PolarsError as error:
            raise InputError(f"{where}: not {self.name} rows: {error}") from error
        for name in sorted(self.required):
            if nulls := fitted[name].null_count():
                raise InputError(f"{where}: {nulls} of {fitted.height} {self.name} rows have no {name}.")
        return fitted


QUESTIONS = Shape(
    "QUESTIONS",
    {"question_id": pl.String, "question": pl.String, "response": pl.String, "answer": pl.String, "source_row": pl.Int64},
    required=frozenset({"question_id", "question", "answer"}),
)
SAMPLES = Shape(
    "SAMPLES",
    {
        "question_id": pl.String,
        "draw": pl.Int32,
        "response": pl.String,
        "model": pl.String,
        "finish_reason": pl.String,
        "tokens": pl.Int32,
        "seed": pl.Int64,
        "engine": pl.String,
    },
    required=frozenset({"question_id", "draw", "response"}),
    outside=frozenset({"finish_reason", "tokens", "seed", "engine"}),
)
TRAINING = Shape(
    "TRAINING",
    {
        "question_id": pl.String,
        "question": pl.String,
        "response": pl.String,
        "answer": pl.String,
        "origin": pl.String,
        "source": pl.String,
        "draw": pl.Int32,
        "path": pl.String,
        "path_canonical": pl.String,
        "same_as_human": pl.Boolean,
    },
    required=frozenset({"question_id", "question", "response", "answer", "origin"}),
)
TEXT = Shape("TEXT", {"text": pl.String, "source": pl.String}, required=frozenset({"text"}))
SCORES = Shape(
    "SCORES",
    {
        "model": pl.String,
        "dataset": pl.String,
        "metric": pl.String,
        "value": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
        "n": pl.Int64,
    },
    required=frozenset({"dataset", "metric", "n"}),
)
VERDICTS = Shape(
    "VERDICTS",
    {
        "question_id": pl.String,
        "source": pl.String,
        "model": pl.String,
        "draw": pl.Int32,
        "answer": pl.String,
        "answer_from": pl.String,
        "right_answer": pl.Boolean,
        "bad_equation": pl.Boolean,
        "verdict": pl.String,
        "path": pl.String,
        "path_canonical": pl.String,
    },
    required=frozenset({"question_id", "source", "draw", "right_answer", "bad_equation", "verdict"}),
)
PATH_STATS = Shape(
    "PATH_STATS",
    {
        "question_id": pl.String,
        "draws": pl.Int64,
        "right_answers": pl.Int64,
        "accepted": pl.Int64,
        "paths": pl.Int64,
        "paths_canonical": pl.Int64,
        "paths_with_human": pl.Int64,
        "paths_canonical_with_human": pl.Int64,
        "kept": pl.Int64,
    },
)
DROPS = Shape(
    "DROPS",
    {
        "source": pl.String,
        "question_id": pl.String,
        "model": pl.String,
        "draw": pl.Int32,
        "line": pl.Int64,
        "reason": pl.String,
        "detail": pl.String,
    },
    required=frozenset({"reason"}),
)
LOSS = Shape(
    "LOSS",
    {
        "step": pl.Int64,
        "epoch": pl.Float64,
        "tokens": pl.Int64,
        "split": pl.String,
        "loss": pl.Float64,
        "learning_rate": pl.Float64,
    },
    required=frozenset({"step", "tokens", "split", "loss"}),
)
TABLES = {"verdicts": VERDICTS, "path_stats": PATH_STATS, "drops": DROPS}  # what may lie beside the rows of an artifact
ROW_SHAPES = {shape.name: shape for shape in (QUESTIONS, SAMPLES, TRAINING, TEXT, SCORES)}


def question_id(question: str) -> str:
    """Return the identity of a question: 16 hex digits of sha256 of its text in NFC, with white space runs as one space."""
    text = " ".join(unicodedata.normalize("NFC", question).split())
    return hashlib.sha256(text.encode()).hexdigest()[:16]

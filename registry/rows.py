"""The shapes of rows: their columns, the identity of a question, and the hash of a table's content.

A row of SAMPLES, as a maker sees it:
    {"question_id": "9c4a...", "draw": 0, "response": "48/2=<<48/2=24>>24\\n#### 24", "model": "llama2-7b", ...}
"""

import hashlib
import json
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import StringConstraints

from registry.errors import InputError

type_names = {pl.String: "string", pl.Int64: "int64", pl.Int32: "int32", pl.Float64: "float64", pl.Boolean: "bool"}


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

# What a maker's signature says of its inputs and its result; the plan checks one against the other.
Questions = Annotated[pl.DataFrame, QUESTIONS]


class About:
    """Marks a parameter that says something about the source, for those who publish it. No row depends on it, so a line may
    gain it or change it after it was built."""


Role = Annotated[Literal["train", "validation", "test"], About]  # what questions are for: nobody may train on test questions
Licence = Annotated[str, StringConstraints(pattern="^[a-z0-9][a-z0-9.-]*$"), About]  # as the Hub names it: mit, cc-by-4.0


@dataclass(frozen=True)
class Input:
    """An artifact as a maker sees it: its id, its rows and tables (for the questions at hand) and its facts."""

    id: str
    rows: pl.DataFrame
    verdicts: pl.DataFrame | None = None
    path_stats: pl.DataFrame | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Tables:
    """What a maker may return in place of one frame: the rows, and the tables that are kept beside them.

    `facts` are small values about the whole that later makers need; they are recorded in artifact.json.
    """

    rows: pl.DataFrame
    verdicts: pl.DataFrame | None = None
    path_stats: pl.DataFrame | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


def question_id(question: str) -> str:
    """Return the identity of a question: 16 hex digits of sha256 of its text in NFC, with white space runs as one space."""
    text = " ".join(unicodedata.normalize("NFC", question).split())
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class ContentHash:
    """sha256 over a table's schema and, per column, lengths and bytes in stored order.

    Independent of how the rows are cut into chunks and of the file format: each column has a running hash
    of its own, and the table's hash is taken over those.
    """

    def __init__(self, shape: Shape) -> None:
        self.columns = {name: kind for name, kind in shape.columns.items() if name not in shape.outside}
        self.rows = 0
        self._hashes = {name: (hashlib.sha256(), hashlib.sha256()) for name in self.columns}

    def add(self, table: pa.Table) -> None:
        """Take in the next rows."""
        self.rows += table.num_rows
        for name, (lengths, values) in self._hashes.items():
            for chunk in table.column(name).chunks:
                for length, value in _buffers(chunk):
                    lengths.update(length)
                    values.update(value)

    def hexdigest(self) -> str:
        schema = [(name, type_names[kind]) for name, kind in self.columns.items()]
        whole = hashlib.sha256(json.dumps([schema, self.rows]).encode())
        for lengths, values in self._hashes.values():
            whole.update(lengths.digest() + values.digest())
        return whole.hexdigest()


def content_of(tables: Mapping[str, ContentHash]) -> str:
    """Return an artifact's content: the hash over those of its tables that are content, rows and verdicts.

    Drops and counts follow from them.
    """
    hashes = [f"{name} {tables[name].hexdigest()}\n" for name in ("rows", "verdicts") if name in tables]
    return hashlib.sha256("".join(hashes).encode()).hexdigest()


def _buffers(chunk: pa.Array) -> Iterator[tuple[memoryview, memoryview]]:
    """Yield (lengths, bytes) of an Arrow array; a null has the length -1 and no bytes."""
    kind = chunk.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        text = chunk.cast(pa.large_string())
        lengths = pc.fill_null(pc.binary_length(text), -1).cast(pa.int64())
        full = pc.fill_null(text, "") if text.null_count else text
        offsets = full.buffers()[1]
        first, last = memoryview(offsets).cast("q")[full.offset], memoryview(offsets).cast("q")[full.offset + len(full)]
        data = full.buffers()[2]
        yield _bytes(lengths), memoryview(data)[first:last] if data is not None else memoryview(b"")
        return
    valid = pc.if_else(pc.is_valid(chunk), 1, -1).cast(pa.int64())
    if pa.types.is_boolean(kind):
        chunk = chunk.cast(pa.int8())
    yield _bytes(valid), _bytes(pc.fill_null(chunk, 0).drop_null())


def _bytes(array: pa.Array) -> memoryview:
    width = array.type.bit_width // 8
    if len(array) == 0:
        return memoryview(b"")
    return memoryview(array.buffers()[1])[array.offset * width : (array.offset + len(array)) * width]

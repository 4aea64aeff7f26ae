"""The shapes of rows: their columns, and the identity of a question.

A row of SAMPLES, as a maker sees it:
    {"question_id": "9c4a...", "draw": 0, "response": "48/2=<<48/2=24>>24\\n#### 24", "model": "llama2-7b", ...}

A shape grows by a nullable column that is `later`: tables that were written without it stay readable, and keep their content.
"""

import hashlib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import polars as pl

from registry.errors import InputError

TYPE_NAMES = {pl.String: "string", pl.Int64: "int64", pl.Int32: "int32", pl.Float64: "float64", pl.Boolean: "bool"}


@dataclass(frozen=True)
class Column:
    """A column: its type, what it means, and how a table for people heads it.

    `required`: never null. `content`: whether two tables that differ only here differ. `later`: added when there were artifacts
    without it; where it is null throughout, it is no content.
    """

    type: type[pl.DataType]
    meaning: str
    required: bool = False
    content: bool = True
    later: bool = False
    heading: str = ""


@dataclass(frozen=True)
class Shape:
    """A kind of row."""

    name: str
    columns: Mapping[str, Column]

    @property
    def schema(self) -> dict[str, type[pl.DataType]]:
        """The types of the columns, as polars takes a schema."""
        return {name: column.type for name, column in self.columns.items()}

    @property
    def first(self) -> list[str]:
        """The columns of a table whose record does not list them: those that the shape had then."""
        return [name for name, column in self.columns.items() if not column.later]

    def fit(self, frame: pl.DataFrame, where: str) -> pl.DataFrame:
        """Return `frame` with exactly this shape's columns, in order; a missing optional one is null.

        Raises InputError, naming `where`, for a missing or null required column or a type that does not fit.
        """
        required = [name for name, column in self.columns.items() if column.required]
        if missing := sorted(set(required) - set(frame.columns)):
            raise InputError(
                f"{where}: {self.name} rows need the columns {', '.join(missing)}; these have {', '.join(frame.columns)}."
            )
        if cut := [
            n for n, kind in self.schema.items() if kind.is_integer() and n in frame.columns and frame.schema[n].is_float()
        ]:
            raise InputError(f"{where}: {', '.join(cut)} of {self.name} rows must be whole numbers.")
        try:
            fitted = frame.select(self.wide(frame.columns))
        except pl.exceptions.PolarsError as error:
            raise InputError(f"{where}: not {self.name} rows: {error}") from error
        for name in sorted(required):
            if nulls := fitted[name].null_count():
                raise InputError(f"{where}: {nulls} of {fitted.height} {self.name} rows have no {name}.")
        return fitted

    def wide(self, there: Iterable[str]) -> list[pl.Expr]:
        """Return what selects this shape's columns, in order, from a table that has the columns `there`: others are null."""
        known = set(there)
        return [(pl.col(name) if name in known else pl.lit(None)).cast(kind).alias(name) for name, kind in self.schema.items()]


QUESTION_ID = "identity of the question: the first 16 hex digits of sha256 of its text (NFC, single spaces)"

QUESTIONS = Shape(
    "QUESTIONS",
    {
        "question_id": Column(pl.String, QUESTION_ID, required=True),
        "question": Column(pl.String, "the question", required=True),
        "response": Column(pl.String, "the human solution; null if there is none"),
        "answer": Column(pl.String, "the right final answer", required=True),
        "source_row": Column(pl.Int64, "place in the source, from 0"),
    },
)
SAMPLES = Shape(
    "SAMPLES",
    {
        "question_id": Column(pl.String, QUESTION_ID, required=True),
        "draw": Column(pl.Int32, "which of the samples of this question, from 0", required=True),
        "response": Column(pl.String, "what the model wrote", required=True),
        "model": Column(pl.String, "the model that wrote it; null if unknown"),
        "label": Column(pl.Boolean, "what the data itself says: whether the answer is right; null if nothing", later=True),
        "finish_reason": Column(pl.String, "why it ends: stop, or length if it was cut", content=False),
        "tokens": Column(pl.Int32, "how many were generated", content=False),
        "seed": Column(pl.Int64, "of this request", content=False),
        "engine": Column(pl.String, "what generated it, with versions", content=False),
    },
)
TRAINING = Shape(
    "TRAINING",
    {
        "question_id": Column(pl.String, QUESTION_ID, required=True),
        "question": Column(pl.String, "the question", required=True),
        "response": Column(pl.String, "a solution: the human's, or a sample that was kept", required=True),
        "answer": Column(pl.String, "the right final answer", required=True),
        "origin": Column(pl.String, "human, or the model that wrote it (its source if that is unknown)", required=True),
        "source": Column(pl.String, "the artifact that the sample is from; null for a human's row"),
        "draw": Column(pl.Int32, "which of the samples of this question, from 0"),
        "path": Column(pl.String, "its equations in their order: the paper's key"),
        "path_canonical": Column(pl.String, "its equations whatever their order and notation: the canonical key"),
        "same_as_human": Column(pl.Boolean, "whether it follows the human's path; null for a human's row"),
    },
)
TEXT = Shape(
    "TEXT",
    {
        "text": Column(pl.String, "the text", required=True),
        "source": Column(pl.String, "what kind of text it is"),
    },
)
SCORES = Shape(
    "SCORES",
    {
        "model": Column(pl.String, "the model that is scored; null if unknown"),
        "dataset": Column(pl.String, "the questions", required=True),
        "metric": Column(
            pl.String,
            "maj1@1, maj1@k, pass@k: shares of questions; distinct_paths: a mean; bad_equations: a share of draws",
            required=True,
        ),
        "value": Column(pl.Float64, "of the metric"),
        "low": Column(pl.Float64, "lower end of a 95 % bootstrap interval over questions"),
        "high": Column(pl.Float64, "upper end of it"),
        "n": Column(pl.Int64, "number of questions", required=True),
        "covered": Column(pl.Int64, "questions of them that have samples of the model; the others count as wrong", later=True),
    },
)
VERDICTS = Shape(
    "VERDICTS",
    {
        "question_id": Column(pl.String, QUESTION_ID, required=True),
        "source": Column(pl.String, "the artifact that the sample is from; null for a human's row", required=True),
        "model": Column(pl.String, "the model that wrote it; null if unknown"),
        "draw": Column(pl.Int32, "which of the samples of this question, from 0", required=True),
        "answer": Column(
            pl.String, "the final answer that was read, or the text that stands there if it cannot be; null if there is none"
        ),
        "answer_from": Column(pl.String, "where the answer stands: hash (####), boxed, phrase, tag, line or pattern"),
        "right_answer": Column(pl.Boolean, "whether it is the right one", required=True),
        "compared_by": Column(
            pl.String,
            "the stage that compared it: number, text, structure or symbolic; null if it was not compared",
            later=True,
        ),
        "label": Column(pl.Boolean, "what the data itself says of the answer; null if nothing", content=False, later=True),
        "right_by_paper": Column(
            pl.Boolean, "whether mode: paper finds it right; null if that is the mode", content=False, later=True
        ),
        "right_by_standard": Column(
            pl.Boolean, "the same of mode: standard, where the mode is math", content=False, later=True
        ),
        "bad_equation": Column(pl.Boolean, "whether an annotated calculation does not hold", required=True),
        "coverage": Column(
            pl.Float64, "share of the results that its text shows which are in its path; null for annotated ones", later=True
        ),
        "verdict": Column(pl.String, "kept, or why it was not; of an eval correct, or why it is not", required=True),
        "path": Column(pl.String, "its equations in their order: the paper's key"),
        "path_canonical": Column(pl.String, "its equations whatever their order and notation: the canonical key"),
    },
)
PATH_STATS = Shape(
    "PATH_STATS",
    {
        "question_id": Column(pl.String, QUESTION_ID),
        "draws": Column(pl.Int64, "samples of the question"),
        "right_answers": Column(pl.Int64, "those with the right answer", heading="right"),
        "accepted": Column(pl.Int64, "those whose calculations hold too"),
        "paths": Column(pl.Int64, "distinct paths of accepted samples, by the paper's key"),
        "paths_canonical": Column(pl.Int64, "the same by the canonical key", heading="canonical paths"),
        "paths_with_human": Column(
            pl.Int64, "distinct paths of accepted samples and the human's, by the paper's key", heading="paths + human"
        ),
        "paths_canonical_with_human": Column(pl.Int64, "the same by the canonical key", heading="canonical + human"),
        "kept": Column(pl.Int64, "samples that were kept"),
    },
)
DROPS = Shape(
    "DROPS",
    {
        "source": Column(pl.String, "the artifact that the sample is from; null for a human's row"),
        "question_id": Column(pl.String, QUESTION_ID),
        "model": Column(pl.String, "the model that wrote it; null if unknown"),
        "draw": Column(pl.Int32, "which of the samples of this question, from 0"),
        "line": Column(pl.Int64, "in the source file, from 1"),
        "reason": Column(pl.String, "why it was refused", required=True),
        "detail": Column(pl.String, "what was found"),
    },
)
LOSS = Shape(
    "LOSS",
    {
        "step": Column(pl.Int64, "steps done", required=True),
        "epoch": Column(pl.Float64, "passes over the rows, so far"),
        "tokens": Column(pl.Int64, "tokens trained on, so far", required=True),
        "split": Column(pl.String, "train, or held_out", required=True),
        "loss": Column(pl.Float64, "mean over the tokens, in nats", required=True),
        "learning_rate": Column(pl.Float64, "at this step; null for held_out"),
    },
)
TABLES = {"verdicts": VERDICTS, "path_stats": PATH_STATS, "drops": DROPS}  # what may lie beside the rows of an artifact
ROW_SHAPES = {shape.name: shape for shape in (QUESTIONS, SAMPLES, TRAINING, TEXT, SCORES)}


def question_id(question: str) -> str:
    """Return the identity of a question: 16 hex digits of sha256 of its text in NFC, with white space runs as one space."""
    text = " ".join(unicodedata.normalize("NFC", question).split())
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def described(shape: Shape) -> str:
    """Return a shape's columns as a table in Markdown, as docs/tables.md has them."""
    lines = [f"## {shape.name}", "", "| column | type | meaning |", "|---|---|---|"]
    for name, column in shape.columns.items():
        marks = [word for word, holds in (("never null", column.required), ("no content", not column.content)) if holds]
        said = f" ({', '.join(marks)})" if marks else ""
        lines.append(f"| `{name}` | {TYPE_NAMES[column.type]} | {column.meaning}{said} |")
    return "\n".join(lines)


PAGE = """# Tables and their columns

What each kind of row holds, as `python -m registry.rows` prints it. "No content": stored, but two artifacts that differ only there are the same. In SQL,
`"name@1"` has the rows (QUESTIONS, SAMPLES, TRAINING, TEXT or SCORES, as `rft show` says), `"name@1/verdicts"` VERDICTS, `"name@1/drops"` DROPS,
`"name@1/loss"` LOSS; the tables `path_stats` and `scores` have the name and version of the artifact before PATH_STATS and SCORES, the view
`checkers` before VERDICTS. The view `settings` has the scores of the models that are artifacts, in the terms of `published_scores`.
"""


def page() -> str:
    """Return docs/tables.md."""
    shapes = [*ROW_SHAPES.values(), *TABLES.values(), LOSS]
    return "\n".join([PAGE, *(f"{described(shape)}\n" for shape in shapes)])


if __name__ == "__main__":
    print(page(), end="")

"""Samples from a file of completions: JSON lines or Parquet, plain or gzipped.

{"question": "Natalia sold clips to 48 ...", "completion": "48/2=<<48/2=24>>24 ...\\n#### 72", "model": "llama2-7b", "label": true}
"""

from typing import Annotated, Any, Literal

import polars as pl

from builders._records import read_records, text_field
from builders._refusals import Share, check_refused, ignored
from registry.errors import InputError
from registry.maker import Licence, Location, Questions, Tables
from registry.rows import SAMPLES, question_id

EDITION = 2

KNOWN = {"question", "question_id", "completion", "response", "draw", "sample", "model", "run", "label"}

READ = {
    "line": pl.Int64,
    "question_id": pl.String,
    "draw": pl.Int32,
    "response": pl.String,
    "model": pl.String,
    "run": pl.String,
    "label": pl.Boolean,
    "drop": pl.String,
    "detail": pl.String,
}
ROWS_AT_ONCE = 50_000  # rows held as Python objects, which take several times the memory of columns

HUMAN = "no model may be called human: that is the origin of the questions' own solutions"


def build(
    questions: Questions,
    *,
    path: Location,
    sha256: str,
    model: str | None = None,
    runs: Literal["apart", "pooled"] = "apart",
    unmatched: Literal["refuse", "ignore"] = "refuse",
    max_refused: Share = 0.05,
    licence: Licence | None = None,
) -> Annotated[Tables, SAMPLES]:
    """Return SAMPLES, sorted by (model, question_id, draw).

    A row has `completion` (or response) and `question` or `question_id`; with both, the question decides. `draw`
    (or sample) numbers the samples of a question from 0; without it they count in the order of the file. `model`
    of the row wins over the parameter. `run` says which of several runs of the model a row is from: apart, a run is a model of its
    own, called model/run; `runs: pooled` makes the runs' samples, one run after the other, draws of the one model. `label` says whether the answer is right by the judgement of who made the file
    (true or false; anything else is passed over): no verdict depends on it. Rows of questions that are not among `questions` are refused as unmatched;
    `unmatched: ignore` does not count them as refused. `licence` is the samples' own, if it is known. InputError if the share of refused rows is above `max_refused`.
    """
    if model == "human":
        raise InputError(f"{HUMAN}. Choose another name.")
    known = set(questions["question_id"])
    ids: dict[str, str] = {}
    columns: dict[str, list[Any]] = {name: [] for name in READ}
    frames: list[pl.DataFrame] = []
    others: set[str] = set()
    both = unclear = 0
    for line, fields, reason, detail in read_records(path, "samples file", KNOWN):
        id = draw = response = None
        if reason is None:
            others.update(fields.keys() - KNOWN)
            both += fields.get("question") is not None and fields.get("question_id") is not None
            id, reason, detail = _question_id(fields, ids)
            if reason is None and id not in known:
                reason, detail = (
                    "unmatched",
                    f"{str(fields.get('question') or fields.get('question_id'))[:60]!r} is not among the questions",
                )
            if reason is None:
                response, reason, detail = text_field(fields, "completion", "response")
            draw = fields.get("sample") if fields.get("draw") is None else fields["draw"]
            if draw is not None and (isinstance(draw, bool) or not isinstance(draw, int) or not 0 <= draw < 2**31):
                reason, detail, draw = (
                    reason or "bad_draw",
                    detail or f"draw is {str(draw)[:40]}, not a whole number from 0 to {2**31 - 1}",
                    None,
                )
            if not isinstance(fields.get("model", ""), str | None):
                reason, detail = reason or "not_text", detail or "model is not text"
            if fields.get("model") == "human":
                reason, detail = reason or "reserved_name", detail or HUMAN
        label = fields.get("label")
        if label is not None and not isinstance(label, bool):
            label, unclear = None, unclear + 1
        named = fields.get("model")
        by = named if isinstance(named, str) and named.strip() else model
        run = None if fields.get("run") is None else str(fields["run"])
        for name, found in zip(columns, (line, id, draw, response, by, run, label, reason, detail), strict=True):
            columns[name].append(found)
        if len(columns["line"]) == ROWS_AT_ONCE:
            frames.append(pl.DataFrame(columns, schema=READ))
            columns = {name: [] for name in READ}
    frame = pl.concat([*frames, pl.DataFrame(columns, schema=READ)])
    frame = _numbered(frame, runs)
    check_refused(frame, max_refused, "samples", harmless=("unmatched",) if unmatched == "ignore" else ())
    notes = []
    if both:
        notes.append(f"{both} rows have question and question_id: the question decided")
    if unclear:
        notes.append(f"the label of {unclear} rows is not true or false: it was passed over")
    first = frame.filter(pl.col("drop").is_null())["draw"].min()
    if isinstance(first, int) and first > 0:
        notes.append(f"draws begin at {first}: k counts those below k, so k: 1 has none")
    notes += ignored(others)
    return Tables(frame.sort("model", "question_id", "draw", "line"), facts={"notes": notes} if notes else {})


def _question_id(fields: dict[str, Any], ids: dict[str, str]) -> tuple[str | None, str | None, str | None]:
    question = fields.get("question")
    if question is None:
        return (
            text_field(fields, "question_id")
            if fields.get("question_id") is not None
            else (None, "missing_field", "no question or question_id")
        )
    if not isinstance(question, str):
        return None, "not_text", f"question is a {type(question).__name__}"
    id = ids.get(question)
    if id is None:
        id = ids[question] = question_id(question)
    return id, None, None


def _apart(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with each run as a model of its own."""
    return frame.with_columns(model=pl.concat_str("model", "run", separator="/", ignore_nulls=True).replace("", None))


def _pooled(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the numbered rows with the draws of a run counted on from those of the runs that came before it."""
    runs = frame.group_by("model", "run").agg(first=pl.col("line").min(), draws=pl.col("draw").max().fill_null(-1) + 1)
    before = runs.sort("first").with_columns(before=pl.col("draws").cum_sum().shift(1, fill_value=0).over("model"))
    frame = frame.join(before, on=["model", "run"], how="left", nulls_equal=True, maintain_order="left")
    return frame.with_columns(draw=(pl.col("draw") + pl.col("before")).cast(pl.Int32))


def _numbered(frame: pl.DataFrame, runs: Literal["apart", "pooled"]) -> pl.DataFrame:
    """Return the rows with a draw each, and second copies of one draw refused.

    Where the file numbers no draw, an unusable row of a known question still takes its number: it was drawn.
    """
    if runs == "apart":
        frame = _apart(frame)
    if frame["draw"].null_count() == frame.height:
        place = pl.int_range(pl.len(), dtype=pl.Int32).over("question_id", "model")
        return frame.with_columns(draw=pl.when(pl.col("question_id").is_not_null()).then(place))
    good = pl.col("drop").is_null()
    frame = frame.with_columns(
        drop=pl.when(good & pl.col("draw").is_null()).then(pl.lit("missing_field")).otherwise("drop"),
        detail=pl.when(good & pl.col("draw").is_null()).then(pl.lit("no draw, though other rows have one")).otherwise("detail"),
    )
    again = good & (pl.int_range(pl.len()).over("question_id", "model", "run", "draw", good) > 0)
    frame = frame.with_columns(
        drop=pl.when(again).then(pl.lit("duplicate_draw")).otherwise("drop"),
        detail=pl.when(again).then(pl.format("draw {} of this question is there already", "draw")).otherwise("detail"),
    )
    return frame if runs == "apart" else _pooled(frame)

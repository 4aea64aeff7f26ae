"""Questions from a file of your own: JSON lines or Parquet, plain or gzipped.

{"question": "Natalia sold clips to 48 ...", "answer": "Natalia sold 48/2 = <<48/2=24>>24 ...\\n#### 72"}
"""

from decimal import Decimal
from typing import Any, cast

import polars as pl

from builders._records import Line, read_records, text_field
from builders._refusals import Share, check_refused, ignored
from eval.grading.answers import tidy
from eval.grading.grade import is_right
from eval.grading.rules import STANDARD
from registry.maker import Licence, Location, Questions, Role, Tables
from registry.rows import QUESTIONS, question_id

EDITION = 1

KNOWN = {"question", "query", "answer", "response"}


def build(
    *, path: Location, sha256: str, max_refused: Share = 0.05, role: Role = "train", licence: Licence | None = None
) -> Questions:
    """Return QUESTIONS, one row for each readable line of `path`, in its order.

    The question is in `question` (or query). `response` is the human solution, whose final answer is the gold one;
    `answer` is the same if it contains `####`, else it is the answer itself, and the question has no human row
    unless there is a `response` too (then `answer` is the gold one). Rows that cannot be used are refused with a
    reason; InputError if their share is above `max_refused`. `role` is what the questions are for, `licence` the file's.
    """
    rows = [_row(record) for record in read_records(path, "questions file", KNOWN)]
    frame = pl.DataFrame(
        rows, schema={**QUESTIONS.schema, "given": pl.String, "line": pl.Int64, "drop": pl.String, "detail": pl.String}
    )
    from_solution = STANDARD.read_answers(frame["response"])["answer"]
    frame = frame.with_columns(answer=pl.coalesce("given", from_solution)).with_columns(
        drop=pl.coalesce("drop", pl.when(pl.col("answer").is_null()).then(pl.lit("no_answer"))),
        detail=pl.when(pl.col("drop").is_null() & pl.col("answer").is_null())
        .then(pl.lit("the solution has no final answer (#### N)"))
        .otherwise("detail"),
    )
    differ = is_right(frame["given"], from_solution, STANDARD, tolerance=0.0)
    frame = frame.with_columns(
        drop=pl.when(pl.col("given").is_not_null() & from_solution.is_not_null() & ~differ)
        .then(pl.lit("answers_differ"))
        .otherwise("drop"),
        detail=pl.when(pl.col("given").is_not_null() & from_solution.is_not_null() & ~differ)
        .then(pl.format("answer is {}, the solution ends in {}", "given", from_solution.alias("solution")))
        .otherwise("detail"),
    )
    first = pl.int_range(pl.len()).over("question_id", pl.col("drop").is_null()) == 0
    frame = frame.with_columns(
        drop=pl.coalesce("drop", pl.when(~first).then(pl.lit("duplicate_question"))),
    )
    check_refused(frame, max_refused, "questions")
    kept = frame.filter(pl.col("drop").is_null())
    notes = []
    if without := kept["response"].null_count():
        notes.append(f"{without} questions have an answer but no solution: they have no human row")
    notes += ignored({name for row in rows for name in row["_other"]})
    return cast(pl.DataFrame, Tables(frame.drop("given"), facts={"notes": notes} if notes else {}))


def _row(record: Line) -> dict[str, Any]:
    row: dict[str, Any] = {"line": record.line, "source_row": record.line - 1, "drop": record.reason, "detail": record.detail}
    row["_other"] = [name for name in record.fields if name not in KNOWN]
    if record.reason:
        return row
    question, row["drop"], row["detail"] = text_field(record.fields, "question", "query")
    if question is None:
        return row
    row |= {"question": question, "question_id": question_id(question)}
    answer, response = record.fields.get("answer"), record.fields.get("response")
    if isinstance(answer, int | float | Decimal) and not isinstance(answer, bool):
        answer = f"{Decimal(str(answer)):f}"  # 0.00001, never 1e-05
    if response is None and isinstance(answer, str) and "####" in answer:
        answer, response = None, answer
    if answer is not None and "####" not in str(answer):
        row["given"] = tidy(answer) if isinstance(answer, str) else None
        if row["given"] is None:
            row |= {"drop": "no_answer", "detail": f"answer {str(answer)[:80]!r} is not a number"}
    if response is not None:
        row["response"], reason, detail = text_field({"response": response}, "response")
        if reason and not row["drop"]:
            row |= {"drop": reason, "detail": detail}
    elif answer is None:
        row |= {"drop": "missing_field", "detail": "no answer or response"}
    return row

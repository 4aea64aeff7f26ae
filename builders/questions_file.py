"""Questions from a file of your own: JSON lines or Parquet, plain or gzipped.

{"question": "Natalia sold clips to 48 ...", "answer": "Natalia sold 48/2 = <<48/2=24>>24 ...\\n#### 72"}
"""

from decimal import Decimal
from typing import Any, cast

import polars as pl

from builders._records import Line, read_records, text_field
from builders._refusals import Share, check_refused, ignored
from eval.grading.answers import as_text
from eval.grading.grade import compare
from eval.grading.numbers import number, value
from eval.grading.rules import STANDARD
from registry.maker import Licence, Location, Questions, Role, Tables
from registry.rows import QUESTIONS, question_id

EDITION = 3

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
    # Two texts that differ may be two notations of one answer; a number and anything else are not.
    there = compare(frame["given"], from_solution, STANDARD, tolerance=0.0)
    back = compare(from_solution, frame["given"], STANDARD, tolerance=0.0)
    both = frame["given"].is_not_null() & from_solution.is_not_null()
    differ = both & ~there["right_answer"] & (there["readable"] | back["readable"])
    frame = frame.with_columns(
        drop=pl.when(differ).then(pl.lit("answers_differ")).otherwise("drop"),
        detail=pl.when(differ)
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
    if texts := kept.filter(~pl.col("answer").is_in([a for a in kept["answer"].unique() if value(a) is not None])).height:
        notes.append(f"{texts} gold answers are no numbers: mode: standard compares them as text, mode: math as mathematics")
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
    if isinstance(answer, float) and abs(answer) >= 2**63:
        # JSON numbers beyond 64 bits arrive as doubles, with other digits.
        return row | {
            "drop": "no_answer",
            "detail": f"answer {answer:.6g} has more digits than a number holds: write it as text",
        }
    if isinstance(answer, int | float | Decimal) and not isinstance(answer, bool):
        answer = f"{Decimal(str(answer)):f}"  # 0.00001, never 1e-05
    if response is None and isinstance(answer, str) and "####" in answer:
        answer, response = None, answer
    if answer is not None and "####" not in str(answer):
        words = record.fields["answer"]
        read = number(answer, whole=True) if isinstance(answer, str) else None
        row["given"] = as_text(words) if read is None and isinstance(words, str) else read
        if row["given"] is None:
            row |= {"drop": "no_answer", "detail": f"answer {str(answer)[:80]!r} is not text or a number"}
    if response is not None:
        row["response"], reason, detail = text_field({"response": response}, "response")
        if reason and not row["drop"]:
            row |= {"drop": reason, "detail": detail}
    elif answer is None:
        row |= {"drop": "missing_field", "detail": "no answer or response"}
    return row

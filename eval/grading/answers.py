r"""Read the final answer of each response, column by column.

    "... so 48+24 = <<48+24=72>>72 clips.\n#### 72"   ->   "72", from "hash"

Modes:
- *standard* reads the last place where an answer stands (eval/grading/places.py) and reads it whole (eval/grading/numbers.py).
  A place that holds no number gives its text, without a value: it is no answer, and one sees why.
- *paper* is the reference script, character for character: the first ``#### (\-?[0-9\.\,]+)`` before any NUL character,
  commas removed, which must parse as a float.
"""

import re
from typing import Annotated

import polars as pl
from pydantic import AfterValidator

from eval.grading.numbers import MAX_DIGITS, number, value
from eval.grading.places import find

PAPER_READING = r"#### (-?[0-9.,]+)"


def read_paper_answers(responses: pl.Series, pattern: str | None = None) -> pl.DataFrame:
    """Return `answer`, `answer_from` ("hash") and `cut` (never) for each response as the reference script reads it, null if there is none."""
    text = pl.col("response")
    frame = responses.alias("response").to_frame()
    if frame.select(text.str.contains("\0", literal=True).any()).item():  # rare, and cutting costs more than reading
        frame = frame.select(text.str.extract(r"^([^\x00]*)").alias("response"))
    found = frame.select(text.str.extract(PAPER_READING).str.replace_all(",", "", literal=True).alias("answer"))
    valid = {a: a for a in found["answer"].unique().drop_nulls() if double(a) is not None}
    answer = found["answer"].replace_strict(valid, default=None, return_dtype=pl.String)
    return pl.DataFrame({"answer": answer}).with_columns(
        answer_from=pl.when(pl.col("answer").is_not_null()).then(pl.lit("hash")), cut=pl.lit(False)
    )


def _one_group(pattern: str) -> str:
    try:
        groups = pl.Series([""], dtype=pl.String).str.extract_groups(pattern).struct.fields
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"it is no regular expression that can be matched in linear time: {error}") from error
    if len(groups) != 1:
        raise ValueError(f"it must have one group, which holds the answer; it has {len(groups)}")
    return pattern


Pattern = Annotated[str, AfterValidator(_one_group)]  # in Rust's syntax: no look-around, no references


# Most responses end in a place with a number in it. That is their answer whatever stands before, so they are read without a look at
# the rest, with what eval/grading/places.py would find.
_NUMBER = r"([-+]?\$?\d[\d,]*(?:\.\d+)?)"
_USUAL = {
    "hash": rf"####[ \t]*{_NUMBER}[.\s]*\z",
    "phrase": rf"(?:\A|[.\n]) ?(?:(?:So|Therefore|Thus|Hence),? )?[Tt]he answer is:? {_NUMBER}\.?\s*\z",
    "boxed": rf"\\boxed\{{{_NUMBER}\}}[$.\s]*\z",
}
_UNUSUAL = r"<(?i-u:think|thought|reason|\|)|(?:Question|Problem|Instruction|User|Human)[ \t]*\d*[ \t]*(?:\*\*)?:|\n[ \t]*Q:"
_OTHER_BOX = (
    r"\\f(?:rame)?box|(?i:e\.g\.|for example|such as|in the form|like|inside|within)[^.\n]*\\boxed|(?s:\\boxed.*\\boxed)"
)


def read_standard_answers(responses: pl.Series, pattern: str | None = None) -> pl.DataFrame:
    """Return `answer`, `answer_from` (hash, boxed, phrase, tag, line, or pattern) and `cut` for each response.

    The answer is a number in plain text ("70000", "-3.50", "3/4"), else the text that stands there, null where none does.
    `cut`: the text stops before it gives an answer. `pattern`, a regular expression with one group, is tried first: what the
    group holds where it is found last is the answer.
    """
    frame = responses.alias("response").to_frame()
    text = pl.col("response")
    found = _usual(frame, "hash")
    for form in ("phrase", "boxed"):
        rest = found["raw"].is_null().arg_true()
        other = _usual(frame[rest], form)
        found = found.with_columns(found["raw"].scatter(rest, other["raw"]), found["by"].scatter(rest, other["by"]))
    if pattern is not None:
        own = frame.select(own=_last(text, pattern))["own"]
        found = found.with_columns(
            raw=pl.coalesce(own, "raw"), by=pl.when(own.is_not_null()).then(pl.lit("pattern")).otherwise("by")
        )
    rest = found["raw"].is_null().arg_true()
    if len(rest):
        texts = frame["response"].gather(rest)
        known = {text: find(text, _reads) for text in texts.unique().drop_nulls()}
        places = [known.get(text) for text in texts]
        found = found.with_columns(
            found["raw"].scatter(rest, pl.Series([place and place.text for place in places], dtype=pl.String)),
            found["by"].scatter(rest, pl.Series([place and place.form for place in places], dtype=pl.String)),
        )
    unique = found.unique()
    read = [_answer(raw, by) for raw, by in unique.iter_rows()]
    schema = {"answer": pl.String, "answer_from": pl.String, "cut": pl.Boolean}
    answers = pl.concat([unique, pl.DataFrame(read, schema=schema, orient="row")], how="horizontal")
    return found.join(answers, on=["raw", "by"], how="left", nulls_equal=True, maintain_order="left").select(*schema)


def _usual(frame: pl.DataFrame, form: str) -> pl.DataFrame:
    """Return `raw`, what stands at the end of usual responses of a form, null for others, and `by`, the form."""
    text = pl.col("response")
    ends = frame.select(raw=text.str.extract(_USUAL[form]), by=pl.lit(form))
    unusual = f"{_UNUSUAL}|{_OTHER_BOX}" if form == "boxed" else _UNUSUAL
    return ends.with_columns(raw=pl.when(~frame.select(text.str.contains(unusual)).to_series()).then("raw"))


def _last(text: pl.Expr, pattern: str) -> pl.Expr:
    return text.str.extract_all(pattern).list.last().str.extract(pattern)


def _reads(text: str, whole: bool) -> bool:
    return number(text, whole=whole) is not None


def _answer(raw: str | None, by: str | None) -> tuple[str | None, str | None, bool]:
    if raw is None or by is None:
        return None, None, by == "cut"
    if by == "none":  # taken back, with no other in its place
        return as_text(raw), None, False
    read = number(raw, whole=by in ("boxed", "tag", "line")) or (_said_twice(raw) if by == "boxed" else None)
    answer = read or as_text(raw)
    return answer, by if answer else None, False


def _said_twice(raw: str) -> str | None:
    """Return the number of two boxes that say the same one, as 0.25 and 1/4."""
    numbers = [number(part, whole=True) for part in raw.split(", ")]
    values = {value(one) if one else None for one in numbers}
    return numbers[-1] if len(values) == 1 and len(numbers) > 1 else None


_AROUND = re.compile(r"^(?:[\s$*_`\"']|\\[(\[])+|(?:[\s$*_`\"'.,;:]|\\[)\]])+$")


_FORMULA = re.compile(
    r"\s*(?:\$\$?([^$]+)\$\$?|\\\((.+?)\\\)|\\\[(.+?)\\\])(?:\s*[.,;!]\s*[A-Za-z][A-Za-z ,.'!]*|[\s.,;!]*)", re.DOTALL
)


def as_text(raw: str) -> str | None:
    """Return what stands at a place that holds no number, in one line and without the marks around it.

    Of a formula with a sentence behind it ("$2x+1$. I hope it is correct.") the formula.
    """
    if formula := _FORMULA.fullmatch(raw[: 2 * MAX_DIGITS]):
        raw = formula[1] or formula[2] or formula[3]
    return _AROUND.sub("", " ".join(raw[:MAX_DIGITS].split())) or None


def same_text(text: str) -> str:
    """Return what two answers in words have in common if they are the same: letters whatever their case, and single spaces."""
    return " ".join(text.casefold().split()).strip(" .,;:!?\"'")


def double(text: str) -> float | None:
    """Return the double that a text is to Python, or None."""
    try:
        return float(text)
    except ValueError:
        return None

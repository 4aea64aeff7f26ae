r"""Read the final answer out of a response and compare it with the gold one. The only grader.

    "... so 48+24 = <<48+24=72>>72 clips.\n#### 72"   ->   "72", from "hash"

Modes:
- *standard* reads the last ``#### N``; if there is none the last ``\boxed{N}``; if there is none the last
  "the answer is N". N may carry ``$ € £ % ,`` spaces and markup, be a fraction (3/4, ``\frac{3}{4}``, 1 1/2), use any
  Unicode digits and minus signs; whatever follows it is ignored ("18 dollars"). Values are exact fractions;
  a percent sign changes nothing (50% is 50), as in GSM8K's own answers.
- *paper* is the reference script, character for character: the first ``#### (\-?[0-9\.\,]+)`` before any NUL character,
  commas removed, which must parse as a float.
"""

import re
import unicodedata
from fractions import Fraction
from typing import Literal, TypeVar

import polars as pl

from eval.equations import written

Mode = Literal["standard", "paper"]
N = TypeVar("N", float, Fraction)

MAX_DIGITS = 400  # of an answer; a double has 309 before the point

# Rust's regex engine reads these in linear time; Python reads only what they capture.
_SIGN = r"[-+−–‐﹣－]"
_NUMBER = r"(?:\d[\d,]*(?:\.\d+)?|\.\d+)"
_FRACTION = rf"\\[dt]?frac\s*\{{\s*{_SIGN}?\s*\d+\s*\}}\s*\{{\s*\d+\s*\}}"
_LEAD = r"(?:[\s$€£¥*_`\\({]|text\s*\{)*"  # currency, bold marks, LaTeX's \$, \( and \text{
_THOUSANDS = r"\d{1,3}(?:(?:[ \u00a0\u202f]|\\[,;! ]|\{,\})\d{3}\b)+(?:\.\d+)?"
_VALUE = rf"(?:{_SIGN}[ \t$€£¥\\]*)?(?:{_FRACTION}|(?:\d+[ \t]+)?\d+[ \t]*/[ \t]*\d+|{_THOUSANDS}|{_NUMBER})"
_SAME_LINE_LEAD = _LEAD.replace(r"\s", r" \t")
READINGS = {
    "hash": rf"(?s)^.*####{_SAME_LINE_LEAD}({_VALUE})",
    "boxed": rf"(?s)^.*\\boxed\s*\{{(?:[^{{}}=]*=)?{_LEAD}({_VALUE})",
    "phrase": rf"(?is)^.*\banswer\s+is\b\s*:?{_LEAD}({_VALUE})",
}
PAPER_READING = r"#### (-?[0-9.,]+)"


def read_answers(responses: pl.Series, mode: Mode) -> pl.DataFrame:
    """Return `answer` (text, null if there is none) and `answer_from` ("hash", "boxed" or "phrase") for each response.

    The text has no commas, spaces or currency signs: "70000", "-3.50", "3/4"; paper mode keeps what the script keeps.
    """
    text = pl.col("response")
    frame = responses.alias("response").to_frame()
    if mode == "paper":
        found = frame.select(
            text.str.extract(r"^([^\x00]*)").str.extract(PAPER_READING).str.replace_all(",", "", literal=True).alias("answer")
        )
        valid = {a: a for a in found["answer"].unique().drop_nulls() if _parses(a)}
        answer = found["answer"].replace_strict(valid, default=None, return_dtype=pl.String)
        return pl.DataFrame({"answer": answer}).with_columns(
            answer_from=pl.when(pl.col("answer").is_not_null()).then(pl.lit("hash"))
        )
    # The phrases are looked for only where the one before found nothing: most responses are read once.
    found = frame.select(hash=text.str.extract(READINGS["hash"])).with_row_index()
    for name in ("boxed", "phrase"):
        missing = found.filter(pl.all_horizontal(pl.exclude("index").is_null()))["index"]
        found = found.join(
            pl.DataFrame({"index": missing, name: frame["response"].gather(missing).str.extract(READINGS[name])}),
            on="index",
            how="left",
            maintain_order="left",
        )
    raw = found.select(
        raw=pl.coalesce("hash", "boxed", "phrase"),
        answer_from=pl.when(pl.col("hash").is_not_null())
        .then(pl.lit("hash"))
        .when(pl.col("boxed").is_not_null())
        .then(pl.lit("boxed"))
        .when(pl.col("phrase").is_not_null())
        .then(pl.lit("phrase")),
    )
    clean = {text: tidy(text) for text in raw["raw"].unique().drop_nulls()}
    return raw.select(
        pl.col("raw").replace_strict(clean, default=None, return_dtype=pl.String).alias("answer"), "answer_from"
    ).with_columns(pl.when(pl.col("answer").is_not_null()).then("answer_from"))


def _parses(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


_FRACTION_PARTS = re.compile(r"\\[dt]?frac\{(.*?)\}\{(.*?)\}")
_TO_ASCII = str.maketrans({"−": "-", "–": "-", "‐": "-", "﹣": "-", "－": "-"})
_MIXED = re.compile(r"(-?)(\d+)\s+(\d+)\s*/\s*(\d+)")


def tidy(text: str) -> str | None:
    """Return a matched number as plain text (70,000 -> 70000, \\frac{1}{2} -> 1/2), or None if it is no number.

    Also the normaliser of gold answers that come as plain text ("$ 1,200.50").
    """
    if len(text) > MAX_DIGITS:
        return None
    text = text.translate(_TO_ASCII)
    text = "".join(
        str(unicodedata.digit(c)) if c.isdigit() and not c.isascii() and unicodedata.digit(c, None) is not None else c
        for c in text
    )
    text = re.sub(r"[$€£¥%*_`+]|\{,\}|\\(?![dt]?frac)", "", text).strip()
    if mixed := _MIXED.fullmatch(text):
        sign, whole, top, bottom = mixed.groups()
        return f"{sign}{int(whole) * int(bottom) + int(top)}/{bottom}" if int(bottom) else None
    text = re.sub(r"[\s,;!]", "", text)
    text = _FRACTION_PARTS.sub(r"\1/\2", text)
    return text if value(text) is not None else None


_PLAIN = re.compile(r"-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:/[0-9]+)?", re.ASCII)


def value(answer: str) -> Fraction | None:
    """Return the exact value of an answer's text, or None if it has none (not a number, or n/0)."""
    if len(answer) > MAX_DIGITS or not _PLAIN.fullmatch(answer):
        return None
    top, _, bottom = answer.partition("/")
    if bottom and not int(bottom):
        return None
    return Fraction(top) / int(bottom) if bottom else Fraction(top)


def is_right(answers: pl.Series, gold: pl.Series, mode: Mode, *, tolerance: float, strict: bool = False) -> pl.Series:
    """Return for each answer whether it equals the gold one (false where there is no answer).

    The difference may be up to `tolerance`, or must stay below it if `strict`; paper mode compares doubles,
    standard mode exact fractions.
    """
    pairs = pl.DataFrame({"answer": answers, "gold": gold})
    unique = pairs.unique().drop_nulls()
    if mode == "paper":
        equal = [_near(_double(a), _double(g), tolerance, strict) for a, g in unique.iter_rows()]
    else:
        margin = Fraction(str(tolerance))
        values = {text: value(text) for text in set(unique["answer"]) | set(unique["gold"])}
        equal = [_near(values[a], values[g], margin, strict) for a, g in unique.iter_rows()]
    graded = pairs.join(
        unique.with_columns(equal=pl.Series(equal, dtype=pl.Boolean)), on=["answer", "gold"], how="left", maintain_order="left"
    )
    return graded["equal"].fill_null(False).alias("right_answer")


def _double(text: str) -> float | None:
    return float(text) if _parses(text) else None


def _near(a: N | None, b: N | None, margin: N, strict: bool) -> bool:
    if a is None or b is None:
        return False
    if a == b:  # also equal infinities, whose difference is no number
        return not strict or margin > 0
    difference = abs(a - b)
    return difference < margin if strict else difference <= margin


def vote_keys(answers: pl.Series, mode: Mode) -> pl.Series:
    """Return what a majority vote counts: the text itself in paper mode ("10" and "10.0" differ), else the value."""
    if mode == "paper":
        return answers
    by_value = {text: written(number) for text in answers.unique().drop_nulls() if (number := value(text)) is not None}
    return answers.replace_strict(by_value, default=None, return_dtype=pl.String)

r"""Read the final answer out of a response and compare it with the gold one. The only grader.

    "... so 48+24 = <<48+24=72>>72 clips.\n#### 72"   ->   "72", from "hash"

Modes:
- *standard* reads the last ``#### N``; if there is none the last ``\boxed{N}``; if there is none the last
  "the answer is N". N may carry ``$ € £ % ,`` spaces and markup, be a fraction (3/4, ``\frac{3}{4}``, 1 1/2, ½), use any
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

from eval.grading.equations import written

Mode = Literal["standard", "paper"]
N = TypeVar("N", float, Fraction)

MAX_DIGITS = 400  # characters of an answer; a double has 309 digits before the point
MAX_FOUND = 2_000  # bytes from the words that announce an answer to its end

# Rust's regex engine reads these in linear time; Python reads only what they find.
_SIGN = r"[-+−–‐﹣－]"
_NUMBER = r"(?:\d[\d,]*(?:\.\d+)?|\.\d+)"
_WORD_END = r"(?-u:\b{end-half})"  # Rust's ASCII kind, because the Unicode one is slow; Python writes \b
_THOUSANDS = rf"\d{{1,3}}(?:(?:[ \u00a0\u202f]|,?\\[,;! ]|\{{,\}})\d{{3}}{_WORD_END})+(?:\.\d+)?"
_LATEX_FRACTION = rf"\\[dt]?frac\s*\{{\s*({_SIGN}?)\s*(\d+)\s*\}}\s*\{{\s*(\d+)\s*\}}"
_FRACTION_SIGN = r"[¼-¾⅐-⅞]"
_VALUE = "|".join(
    (
        rf"(?:\d[\d,]*[ \t]*)?(?:{_LATEX_FRACTION}|{_FRACTION_SIGN})",
        rf"(?:\d[\d,]*[ \t]+)?{_NUMBER}[ \t]*[/⁄∕][ \t]*\d[\d,]*",
        _THOUSANDS,
        _NUMBER,
    )
)
_SIGNED = rf"(?:{_SIGN}[ \t$€£¥\\]*)?(?:{_VALUE})"
_SAME_LINE = r"(?:[ \t$€£¥*_`\\({]|(?:text|math)(?:bf|it|rm)?\s*\{)*"  # currency, bold marks, LaTeX's \$, \( and \text{
_LEAD = _SAME_LINE.replace(r" \t", r"\s")
READINGS = {
    "hash": rf"####{_SAME_LINE}({_SIGNED})",
    "boxed": rf"\\boxed\s*\{{(?:[^{{}}=]*=)?{_LEAD}({_SIGNED})",
    "phrase": rf"(?i)(?-u:\b)answer\s+is(?-u:\b)\s*:?{_LEAD}({_SIGNED})",
}
PAPER_READING = r"#### (-?[0-9.,]+)"


def read_answers(responses: pl.Series, mode: Mode) -> pl.DataFrame:
    """Return `answer` (text, null if there is none) and `answer_from` ("hash", "boxed" or "phrase") for each response.

    The text has no commas, spaces or currency signs: "70000", "-3.50", "3/4"; paper mode keeps what the script keeps.
    """
    text = pl.col("response")
    frame = responses.alias("response").to_frame()
    if mode == "paper":
        if frame.select(text.str.contains("\0", literal=True).any()).item():  # rare, and cutting costs more than reading
            frame = frame.select(text.str.extract(r"^([^\x00]*)").alias("response"))
        found = frame.select(text.str.extract(PAPER_READING).str.replace_all(",", "", literal=True).alias("answer"))
        valid = {a: a for a in found["answer"].unique().drop_nulls() if _parses(a)}
        answer = found["answer"].replace_strict(valid, default=None, return_dtype=pl.String)
        return pl.DataFrame({"answer": answer}).with_columns(
            answer_from=pl.when(pl.col("answer").is_not_null()).then(pl.lit("hash"))
        )
    # The phrases are looked for only where the one before found nothing: most responses are read once.
    found = frame.select(raw=_last(READINGS["hash"])).with_columns(
        answer_from=pl.when(pl.col("raw").is_not_null()).then(pl.lit("hash"))
    )
    for name in ("boxed", "phrase"):
        missing = found.get_column("raw").is_null().arg_true()
        later = frame.select(pl.col("response").gather(missing)).select(raw=_last(READINGS[name]), answer_from=pl.lit(name))
        found = found.with_columns(
            found.get_column(column).scatter(missing, later.get_column(column)) for column in ("raw", "answer_from")
        )
    clean = {text: tidy(text) for text in found.get_column("raw").unique().drop_nulls()}
    return found.select(
        answer=pl.col("raw").replace_strict(clean, default=None, return_dtype=pl.String), answer_from="answer_from"
    ).with_columns(pl.when(pl.col("answer").is_not_null()).then("answer_from"))


def _last(reading: str) -> pl.Expr:
    """Return the value in the last place where `reading` is found."""
    # Finding is several times faster than capturing, so only the last place is captured from.
    last = pl.col("response").str.extract_all(reading).list.last()
    return pl.when(last.str.len_bytes() <= MAX_FOUND).then(last).str.extract(f"^(?:{reading})$")


def _parses(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


_TO_ASCII = str.maketrans(dict.fromkeys("−–‐﹣－", "-") | dict.fromkeys("⁄∕", "/") | dict.fromkeys("\u00a0\u202f", " "))
_LATEX = re.compile(_LATEX_FRACTION)
_BEFORE, _AFTER = " \t\r\n$€£¥*_`\\({", " \t\r\n$€£¥*_`\\)}%.,;!"
_NUMERAL = re.compile(
    rf"([-+]?)[ \t$€£¥\\]*(?:(?:(\d[\d,]*)[ \t]+)?({_NUMBER})[ \t]*/[ \t]*(\d[\d,]*)|({_THOUSANDS}|{_NUMBER}))".replace(
        _WORD_END, r"\b"
    ),
    re.ASCII,
)


def tidy(text: str) -> str | None:
    """Return a number as plain text (70,000 -> 70000, \\frac{1}{2} -> 1/2, 1 1/2 -> 3/2), or None if it is no number.

    The normaliser of what was found in a response, and of gold answers that come as plain text ("$ 1,200.50").
    """
    if len(text) > MAX_DIGITS:
        return None
    text = _LATEX.sub(r" \1\2/\3", text)
    text = "".join(c if c.isascii() else _ascii(c) for c in text).translate(_TO_ASCII)
    found = _NUMERAL.fullmatch(text.lstrip(_BEFORE).rstrip(_AFTER))
    if found is None:
        return None
    sign, whole, top, bottom, plain = (re.sub(r"[^0-9.]", "", part or "") for part in found.groups())
    sign = "-" if found[1] == "-" else ""
    if whole:
        top = str(int(whole) * int(bottom) + int(top)) if top.isdigit() else ""
    answer = sign + (f"{top}/{bottom}" if bottom else plain)
    return answer if value(answer) is not None else None


def _ascii(c: str) -> str:
    if (digit := unicodedata.decimal(c, None)) is not None:
        return str(digit)
    return " " + unicodedata.normalize("NFKC", c) if re.match(_FRACTION_SIGN, c) else c


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
    if strict:
        return abs(a - b) < margin
    return a == b or abs(a - b) <= margin  # infinities can be equal, but their difference is no number


def vote_keys(answers: pl.Series, mode: Mode) -> pl.Series:
    """Return what a majority vote counts: the text itself in paper mode ("10" and "10.0" differ), else the value."""
    if mode == "paper":
        return answers
    by_value = {text: written(number) for text in answers.unique().drop_nulls() if (number := value(text)) is not None}
    return answers.replace_strict(by_value, default=None, return_dtype=pl.String)

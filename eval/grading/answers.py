r"""Read the final answer out of a response.

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

import polars as pl

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


def read_paper_answers(responses: pl.Series) -> pl.DataFrame:
    """Return `answer` and `answer_from` ("hash") for each response as the reference script reads it, null if there is none."""
    text = pl.col("response")
    frame = responses.alias("response").to_frame()
    if frame.select(text.str.contains("\0", literal=True).any()).item():  # rare, and cutting costs more than reading
        frame = frame.select(text.str.extract(r"^([^\x00]*)").alias("response"))
    found = frame.select(text.str.extract(PAPER_READING).str.replace_all(",", "", literal=True).alias("answer"))
    valid = {a: a for a in found["answer"].unique().drop_nulls() if double(a) is not None}
    answer = found["answer"].replace_strict(valid, default=None, return_dtype=pl.String)
    return pl.DataFrame({"answer": answer}).with_columns(
        answer_from=pl.when(pl.col("answer").is_not_null()).then(pl.lit("hash"))
    )


def read_standard_answers(responses: pl.Series) -> pl.DataFrame:
    """Return `answer` (text, null if there is none) and `answer_from` ("hash", "boxed" or "phrase") for each response.

    The text has no commas, spaces or currency signs: "70000", "-3.50", "3/4".
    """
    frame = responses.alias("response").to_frame()
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


def double(text: str) -> float | None:
    """Return the double that a text is to Python, or None."""
    try:
        return float(text)
    except ValueError:
        return None


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

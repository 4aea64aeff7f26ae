r"""Read a number whole: what stands at the place of an answer is a number, with what may stand around one, or it is none.

    "$1,200.50 per week"      ->  "1200.50"        "5 - 2 = 3 diapers"   ->  "3"        "\frac{3}{4}"  ->  "3/4"
    "5 feet 6 inches", "10:30", "10-12", "2,50"  ->  None

A number may have currency, percent, degree, an ordinal's ending, a magnitude (5 million) and a unit of words; may be a
fraction, a mixed number, a power, or a calculation, whose result counts: what follows its last "=", or the value of what
stands there. Commas group by three (1,234,567), or the Indian way (12,34,567); "2,50" could be two things and is no number. A
number out of the middle of something else is never read. Values are exact; a percent sign changes nothing (50% is 50), as in
GSM8K's own answers.
"""

import math
import re
import unicodedata
from fractions import Fraction
from functools import lru_cache

from eval.grading.expressions import MATH, Parser, Unreadable, math_signs
from eval.grading.forms import CanonicalForms, written

MAX_DIGITS = 400  # characters of an answer; a double has 309 digits before the point

# -- one way of writing ---------------------------------------------------------------------------------------------------

_SIGNS = str.maketrans(
    dict.fromkeys("−–‐‑﹣－—", "-")
    | dict.fromkeys("⁄∕", "/")
    | dict.fromkeys("\u00a0\u202f\u2009\u2007\u2002\u2003\u3000", "\u00a0")
    | dict.fromkeys("≈≃≅", "≈")
    | dict.fromkeys("‘’ʼ", "'")
    | {"×": "*", "·": "*", "⋅": "*", "∗": "*", "÷": "/", "＝": "=", "％": "%", "，": ",", "．": "."}
)
_NO_TEXT = re.compile(r"<<[^<>]*>>|</?\|?[a-z_]{1,20}\|?>", re.IGNORECASE)  # annotations and tags
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_WORDS_OF_LATEX = re.compile(
    r"\\(?:text|mathrm|mathbf|textbf|mathit|textit|textrm|mathsf|operatorname|mbox|boldsymbol|bm|emph)\s*\{([^{}]*)\}"
)
_FRACTION = re.compile(r"\\[dtc]?frac\s*(?:\{([^{}]*)\}|(\d))\s*(?:\{([^{}]*)\}|(\d))")
_LATEX = (  # in this order; what is left of LaTeX after them is no number
    (re.compile(r"\\(?:left|right|displaystyle|textstyle|bigl|bigr|big|Big)(?![a-zA-Z])\.?"), ""),
    (re.compile(r"(?<=\d)(?:\\[,!;: ]|\{,\}|,\\!|~)+(?=\d{3}(?!\d))"), "\u00a0"),  # a thin space groups digits
    (re.compile(r"\\[,!;:]|\\ |~(?=\d)|\\quad|\\qquad"), " "),
    (re.compile(r"\\([$%#&_])"), r"\1"),
    (re.compile(r"\\pounds|\\texteuro|\\euro|\\textdollar"), "$"),
    (re.compile(r"\\times|\\cdot|\\ast"), "*"),
    (re.compile(r"\\div"), "/"),
    (re.compile(r"\\approx|\\simeq|\\sim(?![a-z])"), "≈"),
    (re.compile(r"\\[()\[\]]"), ""),
    (re.compile(r"\^\s*(?:\{\s*\\(?:circ|degree)\s*\}|\\(?:circ|degree))|\\degree|°|º"), "°"),
    (re.compile(r"\^\s*\{\s*(st|nd|rd|th)\s*\}"), r"\1"),
    (re.compile(r"\^\s*\{\s*([^{}]*)\}"), r"^(\1)"),
)


def one_line(text: str) -> str:
    """Return the text of an answer in one way of writing: ASCII digits and signs, little LaTeX, no markup around it."""
    text = "".join(c if c.isascii() else _ascii(c) for c in text.translate(_SIGNS))
    text = _NO_TEXT.sub("", text).replace('\\"', '"')
    if "\\" in text or "^" in text or "{" in text or "°" in text:
        for _ in range(3):
            text = _WORDS_OF_LATEX.sub(r" \1 ", text)
        for pattern, by in _LATEX:
            text = pattern.sub(by, text)
        for _ in range(3):
            text = _FRACTION.sub(_over, text)
    text = text.replace("**", "").replace("__", "").replace("`", "")
    return " ".join(text.replace("\u00a0", "\0").split()).replace("\0", "\u00a0").strip()


def _ascii(c: str) -> str:
    if (digit := unicodedata.decimal(c, None)) is not None:
        return str(digit)
    if "¼" <= c <= "¾" or "⅐" <= c <= "⅞":
        return " " + unicodedata.normalize("NFKC", c).replace("⁄", "/")
    if c in "⁰¹²³⁴⁵⁶⁷⁸⁹":
        return f"^({c.translate(_RAISED)})"
    return c


def _over(found: re.Match[str]) -> str:
    top, bottom = (a if a is not None else b for a, b in (found.group(1, 2), found.group(3, 4)))
    simple = all(re.fullmatch(r"\s*[-+]?\s*[\d.,]+\s*", part) for part in (top, bottom))
    return f" {top.strip()}/{bottom.strip()} " if simple else f" (({top})/({bottom})) "


# -- a number and what may stand around it --------------------------------------------------------------------------------

_CURRENCY = re.compile(r"[$€£¥₹₩₽]|\b(?:USD|US|CAD|AUD|EUR|GBP|INR|Rs\.?|Rp\.?)(?=[\s\d$])|(?<=\d) ?\b(?:USD|EUR|GBP|INR)\b")
_LEAD = re.compile(
    r"(?:(?:approximately|approx\.?|about|around|roughly|nearly|exactly|only|just|simply|therefore|thus|is|equals?|equal to|a total of|total of|"
    r"the number|value)\b[:,]?|[≈=~:])\s*",
    re.IGNORECASE,
)
_GROUPED = r"\d{1,3}(?:,\d{3})+|\d{1,2}(?:,\d{2})+,\d{3}|\d{1,3}(?:'\d{3})+|\d{1,3}(?:\u00a0\d{3})+"
_DECIMAL = rf"(?:(?:{_GROUPED}|\d+)(?:\.\d+)?|\.\d+)(?![\d]|[.,':]\d)"
_VALUE = re.compile(
    rf"(?P<sign>[-+]?)\s*(?:(?:(?P<whole>\d[\d,]*)[\s\u00a0]+(?:and[\s]+)?)?(?P<top>{_DECIMAL})[ ]?/[ ]?(?P<bottom>{_DECIMAL})(?![ ]?/)"
    rf"|(?P<spaced>\d{{1,3}}(?: \d{{3}})+(?:\.\d+)?)(?! ?\d)|(?P<plain>{_DECIMAL}))"
)
_MAGNITUDES = {"hundred": 100, "thousand": 1000, "k": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_MAGNITUDE = re.compile(r"\s*(?:(hundred|thousand|million|billion|trillion)s?\b|([kK])(?![\w/²^]))", re.IGNORECASE)
_SUFFIX = re.compile(r"\s*(?:%|percent\b|°\s*[CF]?(?![A-Za-z])|(?:st|nd|rd|th)\b)", re.IGNORECASE)
_RAISED_UNIT = re.compile(r"(?<=[A-Za-z)])(?:\s*\^\s*\(?[23]\)?|[23])(?![\d.])")
_UNIT = re.compile(r"(?:[\s(/-]*[A-Za-z][^\d=+*^<>|\\:{}\[\]]*)?[\s.,;:!?)\"'*_/$-]*", re.DOTALL)
_NO_UNIT = re.compile(
    r"[\s(/]*(?:(?:and|or|to|plus|minus|times|divided|over|more or|[xyznabcpqt](?![\w.])|[ei](?![\w.])|pi|sqrt|squared|cubed|factorial|mod)\b)"
    r"|[^A-Za-z]*[A-Za-z ]* and (?:a |an )?(?:half|third|quarter|one|two|three|four|five|six|seven|eight|nine|ten|fifteen|twenty|thirty|forty|fifty)\b"
    r"|.*\b(?:or|wrong|incorrect)\b",
)
_STATED = re.compile(
    r"[A-Z][^\d=]{0,120}?\b(?:is|are|was|were|be|has|have|had|costs?|earn(?:s|ed)?|makes?|made|needs?|gets?|got|sold|sells?|spen[dt]s?|pa(?:y|ys|id)|"
    r"takes?|took|left|receives?|total(?:s|ed)?)\s+(?:a total of |only |about |exactly )?(?=[-\d.])"
)
_BREAK = re.compile(r"[.,;](?=\s)|\s\(|\s(?:because|since|as|so|which|after|when|if)\s")
_ANOTHER = re.compile(r"(?:or|and|to|but|not)\b[^A-Za-z]*\d|[A-Za-z]\s*=")  # 3, or 4; x = 3, y = 4
_TIMES = re.compile(r"(?<=\d)\s*x\s*(?=\d)")
_EQUATION = re.compile(r"\d\s*[a-z](?![A-Za-z])|(?<![A-Za-z])[a-z]\s*[-+*/^]|[-+*/^]\s*[a-z](?![A-Za-z])")
_OPERATORS = re.compile(r"[\d.,\s()+*/^!-]+")
_REPEATING = re.compile(r"(-?)(\d+)\.(\d*)\\overline\s*\{?(\d{1,40})\}?")
_POWER_OF_TEN = re.compile(r"(-?\d+(?:\.\d+)?)[eE]([-+]?\d{1,3})")


def number(text: str, *, whole: bool = False) -> str | None:
    """Return a number as plain text ("70000", "-3.50", "3/4"), or None if what stands there is not one.

    `whole`: nothing may follow it but a unit, as in a box or a column of answers; else a clause may ("18, because ...").
    """
    if _USUAL.fullmatch(text):
        return text.replace(",", "")
    return _cached(text, whole) if len(text) <= MAX_DIGITS + 100 else None


_USUAL = re.compile(r"-?(?:\d{1,3}(?:,\d{3}){1,5}|\d{1,18})(?:\.\d{1,18})?", re.ASCII)


@lru_cache(maxsize=65_536)
def _cached(text: str, whole: bool) -> str | None:
    line = _CURRENCY.sub("", one_line(_REPEATING.sub(_repeated, text)))
    if whole and (found := re.fullmatch(r"(\d{1,2})!", line)):
        return str(math.factorial(int(found[1])))
    if not whole and (found := _BREAK.search(line)):
        rest = line[found.end() :].lstrip()
        if _ANOTHER.match(rest) or (found[0] in ",;" and re.match(r"[-+]?[\d.]", rest)):
            return None
        # The clause that it begins with, if that says it: "18, because 20 - 2 = 18".
        if (first := _read(line[: found.start()])) is not None:
            return first
    return _read(line)


def _repeated(found: re.Match[str]) -> str:
    sign, whole, fixed, again = found.groups()
    nines = (10 ** len(again) - 1) * 10 ** len(fixed)
    return f"{sign}{Fraction(int(whole + fixed + again) - int(whole + fixed), nines)}"


def _read(line: str) -> str | None:
    if "=" in line or "≈" in line:
        before, _, line = line.replace("≈", "=").rstrip("= .").rpartition("=")
        middle = before.rpartition("=")[2] if "=" in before else ""
        if re.search(r"[,;]\s*[A-Za-z]|\b(?:and|or)\b\s+[A-Za-z]\s*$", middle) or re.search(r"[,;]\s*[A-Za-z]\s*$", before):
            return None  # several unknowns: x = 3, y = 4
        if _EQUATION.search(_TIMES.sub("*", middle or before)):
            return None  # 2x + z = 1 is an equation, and no number
        if before.rstrip().endswith(("!", "<", ">", "≠")):
            return None
    line = _bare(line)
    while lead := _LEAD.match(line):
        line = line[lead.end() :]
    line = _bare(line)
    if (stated := _STATED.match(line)) and not re.search(r"\b(?:not|if)\b|n't", stated[0]):
        line = line[stated.end() :]
    found = _VALUE.match(line)
    if found is None:
        return _exponent(line) or _calculated(line) or _spelled(line)
    rest = line[found.end() :]
    factor = 1
    if magnitude := _MAGNITUDE.match(rest):
        factor = _MAGNITUDES[(magnitude[1] or magnitude[2]).lower()]
        rest = rest[magnitude.end() :]
    if suffix := _SUFFIX.match(rest):
        rest = rest[suffix.end() :]
    rest = _RAISED_UNIT.sub("", rest)
    if not _UNIT.fullmatch(rest) or _NO_UNIT.match(rest) or re.match(r"[A-Za-z]-?$|-?[xyzn]\b", rest):
        return _exponent(line) or _calculated(line)
    if found["spaced"] and rest.strip(" .,;:!?") and len(found["spaced"].split()) == 2 and len(found["spaced"].split()[0]) == 1:
        return None  # "2 100 dollar bills": two numbers, or one
    return _written(found, factor)


def _bare(line: str) -> str:
    """Return the line without the marks and brackets around all of it."""
    while True:
        stripped = line.strip(" \t\n.,;:!?\"'*_#|")
        if re.match(r"\.\d", line):
            stripped = "." + stripped
        if len(stripped) > 1 and (stripped[0], stripped[-1]) in (("(", ")"), ("[", "]"), ("{", "}"), ("<", ">")):
            inner = stripped[1:-1]
            if not set("()[]{}<>") & set(inner):
                stripped = inner
        if stripped == line:
            return line
        line = stripped


def _written(found: re.Match[str], factor: int) -> str | None:
    sign = "-" if found["sign"] == "-" else ""
    whole, top, bottom, plain = (re.sub(r"[^0-9.]", "", found[name] or "") for name in ("whole", "top", "bottom", "plain"))
    plain = plain or re.sub(r"[^0-9.]", "", found["spaced"] or "")
    if whole:
        if not (top.isdigit() and bottom.isdigit()):
            return None
        top = str(int(whole) * int(bottom) + int(top))
    answer = sign + (f"{top}/{bottom}" if bottom else plain)
    exact = value(answer)
    if exact is None:
        return None
    if factor != 1:
        return written(exact * factor)
    return answer if "." not in bottom else written(exact)


def _exponent(line: str) -> str | None:
    """Read an exponent: 1e3."""
    if found := _POWER_OF_TEN.fullmatch(line):
        return written(Fraction(found[1]) * Fraction(10) ** int(found[2]))
    return None


def _calculated(line: str) -> str | None:
    """Return the value of a calculation. A range (10-12), a date and a ratio are none."""
    line = re.sub(r"(?<=\d)\s+[A-Za-z]{2}[A-Za-z\s]*$", "", line)
    if not _OPERATORS.fullmatch(line) or not re.search(r"[+*^]|\d\s*\(|/.*\)|\).*/", line) or re.search(r"\d\s+\d|!", line):
        return None
    try:
        exact = Parser(math_signs(line), MATH, CanonicalForms()).parse().value
    except (Unreadable, ValueError):
        return None
    answer = None if exact is None else written(exact)
    return answer if answer is not None and len(answer) <= MAX_DIGITS else None


_ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_SPELLED = {word: n for n, word in enumerate(_ONES.split())} | {word: 10 * n for n, word in enumerate(_TENS.split(), 2)}


def _spelled(line: str) -> str | None:
    """Read eighteen, twenty-five, two hundred and six, with a unit behind it."""
    total = current = 0
    words = re.findall(r"[a-z]+", line.lower()) if re.fullmatch(r"[A-Za-z\s,-]+[.!]?", line) else []
    seen = 0
    for word in words:
        if word in _SPELLED:
            current += _SPELLED[word]
        elif word == "hundred" and seen:
            current *= 100
        elif word in ("thousand", "million", "billion") and seen:
            total, current = total + current * _MAGNITUDES[word], 0
        elif word == "and" and seen:
            pass
        else:
            break
        seen += 1
    rest = words[seen:]
    if (
        not seen
        or set(rest) & {*_SPELLED, "half", "third", "quarter", "or", "to", "hundred", "and"}
        or words[seen - 1] == "and"
    ):
        return None
    return str(total + current)


_PLAIN = re.compile(r"-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:/[0-9]+(?:\.[0-9]+)?)?", re.ASCII)


def value(answer: str) -> Fraction | None:
    """Return the exact value of an answer's text, or None if it has none (not a number, or n/0)."""
    if len(answer) > MAX_DIGITS or not _PLAIN.fullmatch(answer):
        return None
    top, _, bottom = answer.partition("/")
    if bottom and not Fraction(bottom):
        return None
    return Fraction(top) / Fraction(bottom) if bottom else Fraction(top)

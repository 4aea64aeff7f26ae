r"""Answers that are no single number: one way of writing for LaTeX, and tuples, sets and intervals compared part by part.

plain_latex(r"\left( 3,\ \dfrac{\pi}2 \right]")  ->  r"(3,\frac{\pi}{2}]"
same_structure("(1, 2)", "(1, 2.0)")  ->  True        same_structure("(0,9)", "[0,9)")  ->  False
same_structure(r"3 < x \le 4", "(3,4]")  ->  True     same_structure(r"\sqrt{8}", r"2\sqrt{2}")  ->  None: it cannot tell
"""

import re
from functools import lru_cache

from eval.grading.numbers import number, one_line, value

_REPLACED = (
    (
        re.compile(r"(?<!\\)\\\\(?=(?:d?frac|left|right|le|leq|ge|geq|sqrt|pi|cdot|times|in|cup|infty|text)(?![a-zA-Z]))"),
        r"\\",
    ),  # escaped twice
    (re.compile(r"\\(?:left|right|bigl|bigr|Bigl|Bigr|big|Big|displaystyle|textstyle|limits)(?![a-zA-Z])"), ""),
    (re.compile(r"\\[,;:! ]|\\quad|\\qquad|~"), " "),
    (re.compile(r"\\[dtc]frac"), r"\\frac"),
    (re.compile(r"\\(?:text|mathrm|mathbf|textbf|mathit|textit|textrm|mbox|operatorname|boldsymbol)\s*\{([^{}]*)\}"), r"\1"),
    (re.compile(r"\\le(?:q|qslant)?(?![a-zA-Z])|≤|<="), "<= "),
    (re.compile(r"\\ge(?:q|qslant)?(?![a-zA-Z])|≥|>="), ">= "),
    (re.compile(r"\\lt(?![a-zA-Z])"), "<"),
    (re.compile(r"\\gt(?![a-zA-Z])"), ">"),
    (re.compile(r"\\ne(?:q)?(?![a-zA-Z])|≠|!="), "!="),
    (re.compile(r"∞"), r"\\infty"),
    (re.compile(r"\+\\infty"), r"\\infty"),
    (re.compile(r"π"), r"\\pi"),
    (re.compile(r"√(\d+)"), r"\\sqrt{\1}"),
    (re.compile(r"∪"), r"\\cup"),
    (re.compile(r"\\(?:lbrace|\{)"), "\x01"),
    (re.compile(r"\\(?:rbrace|\})"), "\x02"),
    (re.compile(r"\\frac\s*(\d)\s*(\d)"), r"\\frac{\1}{\2}"),
    (re.compile(r"\\frac\s*(\d)\s*\{"), r"\\frac{\1}{"),
    (re.compile(r"\\frac\s*(\{[^{}]*\})\s*([\da-zA-Z])"), r"\\frac\1{\2}"),
    (re.compile(r"\\sqrt\s*(\w)"), r"\\sqrt{\1}"),
    (re.compile(r"\\cdot|\\times"), "*"),
    (re.compile(r"(?<=\d)(?:\{,\}|,)(?=\d{3}(?!\d))(?![^()]*\))"), ""),  # thousands, not inside a tuple
    (re.compile(r"(?<=\{)(\d{1,3}),(\d{3})(?=\})"), r"\1\2"),
    (re.compile(r"\\[$%]|\$|\^\s*\{?\\circ\}?|°"), ""),
    (re.compile(r"\\[()\[\]]"), ""),
    (re.compile(r"([\^_])\s*\{(\w)\}"), r"\1\2"),
)
_LABEL = re.compile(r"^[A-Za-z](?:_\w|\([a-z]\))?\s*(?:=|\\in)\s*(?=\S)|^\([a-z](?:,[a-z])+\)\s*=\s*")
MAX_COMPARED = 1_000  # characters of an answer that is compared part by part
_CHOICE = re.compile(r"\(?([A-Z])\)?[.:]?")


@lru_cache(maxsize=16_384)
def plain_latex(text: str, labelled: bool = False) -> str:
    """Return an answer in one way of writing its LaTeX, without spaces, the marks around it, and (unless `labelled`) a label: x = ."""
    for pattern, by in _REPLACED:
        text = pattern.sub(by, text)
    if re.search(r"\\|\d", text):
        text = re.sub(r"\s*,?\s+(?:or|and)\s+", ",", text)
    text = re.sub(r"\s+", "" if "\\" in text or re.search(r"\d|[=+<>]", text) else " ", text.strip(" .;:\n\t*_`"))
    if found := _CHOICE.fullmatch(text):
        return found[1]
    while not labelled and (found := _LABEL.match(text)) and not re.search(r"(?<![<>!])=", text[found.end() :]):
        text = text[found.end() :]
    return _interval(text.casefold() if not re.search(r"[\\\d]", text) else text)


_SIDE = r"(-?(?:[\\\w./]|\{[^{}]*\})+)"
_BETWEEN = re.compile(rf"{_SIDE}(<=|<)(?:\\?[A-Za-z]+)(<=|<){_SIDE}")
_ONE_SIDE = re.compile(rf"(?:\\?[a-z]+)(<=|>=|<|>){_SIDE}|{_SIDE}(<=|>=|<|>)(?:\\?[a-z]+)")


def _interval(text: str) -> str:
    """Return the interval that an inequality of one unknown says; other text as it is."""
    if found := _BETWEEN.fullmatch(text):
        low, left, right, high = found.groups()
        return f"{'[' if left == '<=' else '('}{low},{high}{']' if right == '<=' else ')'}"
    if found := _ONE_SIDE.fullmatch(text):
        sign, bound = found[1] or {"<": ">", ">": "<", "<=": ">=", ">=": "<="}[found[4]], found[2] or found[3]
        if re.fullmatch(r"\\?[a-z]+", bound):
            return text
        if sign in (">", ">="):
            return f"{'(' if sign == '>' else '['}{bound},\\infty)"
        return f"(-\\infty,{bound}{')' if sign == '<' else ']'}"
    return text


_BASE = re.compile(r"(?<=\d)_\{?\d+\}?$")
_OPEN, _CLOSE = "([{\x01", ")]}\x02"


def parts(text: str) -> tuple[str, list[str]] | None:
    """Return the brackets and the parts of a tuple, interval or set; a bare list has the brackets of a set; None for a single thing."""
    kind = "\x01\x02"
    inner = text
    if text[:1] in tuple("([\x01") and text[-1:] in tuple(")]\x02") and _closes(text) == len(text) - 1:
        kind, inner = text[0] + text[-1], text[1:-1]
    found = _split(inner)
    if len(found) < 2 and kind != "\x01\x02":
        return None
    if len(found) < 2 and inner == text:
        return None
    return kind, found


def equations(gold: str, answer: str) -> tuple[str, str]:
    """Return two answers in one way of writing; where one is an equation, the other keeps its label: 2x+4y=3 and y = ..."""
    plain = plain_latex(gold), plain_latex(answer)
    if any(_EQUALS.search(text) for text in plain):
        return plain_latex(gold, True), plain_latex(answer, True)
    return plain


_EQUALS = re.compile(r"(?<![<>!])=")


def _closes(text: str) -> int:
    depth = 0
    for place, c in enumerate(text):
        depth += (c in _OPEN) - (c in _CLOSE)
        if not depth:
            return place
    return -1


def _split(text: str) -> list[str]:
    found, depth, start = [], 0, 0
    for place, c in enumerate(text):
        depth += (c in _OPEN) - (c in _CLOSE)
        if c in ",;" and not depth:
            found.append(text[start:place])
            start = place + 1
    return [*found, text[start:]]


def same_structure(answer: str, gold: str) -> bool | None:
    """Return whether two answers are the same, part by part; None where that needs algebra."""
    if max(len(answer), len(gold)) > MAX_COMPARED:
        return True if answer == gold else None
    a, g = plain_latex(answer), plain_latex(gold)
    if a == g:
        return True
    if _BASE.search(a) or _BASE.search(g):
        return a == _BASE.sub("", g)  # the base may be left out where the question names it, and nowhere else
    left, right = parts(a), parts(g)
    if left is None or right is None or re.search(r"\\pm|\.\.\.|\\ldots|(?<![<>!])=", a + g):
        return None
    ordered = left[0] != "\x01\x02"
    if left[0] != right[0] or (ordered and len(left[1]) != len(right[1])):
        return False  # an open interval is not a closed one, a pair no list of two
    if ordered:
        return _all([_same_part(x, y) for x, y in zip(left[1], right[1], strict=True)])
    rest, once = list(dict.fromkeys(right[1])), list(dict.fromkeys(left[1]))
    for x in once:
        match = next((y for y in rest if _same_part(x, y)), None)
        if match is None:
            return None if any(_same_part(x, y) is None for y in rest) else False
        rest.remove(match)
    return not rest


def _all(found: list[bool | None]) -> bool | None:
    return False if False in found else None if None in found else True


def _same_part(x: str, y: str) -> bool | None:
    if x == y:
        return True
    a, b = number(x, whole=True), number(y, whole=True)
    if a is not None and b is not None:
        return value(a) == value(b)
    if "\\infty" in (x.lstrip("+-"), y.lstrip("+-")):
        return False  # and the other is something else
    return same_structure(x, y) if parts(x) and parts(y) else None


def is_words(text: str) -> bool:
    """Return whether an answer is words, which are compared as text alone."""
    return re.fullmatch(r"[A-Za-z][A-Za-z\s,'-]+", one_line(text)) is not None


def is_short(text: str) -> bool:
    """Return whether words are few enough to be an answer."""
    return len(text.split()) <= 6

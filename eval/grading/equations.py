"""Check the calculations that a response writes down, and bring them into one canonical form.

An annotated equation stands in double angle brackets: ``48/2 = <<48/2=24>>24``. Its text comes from a model and
is hostile: eval/grading/expressions.py reads it. Python's own evaluation is never used, in either mode.

Two dialects:
- *paper*: what ``eval(left)`` and ``float(right)`` of the reference script would give (its calculator check:
  text before the first ``=`` against the text between the first and the second, difference below 1e-3).
  Every known difference from Python is a line in tests/cases/equations.yaml.
- *standard*: arithmetic as people write it: ``$1,000 * 20% = $200``, ``2(3+4) = 14``, ``3 × 4``, in exact fractions.
"""

import re
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from eval.grading.expressions import ALGEBRA, MATH, MAX_LENGTH, PYTHON, Parser, Unreadable, math_signs, python_line
from eval.grading.forms import CACHE_SIZE, CACHED_LENGTH, MAX_BITS, CanonicalForms

TOLERANCE = Fraction(1, 1000)
MOST_ROUNDED = Fraction(1, 4)  # of a value: 3 may stand for 8/3, 0 for 1/2 may not
_UNIT = re.compile(r"(?<=[0-9%)])\s+[A-Za-z]{2}[A-Za-z ]*(?=\s*(?:[-+*/=)]|$))")


class PythonNumbers:
    """Python's int and float arithmetic, with bounded whole numbers."""

    def number(self, text: str) -> int | float:
        plain = text.replace("_", "")
        if plain.isdigit():
            return int(plain)
        if plain[:2] in ("0x", "0X", "0o", "0O", "0b", "0B"):
            return int(plain, 0)
        return float(plain)

    def unknown(self, letter: str) -> int | float:
        raise Unreadable("a letter is no number")

    def unary(self, operator: str, x: int | float) -> int | float:
        if operator == "-":
            return -x
        if operator == "+":
            return x
        return ~_whole(x)

    def binary(self, operator: str, x: int | float, y: int | float) -> int | float:
        if isinstance(x, int) and isinstance(y, int):
            if operator == "*" and x.bit_length() + y.bit_length() > MAX_BITS:
                raise Unreadable("too large")
            if operator == "**" and abs(x) > 1 and x.bit_length() * y > MAX_BITS:
                raise Unreadable("too large")
        if operator == "**":
            power = x**y
            if isinstance(power, complex):
                raise Unreadable("a complex number")
            return power
        return _PYTHON[operator](x, y)


def _whole(x: int | float) -> int:
    if isinstance(x, int):
        return x
    raise Unreadable("a bit operation on a float")


_PYTHON: dict[str, Callable[[int | float, int | float], int | float]] = {
    "+": lambda x, y: x + y,
    "-": lambda x, y: x - y,
    "*": lambda x, y: x * y,
    "/": lambda x, y: x / y,
    "//": lambda x, y: x // y,
    "%": lambda x, y: x % y,
    "^": lambda x, y: _whole(x) ^ _whole(y),
    "&": lambda x, y: _whole(x) & _whole(y),
    "|": lambda x, y: _whole(x) | _whole(y),
}


def passes_paper(equation: str) -> bool:
    """Return whether the reference script's calculator check passes `equation` (the text between << and >>)."""
    return _passes_cached(equation) if len(equation) <= CACHED_LENGTH else _passes(equation)


# Two whole numbers, one operator, a whole result: most equations are this, and need no parser. The numbers are small
# enough for doubles to be exact, and both dialects read them alike.
_SIMPLE = re.compile(r" *(0|[1-9][0-9]{0,14}) *([-+*/]) *(0|[1-9][0-9]{0,14}) *= *(0|[1-9][0-9]{0,14}) *")


def _passes(equation: str) -> bool:
    if simple := _SIMPLE.fullmatch(equation):
        a, operator, b, c = simple.groups()
        if operator != "/":
            return _WHOLE[operator](int(a), int(b)) == int(c)
        return b != "0" and abs(int(a) / int(b) - int(c)) < 1e-3
    left, equals, rest = equation.partition("=")
    right = rest.partition("=")[0]
    if not equals or len(left) > MAX_LENGTH or len(right) > MAX_LENGTH:
        return False
    try:
        return abs(Parser(python_line(left), PYTHON, PythonNumbers()).parse() - float(right)) < 1e-3
    except (Unreadable, ArithmeticError, ValueError):
        return False


_WHOLE: dict[str, Callable[[int, int], int]] = {"+": int.__add__, "-": int.__sub__, "*": int.__mul__}
_passes_cached = lru_cache(maxsize=CACHE_SIZE)(_passes)


class Reading(NamedTuple):
    """An equation in standard mode: whether it holds, and its canonical text."""

    holds: bool
    canonical: str


_MARKS = re.compile(r"[\s$€£,]+")
_SHOWN = re.compile(r"[-+]?[0-9]*\.?([0-9]*)(%?)")


def read_standard(equation: str) -> Reading:
    """Return whether every link of `equation` holds, and its canonical form.

    A link a=b holds when |a - b| < 1e-3, or when b is a plain number and a rounds to it at the digits it shows
    (50/60=0.83), if that changes it by a quarter at most. Units in words are left out (5*3=15 dollars), and so is a last side that is
    empty (24/2=). An equation that cannot be read does not hold; its canonical form is then its text without spaces.
    """
    return _read_cached(equation) if len(equation) <= CACHED_LENGTH else _read(equation)


def _read(equation: str) -> Reading:
    if simple := _SIMPLE.fullmatch(equation):
        return _read_simple(*simple.groups())
    if len(equation) > MAX_LENGTH:
        return Reading(False, "".join(equation.split()))
    sides = _UNIT.sub("", math_signs(equation)).split("=")
    if len(sides) > 1 and not sides[-1].strip():
        sides.pop()  # <<24/2=>>12 claims nothing
        claims = len(sides) > 1
    else:
        claims = True
    try:
        forms = [Parser(side, MATH, CanonicalForms()).parse() for side in sides]
    except (Unreadable, ValueError):
        return Reading(False, "".join(equation.split()))
    canonical = "=".join(form.text() for form in forms)
    if len(sides) == 1:
        return Reading(not claims, canonical)
    holds = all(_link_holds(forms[i].value, forms[i + 1].value, sides[i + 1]) for i in range(len(sides) - 1))
    return Reading(holds, canonical)


def canonical_step(equation: str) -> str:
    """Return the canonical form of an equation that eval/grading/steps.py found, or its text if it is too long to be read."""
    return _step_cached(equation) if len(equation) <= CACHED_LENGTH else _step(equation)


def _step(equation: str) -> str:
    if simple := _SIMPLE.fullmatch(equation):
        return _read_simple(*simple.groups()).canonical
    try:
        return "=".join(Parser(side, ALGEBRA, CanonicalForms()).parse().text() for side in equation.split("="))
    except (Unreadable, ValueError):
        return equation


_step_cached = lru_cache(maxsize=CACHE_SIZE)(_step)


def _read_simple(a: str, operator: str, b: str, c: str) -> Reading:
    if operator in "+*" and b < a:
        a, b = b, a
    x, y, z = int(a), int(b), int(c)
    if operator != "/":
        holds = _WHOLE[operator](x, y) == z
    else:
        # Twice the difference against the divisor: c is the quotient rounded to a whole number; a half goes up or to even.
        twice = 2 * abs(x - y * z)
        rounds = twice < y or (twice == y and (y * z > x or z % 2 == 0))
        holds = y != 0 and ((rounds and 2 * twice <= x) or 500 * twice < y)
    return Reading(holds, f"{a}{operator}{b}={c}")


_read_cached = lru_cache(maxsize=CACHE_SIZE)(_read)


def _link_holds(left: Fraction | None, right: Fraction | None, shown: str) -> bool:
    if left is None or right is None:
        return False
    if left == right:
        return True
    difference = abs(left - right)
    if difference < TOLERANCE:
        return True
    plain = _SHOWN.fullmatch(_MARKS.sub("", shown))
    if plain is None or difference > abs(left) * MOST_ROUNDED:
        return False
    unit = Fraction(1, 10 ** (len(plain[1]) + (2 if plain[2] else 0)))
    if difference * 2 != unit:
        return difference * 2 < unit
    # Exactly half way: away from zero, or to the even digit, are both called rounding.
    return abs(right) > abs(left) or (right / unit) % 2 == 0

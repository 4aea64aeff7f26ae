"""The canonical form of an expression: equal for expressions that differ only in order and notation, with its exact value."""

from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

MAX_BITS = 4_096  # of an intermediate whole number; a double ends at 1,024
CACHED_LENGTH = 100  # longer texts are rare; they are read again each time, so that the caches stay small
CACHE_SIZE = 65_536


class Form(NamedTuple):
    """An expression's exact value (None if it has none) and its parts in canonical order.

    A sum is a list of ("+" or "-", text), a product a list of ("*" or "/", text); a number and an atom (a power,
    a whole quotient, a remainder) have one part.
    """

    value: Fraction | None
    kind: str  # "sum", "product", "number" or "atom"
    parts: tuple[tuple[str, str], ...]

    def text(self) -> str:
        """Return the form as text: parts that commute are sorted, so 3+4 and 4+3 read the same."""
        first = "*" if self.kind == "product" else "+"
        # The parts that are added (or multiplied) come first: 12*50/60.
        parts = sorted(self.parts, key=lambda part: (part[0] != first, part[1]))
        return "".join(operator + text for operator, text in parts).removeprefix(first)

    def inside(self, kind: str) -> tuple[tuple[str, str], ...]:
        """Return this form's parts as they stand within a larger sum or product."""
        if self.kind == kind:
            return self.parts
        text = self.text()
        if self.kind == "number" and kind == "sum" and text.startswith("-"):
            return (("-", text[1:]),)  # 5 + -3 is 5 - 3
        if self.kind == "sum":
            text = f"({text})"
        return (("+" if kind == "sum" else "*", text),)


class CanonicalForms:
    """Exact fractions together with a form that is equal for expressions that differ only in order and notation.

    Sums and products are flattened and sorted, a difference is a sum with a negative part, a quotient a product
    with an inverted one; numbers are written by value (0.20 and .2 are one). Nothing is calculated away.
    """

    def number(self, text: str) -> Form:
        return _cached_number(text) if len(text) <= CACHED_LENGTH else _number(Fraction(text.replace(",", "")))

    def unknown(self, letter: str) -> Form:
        return Form(None, "atom", (("+", letter),))

    def unary(self, operator: str, x: Form) -> Form:
        if operator == "+":
            return x
        if operator == "%":
            value = None if x.value is None else x.value / 100
            if x.kind == "number" and value is not None:
                return _number(value)
            return Form(value, "product", (*x.inside("product"), ("/", "100")))
        value = None if x.value is None else -x.value
        if x.kind == "number" and value is not None:
            return _number(value)
        return Form(value, "sum", _flipped(x.inside("sum"), "+-"))

    def binary(self, operator: str, x: Form, y: Form) -> Form:
        value = _value(operator, x.value, y.value)
        if operator in ("+", "-"):
            right = y.inside("sum")
            return Form(value, "sum", (*x.inside("sum"), *(right if operator == "+" else _flipped(right, "+-"))))
        if operator in ("*", "/"):
            right = y.inside("product")
            return Form(value, "product", (*x.inside("product"), *(right if operator == "*" else _flipped(right, "*/"))))
        return Form(value, "atom", (("+", f"({_operand(x)}{operator}{_operand(y)})"),))


def _number(value: Fraction) -> Form:
    return Form(value, "number", (("+", written(value)),))


@lru_cache(maxsize=CACHE_SIZE)
def _cached_number(text: str) -> Form:
    return _number(Fraction(text.replace(",", "")))


def _operand(x: Form) -> str:
    text = x.text()
    return f"({text})" if x.kind in ("sum", "product") or text.startswith("-") else text


def _flipped(parts: tuple[tuple[str, str], ...], pair: str) -> tuple[tuple[str, str], ...]:
    return tuple((pair[1] if operator == pair[0] else pair[0], text) for operator, text in parts)


def _value(operator: str, x: Fraction | None, y: Fraction | None) -> Fraction | None:
    if x is None or y is None:
        return None
    if _bits(x) + _bits(y) > MAX_BITS:
        return None
    if operator == "+":
        return x + y
    if operator == "-":
        return x - y
    if operator == "*":
        return x * y
    if operator == "**":
        return _power(x, y)
    if y == 0:
        return None
    if operator == "/":
        return x / y
    return Fraction(x // y) if operator == "//" else x % y


def _bits(x: Fraction) -> int:
    return x.numerator.bit_length() + x.denominator.bit_length()


def _power(x: Fraction, y: Fraction) -> Fraction | None:
    if y.denominator == 1:
        if (x == 0 and y < 0) or (x not in (-1, 0, 1) and abs(y.numerator) * _bits(x) > MAX_BITS):
            return None
        return x**y.numerator
    if x < 0 or _bits(x) > 1000 or abs(y) > 1000:
        return None
    try:
        return Fraction(float(x) ** float(y))
    except (OverflowError, ZeroDivisionError):
        return None


def written(value: Fraction) -> str:
    """Return the one way a value is written in keys: 0.2, 7, -3, and 1/3 where no decimal number is exact."""
    top, bottom = value.as_integer_ratio()
    twos = (bottom & -bottom).bit_length() - 1
    rest, fives = bottom >> twos, 0
    for step in (32, 1):
        while rest % 5**step == 0:
            rest, fives = rest // 5**step, fives + step
    places = max(twos, fives)
    if rest != 1 or not places:
        return str(value)
    digits = str(abs(top) * 10**places // bottom).rjust(places + 1, "0")
    return f"{'-' if top < 0 else ''}{digits[:-places]}.{digits[-places:]}"

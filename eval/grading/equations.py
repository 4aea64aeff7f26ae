"""Check the calculations that a response writes down, and bring them into one canonical form.

An annotated equation stands in double angle brackets: ``48/2 = <<48/2=24>>24``. Its text comes from a model and
is hostile: it is read by the small grammar below, which knows numbers, operators and parentheses and nothing
else, in bounded time. Python's own evaluation is never used, in either mode.

Two dialects:
- *paper*: what ``eval(left)`` and ``float(right)`` of the reference script would give (its calculator check:
  text before the first ``=`` against the text between the first and the second, difference below 1e-3).
  Every known difference from Python is a line in tests/cases/equations.yaml.
- *standard*: arithmetic as people write it: ``$1,000 * 20% = $200``, ``2(3+4) = 14``, ``3 × 4``, in exact fractions.

The file is long because it is one parser with the two algebras that it feeds; neither half can be understood, or changed, alone.
"""

import re
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import Generic, NamedTuple, Protocol, TypeVar

MAX_LENGTH = 1_000  # characters of one equation
MAX_DEPTH = 60  # nested parentheses, signs and powers
MAX_BITS = 4_096  # of an intermediate whole number; a double ends at 1,024
CACHED_LENGTH = 100  # longer equations are rare; they are read again each time, so that the caches stay small
CACHE_SIZE = 65_536
TOLERANCE = Fraction(1, 1000)

T = TypeVar("T")


class Unreadable(Exception):
    """The text is not an expression of the grammar, or too large to be worth reading."""


class Algebra(Protocol[T]):
    """What the parser builds while it reads: values, canonical forms, or both."""

    def number(self, text: str) -> T: ...
    def unary(self, operator: str, x: T) -> T: ...
    def binary(self, operator: str, x: T, y: T) -> T: ...


class Dialect(NamedTuple):
    token: re.Pattern[str]
    binding: dict[str, int]  # how tightly each binary operator binds
    signs: str
    implicit_product: bool  # 2(3+4)
    percent: bool  # a number may be followed by %, unless an operand comes next


_DIGITS = r"[0-9](?:_?[0-9])*"
_EXPONENT = rf"[eE][+-]?{_DIGITS}"
PYTHON = Dialect(
    re.compile(
        rf"""(?P<number>(?:
              (?:{_DIGITS})?\.{_DIGITS}(?:{_EXPONENT})?
            | {_DIGITS}\.(?:{_EXPONENT})?
            | {_DIGITS}{_EXPONENT}
            | 0[xX](?:_?[0-9a-fA-F])+ | 0[oO](?:_?[0-7])+ | 0[bB](?:_?[01])+
            | [1-9](?:_?[0-9])* | 0(?:_?0)*
            )(?![0-9A-Za-z_]))
          | (?P<operator>\*\*|//|[-+*/%^&|~()])
          | (?P<space>[ \t\f]+|\\\n(?!\Z)|\#[^\n]*)
          | (?P<newline>\n)""",
        re.VERBOSE,
    ),
    {"|": 1, "^": 2, "&": 3, "+": 5, "-": 5, "*": 6, "/": 6, "//": 6, "%": 6, "**": 8},
    signs="+-~",
    implicit_product=False,
    percent=False,
)
MATH = Dialect(
    re.compile(
        r"""(?P<number>(?:[0-9]+(?:,[0-9]{3})*(?![0-9])(?:\.[0-9]*)?|\.[0-9]+)(?![0-9]|,[0-9]))
          | (?P<operator>\*\*|//|[-+*/%^()])
          | (?P<space>[\s$€£]+)""",
        re.VERBOSE,
    ),
    {"+": 5, "-": 5, "*": 6, "/": 6, "//": 6, "%": 6, "**": 8, "^": 8},
    signs="+-",
    implicit_product=True,
    percent=True,
)
_SIGN_BINDING = 7
_AS_ASCII = str.maketrans(
    {"×": "*", "·": "*", "⋅": "*", "∗": "*", "÷": "/", "−": "-", "–": "-", "[": "(", "]": ")", "\u00a0": " "}
)
_LETTER_TIMES = re.compile(r"(?<=[0-9)%.])\s*[xX]\s*(?=[$€£0-9(.])")


class _Parser(Generic[T]):
    """Precedence climbing over the tokens of one text; recursion only into parentheses, signs and powers."""

    def __init__(self, text: str, dialect: Dialect, algebra: Algebra[T]) -> None:
        self.dialect, self.algebra = dialect, algebra
        self.tokens = _tokens(text, dialect)
        self.at = 0
        self.depth = 0

    def parse(self) -> T:
        value = self.expression(0)
        if self.at != len(self.tokens):
            raise Unreadable("something is left over")
        return value

    def peek(self) -> str:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else ""

    def expression(self, least: int) -> T:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unreadable("nested too deeply")
        value = self.operand()
        binding = self.dialect.binding
        while operator := self.peek():
            if operator == "%" and self.dialect.percent and not self.operand_follows():
                self.at += 1
                value = self.algebra.unary("%", value)
                if self.peek() == "%" and not self.operand_follows():
                    raise Unreadable("a percent of a percent")
                continue
            if operator == "(" and self.dialect.implicit_product:
                if binding["*"] < least:
                    break
                value = self.algebra.binary("*", value, self.expression(binding["*"] + 1))
                continue
            if operator not in binding or binding[operator] < least:
                break
            self.at += 1
            if operator in ("**", "^") and binding[operator] == 8:  # right-associative, and its right side may be signed
                value = self.algebra.binary("**", value, self.expression(_SIGN_BINDING))
            else:
                value = self.algebra.binary(operator, value, self.expression(binding[operator] + 1))
        self.depth -= 1
        return value

    def operand_follows(self) -> bool:
        after = self.tokens[self.at + 1] if self.at + 1 < len(self.tokens) else None
        return after is not None and (after[0] == "number" or after[1] == "(")

    def operand(self) -> T:
        if self.at == len(self.tokens):
            raise Unreadable("an operand is missing")
        kind, text = self.tokens[self.at]
        self.at += 1
        if kind == "number":
            return self.algebra.number(text)
        if text == "(":
            value = self.expression(0)
            if self.peek() != ")":
                raise Unreadable("a parenthesis is not closed")
            self.at += 1
            return value
        if text in self.dialect.signs:
            return self.algebra.unary(text, self.expression(_SIGN_BINDING))
        raise Unreadable(f"{text!r} is not an operand")


def _tokens(text: str, dialect: Dialect) -> list[tuple[str, str]]:
    if len(text) > MAX_LENGTH:
        raise Unreadable("too long")
    tokens: list[tuple[str, str]] = []
    at = depth = 0
    match = dialect.token.match
    while at < len(text):
        found = match(text, at)
        if found is None:
            raise Unreadable(f"{text[at]!r} is not part of an expression")
        at = found.end()
        kind = found.lastgroup or ""
        if kind == "space":
            continue
        if kind == "newline":
            # Python ends an expression at a line break outside parentheses; only blank lines may follow.
            if depth == 0:
                if _REST.fullmatch(text, at):
                    break
                raise Unreadable("a second line")
            continue
        token = found[kind]
        depth += (token == "(") - (token == ")")
        tokens.append((kind, token))
    return tokens


class PythonNumbers:
    """Python's int and float arithmetic, with bounded whole numbers."""

    def number(self, text: str) -> int | float:
        plain = text.replace("_", "")
        if plain.isdigit():
            return int(plain)
        if plain[:2] in ("0x", "0X", "0o", "0O", "0b", "0B"):
            return int(plain, 0)
        return float(plain)

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
        return abs(_Parser(_python_line(left), PYTHON, PythonNumbers()).parse() - float(right)) < 1e-3
    except (Unreadable, ArithmeticError, ValueError):
        return False


_WHOLE: dict[str, Callable[[int, int], int]] = {"+": int.__add__, "-": int.__sub__, "*": int.__mul__}
_passes_cached = lru_cache(maxsize=CACHE_SIZE)(_passes)

# Python's rules for lines: a blank or commented line may be indented, any other may not; a form feed takes the
# indentation back, and a backslash joins a line to the next one, if there is a next one.
_INDENTED = r"[ \t\f]*(?:\\\n(?!\Z)[ \t\f]*)*"
_FLUSH = r"(?:[ \t\f]*\f)?(?:\\\n(?!\Z)(?:[ \t\f]*\f)?)*"
_BLANK_LINES = rf"(?:{_INDENTED}(?:\#[^\n]*)?\n)*+"
_BEFORE = re.compile(_BLANK_LINES + _FLUSH)
_REST = re.compile(rf"{_BLANK_LINES}(?:{_INDENTED}\#[^\n]*|{_FLUSH})")


def _python_line(text: str) -> str:
    """Return the text from its first expression on, with line ends as Python's tokenizer sees them."""
    if "\0" in text:
        raise Unreadable("a NUL character")
    text = text.replace("\r\n", "\n").replace("\r", "\n").lstrip(" \t")
    before = _BEFORE.match(text)
    text = text[before.end() if before else 0 :]
    if text[:1] in (" ", "\t"):
        raise Unreadable("an indented line")
    return text


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


class Reading(NamedTuple):
    """An equation in standard mode: whether it holds, and its canonical text."""

    holds: bool
    canonical: str


_MARKS = re.compile(r"[\s$€£,]+")
_SHOWN = re.compile(r"[-+]?[0-9]*\.?([0-9]*)(%?)")


def read_standard(equation: str) -> Reading:
    """Return whether every link of `equation` holds, and its canonical form.

    A link a=b holds when |a - b| < 1e-3, or when b is a plain number and a rounds to it at the digits it shows
    (50/60=0.83). An equation that cannot be read does not hold; its canonical form is then its text without spaces.
    """
    return _read_cached(equation) if len(equation) <= CACHED_LENGTH else _read(equation)


def _read(equation: str) -> Reading:
    if simple := _SIMPLE.fullmatch(equation):
        return _read_simple(*simple.groups())
    if len(equation) > MAX_LENGTH:
        return Reading(False, "".join(equation.split()))
    text = _LETTER_TIMES.sub("*", equation.translate(_AS_ASCII))
    sides = text.split("=")
    try:
        forms = [_Parser(side, MATH, CanonicalForms()).parse() for side in sides]
    except (Unreadable, ValueError):
        return Reading(False, "".join(equation.split()))
    canonical = "=".join(form.text() for form in forms)
    if len(sides) == 1:
        return Reading(False, canonical)
    holds = all(_link_holds(forms[i].value, forms[i + 1].value, sides[i + 1]) for i in range(len(sides) - 1))
    return Reading(holds, canonical)


def _read_simple(a: str, operator: str, b: str, c: str) -> Reading:
    if operator in "+*" and b < a:
        a, b = b, a
    x, y, z = int(a), int(b), int(c)
    if operator != "/":
        holds = _WHOLE[operator](x, y) == z
    else:
        # Twice the difference against the divisor: c is the quotient rounded to a whole number; a half goes up or to even.
        twice = 2 * abs(x - y * z)
        holds = y != 0 and (twice < y or (twice == y and (y * z > x or z % 2 == 0)))
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
    if plain is None:
        return False
    unit = Fraction(1, 10 ** (len(plain[1]) + (2 if plain[2] else 0)))
    if difference * 2 != unit:
        return difference * 2 < unit
    # Exactly half way: away from zero, or to the even digit, are both called rounding.
    return abs(right) > abs(left) or (right / unit) % 2 == 0

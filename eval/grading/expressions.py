"""Read an expression: the grammar, in its dialects, and a parser that hands what it reads to an algebra.

The text comes from a model and is hostile: the grammar knows numbers, operators and parentheses and nothing else, and is read
in bounded time. Python's own evaluation is never used.

- PYTHON: what `eval` of the reference script would take for an expression.
- MATH: arithmetic as people write it: ``$1,000 * 20%``, ``2(3+4)``, ``3 * 4``. ALGEBRA: with letters, too: ``2*x + 3``.
"""

import re
from typing import Generic, NamedTuple, Protocol, TypeVar

MAX_LENGTH = 1_000  # characters of one expression
MAX_DEPTH = 60  # nested parentheses, signs and powers

T = TypeVar("T")


class Unreadable(Exception):
    """The text is not an expression of the grammar, or too large to be worth reading."""


class Algebra(Protocol[T]):
    """What the parser builds while it reads: values, canonical forms, or both."""

    def number(self, text: str) -> T: ...
    def unknown(self, letter: str) -> T: ...
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
# The arithmetic of eval/grading/steps.py: no commas, spaces or currency, and single letters that stand for numbers.
ALGEBRA = MATH._replace(
    token=re.compile(r"(?P<number>[0-9]+(?:\.[0-9]*)?|\.[0-9]+)|(?P<letter>[A-Za-z])|(?P<operator>[-+*/%^()])|(?P<space>\s+)")
)
_SIGN_BINDING = 7
_AS_ASCII = str.maketrans(
    {"×": "*", "·": "*", "⋅": "*", "∗": "*", "÷": "/", "−": "-", "–": "-", "[": "(", "]": ")", "\u00a0": " "}
)
_LETTER_TIMES = re.compile(r"(?<=[0-9)%.])\s*[xX]\s*(?=[$€£0-9(.])")


class Parser(Generic[T]):
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
        if kind == "letter":
            return self.algebra.unknown(text)
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


# Python's rules for lines: a blank or commented line may be indented, any other may not; a form feed takes the
# indentation back, and a backslash joins a line to the next one, if there is a next one.
_INDENTED = r"[ \t\f]*(?:\\\n(?!\Z)[ \t\f]*)*"
_FLUSH = r"(?:[ \t\f]*\f)?(?:\\\n(?!\Z)(?:[ \t\f]*\f)?)*"
_BLANK_LINES = rf"(?:{_INDENTED}(?:\#[^\n]*)?\n)*+"
_BEFORE = re.compile(_BLANK_LINES + _FLUSH)
_REST = re.compile(rf"{_BLANK_LINES}(?:{_INDENTED}\#[^\n]*|{_FLUSH})")


def python_line(text: str) -> str:
    """Return the text from its first expression on, with line ends as Python's tokenizer sees them."""
    if "\0" in text:
        raise Unreadable("a NUL character")
    text = text.replace("\r\n", "\n").replace("\r", "\n").lstrip(" \t")
    before = _BEFORE.match(text)
    text = text[before.end() if before else 0 :]
    if text[:1] in (" ", "\t"):
        raise Unreadable("an indented line")
    return text


def math_signs(text: str) -> str:
    """Return the text with the signs that MATH reads: × and a letter x between numbers as *, ÷ as /, every minus as -."""
    return _LETTER_TIMES.sub("*", text.translate(_AS_ASCII))

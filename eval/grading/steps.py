r"""Find the calculations that a text writes down in plain words or LaTeX.

    "$10/hour * 10 hours/day = $100/day"              ->  10*10=100
    r"\frac{100}{5} = 20, so $2x + 3 = 11$"           ->  (100)/(5)=20, 2*x+3=11
    "20% of 50 plus 5 equals 15"                      ->  20%*50+5=15

One pass over the tokens: an expression is operands with operators between them; words behind an operand are its unit, and any
other word, or a second number, begins anew. Sides that follow each other with = are one chain. A single letter is an unknown.
`missed` counts the results (a number behind a =) of calculations that could not be read whole: what the path does not show.
"""

import re
from typing import NamedTuple

MAX_UNIT = 8  # words behind a number
MAX_READ = 20_000  # characters of one text; what comes after counts as missed


class Steps(NamedTuple):
    """The equations of a text in order, without spaces and units; how many results they show, and how many were missed."""

    equations: list[str]
    shown: int
    missed: int


_LATEX = (
    (re.compile(r"\\\\(?:\[[^\]]*\])?"), "\n"),
    (
        re.compile(
            r"&|\\(?:left|right|displaystyle|quad|qquad|Rightarrow|implies|therefore|boxed|begin\{[^}]*\}|end\{[^}]*\})(?![a-zA-Z])|\\[,;:! ]"
        ),
        " ",
    ),
    (re.compile(r"\\(?:text|mathrm|mathbf|textbf|mathit|operatorname)\s*\{([^{}]*)\}"), r" \1 "),
    (re.compile(r"\\(?:times|cdot|ast)(?![a-zA-Z])"), "*"),
    (re.compile(r"\\div(?![a-zA-Z])"), "/"),
    (re.compile(r"\\(?:approx|simeq)(?![a-zA-Z])"), "="),
    (re.compile(r"\{,\}"), ","),
    (re.compile(r"\\[%$#]"), lambda found: "%" if found[0] == "\\%" else ""),
    (re.compile(r"\\[()\[\]]"), " "),
    (re.compile(r"\^\s*(?:\{\s*\\circ\s*\}|\\circ)"), " "),
)
_FRACTION = re.compile(r"\\[dtc]?frac\s*(?:\{([^{}]*)\}|(\d))\s*(?:\{([^{}]*)\}|(\d))")
_UNKNOWN = re.compile(r"\\[A-Za-z]+\s*(?:\{[^{}]*\})?|[√∑∏∫]")
_SIGNS = str.maketrans(
    {
        "×": "*",
        "·": "*",
        "⋅": "*",
        "∗": "*",
        "÷": "/",
        "−": "-",
        "–": "-",
        "≈": "=",
        "→": "\n",
        "[": "(",
        "]": ")",
        "\u00a0": " ",
        "\u202f": " ",
    }
)
_CURRENCY = re.compile(r"[$€£₹]|(?<!\d)\*\*|\*\*(?!\d)|__|`")
_ESCAPED = re.compile(r"\\n(?!(?:e|eq|u|ot|otin|abla|ewline|i)\b)")  # of a text that is JSON
_SPACED = re.compile(r"(?<=[$€£])\d{1,3}(?: \d{3})+(?!\d)")
_REMARK = re.compile(r"\((?=[^()]*[A-Za-z]{2})[^()\d=+*/^\0]*\)")  # 80 (Richie) + 60 (Mark)
_BULLET = re.compile(r"^[ \t]*(?:[-*•+]|\d+[.)])[ \t]+", re.MULTILINE)
_TOKEN = re.compile(
    r"[ \t_{}]*(?:(?P<word>[^\W\d_]+(?:['’-][^\W\d_]+)*)|(?P<number>(?:\d+(?:,\d{3})+(?![\d])|\d+)(?:\.\d+)?|\.\d+)"
    r"|(?P<sign>\*\*|[-+*/^=()%])|(?P<other>[^ \t_{}]))"
)
_SAID = {
    "plus": "+",
    "minus": "-",
    "times": "*",
    "multiplied": "*",
    "divided": "/",
    "of": "*",
    "equals": "=",
    "equal": "=",
    "is": "=",
    "x": "*",
    "X": "*",
}
_NEW_CLAUSE = ("and", "so", "then", "or", "which", "that", "because", "since")
_UNKNOWNS = frozenset("bcdefghjklmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ")


def plain(text: str) -> str:
    """Return the text without LaTeX, currency and markup; what is left of LaTeX cannot be read."""
    if "\\" in text or "&" in text:
        text = _ESCAPED.sub("\n", text)
        for pattern, by in _LATEX:
            text = pattern.sub(by, text)
        for _ in range(3):
            text = _FRACTION.sub(lambda found: f"(({found[1] or found[2]})/({found[3] or found[4]}))", text)
        text = _UNKNOWN.sub("\0", text)
    if not text.isascii() or "[" in text or "]" in text:
        text = text.translate(_SIGNS)
    if marked := any(sign in text for sign in "$€£₹`*_"):
        text = _SPACED.sub(lambda found: found[0].replace(" ", ""), text)
    if "(" in text:
        text = _REMARK.sub(" ", text)
    if marked:
        text = _CURRENCY.sub("", text)
    lines: list[str] = []
    for line in _BULLET.sub("", text).split("\n"):
        if line.lstrip().startswith("=") and lines:
            lines[-1] += f" {line}"  # a chain that goes on
        elif line.strip() or not lines or lines[-1].strip():
            lines.append(line)
    return "\n".join(lines)


def steps(text: str) -> Steps:
    """Return the equations of a text."""
    equations: list[str] = []
    shown, missed = 0, int(len(text) > MAX_READ)
    for line in plain(text[:MAX_READ]).split("\n"):
        if "=" in line or " equal" in line or " is " in line:
            found = _Line(line)
            equations += found.equations
            shown += found.shown
            missed += found.missed
    return Steps(equations, shown, missed)


class _Line:
    """One line, read token by token."""

    def __init__(self, line: str) -> None:
        self.equations: list[str] = []
        self.shown = self.missed = 0
        self.tokens = [(kind, m[kind], m.start(kind)) for m in _TOKEN.finditer(line) if (kind := m.lastgroup)]
        self.chain: list[str] = []
        self.restart()
        self.calculates = False  # whether the clause so far has digits with an operator: a result of it would be shown
        self.digits = False
        at = 0
        while at < len(self.tokens):
            kind, text, _ = self.tokens[at]
            if kind == "word" and len(text) > 1 and text not in _SAID:  # most of a text
                self.prose(text)
                at += 1
            else:
                at = self.take(at)
        self.end()

    def restart(self) -> None:
        self.parts: list[str] = []  # of the expression so far
        self.wants = True  # an operand, else an operator
        self.depth = 0
        self.unit = 0
        self.spoiled = False  # by something that cannot be read

    def end(self) -> None:
        """End the chain of sides, with what there is of the last one."""
        while self.wants and self.parts:
            last = self.parts.pop()
            self.depth -= last == "("
            self.wants = bool(self.parts) and self.parts[-1] in "+-*/^("
        if self.chain and self.parts and not self.spoiled:
            sides = [*self.chain, _balanced(self.parts)]
            if len(sides) > 2 and re.fullmatch(r"[A-Za-z]|[\d.]+", sides[0]):
                del sides[0]  # x = 11-3 = 8 is 11-3 = 8, and so is: his age in 3 years = 11-3 = 8
            if any(re.search(r"[-+*/^(].|%", side) for side in sides) or re.search(r"[A-Za-z]", "".join(sides[1:])):
                self.equations.append("=".join(sides))
                self.shown += len(sides) - 1
        self.chain = []
        self.restart()

    def next_is(self, at: int, *kinds: str) -> bool:
        return at + 1 < len(self.tokens) and (self.tokens[at + 1][0] in kinds or self.tokens[at + 1][1] in kinds)

    def take(self, at: int) -> int:
        kind, text, _ = self.tokens[at]
        if kind == "number":
            self.digits = True
            self.number(text.replace(",", ""))
        elif kind == "word":
            return self.word(text, at)
        elif kind == "sign":
            return self.sign(text, at)
        elif text == "\0":
            self.spoiled = self.calculates = self.digits = True
            self.wants = False
        else:
            self.end()
            if text in ".;:?!":
                self.calculates = self.digits = False
        return at + 1

    def number(self, text: str) -> None:
        if self.spoiled:
            self.wants = False
            return
        if not self.wants:
            if self.depth:
                self.restart()
                self.chain = []
            else:
                self.end()
        self.parts.append(text)
        self.wants, self.unit = False, 0

    def prose(self, text: str) -> None:
        """Take a word that is no operator and no unknown: of a unit, or before a number."""
        if self.spoiled:
            if text in _NEW_CLAUSE:
                self.restart()
        elif not self.wants:
            self.unit += 1
            if self.unit > MAX_UNIT:
                self.end()
        elif self.parts:  # words where a number should be: 5 + the rest
            self.broken_by_words()

    def broken_by_words(self) -> None:
        spoiled = bool(self.parts) and self.parts[-1] != "("
        if self.parts:
            self.chain = []
        self.restart()
        self.spoiled = spoiled

    def word(self, text: str, at: int) -> int:
        """Take a word that may be an operator or an unknown."""
        if self.spoiled:
            return at + 1
        said = _SAID.get(text)
        glued = at > 0 and self.tokens[at][2] == self.tokens[at - 1][2] + len(self.tokens[at - 1][1])
        operand = self.next_is(at, "number", "(", "-") or (self.next_is(at, "word") and self.tokens[at + 1][1] in _UNKNOWNS)
        if not self.wants:
            if text in ("multiplied", "divided") and self.next_is(at, "by"):
                return self.sign(said or "", at) + 1
            if text == "equal" and self.next_is(at, "to"):
                return self.sign("=", at) + 1
            if (
                said
                and said != "="
                and operand
                and self.parts
                and not (text == "of" and self.parts[-1] not in "%)" and "/" not in self.parts)
                and not (text in "xX" and glued and not self.next_is(at, "number", "("))
            ):
                return self.sign(said, at)
            if text == "equals" or (text == "is" and self.next_is(at, "number") and re.search(r"[-+*/%]", "".join(self.parts))):
                return self.sign("=", at)
            if (
                len(text) == 1
                and text in _UNKNOWNS
                and self.parts
                and (glued or self.parts[-1] == ")")
                and self.variable_follows(at)
            ):
                self.parts += ["*", text]
                return at + 1
            if text in _UNKNOWNS and self.next_is(at, "="):  # and x = 8
                self.end()
                self.parts, self.wants = [text], False
                return at + 1
            self.unit += 1
            if self.unit > MAX_UNIT:
                self.end()
            return at + 1
        if len(text) == 1 and text in _UNKNOWNS and self.variable_follows(at):
            self.parts.append(text)
            self.wants, self.unit = False, 0
            return at + 1
        self.broken_by_words()
        return at + 1

    def variable_follows(self, at: int) -> bool:
        """Return whether a letter is an unknown: an operator, a bracket, the end or a word that tells follows."""
        if at + 1 == len(self.tokens):
            return True
        kind, text, _ = self.tokens[at + 1]
        return kind in ("sign", "other") or (kind == "word" and (bool(self.parts) or len(text) == 1))

    def sign(self, text: str, at: int) -> int:
        if text == "=":
            return self.equals(at)
        if text in "+-*/^**%":
            self.calculates = self.calculates or self.digits
        if self.spoiled:
            return at + 1
        if self.wants:
            if not self.parts and text in "+-*/^" and at and self.tokens[at - 1][0] == "word":
                self.spoiled = True  # something in words: total + 5
            elif text == "(":
                self.parts.append(text)
                self.depth += 1
            elif text in "+-" and (not self.parts or self.parts[-1] in "(*/^+-"):
                self.parts.append(text)
            elif self.parts or text != ")":
                self.chain = []
                self.restart()
            return at + 1
        if text == ")":
            if self.depth:
                self.parts.append(text)
                self.depth -= 1
            return at + 1
        if text == "(":
            if self.unit:  # a remark: 5 apples (red)
                self.end()
            self.parts += ["*", "("] if self.parts else ["("]
            self.depth += 1
            self.wants = True
            return at + 1
        if text == "%":
            self.parts.append("%")
            return at + 1
        if text in "/-" and self.next_is(at, "word") and (len(self.tokens[at + 1][1]) > 1 or (text == "/" and self.unit)):
            return at + 2 if text == "/" or self.tokens[at + 1][2] == self.tokens[at][2] + 1 else self.broken(at)
        self.parts.append("^" if text == "**" else text)
        self.wants, self.unit = True, 0
        return at + 1

    def is_calculation(self, at: int) -> bool:
        """Return whether what follows a = is a calculation: then its own result is what is shown."""
        after = self.tokens[at + 1 : at + 6]
        return any(
            (kind == "sign" and text in "+*/(^") or (text == "-" and place)
            for place, (kind, text, _) in enumerate(after)
            if text != "="
        )

    def broken(self, at: int) -> int:
        self.chain = []
        self.restart()
        return at + 1

    def equals(self, at: int) -> int:
        numeric = self.next_is(at, "number") or (
            self.next_is(at, "-", "(") and at + 2 < len(self.tokens) and self.tokens[at + 2][0] == "number"
        )
        if self.parts and not self.wants and not self.spoiled:
            side = _balanced(self.parts)
            self.chain.append(side)
            self.restart()
        else:
            if numeric and self.calculates and not self.is_calculation(at):
                self.missed += 1
            self.chain = []
            self.restart()
        self.calculates = self.digits = False
        return at + 1


def _balanced(parts: list[str]) -> str:
    """Return an expression's text without brackets that nothing closes."""
    opened: list[int] = []
    for place, part in enumerate(parts):
        if part == "(":
            opened.append(place)
        elif part == ")" and opened:
            opened.pop()
    unclosed = set(opened)
    left = [part for place, part in enumerate(parts) if place not in unclosed]
    # The product that an unclosed bracket stood for is a product still: 2*(3+4 is 2*3+4.
    return "".join(left)

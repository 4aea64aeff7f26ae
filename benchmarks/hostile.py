r"""Whether any text a model could write makes the grader fail, run something, or take long.

    python -m benchmarks.hostile [--strings 500000] [--seed 0] [--check] [--json]

Strings from a fuzzer that knows the grammar (equations, answers, numbers) and how to abuse it go through read_answers and
read_paths in both modes. No exception may come out, no code may run, and no string may take more than 50 ms of CPU.
Long strings go through one by one, short ones in batches; a batch that takes long is halved until the string is found.
"""

import argparse
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

os.environ["POLARS_MAX_THREADS"] = "1"  # CPU time is then that of the work alone

import polars as pl

from eval.grading import equations
from eval.grading.paths import read_paths
from eval.grading.rules import RULES, Mode

STRINGS = 500_000
BOUND = 50.0  # ms of CPU for one string, all four readings together
BATCH = 100
ALONE = 10_000  # characters from which a string is read alone
MODES: tuple[Mode, ...] = ("paper", "standard")
FORBIDDEN = frozenset(
    ("compile", "exec", "open", "os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "import", "socket.connect")
)

# -- the strings ------------------------------------------------------------------------------------------------------

_DIGITS = ("0123456789", "٠١٢٣٤٥٦٧٨٩", "०१२३४५६७८९", "０１２３４５６７８９", "𝟘𝟙𝟚𝟛𝟜𝟝𝟞𝟟𝟠𝟡", "²³¹", "①②③", "½¼¾", "一二三")
_SIGNS = ("-", "+", "−", "–", "‐", "﹣", "－", "±", "--", "- ", "$-", "-$", "")
_OPERATORS = (
    *"+-*/%^&|~=<>×÷·⋅∗xX[](),.;:#@",
    *("//", "**", "<<", ">>", "==", "!=", r"\times", r"\div", r"\cdot", ":=", "and", "or", "not", "in", "is", "if"),
)
_MONEY = ("$", "€", "£", "¥", "\\$", "%", "")
_CODE = (
    "__import__('os').system('touch hostile')",
    "open('hostile','w')",
    "exec('1')",
    "(lambda: 1)()",
    "[x for x in range(10**9)]",
    "print(1)",
    "().__class__.__bases__[0].__subclasses__()",
    "f'{1}'",
    "1 if 1 else 2",
    "breakpoint()",
    "10**10**10",
    "1<<10**10",
    "'a'*10**9",
)
_ODD = (
    "\0",
    "\u200b",
    "\u202e",
    "\ufeff",
    "\u00a0",
    "\u202f",
    "\r",
    "\x0b",
    "\x0c",
    "\x1c",
    "\u2028",
    "\t",
    "\x7f",
    "e\u0301",
    "🎉",
    "\ud7ff",
)
_LATEX = (
    r"\frac{",
    r"\dfrac{",
    r"\boxed{",
    r"\text{",
    r"\left(",
    r"\right)",
    r"\,",
    r"\!",
    r"{,}",
    "}",
    "}{",
    r"\(",
    r"\)",
    "$$",
    "^{2}",
    "_",
    r"\sqrt{",
)
_WORDS = (
    "the",
    "answer",
    "is",
    "so",
    "then",
    "total",
    "Answer:",
    "answer",
    "is:",
    "ANSWER",
    "IS",
    "dollars",
    "apples",
    "per",
    "each",
    "hour",
    "of",
    "A:",
    "x",
    "y",
    "and",
)


class _Fuzzer:
    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.any = dice.choice

    def number(self) -> str:
        kind, dice = self.dice.random(), self.dice
        if kind < 0.5:
            return str(dice.randint(0, 10 ** dice.randint(1, 6)))
        if kind < 0.6:
            digits = self.any(_DIGITS)
            return "".join(dice.choices(digits, k=dice.randint(1, 8)))
        if kind < 0.7:
            return f"{dice.randint(0, 999)}{self.any(('.', ',', '.5.', ',,', '..', ' ', '_', '__', ',000', ',00', ' 000'))}{dice.randint(0, 999)}"
        if kind < 0.78:
            return self.any(
                (
                    "1e5",
                    "1e400",
                    "1e-400",
                    "1E+",
                    "0x1F",
                    "0b11",
                    "0o17",
                    "0x",
                    "1_000",
                    "007",
                    "1j",
                    ".5",
                    "5.",
                    ".",
                    "inf",
                    "nan",
                    "1e9999999999",
                    "٣.٥",
                )
            )
        if kind < 0.8:
            return self.any("0123456789") * dice.choice((20, 300, 309, 310, 400, 401, 999, 1_000, 1_001, 4_300, 4_301, 5_000))
        if kind < 0.9:
            return f"{dice.randint(0, 99)}/{dice.randint(0, 99)}"
        if kind < 0.95:
            return f"{dice.randint(0, 99)}%"
        return f"{self.any(_MONEY)}{dice.randint(0, 9_999):,}"

    def expression(self, depth: int = 3) -> str:
        kind, dice = self.dice.random(), self.dice
        if depth == 0 or kind < 0.3:
            return self.any(_SIGNS) * (dice.random() < 0.2) + self.number()
        if kind < 0.75:
            return self.any(("", " ")).join((self.expression(depth - 1), self.any(_OPERATORS), self.expression(depth - 1)))
        if kind < 0.85:
            return f"({self.expression(depth - 1)})"
        if kind < 0.88:
            n = dice.choice((10, 29, 30, 59, 60, 61, 100, 400, 2_000))
            return "(" * n + self.number() + ")" * dice.choice((n, n, n - 1, n + 1, 0))
        if kind < 0.91:
            return self.any(("-", "+", "~", "- ", "−")) * dice.choice((10, 59, 60, 61, 500, 999)) + self.number()
        if kind < 0.94:
            return self.any(("**", "^", "*", "+", "-", "/", "%", "//")).join(
                self.any(("9", "99999", "0.5", "2", "(3)")) for _ in range(dice.choice((3, 10, 60, 200, 333)))
            )
        if kind < 0.96:
            return self.any(_CODE)
        return self.any(_LATEX) + self.expression(depth - 1) + self.any(("", "}", "}{7}", ")"))

    def equation(self) -> str:
        sides = [self.expression(self.dice.randint(0, 3)) for _ in range(self.dice.choice((1, 2, 2, 2, 2, 2, 3, 5)))]
        return self.any(("=", "=", "=", " = ", "==", "=\n")).join(sides)

    def annotation(self) -> str:
        opening, closing = (
            self.any(("<<", "<<", "<<", "<<", "<", "<<<", "< <", "<<<<")),
            self.any((">>", ">>", ">>", ">>", ">", "", ">>>", "> >")),
        )
        return opening + self.equation() + closing

    def answer(self) -> str:
        lead = self.any(
            (
                "#### ",
                "#### ",
                "####",
                "### ",
                "##### ",
                "####\n",
                "#### \\boxed{",
                "\\boxed{",
                "the answer is ",
                "The answer is: $",
                "ANSWER  IS\t",
                "A: ",
                "#### **",
                "#### x = ",
            )
        )
        return (
            lead
            + self.any(_SIGNS) * (self.dice.random() < 0.3)
            + self.any(_MONEY)
            + self.any((self.number, self.number, self.number, self.expression))()
            + self.any(("", "", ".", "}", " dollars", "%", "**", " 000 000", "/0", "/", " 1/2"))
        )

    def piece(self) -> str:
        kind = self.dice.random()
        if kind < 0.35:
            return self.annotation()
        if kind < 0.55:
            return self.equation()
        if kind < 0.7:
            return self.answer()
        if kind < 0.8:
            return " ".join(self.dice.choices(_WORDS, k=self.dice.randint(1, 8)))
        if kind < 0.88:
            return self.any(_ODD)
        if kind < 0.94:
            return str(self.any(_LATEX))
        return str(self.any(_OPERATORS))

    def short(self) -> str:
        return self.any(("", " ", "\n")).join(self.piece() for _ in range(self.dice.randint(1, 8)))

    def long(self) -> str:
        """Return one of the shapes that make careless readers slow, of up to 100 kB."""
        dice, size = self.dice, self.dice.choice((3_000, 10_000, 30_000, 100_000))
        unit = self.any(
            (
                *(
                    "1",
                    "9,",
                    "1 ",
                    "(",
                    ")",
                    "<",
                    ">",
                    "<<",
                    "<<1",
                    "<<1=1>>",
                    ">><<",
                    "=",
                    "1=",
                    "1+",
                    "+1",
                    "-",
                    "#",
                    "####",
                    "#### ",
                    "#### 1",
                    "$",
                    "*",
                    "_",
                    "{",
                    "\\",
                    "\\boxed{",
                ),
                *(
                    "\\boxed{1",
                    "\\boxed{a=",
                    "\\frac{1",
                    "\\frac{1}{2}",
                    "answer is ",
                    "the answer is: ",
                    " ",
                    "\t",
                    "\n",
                    "\0",
                    "a",
                    "1 a",
                    "1 apples + ",
                    "$1,000",
                    "1,000",
                    "1 000",
                    ".5",
                    "1.",
                    "1/2 ",
                ),
                *(
                    "1x1",
                    "1 x ",
                    "2(3)",
                    "%",
                    "1%",
                    "1 + 1 = 2\n",
                    "3*4=12 ",
                    "٣",
                    "−",
                    "é",
                    "🎉",
                    "{,}",
                    "\\,",
                    "\\$",
                    "text {",
                    "1+(",
                    "9**",
                    "1\\times 1=",
                    "5 apples * 2 = 10 ",
                ),
                self.piece(),
                self.annotation(),
                self.equation(),
            )
        )
        kind = dice.random()
        if kind < 0.4:
            return (unit * (size // max(len(unit), 1) + 1))[:size]
        if kind < 0.6:  # thousands of annotations, each another one
            return "".join(
                f"<<{dice.randint(0, 999)}{self.any('+-*/')}{n}={dice.randint(0, 9999)}>>" for n in range(size // 20)
            )
        if kind < 0.75:
            body = (unit * (size // max(len(unit), 1) + 1))[:size]
            return (
                self.any(("<<", "#### ", "\\boxed{", "answer is ", "", "1"))
                + body
                + self.any((">>", "=1>>", "}", "=2", "\n#### 7", ""))
            )
        return self.any(("", " ", "\n")).join(self.piece() for _ in range(size // 40))[:size]


def strings(n: int, seed: int) -> Iterator[str]:
    """Yield `n` strings; one of 250 is long."""
    dice = random.Random(f"hostile:{seed}")
    fuzzer = _Fuzzer(dice)
    for number in range(n):
        text = fuzzer.long() if number % 250 == 0 else fuzzer.short()
        yield text.encode("utf-8", "ignore").decode()  # lone surrogates cannot come out of a UTF-8 file


# -- reading them -----------------------------------------------------------------------------------------------------


def read(texts: list[str]) -> None:
    """Read the texts with everything there is, and check the shape of what comes back."""
    series = pl.Series("response", texts, dtype=pl.String)
    for mode in MODES:
        answers, paths = RULES[mode].read_answers(series), read_paths(series, RULES[mode])
        assert answers.height == paths.height == len(texts)
        assert not paths["bad_equation"].null_count()


def cpu_ms(texts: list[str]) -> float:
    """Return the CPU time that reading the texts takes when none of their equations was seen before."""
    for remembered in vars(equations).values():
        if hasattr(remembered, "cache_clear"):
            remembered.cache_clear()
    started = time.process_time()
    read(texts)
    return (time.process_time() - started) * 1000


class Slow(NamedTuple):
    ms: float
    text: str


class Trial:
    """Reads batches, finds the slowest strings, and counts what must not happen."""

    def __init__(self, clock: Callable[[list[str]], float] = cpu_ms) -> None:
        self.clock = clock
        self.slowest: list[Slow] = []
        self.failures: list[tuple[str, str]] = []
        self.events: Counter[str] = Counter()
        self.reading = False
        sys.addaudithook(self._audit)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.reading and event in FORBIDDEN:
            self.events[f"{event} {str(arguments)[:80]}"] += 1

    def take(self, texts: list[str]) -> None:
        """Read the texts together; halve them if something fails or it takes long."""
        self.reading = True
        try:
            ms = self.clock(texts)
            failed = ""
        except Exception as error:
            ms, failed = 0.0, f"{type(error).__name__}: {error}"
        finally:
            self.reading = False
        if len(texts) == 1:
            if failed:
                self.failures.append((failed, texts[0]))
            # A clock of other programs' noise: the least of three counts.
            if ms > BOUND / 2:
                ms = min(ms, self.clock(texts), self.clock(texts))
            self.slowest = sorted([*self.slowest, Slow(ms, texts[0])], reverse=True)[:5]
        # If all of them together take less than the slowest one so far, so does each.
        elif failed or ms > min(BOUND, self.slowest[0].ms if self.slowest else 0):
            self.take(texts[: len(texts) // 2])
            self.take(texts[len(texts) // 2 :])


def measure(n: int, seed: int) -> dict[str, Any]:
    read(
        ["#### 1", "<<1+1=2>>2", "1 + 1 = 2", "the answer is ٣ or \\boxed{\\frac{1}{2}}"]
    )  # what is imported late is imported now
    trial, batch, alone = Trial(), [], 0
    started = time.process_time()
    for text in strings(n, seed):
        if len(text) >= ALONE:
            trial.take([text])
            alone += 1
            continue
        batch.append(text)
        if len(batch) == BATCH:
            trial.take(batch)
            batch = []
    trial.take(batch)
    return {
        "strings": n,
        "read_alone": alone,
        "seconds": round(time.process_time() - started, 1),
        "failures": [{"error": error, "string": text[:200]} for error, text in trial.failures[:5]],
        "failed": len(trial.failures),
        "ran": dict(trial.events) | ({"a file was made": 1} if os.path.exists("hostile") else {}),
        "slowest": [{"ms": round(ms, 2), "length": len(text), "string": text[:80]} for ms, text in trial.slowest],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Read hostile strings.")
    parser.add_argument("--strings", type=int, default=STRINGS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--check", action="store_true", help=f"exit with 1 if one fails, runs something or takes over {BOUND:.0f} ms"
    )
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = measure(given.strings, given.seed)
    if given.json:
        print(json.dumps(found, indent=1))
    else:
        print(
            f"{found['strings']:,} strings, {found['read_alone']:,} of them alone, in {found['seconds']} s of CPU (both modes)"
        )
        print(f"exceptions: {found['failed']}; things that ran: {sum(found['ran'].values())}; the slowest strings:")
        for slow in found["slowest"]:
            print(f"  {slow['ms']:8.2f} ms  {slow['length']:7,} characters  {slow['string']!r}")
        for failure in found["failures"]:
            print(f"  {failure['error']}: {failure['string']!r}")
    sound = not found["failed"] and not found["ran"] and found["slowest"][0]["ms"] <= BOUND
    if given.check and not sound:
        print(f"not as stated: no exception, nothing run, none above {BOUND:.0f} ms", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

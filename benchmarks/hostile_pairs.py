r"""Whether any pair of answers in LaTeX makes the comparison of mode: math fail, hang, grow, or leave a process behind.

    python -m benchmarks.hostile_pairs [--pairs 20000] [--start 0] [--seed 0] [--seconds 1] [--check] [--json]

Pairs from a fuzzer of LaTeX (towers of powers, factorials, nested roots, matrices, sets, sums, unclosed braces, code, odd letters, and
small changes of one answer) are read and compared by their structure, and the rest by the checker's processes with --seconds of
processor time for a pair. No exception may come out, nothing may run, no process may be left, and this process may not grow.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from eval.grading.grade import UNDECIDED, compare
from eval.grading.rules import MATH
from eval.grading.symbolic import decide
from registry.maker import Pair

PAIRS, SECONDS, GROWTH = 20_000, 1, 50  # MB of growth that are none: what is imported late, and the allocator's own
AT_ONCE = 2_000

_NAMES = ("x", "y", "n", "k", "a", r"\pi", r"\theta", "e", "i", r"\infty", r"\alpha", "xy", "O", "S", "E", "N", "Q", "lambda")
_NUMBERS = (
    "0",
    "1",
    "2",
    "7",
    "10",
    "100",
    "3.5",
    "0.001",
    "1,000",
    "2,5",
    "-4",
    "9" * 30,
    "9" * 400,
    "1e400",
    "٣",
    "½",
    r"\frac12",
)
_RARE = 0.002  # of the choices that are monsters: a pair with one may cost two whole limits
_LARGE = ("9" * 30, "9" * 400, "1e400", "170!", "100000000")
_POWERS = ("{2}", "{-1}", "{1/2}", "{x}", "\\circ", "{\\infty}", "2^2^2", "{}")
_TOWERS = ("{10^{10}}", "{9^{9^{9}}}", "{10000000}")
_CODE = (
    "__import__('os').system('touch hostile')",
    r"\text{__import__('os').system('touch hostile')}",
    "lambda: 1",
    "().__class__",
    r"\input{/etc/passwd}",
    "exec('x')",
    "$" * 20,
    "\0",
    "\u202e",
    r"\\\\",
    "{" * 80,
    "(" * 80,
    "}" * 20,
    r"\left(" * 50,
    r"\begin{matrix}" * 20,
)


class _Fuzzer:
    """Writes LaTeX, mostly wrong."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice

    def atom(self) -> str:
        return self.dice.choice(_NAMES if self.dice.random() < 0.4 else self.rarely(_LARGE, _NUMBERS))

    def rarely(self, monsters: Sequence[str], others: Sequence[str]) -> Sequence[str]:
        return monsters if self.dice.random() < _RARE else others

    def text(self, depth: int) -> str:
        """Return an expression that nests up to `depth` deep."""

        def inner() -> str:
            return self.text(depth - 1)

        pick = self.dice.randrange(20)
        if depth <= 0 or pick < 3:
            return self.atom()
        forms = {
            3: lambda: rf"\frac{{{inner()}}}{{{inner()}}}",
            4: lambda: rf"\sqrt[{self.atom()}]{{{inner()}}}",
            5: lambda: f"{inner()}^{self.dice.choice(self.rarely(_TOWERS, _POWERS))}",
            6: lambda: f"({self.atom()})!",
            7: lambda: rf"\sum_{{k=1}}^{{{self.atom()}}} {inner()}",
            8: lambda: rf"\int_{{{self.atom()}}}^{{{self.atom()}}} {inner()} dx",
            9: lambda: r"\begin{pmatrix}" + r" \\ ".join(f"{inner()} & {inner()}" for _ in range(2)) + r"\end{pmatrix}",
            10: lambda: rf"\{{{', '.join(inner() for _ in range(self.dice.randint(1, 6)))}\}}",
            11: lambda: f"{self.dice.choice('([')}{inner()}, {inner()}{self.dice.choice(')]')}",
            12: lambda: rf"{inner()} \cup {inner()}",
            13: lambda: (
                rf"{inner()} {self.dice.choice(['<', '>', '=', chr(92) + 'le', chr(92) + 'ne', chr(92) + 'in'])} {inner()}"
            ),
            14: lambda: (
                rf"\{self.dice.choice(['sin', 'log', 'ln', 'arctan', 'gcd', 'lfloor', 'binom', 'overline'])}{{{inner()}}}"
            ),
            15: lambda: rf"\text{{{inner()}}}",
            16: lambda: self.dice.choice(_CODE),
        }
        if pick in forms:
            return forms[pick]()
        return f" {self.dice.choice(['+', '-', '*', '/', chr(92) + 'cdot', chr(92) + 'pm', '', '%'])} ".join((inner(), inner()))

    def pair(self) -> Pair:
        """Return a gold answer and another: the same a little changed, or a different one."""
        gold = self.text(self.dice.randint(1, 4))[:2_000]
        if self.dice.random() < 0.5:
            return gold, self.text(self.dice.randint(1, 4))[:2_000]
        at = self.dice.randrange(len(gold) + 1)
        return gold, gold[:at] + self.dice.choice(("", " ", "{", "}", "\\", "1", "^", "x", "(", ",")) + gold[
            at + self.dice.randint(0, 1) :
        ]


def pairs(n: int, seed: int) -> list[Pair]:
    """Return `n` pairs, all different, as they could come out of a file."""
    fuzzer = _Fuzzer(random.Random(f"pairs:{seed}"))
    made: dict[Pair, None] = {}
    while len(made) < n:
        gold, answer = fuzzer.pair()
        if gold.strip() and answer.strip():
            made[gold, answer] = None
    return list(made)


def resident_mb() -> float:
    """Return the memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def children() -> int:
    """Return how many processes this one has, that of multiprocessing itself aside."""
    found = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return sum(b"resource_tracker" not in Path(f"/proc/{pid}/cmdline").read_bytes() for pid in found)


def measure(n: int, start: int, seed: int, seconds: int) -> dict[str, Any]:
    said: Counter[str] = Counter()
    failures: list[str] = []
    slowest: list[tuple[float, Pair]] = []
    made, first, started = pairs(n, seed), 0.0, time.monotonic()
    for at in range(start, n, AT_ONCE):
        batch = made[at : at + AT_ONCE]
        golds, answers = (pl.Series([pair[side] for pair in batch], dtype=pl.String) for side in (0, 1))
        try:
            compared = compare(answers, golds, MATH, tolerance=0.0)["compared_by"].fill_null("words").to_list()
            said.update(by for by in compared if by != UNDECIDED)
            last = time.monotonic()
            for pair, equal in decide([p for p, by in zip(batch, compared, strict=True) if by == UNDECIDED], seconds=seconds):
                said["undecided" if equal is None else "symbolic: equal" if equal else "symbolic: different"] += 1
                slowest = sorted([*slowest, (time.monotonic() - last, pair)], reverse=True)[:5]
                last = time.monotonic()
        except Exception as error:
            failures.append(f"{type(error).__name__}: {error}"[:200])
        first = first or resident_mb()
        print(
            f"{at + len(batch):,} of {n:,} pairs, {time.monotonic() - started:.0f} s: {len(failures)} exceptions, "
            f"{said['undecided']:,} undecided, {children()} processes, {resident_mb() - first:+.1f} MB",
            file=sys.stderr,
            flush=True,
        )
    return {
        "pairs": n - start,
        "seconds": round(time.monotonic() - started, 1),
        "said": dict(sorted(said.items())),
        "failures": failures,
        "ran": os.path.exists("hostile"),
        "processes_left": children(),
        "grown_mb": round(resident_mb() - first, 1),
        "longest_waits": [{"seconds": round(s, 2), "gold": gold[:60], "answer": answer[:60]} for s, (gold, answer) in slowest],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare hostile pairs of answers.")
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--start", type=int, default=0, help="leave out so many of them, which another run has compared")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=int, default=SECONDS, help="of processor time for a pair")
    parser.add_argument(
        "--check", action="store_true", help="exit with 1 if one fails, runs something, or leaves something behind"
    )
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # where a file of hostile code would be made
        found = measure(given.pairs, given.start, given.seed, given.seconds)
    if given.json:
        print(json.dumps(found, indent=1))
    else:
        print(
            f"{found['pairs']:,} pairs in {found['seconds']:,} s: "
            + ", ".join(f"{n:,} {by}" for by, n in found["said"].items())
        )
        print(
            f"exceptions: {len(found['failures'])}; things that ran: {int(found['ran'])}; processes left: {found['processes_left']}; "
            f"this process grew by {found['grown_mb']} MB after the first {AT_ONCE:,}; the longest waits for an answer:"
        )
        for wait in found["longest_waits"]:
            print(f"  {wait['seconds']:6.2f} s  {wait['gold']!r} and {wait['answer']!r}")
        for failure in found["failures"]:
            print(f"  {failure}")
    sound = not (found["failures"] or found["ran"] or found["processes_left"]) and found["grown_mb"] <= GROWTH
    sound &= sum(found["said"].values()) == found["pairs"]
    if given.check and not sound:
        print("not as stated: no exception, nothing run, no process left, no growth, an answer for every pair", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

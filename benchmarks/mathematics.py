r"""Comparing MATH-like answers of a pool, against math-verify called row by row.

    python -m benchmarks.mathematics [--questions 500] [--samples 200] [--seed 0] [--check]

A pool as models write one: for each question a gold (numbers, fractions, roots, pairs, intervals, polynomials) and samples that
repeat a few answers in several notations, half of them right. The baseline parses and verifies every pair in this process, a
part of the rows, and its time is scaled to all. Where the two differ is printed: math-verify takes a point for a closed interval.
"""

import argparse
import logging
import random
import sys
import time

import polars as pl

from eval.grading.grade import UNDECIDED, compare
from eval.grading.numbers import number
from eval.grading.rules import MATH
from eval.grading.symbolic import decide
from registry.maker import Decided

BASELINE = 1_500  # rows
LEAST = 50.0  # times the baseline, with --check


def question(dice: random.Random) -> tuple[str, list[str], list[str]]:
    """Return a gold, notations of it, and wrong answers."""
    a, b, c = dice.randint(2, 30), dice.randint(2, 12), dice.choice((2, 3, 5, 7))
    kind = dice.random()
    if kind < 0.5:
        return str(a * b), [str(a * b), f"{a * b}.0", f"x={a * b}"], [str(a * b + 1), str(a + b), f"{a}"]
    if kind < 0.65:
        return (
            rf"\frac{{{a}}}{{{b + 31}}}",
            [rf"\dfrac{{{a}}}{{{b + 31}}}", f"{a}/{b + 31}"],
            [rf"\frac{{{b}}}{{{a + 31}}}", "1"],
        )
    if kind < 0.75:
        return rf"{a}\sqrt{{{c}}}", [rf"{a}\sqrt{{{c}}}", rf"\sqrt{{{a * a * c}}}"], [rf"{a + 1}\sqrt{{{c}}}", str(a)]
    if kind < 0.9:
        return f"({a}, {b})", [f"({a},{b})", rf"\left({a}, {b}\right)"], [f"({b},{a + 31})", f"[{a},{b}]"]
    return f"x^2+{a}x+{b}", [f"x^2+{a}x+{b}", f"{b}+{a}x+x^2"], [f"x^2-{a}x+{b}", f"x^2+{a}x"]


def pool(questions: int, samples: int, seed: int) -> pl.DataFrame:
    """Return rows of gold and answer, as they are written."""
    dice = random.Random(seed)
    rows = []
    for _ in range(questions):
        gold, right, wrong = question(dice)
        rows += [(gold, dice.choice(right if dice.random() < 0.5 else wrong)) for _ in range(samples)]
    return pl.DataFrame(rows, schema=["gold", "answer"], orient="row")


def ours(rows: pl.DataFrame) -> list[bool]:
    """Judge every row by the stages of `mode: math`, with nothing decided before."""
    texts = {text: number(text, whole=True) or text for text in set(rows["gold"]) | set(rows["answer"])}
    golds, answers = (rows[name].replace_strict(texts, return_dtype=pl.String) for name in ("gold", "answer"))
    first = compare(answers, golds, MATH, tolerance=0.0)
    open_ = pl.DataFrame({"gold": golds, "answer": answers}).filter(first["compared_by"] == UNDECIDED).unique()
    decided = Decided(dict(decide(open_.iter_rows())))
    return compare(answers, golds, MATH, tolerance=0.0, decided=decided)["right_answer"].to_list()


def baseline(rows: pl.DataFrame) -> list[bool]:
    from math_verify import parse, verify

    logging.disable(logging.WARNING)  # it says at every call that it has no time limit
    found = []
    for gold, answer in rows.iter_rows():
        parsed = (parse(f"${text}$", parsing_timeout=None) for text in (gold, answer))
        found.append(bool(verify(*parsed, timeout_seconds=None)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--check", action="store_true", help=f"fail below {LEAST:.0f} times the baseline")
    asked = parser.parse_args()
    rows = pool(asked.questions, asked.samples, asked.seed)
    start = time.perf_counter()
    found = ours(rows)
    seconds = time.perf_counter() - start
    part = rows.with_row_index("row").sample(min(BASELINE, rows.height), seed=asked.seed)
    start = time.perf_counter()
    theirs = baseline(part.drop("row"))
    scaled = (time.perf_counter() - start) * rows.height / part.height
    differ = [(*row[1:], found[row[0]]) for row, equal in zip(part.iter_rows(), theirs, strict=True) if found[row[0]] != equal]
    print(
        f"{rows.height:,} pairs, {rows.n_unique():,} different, {sum(found):,} right: {seconds:.1f} s, workers started among it"
    )
    print(f"math-verify row by row: {scaled:,.0f} s ({part.height:,} rows, scaled): {scaled / seconds:.0f} times as long")
    for gold, answer, right in differ[:10]:
        print(f"  differs: {answer} against {gold}: {'right' if right else 'wrong'} here")
    if asked.check and scaled / seconds < LEAST:
        sys.exit(f"below {LEAST:.0f} times")


if __name__ == "__main__":
    main()

"""How often the interval of `rft advise` holds what further draws bring, and how far off its estimate is, on made-up samples.

    python -m benchmarks.unseen                       7,473 questions, as in the paper: 100 draws from 50, and 400 from 100
    python -m benchmarks.unseen --questions 300 --check

Samples of benchmarks/stories.py are graded in standard mode. A stratum is a band of the share of right draws (fifths), of all
questions or of a tenth of them by chance; in each the new paths of the later draws are counted and compared with what the first
draws let expect. An error is a share of all paths that the stratum has in the end. `--check`: exit code 1 unless the interval holds the truth in 85 % of the strata. The baseline that is printed
beside it expects each draw to bring as many new paths as the last ones did (those first seen in the later half of the first draws).
"""

import argparse
import json
import random
import sys
import time
from collections import Counter
from typing import Any

import polars as pl

from benchmarks.stories import Story, completions, stories
from eval.fits.unseen import unseen
from eval.grading.grade import grade
from eval.grading.paths import is_whole
from eval.grading.rules import STANDARD
from rft.reports.advise import BANDS

QUESTIONS, LEAST_COVERED, PARTS, AT_ONCE = 7_473, 0.85, 10, 100
HOLD_OUTS = ((50, 100), (100, 400))


def paths(told: list[Story], draws: int) -> list[list[str | None]]:
    """Return the path of each draw of each question, None for one that is not accepted."""
    rows = [
        (i, text, story.answer.rpartition("#### ")[2]) for i, story in enumerate(told) for text in completions(story, draws)
    ]
    graded = grade(pl.DataFrame(rows, schema=["question", "response", "gold"], orient="row"), STANDARD, tolerance=0.0)
    accepted = pl.col("right_answer") & ~pl.col("bad_equation") & is_whole()
    found = graded.select("question", path=pl.when(accepted).then("path_canonical"))
    return found.group_by("question", maintain_order=True).agg("path")["path"].to_list()


class _Stratum:
    """Questions that are as hard, and what their draws brought."""

    def __init__(self) -> None:
        self.first: list[tuple[int, Counter[str]]] = []
        self.new = self.lately = 0

    def add(self, question: list[str | None], draws: int) -> None:
        seen = Counter(path for path in question[:draws] if path)
        before = {path for path in question[: draws // 2] if path}
        self.first.append((draws, seen))
        self.new += len({path for path in question if path}) - len(seen)
        self.lately += len(seen) - len(before)


def measure(questions: int, draws: int, to: int) -> dict[str, Any]:
    started, dice = time.monotonic(), random.Random(0)
    strata: dict[tuple[int, int], _Stratum] = {}
    told = stories(questions)
    for at in range(0, questions, AT_ONCE):
        for question in paths(told[at : at + AT_ONCE], to):
            band = min(BANDS - 1, int(BANDS * sum(path is not None for path in question[:draws]) / draws))
            for part in (PARTS, dice.randrange(PARTS)):  # PARTS itself: of all questions
                strata.setdefault((band, part), _Stratum()).add(question, draws)
        print(f"{min(at + AT_ONCE, questions):,} of {questions:,} questions", end="\r", file=sys.stderr, flush=True)
    covered, errors, plain = [], [], []
    for stratum in strata.values():
        found = unseen(stratum.first, to)
        if found.new is None or found.low is None or found.high is None:
            continue  # it says that it does not know
        covered.append(found.low <= stratum.new <= found.high)
        errors.append(abs(found.new - stratum.new) / (found.seen + stratum.new))
        plain.append(abs(stratum.lately * 2 * (to - draws) / draws - stratum.new) / (found.seen + stratum.new))
    return {
        "draws": draws,
        "to": to,
        "strata": len(strata),
        "told": len(covered),
        "covered": sum(covered),
        "median_error": sorted(errors)[len(errors) // 2],
        "largest_error": max(errors),
        "median_error_of_the_last_rate": sorted(plain)[len(plain) // 2],
        "seconds": round(time.monotonic() - started, 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Predict new paths, and count them.")
    parser.add_argument("--questions", type=int, default=QUESTIONS)
    parser.add_argument("--check", action="store_true", help="exit with 1 if an interval holds the truth too seldom")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = [measure(given.questions, draws, to) for draws, to in HOLD_OUTS]
    if given.json:
        print(json.dumps(found, indent=1))
    else:
        for one in found:
            print(
                f"{one['to']} draws from {one['draws']}, {given.questions:,} questions: the interval holds what came in {one['covered']} of "
                f"{one['told']} strata; {one['strata'] - one['told']} not told; error {one['median_error']:.1%} in the median, at most "
                f"{one['largest_error']:.1%} (going on as lately: {one['median_error_of_the_last_rate']:.1%}); {one['seconds']:,} s"
            )
    if given.check and any(one["covered"] < LEAST_COVERED * one["told"] or not one["told"] for one in found):
        print(f"not as stated: the interval holds the truth in {LEAST_COVERED:.0%} of the strata", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

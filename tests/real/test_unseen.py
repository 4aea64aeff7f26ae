"""New paths of real samples predicted from a part of the draws, against those that the rest brought."""

import random
from collections import Counter
from functools import cache

import polars as pl
import pytest

from eval.fits.unseen import unseen
from eval.grading.grade import grade
from eval.grading.numbers import number
from eval.grading.rules import STANDARD
from tests.real.test_grading import gold_of
from tests.real.test_parity import read

POOLS = {"grpo": "grpo_qwen3_1.7b_gsm8k_train_groups.even.jsonl.gz", "zeroeval": "nl_zeroeval_gsm8k_test.even.jsonl.gz"}


@cache
def drawn(pool: str) -> dict[int, list[str | None]]:
    """Return for each question the paths of its samples, None for one that is not accepted."""
    rows = [
        (
            row["idx"],
            sample.get("tail") or sample["text"],
            number(row["gt"] if "gt" in row else gold_of(row["gold"]), whole=True),
        )
        for row in read(POOLS[pool])
        for sample in row["samples"]
    ]
    graded = grade(pl.DataFrame(rows, schema=["question", "response", "gold"], orient="row"), STANDARD, tolerance=0.0)
    accepted = pl.col("right_answer") & ~pl.col("bad_equation") & (pl.col("coverage").fill_null(1.0) >= 1)
    found: dict[int, list[str | None]] = {}
    for question, path in graded.select("question", pl.when(accepted).then("path_canonical")).iter_rows():
        found.setdefault(question, []).append(path)
    return found


@pytest.mark.parametrize("pool", POOLS)
def test_the_interval_covers_what_the_other_draws_brought_in_most_strata(pool: str) -> None:
    dice = random.Random(0)
    covered = told = 0
    for draws, to in [(8, 16), (10, 20), (20, 40), (10, 40)] * 5:
        strata: dict[int, list[tuple[Counter[str], int]]] = {}
        for paths in drawn(pool).values():
            if len(paths) >= to:
                order = dice.sample(paths, to)
                seen = Counter(path for path in order[:draws] if path)
                new = len({path for path in order if path}) - len(seen)
                band = min(4, int(5 * sum(path is not None for path in order[:draws]) / draws))
                strata.setdefault(band, []).append((seen, new))
        for counts in strata.values():
            found = unseen([(draws, seen) for seen, _ in counts], to)
            if found.low is not None and found.high is not None:
                told += 1
                covered += found.low <= sum(new for _, new in counts) <= found.high
    assert told >= 70
    assert covered >= 0.85 * told

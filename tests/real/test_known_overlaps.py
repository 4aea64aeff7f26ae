"""GSM8K's own training questions beside its test questions: what overlaps, and what of it was reviewed."""

import math
from typing import Any

import polars as pl
import pytest

from registry.rows import question_id
from rft.publish.gate.contamination import known_overlaps, overlaps
from tests.real.test_parity import gsm8k


@pytest.fixture(scope="module")
def found() -> Any:
    train, test = gsm8k("train"), gsm8k("test")
    ids = [question_id(row["question"]) for row in train]
    texts = pl.DataFrame(
        [
            (id, column, row[key])
            for column, key in (("question", "question"), ("response", "answer"))
            for id, row in zip(ids, train, strict=True)
        ],
        schema=["question_id", "column", "text"],
        orient="row",
    )
    questions = pl.DataFrame(
        [(question_id(row["question"]), row["question"]) for row in test], schema=["question_id", "question"], orient="row"
    )
    return overlaps(texts, questions)


def test_94_training_questions_share_an_8_gram_with_a_test_question_and_4_a_13_gram(found: Any) -> None:
    asked = found.filter(pl.col("column") == "question")
    assert asked.height == 110
    assert asked["question_id"].n_unique() == 94
    assert asked.filter(pl.col("kind") == "13-gram")["question_id"].n_unique() == 4
    assert asked.filter(pl.col("kind") == "exact").is_empty()


def test_five_human_solutions_share_a_phrase_with_a_test_question(found: Any) -> None:
    solved = found.filter(pl.col("column") == "response")
    assert (solved.height, solved["kind"].unique().to_list()) == (5, ["8-gram"])
    assert solved["share"].max() < 0.25


def test_the_overlaps_that_would_stop_are_the_reviewed_ones_and_as_large_as_the_review_says(found: Any) -> None:
    stopping = found.filter((pl.col("kind") != "8-gram") | (pl.col("share") > 0.5))
    shares = {
        (q, t): math.ceil(share * 100 - 1e-9) / 100
        for q, t, share in stopping.select("question_id", "test_question", "share").rows()
    }
    assert shares == {pair: known.share for pair, known in known_overlaps().items()}

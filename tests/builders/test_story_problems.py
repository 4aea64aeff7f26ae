"""The made-up word problems: right by construction, checked by the grader; splits that share nothing."""

import random
import re

import polars as pl
import pytest

from builders.story_problems import FAMILIES, LARGEST, _values, build
from eval.grading.grade import is_right
from eval.grading.paths import read_paths
from eval.grading.rules import RULES, Mode
from registry.errors import InputError
from registry.rows import QUESTIONS, question_id


@pytest.fixture(scope="module")
def train() -> pl.DataFrame:
    return build(split="train", count=600, seed=1)


@pytest.mark.parametrize("mode", ["paper", "standard"])
def test_every_solution_is_right_and_its_equations_hold(train: pl.DataFrame, mode: Mode) -> None:
    assert is_right(RULES[mode].read_answers(train["response"])["answer"], train["answer"], RULES[mode], tolerance=0.0).all()
    paths = read_paths(train["response"], RULES[mode])
    assert not paths["bad_equation"].any()
    assert paths["path"].str.count_matches(r"\|").is_between(1, 3).all()  # two to four steps


def test_rows_are_questions_with_their_own_ids(train: pl.DataFrame) -> None:
    assert QUESTIONS.fit(train, "stories").equals(train)
    assert train["question_id"].to_list() == [question_id(q) for q in train["question"]]
    assert train["question_id"].n_unique() == 600
    assert train["source_row"].to_list() == list(range(600))


def test_splits_share_no_question_whatever_the_seeds() -> None:
    parts = [build(split=split, count=300, seed=seed) for split in ("train", "validation", "test") for seed in (1, 2)]
    ids = [set(part["question_id"]) for part in parts]
    for i, one in enumerate(ids):
        for j, other in enumerate(ids):
            if i // 2 != j // 2:
                assert not one & other


def test_the_same_seed_gives_the_same_rows_and_fewer_are_the_first_of_more(train: pl.DataFrame) -> None:
    assert build(split="train", count=600, seed=1).equals(train)
    assert build(split="train", count=50, seed=1).equals(train.head(50))
    assert not build(split="train", count=600, seed=2).equals(train)


def test_all_numbers_are_small(train: pl.DataFrame) -> None:
    numbers = train.select(
        pl.col("response").str.extract_all(r"[0-9]+").explode(empty_as_null=True, keep_nulls=True).cast(pl.Int64)
    ).to_series()
    assert numbers.min() >= 1  # type: ignore[operator]
    assert numbers.max() <= LARGEST  # type: ignore[operator]


def test_every_family_occurs_and_questions_of_one_have_several_derivations(train: pl.DataFrame) -> None:
    for family in FAMILIES:
        end = re.split(r"\{\w+\}", family.story)[-1]
        assert train["question"].str.ends_with(end).any()
        several = 0
        dice = random.Random(0)
        for _ in range(300):
            numbers = {name: dice.randint(*bounds) for name, bounds in family.numbers.items()}
            made = [(steps, values) for steps in family.derivations if (values := _values(steps, numbers))]
            assert len({values[steps[-1].result] for steps, values in made}) <= 1, (
                "all derivations of a problem give one answer"
            )
            several += len(made) > 1
        assert several > 0


def test_more_questions_than_there_are_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builders.story_problems.TRIES", 1)
    with pytest.raises(InputError, match=r"count is 1000\. Ask for fewer"):
        build(split="test", count=1000, seed=1)

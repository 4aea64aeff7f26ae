"""The text that tiny models are pre-trained on."""

import itertools
import re

import polars as pl
import pytest

from builders import story_problems, story_text
from eval.grading.paths import read_paths
from eval.grading.rules import RULES
from registry.errors import InputError
from registry.rows import TEXT, question_id


@pytest.fixture(scope="module")
def text() -> pl.DataFrame:
    return story_text.build(lines=2000, seed=3)


def test_rows_are_text_in_the_shares_asked_for(text: pl.DataFrame) -> None:
    assert TEXT.fit(text, "text").equals(text)
    assert dict(text["source"].value_counts().iter_rows()) == {"facts": 700, "chains": 600, "copies": 600, "solved": 100}
    assert text["source"].head(50).n_unique() > 2  # mixed, not one kind after the other


def test_weights_need_not_sum_to_one() -> None:
    made = story_text.build(lines=10, seed=1, facts=3, chains=0, copies=1, solved=0)
    assert dict(made["source"].value_counts().iter_rows()) == {"facts": 8, "copies": 2}


def test_every_calculation_holds(text: pl.DataFrame) -> None:
    written = text.filter(pl.col("source") != "copies")["text"]
    for mode in ("paper", "standard"):
        paths = read_paths(written, RULES[mode])
        assert not paths["bad_equation"].any()
        assert (paths["path"] != "").all()


def test_a_chain_goes_on_with_the_last_result_and_ends_in_it(text: pl.DataFrame) -> None:
    for chain in text.filter(pl.col("source") == "chains")["text"]:
        steps = re.findall(r"<<(\d+)[-+*/](\d+)=(\d+)>>", chain)
        assert 2 <= len(steps) <= 4
        for (_, _, result), (x, y, _) in itertools.pairwise(steps):
            assert result in (x, y)
        assert chain.endswith(f"#### {steps[-1][2]}")


def test_the_numbers_of_a_story_are_copied_in_order(text: pl.DataFrame) -> None:
    for copied in text.filter(pl.col("source") == "copies")["text"]:
        story, numbers = copied.split("\nNumbers: ")
        assert numbers.split() == re.findall(r"\d+", story)


def test_no_question_of_the_other_splits_is_ever_read(text: pl.DataFrame) -> None:
    stories = text.filter(pl.col("source").is_in(["copies", "solved"]))["text"].str.split("\n").list.first()
    ids = {question_id(story) for story in stories}
    assert len(ids) > 500
    assert all(story_problems.in_split(id, "train") for id in ids)


def test_the_same_seed_gives_the_same_text(text: pl.DataFrame) -> None:
    assert story_text.build(lines=2000, seed=3).equals(text)
    assert not story_text.build(lines=2000, seed=4).equals(text)


def test_nothing_to_write_is_refused() -> None:
    with pytest.raises(InputError, match="all 0"):
        story_text.build(lines=10, seed=1, facts=0, chains=0, copies=0, solved=0)

"""Choosing among the accepted samples of a question."""

import random
from typing import Any

import editdistance
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders._selection import Select, choose, farthest, in_order, keep


def algorithm_1(keys: list[str], texts: list[str]) -> Any:
    """The paper's Algorithm 1 in its own words, in the order of the samples, with both sums taken anew each time."""
    selected = {}
    for key, text in zip(keys, texts, strict=True):
        if key not in selected:
            selected[key] = text
            continue
        representative = selected[key]
        others = [other for other in selected.values() if other != representative]
        if sum(editdistance.eval(text, o) for o in others) > sum(editdistance.eval(representative, o) for o in others):
            selected[key] = text
    return list(selected.values())


def by_farthest(keys: list[str], texts: list[str]) -> list[str]:
    return [texts[position] for position in farthest(keys, texts)]


TEXTS = st.lists(st.text(alphabet="ab1+=", max_size=6), max_size=14)


@settings(max_examples=800, deadline=None)
@given(
    TEXTS.flatmap(
        lambda texts: st.tuples(st.lists(st.sampled_from("kl mn"), min_size=len(texts), max_size=len(texts)), st.just(texts))
    )
)
def test_farthest_is_algorithm_1_on_any_texts(pool: Any) -> None:
    assert by_farthest(*pool) == algorithm_1(*pool)


def completions(seed: int, n: int) -> Any:
    """A made-up pool of one question: few paths, several wordings, some completions twice."""
    dice = random.Random(seed)
    words = ["She", "sells", "clips", "é", "in May.", "\n", "So", "that is", "altogether", "<<", "$"]
    paths = ["48/2=24|48+24=72", "48+24=72", "48*1.5=72", "48/2=24|24+48=72", ""]
    keys = dice.choices(paths, weights=[8, 4, 2, 1, 1], k=n)
    texts = [f"{key} {' '.join(dice.choices(words, k=dice.randint(0, 12)))}" for key in keys]
    for _ in range(n // 4):
        a, b = dice.randrange(n), dice.randrange(n)
        keys[a], texts[a] = keys[b], texts[b]
    return keys, texts


@pytest.mark.parametrize("seed", range(25))
def test_farthest_is_algorithm_1_on_pools_as_models_make_them(seed: int) -> None:
    pool = completions(seed, 60)
    assert by_farthest(*pool) == algorithm_1(*pool)


def test_farthest_takes_the_first_text_of_each_path_while_there_is_one_path() -> None:
    assert farthest(["k", "k", "k"], ["short", "a much longer text", "another one"]) == [0]
    assert farthest([], []) == []


def test_farthest_replaces_a_text_by_one_less_like_the_others() -> None:
    assert farthest(["k", "l", "k"], ["aaab", "aaaa", "zzzzzz"]) == [2, 1]
    assert farthest(["k", "l", "k"], ["zzzzzz", "aaaa", "aaab"]) == [0, 1]


def test_farthest_keeps_the_earlier_text_when_both_are_as_far() -> None:
    assert farthest(["k", "l", "k"], ["aaab", "aaaa", "aaac"]) == [0, 1]


def test_farthest_depends_on_the_order_of_the_samples() -> None:
    pool = {"zz": "k", "aaaa": "l", "aab": "k", "azzz": "l"}
    forward, backward = list(pool), list(pool)[::-1]
    assert set(by_farthest([pool[text] for text in forward], forward)) != set(
        by_farthest([pool[text] for text in backward], backward)
    )


POOLS = st.integers(0, 10_000).map(lambda seed: completions(seed, 12))
SEEDS = st.integers(0, 99)


@settings(max_examples=100, deadline=None)
@given(POOLS, SEEDS)
@pytest.mark.parametrize("select", ["farthest", "first", "random_text"])
def test_a_choice_by_path_keeps_one_of_each_path_in_the_order_in_which_they_came(select: Select, pool: Any, seed: int) -> None:
    keys, texts = pool
    chosen = choose(select, keys, texts, seed=seed, question_id="q")
    assert [keys[position] for position in chosen] == list(dict.fromkeys(keys))


def test_first_keeps_the_first_of_each_path() -> None:
    assert choose("first", ["k", "l", "k", "l"], ["a", "b", "c", "d"], seed=0, question_id="q") == [0, 1]


@settings(max_examples=100, deadline=None)
@given(POOLS, SEEDS)
def test_random_rows_keeps_as_many_as_there_are_paths(pool: Any, seed: int) -> None:
    keys, texts = pool
    chosen = choose("random_rows", keys, texts, seed=seed, question_id="q")
    assert len(chosen) == len(set(keys))
    assert chosen == sorted(set(chosen))
    # A sample without a key can be drawn too; it only does not count as a path.
    more = choose("random_rows", keys, [*texts, "without a key"], seed=seed, question_id="q")
    assert len(more) == len(set(keys))


def test_all_keeps_every_sample() -> None:
    assert choose("all", ["k", "k"], ["a", "a"], seed=0, question_id="q") == [0, 1]


@pytest.mark.parametrize("select", ["random_text", "random_rows"])
def test_random_choices_are_those_of_the_seed_and_the_question(select: Select) -> None:
    keys, texts = completions(1, 40)
    drawn = {
        (seed, question): tuple(choose(select, keys, texts, seed=seed, question_id=question))
        for seed in range(10)
        for question in ("q1", "q2")
    }
    assert len(set(drawn.values())) > 10
    for (seed, question), chosen in drawn.items():
        assert chosen == tuple(choose(select, keys, texts, seed=seed, question_id=question))


@pytest.mark.parametrize("select", ["random_text", "random_rows"])
def test_random_choices_reach_every_sample(select: Select) -> None:
    keys, texts = ["k", "k", "k", "l"], ["a", "b", "c", "d"]
    drawn = {position for seed in range(60) for position in choose(select, keys, texts, seed=seed, question_id="q")}
    assert drawn == {0, 1, 2, 3}


def candidates(*pools: Any) -> pl.DataFrame:
    """Candidates of several questions, one after the other; row numbers start at 100."""
    rows = [(f"q{n}", text, key) for n, pool in enumerate(pools) for key, text in zip(*pool, strict=True)]
    frame = pl.DataFrame(rows, schema={"question_id": pl.String, "response": pl.String, "key": pl.String}, orient="row")
    return frame.with_row_index("row", offset=100)


@pytest.mark.parametrize("select", ["farthest", "first", "random_text", "random_rows", "all"])
def test_what_is_kept_of_a_question_does_not_depend_on_the_others(select: Select) -> None:
    pools = [completions(seed, 20) for seed in range(4)]
    together = keep(candidates(*pools), select, seed=3)
    frame = candidates(*pools)
    alone = [keep(part, select, seed=3) for part in frame.partition_by("question_id", maintain_order=True)]
    assert together.rows() == pl.concat(alone).rows()
    mixed = frame.sample(fraction=1.0, shuffle=True, seed=1).sort("row") if select != "all" else frame
    assert keep(mixed, select, seed=3).rows() == together.rows()


def test_kept_rows_are_numbered_within_their_question() -> None:
    frame = candidates((["k", "l", "k"], ["a", "b", "c"]), (["m"], ["d"]))
    assert keep(frame, "first", seed=0).rows() == [(100, 0), (101, 1), (103, 0)]
    assert keep(frame, "all", seed=0).rows() == [(100, 0), (101, 1), (102, 2), (103, 0)]
    assert keep(frame.clear(), "farthest", seed=0).rows() == []


def test_samples_without_a_key_are_no_path_of_random_rows() -> None:
    frame = candidates((["k", None, None], ["a", "b", "c"]), ([None, None], ["d", "e"]))
    for seed in range(20):
        kept = keep(frame, "random_rows", seed=seed)
        assert kept.height == 1
        assert kept["row"][0] < 103
    assert {keep(frame, "random_rows", seed=seed)["row"][0] for seed in range(40)} == {100, 101, 102}


def test_human_rows_come_first_and_questions_in_their_order() -> None:
    questions = pl.DataFrame({"question_id": ["q2", "q1", "q3"]})
    human = pl.DataFrame({"question_id": ["q1", "q2", "q3"], "response": ["h1", "h2", "h3"]})
    kept = pl.DataFrame(
        {"question_id": ["q1", "q2", "q1"], "response": ["b", "c", "a"], "turn": [1, 0, 0]},
        schema_overrides={"turn": pl.UInt32},
    )
    assert in_order(human, kept, questions)["response"].to_list() == ["h2", "c", "h1", "a", "b", "h3"]

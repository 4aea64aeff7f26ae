"""The graph of what was made from what."""

import pytest

from registry.graph import Cycle, Graph

FAMILY = Graph({"union": ["small", "large"], "small": ["questions"], "large": ["questions", "elsewhere"], "questions": []})


def test_inputs_come_first_and_the_rest_as_it_came() -> None:
    assert FAMILY.order() == ["questions", "small", "large", "union"]
    assert FAMILY.order("large") == ["questions", "large"]


def test_what_is_below_was_made_from_it_directly_or_not() -> None:
    assert FAMILY.below("questions") == {"small", "large", "union"}
    assert FAMILY.below("elsewhere") == {"large", "union"}
    assert FAMILY.below("union") == set()
    assert FAMILY.users["questions"] == ["small", "large"]


def test_a_cycle_is_named_whole() -> None:
    with pytest.raises(Cycle, match="b -> c -> b"):
        Graph({"a": ["b"], "b": ["c"], "c": ["b"]}).order()


def test_a_chain_of_thousands_is_walked() -> None:
    chain = Graph({n: [n - 1] for n in range(5_000, 0, -1)} | {0: []})
    assert chain.order() == list(range(5_001))
    assert len(chain.below(0)) == 5_000
    assert chain.nearest(5_000) == list(range(5_000, -1, -1))


def test_what_something_was_made_from_comes_nearest_first() -> None:
    assert FAMILY.nearest("union") == ["union", "small", "large", "questions"]
    assert FAMILY.nearest("questions") == ["questions"]

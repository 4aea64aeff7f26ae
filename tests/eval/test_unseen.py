"""How many paths are not seen yet, against pools whose other half is known."""

import random
from collections import Counter

import pytest

from eval.fits.unseen import unseen


def pool(dice: random.Random, questions: int, draws: int) -> list[list[int | None]]:
    """Return draws of questions whose paths are Zipf's: of each draw its path, or None for a wrong answer."""
    found = []
    for _ in range(questions):
        right, steep, most = dice.random(), dice.uniform(0.5, 2.0), dice.randint(1, 60)
        weights = [1 / (rank + 1) ** steep for rank in range(most)]
        found.append([dice.choices(range(most), weights)[0] if dice.random() < right else None for _ in range(draws)])
    return found


@pytest.mark.parametrize(("draws", "to"), [(10, 20), (50, 100), (25, 100), (100, 400)])
def test_the_interval_covers_what_the_other_draws_bring(draws: int, to: int) -> None:
    dice = random.Random(f"{draws}:{to}")
    covered = told = 0
    for _ in range(60):
        made = pool(dice, 40, to)
        first = [(draws, Counter(path for path in one[:draws] if path is not None)) for one in made]
        new = sum(len({*one} - {None}) - len(seen) for one, (_, seen) in zip(made, first, strict=True))
        found = unseen(first, to)
        if found.low is not None and found.high is not None:
            told += 1
            covered += found.low <= new <= found.high
    assert told == 60
    assert covered >= 0.85 * told


def test_twice_the_draws_is_the_alternating_sum_of_good_and_toulmin() -> None:
    seen = {"a": 1, "b": 1, "c": 1, "d": 2, "e": 3, "f": 4, "g": 1, "h": 1, "i": 2, "j": 1}
    found = unseen([(10, seen)], 20)
    assert found.new == 6 - 2 + 1 - 1
    assert found.at_least == 6 * 5 / (2 * 3)
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low < found.new < found.high


def test_questions_of_other_numbers_of_draws_count_as_far_as_theirs_go() -> None:
    once = {str(n): 1 for n in range(10)}
    assert unseen([(10, once), (20, once)], 20).new == unseen([(10, once)], 20).new == 10


def test_too_little_says_so() -> None:
    assert unseen([], 10).new is None
    assert "too few" in unseen([(10, {"a": 3})], 20).why
    assert "up to 4 times" in unseen([(10, {str(n): 1 for n in range(50)})], 50).why
    assert unseen([(10, {str(n): 1 for n in range(50)})], 40).new is not None

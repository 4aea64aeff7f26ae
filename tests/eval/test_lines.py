"""Lines through points."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from eval.fits.lines import apart, fit, resampled, slopes_apart
from registry.errors import InputError

NUMBERS = st.floats(-100, 100).map(lambda x: round(x, 3))


@settings(deadline=None, max_examples=300)  # scipy is imported at the first fit
@example([(0.0, 0.0), (86.0, 0.0), (0.25, 0.0), (0.375, 0.0)])
@example([(0.0, 0.0), (100.0, 7.0), (0.001, 0.0), (0.002, 1.0)])
@example([(0.0, 5.0), (1.0, 5.0), (2.0, 5.0), (3.0, 5.0)])
@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=4, max_size=12, unique_by=lambda point: point[0]))
def test_a_line_is_that_of_least_squares_and_leaves_each_point_out(points: list[tuple[float, float]]) -> None:
    x, y = (np.array(side) for side in zip(*points, strict=True))
    found = fit(list(x), list(y))
    slope, intercept = np.polyfit(x, y, 1)
    assert (found.slope, found.intercept) == pytest.approx((slope, intercept), rel=1e-6, abs=1e-6)
    others = [np.polyfit(np.delete(x, i), np.delete(y, i), 1) for i in range(len(x))]
    errors = [y[i] - np.polyval(line, x[i]) for i, line in enumerate(others)]
    assert found.left_out == pytest.approx(math.sqrt(np.mean(np.square(errors))), rel=1e-4, abs=1e-4)
    assert found.low <= found.slope <= found.high


def test_the_interval_of_a_slope_holds_the_true_one_as_often_as_it_says() -> None:
    dice = np.random.default_rng(0)
    x = np.linspace(0, 1, 8)
    inside = 0
    for _ in range(1_000):
        found = fit(list(x), list(3 * x + dice.normal(0, 1, 8)))
        inside += found.low <= 3 <= found.high
    assert 930 <= inside <= 970


@pytest.mark.parametrize(
    ("x", "y", "says"),
    [
        ([1, 2], [1, 2], "too few"),
        ([], [], "too few"),
        ([1, 1, 1], [1, 2, 3], "one x"),
        ([1, 2, math.nan], [1, 2, 3], "no finite number"),
        ([1, 2, 3], [1, 2, math.inf], "no finite number"),
    ],
)
def test_what_no_line_goes_through_is_refused(x: Any, y: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        fit(x, y)


def test_a_slope_from_resampled_answers_covers_the_true_one_as_often_as_it_says() -> None:
    dice = np.random.default_rng(1)
    loss, inside = [0.5, 0.7, 0.9, 1.2], 0
    for _ in range(200):
        hard = dice.normal(0, 0.2, 300)  # the same questions are hard for all models
        right = [(dice.random((2, 300)) < np.clip(1.1 - 0.6 * x + hard, 0, 1)).astype(float) for x in loss]
        truth = np.polyfit(loss, [100 * np.clip(1.1 - 0.6 * x + dice.normal(0, 0.2, 100_000), 0, 1).mean() for x in loss], 1)[0]
        found = resampled(loss, right)
        inside += found.low <= truth <= found.high
    assert 180 <= inside <= 200


def test_differences_have_intervals() -> None:
    found = apart([3, 5, 7], [1, 2, 3])
    assert found.value == 3
    assert (found.low, found.high) == pytest.approx((3 - 2.4841, 3 + 2.4841), abs=1e-3)
    with pytest.raises(InputError, match="2 pairs are too few"):
        apart([1, 2], [1, 2])
    steep, flat = fit([0, 1, 2, 3], [0, 2.1, 3.9, 6]), fit([0, 1, 2, 3], [0, 1.1, 1.9, 3])
    slopes = slopes_apart(steep, flat)
    assert slopes.value == pytest.approx(steep.slope - flat.slope)
    assert 0 < slopes.low < slopes.value < slopes.high

"""How many new reasoning paths more draws would give: what was seen once, twice, ... says what was not seen yet.

With F_j the number of paths that were seen j times in n draws, the expected number of new ones in n*t more is the alternating
sum t F_1 - t^2 F_2 + t^3 F_3 ... (Good and Toulmin 1956), exact in expectation up to twice the draws. Beyond, its terms
are weighted with the tail of a binomial (Orlitsky, Suresh and Wu 2016), and the interval is widened to what a curve that flattens may do.
The least that is unseen at all is Chao's (1984).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, log, sqrt
from typing import Any

FEWEST = 10  # paths seen, below which nothing is said
FARTHEST = 4.0  # times the draws there are, beyond which nothing is said


@dataclass(frozen=True)
class Unseen:
    """What is expected of more draws of some questions.

    `seen`: paths so far. `new`: those that the draws up to `to` would add, with a 95 % interval `low` to `high` for the number
    that would be counted (the error of the estimate, and the chance of the draws themselves); null if too little is known, which
    `why` says. `at_least`: a lower bound of the paths not seen, however many draws are made.
    """

    questions: int
    seen: int
    to: int
    new: float | None
    low: float | None
    high: float | None
    at_least: float
    why: str = ""


def unseen(questions: Sequence[tuple[int, Mapping[Any, int]]], to: int) -> Unseen:
    """Return what draws up to `to` would add to questions: of each, how often it was drawn, and how often each path was seen."""
    groups: dict[int, Counter[int]] = {}  # by number of draws: how many paths were seen how often
    for draws, paths in questions:
        groups.setdefault(draws, Counter()).update(paths.values())
    once, twice = (sum(seen[times] for seen in groups.values()) for times in (1, 2))
    at_least = once * (once - 1) / (2 * (twice + 1))
    seen = sum(seen.total() for seen in groups.values())
    farthest = max((to / draws for draws in groups if draws), default=0)
    why = ""
    if seen < FEWEST:
        why = f"{seen} paths are too few to tell"
    elif farthest > FARTHEST + 1e-9:
        why = f"{to} draws are {farthest:.3g} times those there are; up to {FARTHEST:g} times can be told"
    if why:
        return Unseen(len(questions), seen, to, None, None, None, at_least, why)
    new, variance = _more(groups, to)
    margin = 1.96 * sqrt(variance + new)
    low, high = new - margin, new + margin
    if farthest > 2:
        # The number of paths grows ever more slowly: beyond twice the draws it is no less than there, and no more than in proportion.
        first, spread = _more(groups, 2 * min(draws for draws in groups if draws))
        margin = 1.96 * sqrt(spread + first)
        low, high = min(low, first - margin), max(high, (farthest - 1) * (first + margin))
    return Unseen(len(questions), seen, to, new, max(low, 0.0), high, at_least)


def _more(groups: Mapping[int, Counter[int]], to: int) -> tuple[float, float]:
    """Return the expected number of new paths up to `to` draws, and the variance of that estimate (Efron and Thisted 1976)."""
    new = variance = 0.0
    for draws, times in groups.items():
        if to > draws > 0:
            total = sum(j * n for j, n in times.items())
            for j, n in times.items():
                weight = _weight(j, (to - draws) / draws, total)
                new += weight * n
                variance += weight**2 * n
    return max(new, 0.0), variance


def _weight(j: int, t: float, total: int) -> float:
    """Return what a path that was seen j times counts for in the number of new ones; `total` sightings were made."""
    if t <= 1:
        return -((-t) ** j)
    from scipy.stats import binom

    trials = ceil(0.5 * log(total * t**2 / (t - 1), 3))
    return float(-((-t) ** j) * binom.sf(j - 1, trials, 2 / (2 + t)))

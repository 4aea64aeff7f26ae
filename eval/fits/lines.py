"""Straight lines through points: ordinary least squares, with what they are worth.

fit([1.8, 1.73, 1.62], [35.9, 43.0, 54.6])   ->   Line(slope=-104.0, intercept=223.0, r=-0.9998, ...)
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from registry.errors import InputError

FEWEST = 3  # points; fewer fit any line
RESAMPLES = 1_000


@dataclass(frozen=True)
class Line:
    """y = intercept + slope x, over points from `start` to `end` in x; nothing is said beyond.

    `low`, `high`: a 95 % interval of the slope, from the residuals of the fit (Student's t with n - 2 degrees of freedom; no wider
    than a point for points that lie on the line), or of `resampled` answers. `error`: the standard error of the slope. `r`, `r2`: the correlation and its square. `left_out`: the root mean square error of the points,
    each predicted by the line through the others, in units of y; None if without one of them there is no line. `residuals`: of the points, in their order.
    """

    n: int
    slope: float
    intercept: float
    low: float
    high: float
    error: float
    r: float
    r2: float
    left_out: float | None
    start: float
    end: float
    residuals: tuple[float, ...]

    def at(self, x: float) -> float:
        return self.intercept + self.slope * x


def fit(x: Sequence[float], y: Sequence[float]) -> Line:
    """Return the line through points; InputError for fewer than three, for one x only, or for what is no finite number."""
    from scipy import stats

    xs, ys = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if len(xs) < FEWEST:
        raise InputError(f"{len(xs)} points are too few for a line: it takes {FEWEST} at least.")
    if not (np.isfinite(xs).all() and np.isfinite(ys).all()):
        raise InputError("a point has no finite number.")
    if np.ptp(xs) == 0:
        raise InputError("all points have one x: no line goes through them.")
    found = stats.linregress(xs, ys)
    level = np.ptp(ys) == 0  # a level line has no correlation, and scipy no error of its slope
    error = 0.0 if level else float(found.stderr)
    margin = stats.t.ppf(0.975, len(xs) - 2) * error
    residuals = ys - (found.intercept + found.slope * xs)
    return Line(
        n=len(xs),
        slope=float(found.slope),
        intercept=float(found.intercept),
        low=float(found.slope - margin),
        high=float(found.slope + margin),
        error=error,
        r=0.0 if level else float(found.rvalue),
        r2=0.0 if level else float(found.rvalue**2),
        left_out=_left_out(xs, ys),
        start=float(xs.min()),
        end=float(xs.max()),
        residuals=tuple(float(r) for r in residuals),
    )


def _left_out(xs: np.ndarray, ys: np.ndarray) -> float | None:
    errors = []
    for i in range(len(xs)):
        x, y = np.delete(xs, i), np.delete(ys, i)
        if np.ptp(x) == 0:
            return None
        slope = ((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum()
        errors.append(ys[i] - (y.mean() + slope * (xs[i] - x.mean())))
    return float(np.sqrt(np.mean(np.square(errors))))


def resampled(x: Sequence[float], right: Sequence[np.ndarray]) -> Line:
    """Return the line through points that are means over the same questions, in percent, with a bootstrap interval of its slope.

    `right` has for each point whether its answers are right, seeds by questions. Each time the questions are drawn again, the same for
    all points, and the seeds of each point; so the interval covers the choice of both, and not that of the points.
    """
    line = fit(x, [100 * float(one.mean()) for one in right])
    rng, n = np.random.default_rng(0), right[0].shape[1]
    weights = rng.multinomial(n, np.full(n, 1 / n), size=RESAMPLES)
    ys = np.empty((RESAMPLES, len(right)))
    for place, one in enumerate(right):
        seeds = rng.multinomial(len(one), np.full(len(one), 1 / len(one)), size=RESAMPLES) / len(one)
        ys[:, place] = 100 * np.einsum("ts,sq,tq->t", seeds, one, weights, optimize=True) / n
    from_mean = np.asarray(x, dtype=float) - np.mean(x)
    low, high = np.percentile(ys @ from_mean / (from_mean**2).sum(), [2.5, 97.5])
    return replace(line, low=float(low), high=float(high))


@dataclass(frozen=True)
class Difference:
    """How much more one thing is than another, with a 95 % interval."""

    value: float
    low: float
    high: float


def slopes_apart(a: Line, b: Line) -> Difference:
    """Return the slope of `a` less that of `b` (Welch's t interval: the two sets of points are taken as independent)."""
    from scipy import stats

    apart, error = a.slope - b.slope, float(np.hypot(a.error, b.error))
    freedom = error**4 / (a.error**4 / (a.n - 2) + b.error**4 / (b.n - 2)) if error else 1.0
    margin = float(stats.t.ppf(0.975, freedom)) * error
    return Difference(apart, apart - margin, apart + margin)


def apart(a: Sequence[float], b: Sequence[float]) -> Difference:
    """Return the mean of `a` less that of `b`, pair by pair (Student's t); InputError for fewer than three pairs."""
    from scipy import stats

    if len(a) < FEWEST:
        raise InputError(f"{len(a)} pairs are too few for an interval: it takes {FEWEST} at least.")
    each = np.asarray(a, dtype=float) - np.asarray(b, dtype=float)
    margin = float(stats.t.ppf(0.975, len(each) - 1) * each.std(ddof=1) / np.sqrt(len(each)))
    return Difference(float(each.mean()), float(each.mean()) - margin, float(each.mean()) + margin)

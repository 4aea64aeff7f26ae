"""Straight lines through points: ordinary least squares, with what they are worth.

fit([1.8, 1.73, 1.62], [35.9, 43.0, 54.6])   ->   Line(slope=-104.0, intercept=223.0, r=-0.9998, ...)
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from registry.errors import InputError

FEWEST = 3  # points; fewer fit any line


@dataclass(frozen=True)
class Line:
    """y = intercept + slope x, over points from `start` to `end` in x; nothing is said beyond.

    `low`, `high`: a 95 % interval of the slope, from the residuals of the fit (Student's t with n - 2 degrees of freedom; null for
    points that lie on the line). `r`, `r2`: the correlation and its square. `left_out`: the root mean square error of the points,
    each predicted by the line through the others, in units of y. `residuals`: of the points, in their order.
    """

    n: int
    slope: float
    intercept: float
    low: float
    high: float
    r: float
    r2: float
    left_out: float
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
    margin = stats.t.ppf(0.975, len(xs) - 2) * found.stderr
    # The error of a point that is left out is its residual over one minus its leverage (Allen's PRESS).
    residuals = ys - (found.intercept + found.slope * xs)
    leverage = 1 / len(xs) + (xs - xs.mean()) ** 2 / ((xs - xs.mean()) ** 2).sum()
    alone = np.isclose(leverage, 1)  # without this point there is no line
    left_out = float("nan") if alone.any() else float(np.sqrt(np.mean((residuals / (1 - leverage)) ** 2)))
    return Line(
        n=len(xs),
        slope=float(found.slope),
        intercept=float(found.intercept),
        low=float(found.slope - margin),
        high=float(found.slope + margin),
        r=float(found.rvalue),
        r2=float(found.rvalue**2),
        left_out=left_out,
        start=float(xs.min()),
        end=float(xs.max()),
        residuals=tuple(float(r) for r in residuals),
    )

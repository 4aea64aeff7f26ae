"""Pictures for a dataset card, as PNG: what an artifact was made from, and how many distinct paths its questions have.

The same input gives the same bytes: nothing of the time, the user or the user's settings goes in. Lengths are pixels of a
web page, for each of which the PNG has two; so a picture is meant to be shown at half its size.
"""

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING

from registry.store.record import Record
from rft.reports.figures.drawing import INK
from rft.reports.figures.lineage import boxes
from rft.reports.layers import FONT, plain
from rft.reports.paths import Statistics

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, MOST_BARS, FEW_BARS = "#4c78a8", 60, 15
HISTOGRAM = (640, 320)


def pictures(record: Record, ancestors: Mapping[str, Record], statistics: Statistics | None) -> dict[str, bytes]:
    """Return the pictures of an artifact by file name: lineage.png, and paths.png if questions were counted."""
    found = {"lineage.png": _png(boxes(record, ancestors))}
    if statistics is not None and statistics.histogram:
        found["paths.png"] = histogram(statistics)
    return found


def histogram(statistics: Statistics) -> bytes:
    """Return how many questions have so many distinct paths, and the mean. Above 60 paths a bar stands for several numbers."""
    from matplotlib.style import context
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    most = max(row["paths"] for row in statistics.histogram)
    step = -(-(most + 1) // MOST_BARS)
    questions = [0] * (most // step + 1)
    for row in statistics.histogram:
        questions[row["paths"] // step] += row["questions"]
    mean = sum(row["paths"] * row["questions"] for row in statistics.histogram) / sum(questions)

    with context("default"):
        figure = _figure(*HISTOGRAM)
        axes = figure.add_axes((0.11, 0.16, 0.86, 0.72))
        lefts = [i * step - 0.5 + step * 0.05 for i in range(len(questions))]
        bars = axes.bar(lefts, questions, width=step * 0.9, align="edge", color=BLUE)
        if len(questions) <= FEW_BARS:
            axes.bar_label(bars, [f"{n:,}" if n else "" for n in questions], size=FONT - 1, color="#52606d", padding=1)
        axes.axvline(mean, color=INK, lw=1.2, ls=(0, (4, 3)))
        axes.annotate(
            f" mean {mean:.2f}", (mean, 1), xycoords=("data", "axes fraction"), va="bottom", ha="center", size=FONT, color=INK
        )
        several = f", {step} to a bar" if step > 1 else ""
        axes.set_xlabel(f"distinct reasoning paths of a question ({plain(statistics.key)} key{several})", size=FONT)
        axes.set_ylabel("questions", size=FONT)
        axes.set_title(plain(statistics.id), size=FONT, weight="bold", loc="left", pad=18, parse_math=False)
        axes.set_xlim(-0.5, len(questions) * step - 0.5)
        axes.margins(y=0.12)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.tick_params(labelsize=FONT - 1)
        axes.spines[["top", "right"]].set_visible(False)
        return _png(figure)


def _figure(wide: float, high: float) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(wide / 72, high / 72), dpi=144, facecolor="white")  # a point is a pixel of the page


def _png(figure: "Figure") -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=144, metadata={"Software": None})  # the version would change the bytes
    return file.getvalue()

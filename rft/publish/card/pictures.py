"""Pictures for a dataset card, as PNG: what an artifact was made from, and how many distinct paths its questions have.

The same input gives the same bytes: nothing of the time, the user or the user's settings goes in. Lengths are pixels of a
web page, for each of which the PNG has two; so a picture is meant to be shown at half its size.
"""

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING

from registry.graph import Graph
from registry.store.record import Record
from rft.reports.layers import BOX, FONT, LINE, Layout, lay_out, plain, reduced, words
from rft.reports.paths import Statistics

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {
    "QUESTIONS": "#dbe9fb",
    "SAMPLES": "#e9e1f7",
    "TRAINING": "#d8f0dc",
    "TEXT": "#ececec",
    "SCORES": "#fbe0e4",
    "model": "#fdebd0",
}
INK, BLUE, MOST_BARS, FEW_BARS = "#1f2933", "#4c78a8", 60, 15
HISTOGRAM = (640, 320)


def pictures(record: Record, ancestors: Mapping[str, Record], statistics: Statistics | None) -> dict[str, bytes]:
    """Return the pictures of an artifact by file name: lineage.png, and paths.png if questions were counted."""
    found = {"lineage.png": lineage(record, ancestors)}
    if statistics is not None and statistics.histogram:
        found["paths.png"] = histogram(statistics)
    return found


# -- lineage ------------------------------------------------------------------------------------------------------------


def lineage(record: Record, ancestors: Mapping[str, Record]) -> bytes:
    """Return the lineage as boxes in layers, inputs before what is made from them; the artifact itself has a thick frame.

    An arrow from a to c is left out where there are arrows from a to b and from b to c.
    """
    from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
    from matplotlib.path import Path
    from matplotlib.style import context

    found, inputs, layout = _laid_out(record, ancestors)
    wide, high = layout.size

    with context("default"):
        figure = _figure(wide, high)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(0, wide)
        axes.set_ylim(high, 0)
        axes.axis("off")
        for id, given in inputs.items():
            for source in given:
                start, pieces = layout.arrow(source, id)
                vertices = [start, *(point for piece in pieces for point in piece)]
                codes = [Path.MOVETO, *(Path.CURVE4 if len(piece) == 3 else Path.LINETO for piece in pieces for _ in piece)]
                arrow = Path(vertices, codes)
                axes.add_patch(FancyArrowPatch(path=arrow, arrowstyle="-|>", mutation_scale=9, color="#7b8794", lw=1, zorder=1))
        for id, one in found.items():
            (x, y), (left, top) = layout.point((id, layout.at[id])), layout.corner(id)
            axes.add_patch(
                FancyBboxPatch(
                    (left, top),
                    BOX,
                    layout.height,
                    boxstyle="round,pad=0,rounding_size=5",
                    facecolor=COLOURS.get("model" if one.kind == "model" else one.rows_are or "", "#ffffff"),
                    edgecolor=INK if one is record else "#9aa5b1",
                    lw=2 if one is record else 0.8,
                    zorder=2,
                )
            )
            name, about = _words(one)
            first = y - LINE * (len(name) + len(about) - 1) / 2
            for i, line in enumerate((*name, *about)):
                axes.text(
                    x,
                    first + i * LINE,
                    line,
                    family="DejaVu Sans Mono",
                    size=FONT,
                    weight="bold" if i < len(name) else "normal",
                    color=INK if i < len(name) else "#52606d",
                    ha="center",
                    va="center",
                    parse_math=False,
                    zorder=3,
                )
        return _png(figure)


def lineage_width(record: Record, ancestors: Mapping[str, Record]) -> int:
    """Return how wide lineage.png is meant to be shown."""
    return round(_laid_out(record, ancestors)[2].size[0])


def _laid_out(record: Record, ancestors: Mapping[str, Record]) -> tuple[dict[str, Record], dict[str, list[str]], Layout]:
    """Return the artifact and what it was made from, inputs first, the arrows into each, and where they stand."""
    known = {**ancestors, str(record.id): record}
    graph = Graph({id: [given.id for given in one.inputs] for id, one in known.items()})
    found = {id: known[id] for id in graph.order(str(record.id))}
    inputs = reduced({id: graph.inputs[id] for id in found})
    return found, inputs, lay_out(max(sum(map(len, _words(one))) for one in found.values()), inputs)


def _words(record: Record) -> tuple[list[str], list[str]]:
    """Return the lines of a box: the name, then the maker and the number of rows."""
    return words(str(record.id), record.maker, "model" if record.kind == "model" else f"{record.rows:,} rows")


# -- histogram ----------------------------------------------------------------------------------------------------------


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

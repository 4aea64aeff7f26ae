"""What all figures share: a matplotlib figure with its caption below and its text for those who do not see it, and how it looks.

Colours are those of Okabe and Ito, which people with any colour vision tell apart; every series has a marker and a line of its own
too, so that a figure can be read in grey. The published points are hollow, the user's filled. The same input gives the same bytes.
"""

import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.errors import InputError
from registry.files import replaced

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDE, HIGH, LINE, MARGIN = 6.8, 4.6, 0.17, 0.12  # inches; a line of the caption is LINE high
CHARACTERS = 104  # of a line of the caption
FORMATS = ("svg", "png", "pdf")
INK, GREY = "#1f2933", "#6b7780"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 1.5, 1, 1.5)))


@dataclass(frozen=True)
class Drawing:
    """A figure, the caption that is printed below it, and `alt`: what it shows, in words."""

    figure: "Figure"
    caption: str
    alt: str

    def written(self, format: str) -> bytes:
        """Return the figure as svg, png or pdf; nothing of the time or the user is in it."""
        from matplotlib import rc_context

        file, told = io.BytesIO(), {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}
        pdf = {"CreationDate": None, "Creator": None, "Producer": None}
        with rc_context({"svg.hashsalt": "rft", "svg.fonttype": "path", "pdf.fonttype": 42}):
            self.figure.savefig(file, format=format, dpi=200, metadata=told.get(format, pdf))
        return file.getvalue()

    def save(self, file: Path) -> None:
        """Write the figure; the end of the file's name says how. InputError for another end, or a folder that is not there."""
        format = file.suffix.removeprefix(".").lower()
        if format not in FORMATS:
            raise InputError(f"{file.name}: a figure is written as {', '.join(f'.{one}' for one in FORMATS)}.")
        if not file.parent.is_dir():
            raise InputError(f"{file}: there is no folder {file.parent}.")
        with replaced(file) as scratch:
            scratch.write_bytes(self.written(format))


def drawing(caption: str, alt: str, *, rows: Sequence[float] = (1.0,), high: float = HIGH) -> "tuple[Drawing, list[Axes]]":
    """Return an empty figure with its caption, and its axes: one below the other, `rows` high in proportion."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    lines = textwrap.wrap(caption, CHARACTERS)
    below = LINE * len(lines) + MARGIN
    above_it = ConstrainedLayoutEngine(rect=(0, below / (high + below), 1, high / (high + below)))
    figure = Figure(figsize=(WIDE, high + below), facecolor="white", layout=above_it)
    axes: Any = figure.subplots(len(rows), 1, squeeze=False, gridspec_kw={"height_ratios": list(rows)})
    for one in axes.flat:
        one.spines[["top", "right"]].set_visible(False)
        one.tick_params(labelsize=9, colors=INK)
        one.grid(axis="y", color="#e4e7eb", lw=0.6)
        one.set_axisbelow(True)
    figure.text(0.015, MARGIN / 2 / (high + below), "\n".join(lines), size=8.5, color=INK, va="bottom", parse_math=False)
    return Drawing(figure, caption, alt), list(axes.flat)


def look(place: int) -> dict[str, Any]:
    """Return how the series number `place` looks: colour, marker and line."""
    return {
        "color": COLOURS[place % len(COLOURS)],
        "marker": MARKERS[place % len(MARKERS)],
        "ls": LINES[place // len(COLOURS) % len(LINES)],
    }


def legend(axes: "Axes", **where: Any) -> None:
    axes.legend(fontsize=8, frameon=False, **where)


def doubling(axes: "Axes", values: Sequence[float], words: Sequence[str]) -> None:
    """Make x a scale on which each doubling is one step, with ticks at `values`."""
    axes.set_xscale("log", base=2)
    axes.set_xticks(list(values), list(words))
    axes.minorticks_off()

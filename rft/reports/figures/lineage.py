"""What an artifact was made from, as a picture: for `rft plot lineage`, and for a dataset card."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from registry.errors import InputError
from registry.graph import Graph
from registry.names import ArtifactId
from registry.query.api import Registry
from registry.store.lineage import ancestors as above
from registry.store.record import Record
from rft.reports.figures.drawing import INK, Drawing
from rft.reports.layers import BOX, FONT, LINE, Layout, lay_out, reduced, words

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


def lineage(registry: Registry, ids: Sequence[ArtifactId]) -> Drawing:
    """What one artifact was made from, all the way up."""
    if len(ids) != 1:
        raise InputError("this figure is of one artifact: `rft plot lineage NAME`.")
    record = registry.store.require(ids[0]).record
    known = above(registry.store, record)
    named = ", ".join(f"{id} ({one.maker})" for id, one in known.items())
    about = f"What {record.id} ({record.maker}) was made from: {named or 'nothing else'}."
    return Drawing(boxes(record, known), about, about)


def boxes(record: Record, ancestors: Mapping[str, Record]) -> "Figure":
    """Return the lineage as boxes in layers, inputs before what is made from them; the artifact itself has a thick frame.

    An arrow from a to c is left out where there are arrows from a to b and from b to c.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
    from matplotlib.path import Path
    from matplotlib.style import context

    found, inputs, layout = _laid_out(record, ancestors)
    wide, high = layout.size

    with context("default"):
        figure = Figure(figsize=(wide / 72, high / 72), dpi=144, facecolor="white")  # a point is a pixel of the page
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
        return figure


def width(record: Record, ancestors: Mapping[str, Record]) -> int:
    """Return how wide the picture is meant to be shown, in pixels of a page."""
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

"""Pictures for a dataset card, as PNG: what an artifact was made from, and how many distinct paths its questions have.

The same input gives the same bytes: nothing of the time, the user or the user's settings goes in. Lengths are pixels of a
web page, for each of which the PNG has two; so a picture is meant to be shown at half its size.
"""

import io
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from registry.graph import Graph
from registry.store.record import Record
from rft.reports.paths import Statistics

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CHARACTERS = 20  # of a line in a box
FONT, LINE, PAD = 11, 14, 8
BOX = 150  # 20 characters of the font are 132 wide
GAP, LANE = 16, 12  # between boxes of a layer; the width of an arrow that passes a layer
APART = 40  # between layers: room for arrows
MARGIN = 10
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

Place = tuple[str, int]  # an artifact at its layer, or an arrow from it that passes a layer further down


def pictures(record: Record, ancestors: Mapping[str, Record], statistics: Statistics | None) -> dict[str, bytes]:
    """Return the pictures of an artifact by file name: lineage.png, and paths.png if questions were counted."""
    found = {"lineage.png": lineage(record, ancestors)}
    if statistics is not None and statistics.histogram:
        found["paths.png"] = histogram(statistics)
    return found


# -- lineage ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Layout:
    """Where everything stands: `down`: layers are rows, else columns. `middle` of each place along its layer."""

    down: bool
    height: int  # of a box
    layers: int
    extent: float  # of the longest layer
    middle: Mapping[Place, float]

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the picture."""
        across = self.layers * (self.height if self.down else BOX) + (self.layers - 1) * APART + 2 * MARGIN
        along = self.extent + 2 * MARGIN
        return (along, across) if self.down else (across, along)


def lineage(record: Record, ancestors: Mapping[str, Record]) -> bytes:
    """Return the lineage as boxes in layers, inputs before what is made from them; the artifact itself has a thick frame.

    An arrow from a to c is left out where there are arrows from a to b and from b to c.
    """
    from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
    from matplotlib.path import Path
    from matplotlib.style import context

    found = _reachable(record, ancestors)
    inputs = _reduced(found)
    layout = lay_out(found, inputs)
    (wide, high), at = layout.size, _layers(inputs)
    thick = layout.height if layout.down else BOX

    def point(place: Place, side: int) -> tuple[float, float]:
        """The middle of a place (side 0), or of its edge towards the layer before (-1) or after (1)."""
        along = MARGIN + layout.middle[place]
        across = MARGIN + place[1] * (thick + APART) + thick / 2 * (1 + side)
        return (along, across) if layout.down else (across, along)

    with context("default"):
        figure = _figure(wide, high)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(0, wide)
        axes.set_ylim(high, 0)
        axes.axis("off")
        for id, given in inputs.items():
            for source in given:
                way = _way(source, id, at)
                vertices, codes = [point(way[0], 1)], [Path.MOVETO]
                for before, after in pairwise(way):
                    start, end = point(before, 1), point(after, -1)
                    bend = _bend(start, end, layout.down)
                    vertices += [*bend, end]
                    codes += [Path.CURVE4] * 3
                    if after[0] != id:
                        vertices.append(point(after, 1))
                        codes.append(Path.LINETO)
                arrow = Path(vertices, codes)
                axes.add_patch(FancyArrowPatch(path=arrow, arrowstyle="-|>", mutation_scale=9, color="#7b8794", lw=1, zorder=1))
        for id, one in found.items():
            x, y = point((id, at[id]), 0)
            left, top = x - BOX / 2, y - layout.height / 2
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
            name, about = _words(id, one)
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
    found = _reachable(record, ancestors)
    return round(lay_out(found, _reduced(found)).size[0])


def lay_out(found: Mapping[str, Record], inputs: Mapping[str, Sequence[str]]) -> Layout:
    """Return where the boxes stand: layers down the page, or across it if the picture is narrower so."""
    height = 2 * PAD + LINE * max(sum(map(len, _words(id, record))) for id, record in found.items())
    at = _layers(inputs)
    rows, links = _ordered(inputs, at)
    layouts = []
    for down, size in ((True, BOX), (False, height)):
        sizes = {place: size if at[place[0]] == place[1] else LANE for row in rows for place in row}
        middle = _spread_out(rows, links, sizes)
        extent = max(middle[row[-1]] + sizes[row[-1]] / 2 for row in rows)
        layouts.append(Layout(down, height, len(rows), extent, middle))
    return min(layouts, key=lambda layout: layout.size[0])


def _reachable(record: Record, ancestors: Mapping[str, Record]) -> dict[str, Record]:
    """Return the artifact and what it was made from, inputs first."""
    known = {**ancestors, str(record.id): record}
    graph = Graph({id: [given.id for given in one.inputs] for id, one in known.items()})
    return {id: known[id] for id in graph.order(str(record.id))}


def _reduced(found: Mapping[str, Record]) -> dict[str, list[str]]:
    """Return the inputs of each artifact without those that another input was made from."""
    above: dict[str, set[str]] = {}
    inputs = {}
    for id, record in found.items():
        given = dict.fromkeys(each.id for each in record.inputs if each.id in found)
        inputs[id] = [a for a in given if not any(a in above[b] for b in given)]
        above[id] = set(given).union(*(above[a] for a in given))
    return inputs


def _layers(inputs: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Return the layer of each artifact: one below its lowest input; what has no input stands right above its first user."""
    at: dict[str, int] = {}
    for id, given in inputs.items():
        at[id] = max((at[a] + 1 for a in given), default=0)
    for id, given in inputs.items():
        users = [at[user] for user, its in inputs.items() if id in its]
        if not given and users:
            at[id] = min(users) - 1
    return at


def _way(source: str, id: str, at: Mapping[str, int]) -> list[Place]:
    """Return the places that an arrow goes through; arrows from one source share a lane."""
    return [*((source, layer) for layer in range(at[source], at[id])), (id, at[id])]


def _ordered(inputs: Mapping[str, Sequence[str]], at: Mapping[str, int]) -> tuple[list[list[Place]], list[tuple[Place, Place]]]:
    """Return the places of each layer in an order in which few arrows cross, and the links between neighbouring layers."""
    links: dict[tuple[Place, Place], None] = {}
    for id, given in inputs.items():
        for source in given:
            links |= dict.fromkeys(pairwise(_way(source, id, at)))
    places = dict.fromkeys([(id, layer) for id, layer in at.items()] + [place for link in links for place in link])
    rows: list[list[Place]] = [[] for _ in range(max(at.values()) + 1)]
    for place in places:
        rows[place[1]].append(place)
    best, least = rows, _crossings(rows, links)
    for sweep in range(12):
        side = sweep % 2  # order each layer by what stands above it, then by what stands below
        rank = {place: i / len(row) for row in rows for i, place in enumerate(row)}
        for row in rows if side == 0 else rows[::-1]:
            wanted = {}
            for place in row:
                near = [rank[link[side]] for link in links if link[1 - side] == place]
                wanted[place] = sum(near) / len(near) if near else rank[place]
            row.sort(key=lambda place: (wanted[place], rank[place]))
            rank |= {place: i / len(row) for i, place in enumerate(row)}
        if (crossings := _crossings(rows, links)) < least:
            best, least = [list(row) for row in rows], crossings
    return best, list(links)


def _crossings(rows: Sequence[Sequence[Place]], links: Iterable[tuple[Place, Place]]) -> int:
    rank = {place: i for row in rows for i, place in enumerate(row)}
    ends = [(a[1], rank[a], rank[b]) for a, b in links]
    return sum(p[0] == q[0] and p[1] < q[1] and p[2] > q[2] for p in ends for q in ends)


def _spread_out(
    rows: Sequence[Sequence[Place]], links: Sequence[tuple[Place, Place]], sizes: Mapping[Place, float]
) -> dict[Place, float]:
    """Return the middle of each place along its layer, from 0 on: near what it is linked to, and clear of its neighbours."""
    middle = {place: 0.0 for row in rows for place in row}
    out, into = Counter(a for a, _ in links), Counter(b for _, b in links)
    above: dict[Place, list[tuple[Place, float]]] = {place: [] for place in middle}
    below: dict[Place, list[tuple[Place, float]]] = {place: [] for place in middle}
    for a, b in links:
        pull = 1 / (out[a] * into[b])  # most where an arrow is the only one at both its ends
        above[b].append((a, pull))
        below[a].append((b, pull))
    for near in (below, above) * 8:  # the last time each layer follows the one above, so that single arrows are straight
        for row in rows if near is above else rows[::-1]:
            wanted = [
                sum(middle[n] * w for n, w in near[p]) / sum(w for _, w in near[p]) if near[p] else middle[p] for p in row
            ]
            apart = [(sizes[a] + sizes[b]) / 2 + GAP for a, b in pairwise(row)]
            middle |= dict(zip(row, _clear(wanted, apart), strict=True))
    left = min(middle[place] - sizes[place] / 2 for place in middle)
    return {place: x - left for place, x in middle.items()}


def _clear(wanted: Sequence[float], apart: Sequence[float]) -> list[float]:
    """Return the positions nearest to `wanted` (least squares) in which each is at least `apart` from the one before."""
    offsets = [sum(apart[:i]) for i in range(len(wanted))]
    blocks: list[tuple[float, int]] = []  # (sum, count): neighbours that push one another stand together
    for want, offset in zip(wanted, offsets, strict=True):
        total, count = want - offset, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / count:
            before = blocks.pop()
            total, count = total + before[0], count + before[1]
        blocks.append((total, count))
    return [x + offset for x, offset in zip((t / n for t, n in blocks for _ in range(n)), offsets, strict=True)]


def _words(id: str, record: Record) -> tuple[list[str], list[str]]:
    """Return the lines of a box: the name, then the maker and the number of rows."""
    about = [record.maker, "model" if record.kind == "model" else f"{record.rows:,} rows"]
    return _wrapped(_plain(id)), [_plain(line)[:CHARACTERS] for line in about]


def _wrapped(name: str) -> list[str]:
    """Return a name cut after - and . into as few lines as will do, of about equal length."""
    found = [_cut(name, longest) for longest in range(1, CHARACTERS + 1)]
    return next(lines for lines in found if len(lines) == len(found[-1]))


def _cut(name: str, longest: int) -> list[str]:
    lines = [""]
    for part in re.findall(r".*?[-.]|.+", name):
        if len(lines[-1] + part) > longest:
            lines.append("")
        lines[-1] += part
        while len(lines[-1]) > longest:
            lines[-1:] = [lines[-1][:longest], lines[-1][longest:]]
    return [line for line in lines if line]


def _plain(text: str) -> str:
    """Return `text` with what the font may not have written as \\x1b, \\u4e2d and so on."""
    return "".join(c if " " <= c <= "~" else c.encode("unicode_escape").decode() for c in text)


def _bend(start: tuple[float, float], end: tuple[float, float], down: bool) -> list[tuple[float, float]]:
    """Return the control points of a curve that leaves and arrives straight."""
    if down:
        half = (start[1] + end[1]) / 2
        return [(start[0], half), (end[0], half)]
    half = (start[0] + end[0]) / 2
    return [(half, start[1]), (half, end[1])]


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
        axes.set_xlabel(f"distinct reasoning paths of a question ({_plain(statistics.key)} key{several})", size=FONT)
        axes.set_ylabel("questions", size=FONT)
        axes.set_title(_plain(statistics.id), size=FONT, weight="bold", loc="left", pad=18, parse_math=False)
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

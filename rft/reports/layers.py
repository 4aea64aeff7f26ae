"""Where the boxes and arrows of a lineage stand: inputs before what is made from them, in layers, with few crossings.

    reduced({"a": [], "b": ["a"], "c": ["a", "b"]})   ->   {"a": [], "b": ["a"], "c": ["b"]}

Lengths are pixels of a web page. The same input gives the same layout.
"""

import re
from bisect import bisect_right, insort
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from registry.graph import Graph

CHARACTERS = 20  # of a line in a box
FONT, LINE, PAD = 11, 14, 8
BOX = 150  # 20 characters of the font are 132 wide
GAP, LANE = 16, 12  # between boxes of a layer; the width of an arrow that passes a layer
APART = 40  # between layers: room for arrows
MARGIN = 10

Place = tuple[str, int]  # an artifact at its layer, or an arrow from it that passes a layer further down
Point = tuple[float, float]


@dataclass(frozen=True)
class Layout:
    """Where everything stands: `down`: layers are rows, else columns. `middle` of each place along its layer."""

    down: bool
    height: int  # of a box
    layers: int
    extent: float  # of the longest layer
    at: Mapping[str, int]  # the layer of each artifact
    middle: Mapping[Place, float]

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the picture."""
        across = self.layers * (self.height if self.down else BOX) + (self.layers - 1) * APART + 2 * MARGIN
        along = self.extent + 2 * MARGIN
        return (along, across) if self.down else (across, along)

    def point(self, place: Place, side: int = 0) -> Point:
        """Return the middle of a place, or of its edge towards the layer before (side -1) or after (1)."""
        thick = self.height if self.down else BOX
        along = MARGIN + self.middle[place]
        across = MARGIN + place[1] * (thick + APART) + thick / 2 * (1 + side)
        return (along, across) if self.down else (across, along)

    def corner(self, id: str) -> Point:
        """Return the upper left corner of a box."""
        x, y = self.point((id, self.at[id]))
        return x - BOX / 2, y - self.height / 2

    def arrow(self, source: str, id: str) -> tuple[Point, list[tuple[Point, ...]]]:
        """Return where an arrow begins, and its pieces: two control points and an end for a curve, or the end of a line."""
        way = _way(source, id, self.at)
        pieces: list[tuple[Point, ...]] = []
        for before, after in pairwise(way):
            start, end = self.point(before, 1), self.point(after, -1)
            pieces.append((*_bend(start, end, self.down), end))
            if after[0] != id:
                pieces.append((self.point(after, 1),))
        return self.point(way[0], 1), pieces


def lay_out(lines: int, inputs: Mapping[str, Sequence[str]]) -> Layout:
    """Return where boxes of so many lines stand: layers down the page, or across it if the picture is narrower so."""
    height = 2 * PAD + LINE * lines
    at = layers(inputs)
    rows, links = _ordered(inputs, at)
    layouts = []
    for down, size in ((True, BOX), (False, height)):
        sizes = {place: size if at[place[0]] == place[1] else LANE for row in rows for place in row}
        middle = _spread_out(rows, links, sizes)
        extent = max(middle[row[-1]] + sizes[row[-1]] / 2 for row in rows)
        layouts.append(Layout(down, height, len(rows), extent, at, middle))
    return min(layouts, key=lambda layout: layout.size[0])


def reduced(inputs: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return the inputs of each artifact without those that another input was made from. Inputs stand before what they are of."""
    above: dict[str, set[str]] = {}
    found = {}
    for id, all_of_them in inputs.items():
        given = [each for each in dict.fromkeys(all_of_them) if each in inputs]
        found[id] = [a for a in given if not any(a in above[b] for b in given)]
        above[id] = set(given).union(*(above[a] for a in given))
    return found


def layers(inputs: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Return the layer of each artifact: one below its lowest input; what has no input stands right above its first user."""
    at: dict[str, int] = {}
    for id, given in inputs.items():
        at[id] = max((at[a] + 1 for a in given), default=0)
    users = Graph(inputs).users
    for id, given in inputs.items():
        if not given and id in users:
            at[id] = min(at[user] for user in users[id]) - 1
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
    beside: tuple[dict[Place, list[Place]], dict[Place, list[Place]]] = ({}, {})  # above and below each place
    for a, b in links:
        beside[0].setdefault(b, []).append(a)
        beside[1].setdefault(a, []).append(b)
    best, least = rows, _crossings(rows, links)
    for sweep in range(12):
        side = sweep % 2  # order each layer by what stands above it, then by what stands below
        rank = {place: i / len(row) for row in rows for i, place in enumerate(row)}
        for row in rows if side == 0 else rows[::-1]:
            wanted = {}
            for place in row:
                near = [rank[other] for other in beside[side].get(place, ())]
                wanted[place] = sum(near) / len(near) if near else rank[place]
            row.sort(key=lambda place: (wanted[place], rank[place]))
            rank |= {place: i / len(row) for i, place in enumerate(row)}
        if (crossings := _crossings(rows, links)) < least:
            best, least = [list(row) for row in rows], crossings
    return best, list(links)


def _crossings(rows: Sequence[Sequence[Place]], links: Iterable[tuple[Place, Place]]) -> int:
    rank = {place: i for row in rows for i, place in enumerate(row)}
    count, layer = 0, -1
    ends: list[int] = []  # of the links of this layer that start further to the left
    for at, _, end in sorted((a[1], rank[a], rank[b]) for a, b in links):
        if at != layer:
            layer, ends = at, []
        count += len(ends) - bisect_right(ends, end)
        insort(ends, end)
    return count


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


def plain(text: str) -> str:
    """Return `text` with what the font may not have written as \\x1b, \\u4e2d and so on."""
    return "".join(c if " " <= c <= "~" else c.encode("unicode_escape").decode() for c in text)


def _bend(start: tuple[float, float], end: tuple[float, float], down: bool) -> list[tuple[float, float]]:
    """Return the control points of a curve that leaves and arrives straight."""
    if down:
        half = (start[1] + end[1]) / 2
        return [(start[0], half), (end[0], half)]
    half = (start[0] + end[0]) / 2
    return [(half, start[1]), (half, end[1])]


def words(id: str, *about: str) -> tuple[list[str], list[str]]:
    """Return the lines of a box: the name, then what there is to say about it."""
    return _wrapped(plain(id)), [plain(line)[:CHARACTERS] for line in about]

"""The lineage of many artifacts as SVG in the page itself: every box that has a page is a link to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from registry.graph import Cycle, Graph
from rft.reports.layers import BOX, LINE, lay_out, reduced, words
from rft.reports.site.html import environment


@dataclass(frozen=True)
class Node:
    """An artifact, built or not: `about`: the lines below its name; `kind`: what colours it; `href`: its page, None if it has none."""

    id: str
    about: tuple[str, ...]
    kind: str
    inputs: Sequence[str]
    href: str | None


def pictures(nodes: Mapping[str, Node], of: str, current: str = "") -> list[tuple[list[Node], Markup]]:
    """Return a picture for each part of the graph that hangs together, with its artifacts, inputs first; what stands alone shares one.

    `of` says what it is a picture of; `current` has a thick frame.
    """
    graph = _without_rings({id: [given for given in node.inputs if given in nodes] for id, node in nodes.items()})
    found = []
    for i, part in enumerate(_parts(graph), 1):
        shown = [nodes[id] for id in part]
        inputs = {id: graph.inputs[id] for id in part}
        found.append((shown, _svg(shown, inputs, f"{of}, part {i}" if i > 1 else of, current, i)))
    return found


def _parts(graph: Graph[str]) -> list[list[str]]:
    part: dict[str, int] = {}
    for id in graph.inputs:
        waiting = [] if id in part else [id]
        while waiting:
            at = waiting.pop()
            if at not in part:
                part[at] = part.get(id, len(part))
                waiting += [*graph.inputs[at], *graph.users.get(at, ())]
    found: dict[int, list[str]] = {}
    for id in graph.order():
        found.setdefault(part[id], []).append(id)
    together = [ids for ids in found.values() if len(ids) > 1]
    alone = [id for ids in found.values() if len(ids) == 1 for id in ids]
    return [*together, *([alone] if alone else [])]


def _without_rings(inputs: dict[str, list[str]]) -> Graph[str]:
    """Return a graph without the arrows that close a ring: what is built and what the catalog lists today may contradict each other."""
    while True:
        graph = Graph(inputs)
        try:
            graph.order()
        except Cycle as error:
            node, given = error.ring[:2]
            inputs = {**inputs, node: [each for each in inputs[node] if each != given]}
        else:
            return graph


def _svg(part: Sequence[Node], inputs: Mapping[str, Sequence[str]], of: str, current: str, number: int) -> Markup:
    inputs = reduced(inputs)
    lines = {node.id: words(node.id, *node.about) for node in part}
    layout = lay_out(max(sum(map(len, each)) for each in lines.values()), inputs)
    arrows = []
    for id, given in inputs.items():
        for source in given:
            start, pieces = layout.arrow(source, id)
            curves = (("C" if len(piece) == 3 else "L") + " ".join(f"{x:.1f},{y:.1f}" for x, y in piece) for piece in pieces)
            arrows.append(f"M{start[0]:.1f},{start[1]:.1f}{''.join(curves)}")
    boxes = []
    for node in part:
        name, about = lines[node.id]
        x, y = layout.point((node.id, layout.at[node.id]))
        first = y - LINE * (len(name) + len(about) - 1) / 2
        texts = [(first + i * LINE, line, i < len(name)) for i, line in enumerate((*name, *about))]
        boxes.append((node, layout.corner(node.id), x, texts))
    return Markup(
        environment()
        .get_template("lineage.svg.jinja")
        .render(of=of, number=number, size=layout.size, box=(BOX, layout.height), arrows=arrows, boxes=boxes, current=current)
    )

"""The lineage of many artifacts as SVG in the page itself: every box that has a page is a link to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from registry.graph import Graph
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
    return [(part, _svg(part, f"{of}, part {i}" if i > 1 else of, current, i)) for i, part in enumerate(_parts(nodes), 1)]


def _parts(nodes: Mapping[str, Node]) -> list[list[Node]]:
    graph = Graph({id: [given for given in node.inputs if given in nodes] for id, node in nodes.items()})
    part: dict[str, int] = {}
    for id in nodes:
        if id in part:
            continue
        waiting = [id]
        while waiting:
            at = waiting.pop()
            if at not in part:
                part[at] = len(part) if at == id else part[id]
                waiting += [*graph.inputs[at], *graph.users.get(at, ())]
    found: dict[int, list[Node]] = {}
    for id in graph.order():
        found.setdefault(part[id], []).append(nodes[id])
    together = [nodes for nodes in found.values() if len(nodes) > 1]
    alone = [node for nodes in found.values() if len(nodes) == 1 for node in nodes]
    return [*together, *([alone] if alone else [])]


def _svg(part: Sequence[Node], of: str, current: str, number: int) -> Markup:
    inputs = reduced({node.id: node.inputs for node in part})
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

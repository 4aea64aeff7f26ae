"""What an artifact was made from, all the way up."""

from dataclasses import dataclass

from registry.errors import Drifted
from registry.names import ArtifactId, parse_id
from registry.store.record import Damaged, Record, Stored
from registry.store.store import Store


@dataclass(frozen=True)
class Node:
    """An artifact in a lineage, with the content that was used and how it compares with what is there now."""

    id: str
    maker: str
    rows: int | None
    content: str
    state: str  # "" as it was used; "not here" if only its record is known; "missing", "changed" or "damaged" if not even that
    inputs: tuple["Node", ...]


def lineage(store: Store, id: ArtifactId) -> Node:
    """Return the tree of what `id` was made from; NotFound if it is not built."""
    return _node(store, id, store.require(id).record.content, {})


def _node(store: Store, id: ArtifactId, content: str, known: dict[tuple[ArtifactId, str], Node]) -> Node:
    if (id, content) in known:
        return known[id, content]
    stored = store.peek(id)
    record = None if isinstance(stored, Damaged) else store.record(id, content)
    if isinstance(stored, Stored):
        state = "" if stored.record.content == content else "changed"
    else:
        state = "damaged" if stored else "not here" if record else "missing"
    m = record or (stored.record if isinstance(stored, Stored) else None)
    if m is None:
        node = Node(str(id), "?", None, content, state, ())
    else:
        inputs = tuple(_node(store, parse_id(given.id), given.content, known) for given in m.inputs)
        node = Node(str(id), m.maker, None if m.kind == "model" else m.rows, content, state, inputs)
    known[id, content] = node
    return node


def ancestors(store: Store, record: Record) -> dict[str, Record]:
    """Return the records of everything that an artifact was made from, nearest first, by id; without those that are gone.

    Raises Drifted if one of them was used with two different contents: no id could stand for both.
    """
    found: dict[str, Record] = {}
    waiting = list(record.inputs)
    while waiting:
        given = waiting.pop(0)
        if given.id in found:
            if found[given.id].content != given.content:
                raise Drifted(
                    f"{record.id} was made from two different {given.id}: {found[given.id].content[:12]} and {given.content[:12]}."
                )
            continue
        if one := store.record(parse_id(given.id), given.content):
            found[given.id] = one
            waiting += one.inputs
    return found


def draw(node: Node) -> str:
    """Return the tree as text, an artifact a line; what was drawn already is not drawn again."""
    return "\n".join(_lines(node, "", "", set()))


def _lines(node: Node, first: str, rest: str, drawn: set[str]) -> list[str]:
    rows = "" if node.rows is None else f"  {node.rows:,} rows"
    again = bool(node.inputs) and node.id in drawn
    remarks = "".join(f"  ({remark})" for remark in (node.state, "as above" if again else "") if remark)
    lines = [f"{first}{node.id}  {node.maker}{rows}  {node.content[:12]}{remarks}"]
    drawn.add(node.id)
    for i, child in enumerate(() if again else node.inputs):
        last = i == len(node.inputs) - 1
        lines += _lines(child, rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  "), drawn)
    return lines


def flat(node: Node) -> list[dict[str, object]]:
    """Return every artifact of the tree once: id, maker, rows, content, state and the ids of its inputs."""
    found: dict[str, dict[str, object]] = {}
    stack = [node]
    while stack:
        n = stack.pop()
        if n.id not in found:
            found[n.id] = {
                "id": n.id,
                "maker": n.maker,
                "rows": n.rows,
                "content": n.content,
                "state": n.state,
                "inputs": [i.id for i in n.inputs],
            }
            stack += reversed(n.inputs)
    return list(found.values())

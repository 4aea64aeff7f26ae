"""What an artifact was made from, all the way up."""

from dataclasses import dataclass

from registry.errors import Drifted
from registry.graph import Graph
from registry.names import ArtifactId, parse_id
from registry.store.record import Damaged, InputRecord, Record
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
    start = InputRecord(id=str(id), content=store.require(id).record.content)
    found: dict[InputRecord, tuple[Record | None, str]] = {}
    waiting = [start]
    while waiting:
        used = waiting.pop()
        record, _ = found[used] = _used(store, used)
        waiting += [given for given in record.inputs if given not in found] if record else []
    nodes: dict[InputRecord, Node] = {}
    for used in Graph({used: record.inputs if record else [] for used, (record, _) in found.items()}).order():
        record, state = found[used]
        if record is None:
            nodes[used] = Node(used.id, "?", None, used.content, state, ())
        else:
            rows = None if record.kind == "model" else record.rows
            nodes[used] = Node(used.id, record.maker, rows, used.content, state, tuple(nodes[given] for given in record.inputs))
    return nodes[start]


def _used(store: Store, used: InputRecord) -> tuple[Record | None, str]:
    """Return the record of what was used, or else of what is called so now, and how the two compare."""
    id = parse_id(used.id)
    stored = store.peek(id)
    if isinstance(stored, Damaged):
        return None, "damaged"
    record = store.record(id, used.content)
    if stored is None:
        return record, "not here" if record else "missing"
    return record or stored.record, "" if stored.record.content == used.content else "changed"


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
    lines: list[str] = []
    drawn: set[str] = set()
    stack = [(node, "", "")]
    while stack:
        node, first, rest = stack.pop()
        rows = "" if node.rows is None else f"  {node.rows:,} rows"
        again = bool(node.inputs) and node.id in drawn
        remarks = "".join(f"  ({remark})" for remark in (node.state, "as above" if again else "") if remark)
        lines.append(f"{first}{node.id}  {node.maker}{rows}  {node.content[:12]}{remarks}")
        drawn.add(node.id)
        below = [] if again else [(given, f"{rest}├─ ", f"{rest}│  ") for given in node.inputs]
        if below:
            below[-1] = (node.inputs[-1], f"{rest}└─ ", f"{rest}   ")
        stack += reversed(below)
    return "\n".join(lines)


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

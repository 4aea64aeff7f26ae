"""What an artifact was made from, however long the way."""

from pathlib import Path

from registry.names import ArtifactId
from registry.store.lineage import ancestors, draw, flat, lineage
from registry.store.record import InputRecord
from registry.store.store import Store
from rft.publish.gate.contamination import role_of
from tests.processes import record_of

LENGTH = 2_000


def test_a_chain_of_thousands_is_a_lineage(tmp_path: Path) -> None:
    store = Store(tmp_path)
    name = f"d{LENGTH}"
    with store.draft(ArtifactId(name, 1)) as draft:
        last = record_of(draft, "text")
        chain = [
            last.model_copy(update={"name": f"d{n}", "inputs": [] if n == 1 else _made_from(n - 1, last.content)})
            for n in range(1, LENGTH + 1)
        ]
        draft.publish(chain[-1])
    for record in chain[:-1]:
        store.keep_record(record)
    tree = lineage(store, ArtifactId(name, 1))
    assert [node["id"] for node in flat(tree)] == [f"d{n}@1" for n in range(LENGTH, 0, -1)]
    assert len(draw(tree).splitlines()) == LENGTH
    known = ancestors(store, chain[-1])
    assert len(known) == LENGTH - 1
    assert role_of(chain[-1], known.get) is None


def _made_from(number: int, content: str) -> list[InputRecord]:
    return [InputRecord(id=f"d{number}@1", content=content)]

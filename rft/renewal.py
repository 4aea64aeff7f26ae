"""`rft renew`: the next version of every line that older rules made, and of all that rests on one."""

from collections.abc import Collection
from dataclasses import dataclass, replace

from registry.catalog.edit import add_lines, line
from registry.catalog.plan import Step, free
from registry.catalog.read import SECTIONS, Catalog, Entry
from registry.errors import NotFound
from registry.graph import Graph
from registry.names import ArtifactId
from registry.store.store import Store


@dataclass(frozen=True)
class Renewal:
    """What is renewed: the old line, the new one, and why."""

    old: ArtifactId
    new: Entry
    why: str


def renewals(
    steps: dict[ArtifactId, Step], catalog: Catalog, store: Store, wanted: Collection[ArtifactId] | None = None
) -> list[Renewal]:
    """Return the next version of every line that an older edition of its maker made, and of every line that rests on one.

    Inputs come first, and a new line takes the new versions of its inputs. Of a name only the highest version is renewed.
    With `wanted`, only these lines and what they rest on. Raises NotFound if nothing is to be renewed.
    """
    graph = Graph({id: step.recipe.entry.inputs for id, step in steps.items()})
    asked = set(steps) if wanted is None else set().union(*(graph.nearest(id) for id in wanted))
    older = {id: step.note for id, step in steps.items() if step.note and id in asked}
    resting = {below for id in older for below in graph.below(id)} & asked
    chosen: list[Renewal] = []
    now: dict[ArtifactId, ArtifactId] = {}
    for id, step in steps.items():  # in the order of a plan
        if id.is_dev or id not in older.keys() | resting or id != max(catalog.named(id.name)):
            continue
        entry = step.recipe.entry
        now[id] = free(id.name, catalog, store)
        inputs = tuple(now.get(given, given) for given in entry.inputs)
        chosen.append(Renewal(id, replace(entry, id=now[id], inputs=inputs), older.get(id) or "rests on one of these"))
    if not chosen:
        raise NotFound("nothing stands on older rules: every line was made by the present edition of its maker.")
    return chosen


def write(found: list[Renewal], catalog: Catalog) -> list[str]:
    """Add the new lines to the catalog, all or none; return them."""
    lines = [line(one.new) for one in found]
    sections = [next(section for section, (kind, _) in SECTIONS.items() if kind == one.new.kind) for one in found]
    add_lines(catalog.file, list(zip(sections, lines, strict=True)), {one.new.id: one.new for one in found})
    return lines

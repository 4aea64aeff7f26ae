"""Compare the catalog with what exists: what is there, what is missing, what was changed since.

States: ok; build (missing); edited (the line differs from what was built); drifted (an input is not the one that was
used); corrupt (the files are not the ones that were written). Only `build` is built; the others are refused.
"""

import inspect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from registry.catalog.bind import Recipe, bind, recorded
from registry.catalog.read import Catalog
from registry.errors import CatalogError, Corrupt, Drifted, EditedEntry, NotFound, RftError, near
from registry.graph import Cycle, Graph
from registry.names import ArtifactId, check_name, meant, parse_id
from registry.store.record import Damaged, Record, Stored
from registry.store.store import Store

State = Literal["ok", "build", "edited", "drifted", "corrupt"]


@dataclass(frozen=True)
class Step:
    """One line of the catalog, its state, and why it is in it."""

    recipe: Recipe
    state: State
    why: str
    note: str = ""  # worth knowing, but no reason to refuse

    @property
    def id(self) -> ArtifactId:
        return self.recipe.entry.id

    def refusal(self) -> RftError:
        """Return the error that says why this cannot be built, and the cure."""
        kind = {"edited": EditedEntry, "drifted": Drifted, "corrupt": Corrupt}[self.state]
        cures = {
            "edited": f"Restore the line, or add {self.id.name}@{self.id.version + 1}.",
            "drifted": f"Add {self.id.name}@{self.id.version + 1}, or `rft rm {self.id}` and build it again.",
            "corrupt": f"`rft rm {self.id}` removes it, `rft build {self.id}` makes it again.",
        }
        return kind(f"{self.recipe.entry.where}: {self.id} is {self.state}: {self.why}. {cures[self.state]}")


def plan(catalog: Catalog, store: Store) -> dict[ArtifactId, Step]:
    """Return a step for every line, in an order in which inputs come first; CatalogError if a line cannot be bound."""
    recipes = {id: bind(entry, catalog) for id, entry in catalog.entries.items()}
    for recipe in recipes.values():
        for given in recipe.entry.inputs:
            if given not in recipes and store.peek(given) is None:
                versions = catalog.named(given.name)
                hint = (
                    f" The catalog lists {', '.join(map(str, versions))}." if versions else near(str(given), map(str, recipes))
                )
                raise CatalogError(f"{recipe.entry.where}: {recipe.entry.id}: its input {given} is not in the catalog.{hint}")
    stored: dict[ArtifactId, Stored | Damaged | None] = {}
    return {id: _step(recipes[id], store, stored) for id in _in_order(recipes)}


def _in_order(recipes: dict[ArtifactId, Recipe]) -> list[ArtifactId]:
    try:
        return Graph({id: recipe.entry.inputs for id, recipe in recipes.items()}).order()
    except Cycle as error:
        raise CatalogError(f"{recipes[error.ring[0]].entry.where}: a cycle: {error}. Take one of the inputs out.") from error


def _step(recipe: Recipe, store: Store, seen: dict[ArtifactId, Stored | Damaged | None]) -> Step:
    id = recipe.entry.id
    stored = seen[id] = store.peek(id)
    if stored is None:
        return Step(recipe, "build", "not built yet")
    if isinstance(stored, Damaged):
        return Step(recipe, "corrupt", stored.why)
    if id.is_dev:
        return Step(recipe, "build", "@dev is built every time")
    if edited := difference(recipe, stored.record):
        return Step(recipe, "edited", edited)
    if damage := store.damage(stored):
        return Step(recipe, "corrupt", damage)
    for given in stored.record.inputs:
        input_id = parse_id(given.id)
        if input_id not in seen:
            seen[input_id] = store.peek(input_id)
        now = seen[input_id]
        # Where it is damaged, its own line is corrupt; this one has all it needs.
        if isinstance(now, Stored) and now.record.content != given.content:
            return Step(
                recipe,
                "drifted",
                f"its input {given.id} is now {now.record.content[:12]}, it was {given.content[:12]} when this was built",
            )
    note = ""
    if stored.record.edition != recipe.maker.edition:
        note = f"made by edition {stored.record.edition} of {recipe.maker.name}; edition {recipe.maker.edition} would give other rows"
    return Step(recipe, "ok", "", note)


def difference(recipe: Recipe, record: Record) -> str:
    """Return in words how the line differs from the record, or an empty string."""
    if (recipe.entry.kind, recipe.maker.name) != (record.kind, record.maker):
        return f"its maker is {recipe.maker.name}, it was built by {record.maker}"
    inputs, were = [str(id) for id in recipe.entry.inputs], [given.id for given in record.inputs]
    if inputs != were:
        return f"its inputs are [{', '.join(inputs)}], it was built from [{', '.join(were)}]"
    params = recorded(recipe)
    for name, value in params.items():
        if name == recipe.location or name in recipe.maker.about:
            continue
        default = recipe.maker.params[name].default
        was = record.params.get(name, default)
        if was is inspect.Parameter.empty:
            return f"{name} is {value!r}, it was built without"
        if not same(value, was):
            return f"{name} is {value!r}, it was built with {was!r}"
    if gone := [name for name in record.params if name not in params]:
        return f"it was built with {gone[0]}, which {recipe.maker.name} no longer has"
    return ""


def same(a: Any, b: Any) -> bool:
    """Return whether two parameter values are equal as JSON values (1 is 1.0; true is not 1)."""
    if isinstance(a, bool) != isinstance(b, bool):
        return False
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


def select(steps: dict[ArtifactId, Step], patterns: Iterable[str]) -> list[Step]:
    """Return the steps that the words of a command name: name@1, a bare name (its highest version), or a glob.

    Raises NotFound for a word that names nothing.
    """
    chosen: dict[ArtifactId, Step] = {}
    for pattern in patterns:
        found = meant(pattern, steps)
        if not found:
            raise NotFound(
                f"{pattern} is not in the catalog.{near(pattern, dict.fromkeys([*map(str, steps), *(id.name for id in steps)]))}"
            )
        chosen |= {id: steps[id] for id in found}
    return list(chosen.values())


def needed(steps: dict[ArtifactId, Step], targets: Sequence[Step]) -> list[Step]:
    """Return what must be built for `targets`, inputs first.

    Raises the refusal of the first target or missing ancestor that is edited, drifted or corrupt. What is there
    already hides what it was made from: nothing above it is looked at.
    """
    wanted: set[ArtifactId] = set()
    stack = [target.id for target in reversed(targets)]
    while stack:
        id = stack.pop()
        step = steps.get(id)
        if step is None or id in wanted or step.state == "ok":
            continue
        if step.state != "build":
            raise step.refusal()
        wanted.add(id)
        stack += reversed(step.recipe.entry.inputs)
    return [step for id, step in steps.items() if id in wanted]


def free(name: str, catalog: Catalog, store: Store) -> ArtifactId:
    """Return `name` if it has a version and is free, or its next free version; CatalogError if it is taken."""
    if "@" in name:
        id = parse_id(name)
        if catalog.get(id) or store.get(id):
            raise CatalogError(f"{id} is taken. Leave the version out, and the next free one is taken.")
        return id
    check_name(name)
    built = store.highest(name)
    taken = [id.version for id in catalog.named(name)] + ([built.version] if built else [])
    return ArtifactId(name, max(taken, default=0) + 1)

"""What a maker is given: its parameters with files opened, and its inputs as frames, Inputs or Models."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from registry.catalog.bind import Recipe, location_hash, names
from registry.errors import InputError, NotFound
from registry.maker import Input, Model, Run
from registry.store.models import open_model
from registry.store.record import Stored
from registry.store.store import Store
from registry.tables import Span, read


@contextmanager
def opened(recipe: Recipe, folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the parameters, with a Location as an open file (a Folder as its path) whose sha256 was checked."""
    params = dict(recipe.params)
    if recipe.location is None:
        yield params
        return
    path = folder / params[recipe.location]
    what = "folder" if recipe.folder else "file"
    if not (path.is_dir() if recipe.folder else path.is_file()):
        there = f"is not a {what}" if path.exists() else "does not exist"
        raise NotFound(f"{recipe.entry.where}: {recipe.entry.id}: {path} {there}. Paths start at the catalog's folder.")
    digest = location_hash(path)
    if params.get("sha256") != digest:
        raise InputError(
            f"{recipe.entry.where}: {recipe.entry.id}: {path.name} is not the {what} the line means. The line says {params.get('sha256')}, "
            f"the {what} has sha256: {digest}"
        )
    if recipe.folder:
        params[recipe.location] = path
        yield params
        return
    with path.open("rb") as file:
        params[recipe.location] = file
        yield params


def given_to(recipe: Recipe, inputs: list[Stored], store: Store) -> list["pl.DataFrame | Input | Model"]:
    """Return the inputs whole, as the maker wants them: frames, Inputs or Models."""
    return [
        open_model(stored, store)
        if recipe.maker.takes_model(position) and stored.record.kind == "model"
        else source_of(recipe, position, stored).read(None)
        for position, stored in enumerate(inputs)
    ]


class Source(NamedTuple):
    """An input that is read table by table, and how its maker wants it."""

    stored: Stored
    whole: bool

    @property
    def rows(self) -> Path:
        return self.stored.folder / "rows.parquet"

    def read(self, span: Span) -> pl.DataFrame | Input:
        """Return the input, or what it has of some questions."""
        rows = read(self.stored, "rows", span)
        assert rows is not None  # source_of saw to it
        if not self.whole:
            return rows
        verdicts, path_stats = (read(self.stored, table, span) for table in ("verdicts", "path_stats"))
        return Input(str(self.stored.id), rows, verdicts, path_stats, self.stored.record.facts)


def source_of(recipe: Recipe, position: int, stored: Stored) -> Source:
    at = f"{recipe.entry.where}: {recipe.entry.id}"
    if recipe.maker.takes_model(position):
        raise InputError(f"{at}: input {position + 1} must be a model; {stored.id} is a {stored.record.kind}.")
    if stored.file("rows.parquet") is None:
        raise InputError(f"{at}: {stored.id} has no rows ({stored.record.kind} by {stored.record.maker}).")
    shapes, made = recipe.maker.shapes_taken(position), stored.record.rows_are
    if shapes and made not in [shape.name for shape in shapes]:
        raise InputError(f"{at}: input {position + 1} must be {names(shapes)} rows; {stored.id} has {made} rows.")
    return Source(stored, recipe.maker.takes_whole(position))


def with_run(recipe: Recipe, params: dict[str, Any], run: Run) -> dict[str, Any]:
    return params | ({recipe.maker.run: run} if recipe.maker.run else {})

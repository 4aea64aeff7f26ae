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


Span = tuple[str, str | None] | None  # from this question_id up to, and without, that one; None: everything


class Source(NamedTuple):
    """Where an input's tables lie, and how its maker wants it."""

    id: str
    tables: dict[str, Path]
    facts: dict[str, Any]
    whole: bool

    def read(self, span: Span) -> pl.DataFrame | Input:
        frames = {name: read_span(file, span) for name, file in self.tables.items() if self.whole or name == "rows"}
        return Input(self.id, **frames, facts=self.facts) if self.whole else frames["rows"]


def source_of(recipe: Recipe, position: int, stored: Stored) -> Source:
    at = f"{recipe.entry.where}: {recipe.entry.id}"
    tables = {name: file for name in ("rows", "verdicts", "path_stats") if (file := stored.file(f"{name}.parquet"))}
    if recipe.maker.takes_model(position):
        raise InputError(f"{at}: input {position + 1} must be a model; {stored.id} is a {stored.record.kind}.")
    if "rows" not in tables:
        raise InputError(f"{at}: {stored.id} has no rows ({stored.record.kind} by {stored.record.maker}).")
    shapes, made = recipe.maker.shapes_taken(position), stored.record.rows_are
    if shapes and made not in [shape.name for shape in shapes]:
        raise InputError(f"{at}: input {position + 1} must be {names(shapes)} rows; {stored.id} has {made} rows.")
    return Source(str(stored.id), tables, stored.record.facts, recipe.maker.takes_whole(position))


def read_span(file: Path, span: Span) -> pl.DataFrame:
    if span is None:
        return pl.read_parquet(file)
    # Row groups carry the least and greatest question_id, so only those that overlap are read.
    id, (first, end) = pl.col("question_id"), span
    return pl.scan_parquet(file).filter((id >= first) & (pl.lit(True) if end is None else id < end)).collect()


def with_run(recipe: Recipe, params: dict[str, Any], run: Run) -> dict[str, Any]:
    return params | ({recipe.maker.run: run} if recipe.maker.run else {})

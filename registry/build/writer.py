"""Write a maker's tables, counting rows and drops and hashing content as they pass."""

from collections import Counter
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from registry.catalog.bind import Recipe
from registry.content import ContentHash, content_of
from registry.errors import InputError
from registry.maker import Tables
from registry.rows import DROPS, ROW_SHAPES, TABLES, Shape
from registry.store.draft import Draft
from registry.store.record import Stored

ROWS_PER_GROUP = 25_000  # Parquet row groups: what one chunk reads is a few of them


class Writer:
    """Writes a maker's tables as Parquet into a draft, counting rows and drops and hashing content as they pass."""

    def __init__(self, draft: Draft, recipe: Recipe, inputs: list[Stored]) -> None:
        self.draft = draft
        self.where = str(recipe.entry.id)
        self.rows = 0
        self.drops: Counter[str] = Counter()
        self.facts: dict[str, Any] = {}
        makes = recipe.maker.makes
        shape = makes or ROW_SHAPES.get(inputs[0].record.rows_are or "")
        if shape is None:
            raise InputError(f"{inputs[0].id} has no rows ({inputs[0].record.kind} by {inputs[0].record.maker}).")
        self.shape = shape
        self._writers: dict[str, pq.ParquetWriter] = {}
        self._hashes: dict[str, ContentHash] = {}
        self._shapes: dict[str, Shape] = {}

    def write(self, tables: Tables) -> None:
        """Write the next tables; rows with a reason in `drop` go to the drops."""
        rows, dropped = tables.rows, None
        if "drop" in rows.columns:
            dropped = rows.filter(pl.col("drop").is_not_null()).rename({"drop": "reason"})
            rows = rows.filter(pl.col("drop").is_null()).drop("drop")
        self._append("rows", self.shape, rows)
        self.rows += rows.height
        if dropped is not None and dropped.height:
            self._append("drops", DROPS, dropped)
            self._count(dropped["reason"])
        for name, frame in (("verdicts", tables.verdicts), ("path_stats", tables.path_stats)):
            if frame is not None:
                self._append(name, TABLES[name], frame)
        if tables.verdicts is not None and self.shape.name == "TRAINING":
            self._count(tables.verdicts["verdict"].filter(tables.verdicts["verdict"] != "kept"))
        self.facts |= tables.facts

    def _count(self, reasons: pl.Series) -> None:
        self.drops.update(dict(reasons.value_counts().iter_rows()))

    def _append(self, name: str, shape: Shape, frame: pl.DataFrame) -> None:
        fitted = shape.fit(frame, f"{self.where} ({name})")
        table = fitted.to_arrow()
        if name not in self._writers:
            self._writers[name] = pq.ParquetWriter(
                self.draft.folder / f"{name}.parquet",
                table.schema,
                compression="zstd",
                write_page_index=True,  # as the Hub's viewer likes it
                use_content_defined_chunking=True,  # and its storage: of a version with few other rows little is new
            )
            self._hashes[name], self._shapes[name] = ContentHash(shape), shape
        if table.num_rows:  # `datasets` takes the first row group for the size of all: an empty one stops it
            self._writers[name].write_table(table, row_group_size=ROWS_PER_GROUP)
        if name != "drops":
            self._hashes[name].add(table)

    def close(self) -> None:
        """Finish the files; an artifact without rows still has its rows file, with the right columns."""
        for writer in self._writers.values():
            writer.close()

    @property
    def columns(self) -> dict[str, list[str]]:
        """The columns of each table."""
        return {name: list(self._shapes[name].columns) for name in sorted(self._writers)}

    @property
    def graded_nothing(self) -> bool:
        """Whether verdicts were to be given on samples, and every sample was refused."""
        return "verdicts" in self._hashes and not self._hashes["verdicts"].rows and bool(self.drops)

    def content(self) -> str:
        """Return the artifact's content."""
        return content_of(self._hashes)

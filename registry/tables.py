"""The tables of an artifact, as wide as their shapes are today, whatever they were written with.

A record lists the columns of each table. A column that a table lacks is null to every reader; one that its shape does not know,
of a newer version, is left alone.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

from registry.rows import LOSS, ROW_SHAPES, TABLES, Shape
from registry.store.record import Record, Stored

SQL_TYPES = {pl.String: "varchar", pl.Int64: "bigint", pl.Int32: "integer", pl.Float64: "double", pl.Boolean: "boolean"}

Span = tuple[str, str | None] | None  # from this question_id up to, and without, that one; None: everything


def shape_of(record: Record, table: str) -> Shape:
    """Return the shape of a table; KeyError if artifacts have no table of that name."""
    if table == "rows":
        return ROW_SHAPES[record.rows_are or ""]
    return LOSS if table == "loss" else TABLES[table]


def columns_of(record: Record, table: str) -> list[str]:
    """Return the columns that a table was written with."""
    return record.columns.get(table) or shape_of(record, table).first


def read(stored: Stored, table: str, span: Span = None) -> pl.DataFrame | None:
    """Return a table, or the rows of some questions, with the columns of its shape; None if the artifact has no such table."""
    file = stored.file(f"{table}.parquet")
    return None if file is None else read_wide(file, shape_of(stored.record, table), columns_of(stored.record, table), span)


def read_wide(file: Path, shape: Shape, there: list[str], span: Span = None) -> pl.DataFrame:
    """Return a file of rows that was written with the columns `there` with all columns of `shape`."""
    if span is None:
        frame = pl.read_parquet(file)
    else:
        # Row groups carry the least and greatest question_id, so only those that overlap are read.
        id, (first, end) = pl.col("question_id"), span
        frame = pl.scan_parquet(file).filter((id >= first) & (pl.lit(True) if end is None else id < end)).collect()
    return frame if list(shape.columns) == there else frame.select(shape.wide(frame.columns))


def select(stored: Stored, table: str) -> str | None:
    """Return SQL that reads a table with the columns of its shape; None if the artifact has no such table."""
    file = stored.file(f"{table}.parquet")
    if file is None:
        return None
    there, shape = columns_of(stored.record, table), shape_of(stored.record, table)
    if list(shape.columns) == there:
        return f"from {parquet([file])}"
    return f"select {', '.join(wide(shape, there))} from {parquet([file])}"


def wide(shape: Shape, there: list[str]) -> Iterator[str]:
    for name, kind in shape.schema.items():
        yield f'"{name}"' if name in there else f'null::{SQL_TYPES[kind]} as "{name}"'


def definition(columns: Mapping[str, type[pl.DataType]]) -> str:
    """Return the columns of a table as `create table` takes them."""
    return ", ".join(f'"{name}" {SQL_TYPES[kind]}' for name, kind in columns.items())


def parquet(files: list[Path], options: str = "") -> str:
    """Return the SQL function that reads files."""
    quoted = ", ".join("'" + str(file).replace("'", "''") + "'" for file in files)
    return f"read_parquet([{quoted}]{options})"

"""What makes two tables the same: a hash over their schema and values, whatever the file and its cut."""

import hashlib
import json
from collections.abc import Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from registry.rows import TYPE_NAMES, Shape


class ContentHash:
    """sha256 over a table's schema and, per column, lengths and bytes in stored order.

    Independent of how the rows are cut into chunks and of the file format: each column has a running hash
    of its own, and the table's hash is taken over those. A `later` column that holds no value is left out, as if the table had
    been written before there was such a column; of `columns`, those that the shape does not know are of a newer version, and later.
    """

    def __init__(self, shape: Shape, columns: Mapping[str, str] | None = None) -> None:
        """`columns`: the names and types (as TYPE_NAMES has them) of the table, if it has others than the shape."""
        columns = {name: TYPE_NAMES[kind] for name, kind in shape.schema.items()} if columns is None else columns
        known = shape.columns
        self.types = {name: kind for name, kind in columns.items() if name not in known or known[name].content}
        self.later = {name for name in self.types if name not in known or known[name].later}
        self.rows = 0
        self._hashes = {name: (hashlib.sha256(), hashlib.sha256()) for name in self.types}
        self._values = dict.fromkeys(self.later, 0)

    def add(self, table: pa.Table) -> None:
        """Take in the next rows."""
        self.rows += table.num_rows
        for name, (lengths, values) in self._hashes.items():
            column = table.column(name)
            if name in self.later:
                self._values[name] += len(column) - column.null_count
            for chunk in column.chunks:
                for length, value in _buffers(chunk):
                    lengths.update(length)
                    values.update(value)

    def hexdigest(self) -> str:
        counted = [name for name in self.types if self._values.get(name) != 0]
        whole = hashlib.sha256(json.dumps([[(name, self.types[name]) for name in counted], self.rows]).encode())
        for name in counted:
            lengths, values = self._hashes[name]
            whole.update(lengths.digest() + values.digest())
        return whole.hexdigest()


def content_of(tables: Mapping[str, ContentHash]) -> str:
    """Return an artifact's content: the hash over those of its tables that are content, rows and verdicts.

    Drops and counts follow from them.
    """
    hashes = [f"{name} {tables[name].hexdigest()}\n" for name in ("rows", "verdicts") if name in tables]
    return hashlib.sha256("".join(hashes).encode()).hexdigest()


def _buffers(chunk: pa.Array) -> Iterator[tuple[memoryview, memoryview]]:
    """Yield (lengths, bytes) of an Arrow array; a null has the length -1 and no bytes."""
    kind = chunk.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        text = chunk.cast(pa.large_string())
        lengths = pc.fill_null(pc.binary_length(text), -1).cast(pa.int64())
        full = pc.fill_null(text, "") if text.null_count else text
        offsets = full.buffers()[1]
        first, last = memoryview(offsets).cast("q")[full.offset], memoryview(offsets).cast("q")[full.offset + len(full)]
        data = full.buffers()[2]
        yield _bytes(lengths), memoryview(data)[first:last] if data is not None else memoryview(b"")
        return
    valid = pc.if_else(pc.is_valid(chunk), 1, -1).cast(pa.int64())
    if pa.types.is_boolean(kind):
        chunk = chunk.cast(pa.int8())
    yield _bytes(valid), _bytes(pc.fill_null(chunk, 0).drop_null())


def _bytes(array: pa.Array) -> memoryview:
    width = array.type.bit_width // 8
    if len(array) == 0:
        return memoryview(b"")
    return memoryview(array.buffers()[1])[array.offset * width : (array.offset + len(array)) * width]

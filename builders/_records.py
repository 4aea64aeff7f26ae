"""Read rows from a file somebody made elsewhere: JSON lines or Parquet, plain or gzipped.

A row that cannot be read is not lost: it comes out with its line number, a reason and a detail.
"""

import gzip
import io
import zlib
from collections.abc import Iterator, Set
from typing import Any, BinaryIO, NamedTuple

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from registry.errors import InputError

MAX_LINE = 8_000_000  # bytes; a longer line is refused and never held in memory whole


class Line(NamedTuple):
    """One row of a file: its 1-based line (or Parquet row), and its fields or the reason why there are none."""

    line: int
    fields: dict[str, Any]
    reason: str | None = None
    detail: str | None = None


def read_records(file: BinaryIO, name: str, wanted: Set[str]) -> Iterator[Line]:
    """Yield the records of an open file; blank lines are skipped. Of Parquet only `wanted` columns are read, others are null.

    Raises InputError, naming the file, if it is neither JSON lines nor Parquet, or ends in the middle.
    """
    start = file.read(4)
    file.seek(0)
    if start[:2] != b"\x1f\x8b":
        yield from _parquet(file, name, wanted) if start == b"PAR1" else _json_lines(file, name)
        return
    with gzip.open(file) as unpacked:
        try:
            start = unpacked.peek(4)[:4]
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(f"{name}: the gzip data is damaged ({error}). Make the file again.") from error
        yield from _parquet(unpacked, name, wanted) if start == b"PAR1" else _json_lines(unpacked, name)


def _parquet(file: BinaryIO | gzip.GzipFile, name: str, wanted: Set[str]) -> Iterator[Line]:
    try:
        # Parquet is read from its end: gzipped, it is unpacked first.
        table = pq.ParquetFile(io.BytesIO(file.read()) if isinstance(file, gzip.GzipFile) else file)
        names = table.schema_arrow.names
        read, others = [n for n in names if n in wanted], dict.fromkeys(n for n in names if n not in wanted)
        line = 0
        for batch in table.iter_batches(columns=read):
            for fields in batch.to_pylist() if read else [{}] * batch.num_rows:
                line += 1
                yield Line(line, {**fields, **others})
    except (pa.ArrowException, ValueError, OSError, EOFError, zlib.error) as error:
        raise InputError(f"{name}: the Parquet data is damaged ({error}). Make the file again.") from error


def _json_lines(file: BinaryIO | gzip.GzipFile, name: str) -> Iterator[Line]:
    line = 0
    try:
        while text := file.readline(MAX_LINE + 1):
            line += 1
            if len(text) > MAX_LINE:
                while text and not text.endswith(b"\n"):
                    text = file.readline(MAX_LINE)
                yield Line(line, {}, "line_too_long", f"over {MAX_LINE:,} bytes")
                continue
            if line == 1:
                text = text.removeprefix(b"\xef\xbb\xbf")
            if not text.strip():
                continue
            try:
                fields = orjson.loads(text)
            except orjson.JSONDecodeError as error:
                yield Line(line, {}, "not_json", str(error))
                continue
            if isinstance(fields, dict):
                yield Line(line, fields)
            else:
                yield Line(line, {}, "not_an_object", f"a JSON {type(fields).__name__}")
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{name}: the file ends or breaks after line {line} ({error}). Make it again.") from error


def text_field(fields: dict[str, Any], *names: str) -> tuple[str | None, str | None, str | None]:
    """Return (text, reason, detail) of the first of `names` that is there: text that is not blank, or why not."""
    name = next((n for n in names if fields.get(n) is not None), None)
    if name is None:
        return None, "missing_field", f"no {' or '.join(names)}"
    found = fields[name]
    if not isinstance(found, str):
        return None, "not_text", f"{name} is a {type(found).__name__}"
    if not found.strip():
        return None, "empty_text", f"{name} is empty"
    return found, None, None

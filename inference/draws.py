"""The draw store: every completion a model was made to write here, so that none is made twice.

It lies in `draws/<key>/` of the store; `key.json` there says what the key stands for. A draw is known by the hash of its
prompt's token ids and its number:

    {"prompt": "9c4af0d2b81e6a35", "draw": 0, "seed": 5810394, "tokens": [29946, 29947, ...], "text": "48/2=<<48/2=24>>24 ...",
     "finish_reason": "stop", "token_count": 87, "engine": "vllm 0.32.0, torch 2.13.0, cuda, bfloat16"}

Draws come in records, one for each batch that was acknowledged, and records in segments `NNNN.seg`. A segment is written by
one process and never opened for writing again; a record is written whole and synced before its batch counts. So several
processes may add draws at once, and one that is killed leaves at most the torn end of a segment, which readers pass over.
"""

import hashlib
import json
import logging
import os
import struct
import time
import zlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple, Self

import polars as pl
import pyarrow as pa

from registry.files import locked, no_space_is_an_error, replaced, sync

log = logging.getLogger("rft")

HEADER = struct.Struct("<4sII")  # MAGIC, bytes of what follows, crc32 of what follows: TIME and the payload
TIME = struct.Struct("<Q")  # of writing, ns since 1970
MAGIC = b"draw"
PAYLOAD = pa.schema(  # an Arrow IPC stream
    [
        ("prompt", pa.string()),
        ("draw", pa.int32()),
        ("seed", pa.int64()),
        ("tokens", pa.list_(pa.int32())),  # the new ones; null if the engine did not tell
        ("text", pa.string()),
        ("finish_reason", pa.string()),
        ("token_count", pa.int32()),
        ("engine", pa.string()),
    ]
)


@dataclass(frozen=True)
class DrawKey:
    """What decides a draw beside its prompt and its number. `model` is for people: `content` says which model it is."""

    model: str
    content: str
    temperature: float
    top_p: float
    max_tokens: int
    stop: tuple[str, ...]
    seed: int

    @property
    def hash(self) -> str:
        """The name of the store's folder: 32 hex digits."""
        known_by = {name: value for name, value in asdict(self).items() if name != "model"}
        return hashlib.sha256(json.dumps(known_by, sort_keys=True).encode()).hexdigest()[:32]


def prompt_hash(tokens: Sequence[int]) -> str:
    """Return the identity of a prompt: 16 hex digits of sha256 over its token ids as little-endian int32."""
    return hashlib.sha256(struct.pack(f"<{len(tokens)}i", *tokens)).hexdigest()[:16]


class DrawStore:
    """The draws of one key. Opening and reading create nothing."""

    def __init__(self, home: Path, key: DrawKey) -> None:
        self.folder = home / "draws" / key.hash
        self.key = key

    def read(
        self,
        prompts: Collection[str] | None = None,
        below: int | None = None,
        columns: Sequence[str] = PAYLOAD.names,
    ) -> pl.DataFrame:
        """Return the draws that are there, of `prompts` (None: of all) and numbered below `below`, each once.

        Of two copies of a draw the one that was written first counts: so one that was published never gives way to another.
        `columns` that are not wanted are not unpacked.
        """
        wanted = [name for name in PAYLOAD.names if name in {"prompt", "draw", *columns}]
        draws = _unpacked(self.folder, wanted)
        if prompts is not None:
            draws = draws.filter(pl.col("prompt").is_in(list(prompts)))
        if below is not None:
            draws = draws.filter(pl.col("draw") < below)
        return draws.unique(["prompt", "draw"], keep="first", maintain_order=True).select(columns)

    def writer(self) -> "DrawWriter":
        """Return a writer, which takes a segment of its own with the first batch. OutOfResources if the disk is full."""
        with no_space_is_an_error():
            self.folder.mkdir(parents=True, exist_ok=True)
            record = self.folder / "key.json"
            if not record.exists():
                with replaced(record, durable=True) as scratch:
                    scratch.write_text(json.dumps(asdict(self.key), indent=1) + "\n", encoding="utf-8")
            for folder in (self.folder, self.folder.parent, self.folder.parent.parent):
                sync(folder)
        return DrawWriter(self.folder)


class DrawWriter:
    """Adds draws to a store. A batch that `append` returned from is kept, whatever happens to this process or machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._segment = -1
        self._stamp = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def append(self, draws: pl.DataFrame) -> None:
        """Keep a batch of draws (the columns of PAYLOAD); OutOfResources if the disk is full, what came before stays."""
        table = draws.select(PAYLOAD.names).to_arrow(compat_level=pl.CompatLevel.oldest()).cast(PAYLOAD)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, PAYLOAD, options=pa.ipc.IpcWriteOptions(compression="zstd")) as stream:
            stream.write_table(table)
        payload = sink.getvalue().to_pybytes()
        # Stamp and write are one act: of two writers, whose stamp is earlier has written first.
        with no_space_is_an_error(), locked(self._folder / "lock"):
            if self._segment < 0:
                self._segment = _claim(self._folder)
            self._stamp = max(time.time_ns(), self._stamp + 1)
            body = TIME.pack(self._stamp) + payload
            record = HEADER.pack(MAGIC, len(body), zlib.crc32(body)) + body
            try:
                # A disk that is nearly full takes a part, and refuses the rest.
                while record := record[os.write(self._segment, record) :]:
                    pass
                os.fsync(self._segment)
            except BaseException:
                self.close()  # nothing may follow a record that is perhaps torn: the next batch gets a new segment
                raise

    def close(self) -> None:
        """Give up the segment; does nothing the second time."""
        if self._segment >= 0:
            os.close(self._segment)
            self._segment = -1


class Kept(NamedTuple):
    """One draw store: its key, what that stands for in words, the model's content, its size and how many draws it holds."""

    key: str
    words: str
    content: str  # empty if its key.json is gone
    bytes: int
    draws: int


def stores(home: Path) -> list[Kept]:
    """Return every draw store under `home`, by key."""
    folders = sorted(folder for folder in (home / "draws").glob("*") if folder.is_dir())
    return [
        Kept(
            folder.name,
            *_words(folder / "key.json"),
            sum(file.stat().st_size for file in folder.iterdir()),
            _unpacked(folder, ["prompt", "draw"]).n_unique(),
        )
        for folder in folders
    ]


def _words(record: Path) -> tuple[str, str]:
    try:
        known = json.loads(record.read_text(encoding="utf-8"))
        how = ", ".join(f"{name} {value}" for name, value in known.items() if name not in ("model", "content") and value != [])
        return f"{known['model']} ({known['content'][:12]}), {how}", known["content"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "a store that lost its key.json", ""


def _segments(folder: Path) -> list[Path]:
    found = [segment for segment in folder.glob("*.seg") if segment.stem.isdecimal()]
    return sorted(found, key=lambda segment: int(segment.stem))


def _claim(folder: Path) -> int:
    """Return a file of our own to write: the next number that nobody has taken."""
    number = max((int(segment.stem) for segment in _segments(folder)), default=-1) + 1
    while True:
        try:
            segment = os.open(folder / f"{number:04}.seg", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except FileExistsError:
            number += 1
        else:
            sync(folder)
            return segment


def _unpacked(folder: Path, columns: list[str]) -> pl.DataFrame:
    """Return some columns of every record, in order of writing."""
    places = [PAYLOAD.get_field_index(name) for name in columns]
    options = pa.ipc.IpcReadOptions(included_fields=places, use_threads=False)
    records = [record for segment in _segments(folder) for record in _records(segment.read_bytes())]
    records.sort(key=lambda record: record[0])
    tables = [pa.ipc.open_stream(pa.py_buffer(payload), options=options).read_all() for _, payload in records]
    schema = pa.schema([PAYLOAD.field(place) for place in places])
    frame = pl.from_arrow(pa.concat_tables([pa.Table.from_batches([], schema), *tables]))
    assert isinstance(frame, pl.DataFrame)
    return frame


def _records(segment: bytes) -> Iterator[tuple[int, memoryview]]:
    """Yield the time and payload of a segment's records, up to one that is cut off: its writer died there, or is at it.

    A record before the end whose bytes are not those that were written is passed over: its draws are made again.
    """
    rest = memoryview(segment)
    while len(rest) >= HEADER.size:
        magic, length, checksum = HEADER.unpack_from(rest)
        body, rest = rest[HEADER.size : HEADER.size + length], rest[HEADER.size + length :]
        if magic != MAGIC or len(body) != length:
            return
        if zlib.crc32(body) != checksum:
            if rest:
                log.warning("a record of %s bytes in a draw store is damaged: its draws are made again", length)
            continue
        yield TIME.unpack_from(body)[0], body[TIME.size :]

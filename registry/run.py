"""Make an artifact: feed its maker, take out the rows it refuses, write, hash, publish.

Makers that decide question by question (`BY_QUESTION = True`) get chunks of whole questions, on all cores; the result
does not depend on how the questions are cut.
"""

import hashlib
import importlib
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pyarrow.parquet as pq

from registry.errors import InputError, NotFound, OutOfResources, UsageError
from registry.provenance import provenance
from registry.recipe import MAKERS, Recipe, recorded
from registry.rows import DROPS, PATH_STATS, ROW_SHAPES, VERDICTS, ContentHash, Input, Shape, Tables
from registry.store import Draft, InputRecord, Manifest, Store, Stored, no_space_is_an_error, sha256_file

log = logging.getLogger("rft")

ROWS_PER_CHUNK = 20_000  # sample rows a worker holds at once
WORTH_WORKERS = 60_000  # rows below which starting workers takes longer than the work
ROWS_PER_GROUP = 25_000  # Parquet row groups: what one chunk reads is a few of them
TABLES: dict[str, Shape] = {"verdicts": VERDICTS, "path_stats": PATH_STATS, "drops": DROPS}

Progress = Callable[[int, int, int], None]  # questions done, of, rows so far


@dataclass(frozen=True)
class Options:
    """How to build, never what: nothing here changes a row."""

    workers: int = 0  # 0: one for each core
    chunk: int = 0  # questions at a time; 0: as many as have about ROWS_PER_CHUNK rows


def options_from_environment() -> Options:
    """Return RFT_WORKERS and RFT_CHUNK; UsageError if one is not a whole number."""
    numbers = []
    for name in ("RFT_WORKERS", "RFT_CHUNK"):
        text = os.environ.get(name, "0")
        if not text.isdecimal():
            raise UsageError(f"{name} is {text!r}; it must be a whole number from 0.")
        numbers.append(int(text))
    return Options(*numbers)


class Built(NamedTuple):
    """What one build did."""

    manifest: Manifest
    new: bool  # False: the same content was registered by another build meanwhile
    seconds: float


def build(
    recipe: Recipe, store: Store, folder: Path, *, options: Options | None = None, progress: Progress | None = None
) -> Built:
    """Make the artifact of a bound line and publish it.

    `folder` is the catalog's: a Location starts there. Raises InputError (rows or a file are not what the maker
    needs), NotFound (an input is not built), Conflict (the name was taken by other content), OutOfResources.
    """
    started = time.monotonic()
    entry = recipe.entry
    inputs = [store.check(store.require(id)) for id in entry.inputs]
    with no_space_is_an_error(), _named(f"{entry.where}: {entry.id}"), store.draft(entry.id) as draft:
        writer = Writer(draft, recipe, inputs)
        with _opened(recipe, folder) as params:
            for tables in _make(recipe, params, inputs, options or options_from_environment(), progress):
                writer.write(tables)
        writer.close()
        seconds = time.monotonic() - started
        manifest = Manifest(
            name=entry.id.name,
            version=entry.id.version,
            kind=entry.kind,
            maker=entry.maker,
            edition=recipe.maker.edition,
            inputs=[InputRecord(id=str(given.id), content=given.manifest.content) for given in inputs],
            params=recorded(recipe),
            rows_are=writer.shape.name,
            content=writer.content(),
            rows=writer.rows,
            drops=dict(sorted(writer.drops.items())),
            facts=writer.facts,
            files=draft.files(),
            provenance=provenance(folder, seconds),
            built_at=datetime.now(UTC).replace(tzinfo=None),
        )
        new = draft.publish(manifest)
    log.info(
        "%s %s rows %d content %s in %.1f s",
        "built" if new else "found",
        entry.id,
        manifest.rows,
        manifest.content[:12],
        seconds,
    )
    return Built(manifest, new, seconds)


@contextmanager
def _named(where: str) -> Iterator[None]:
    """Put the catalog's line and the artifact's name before what a maker says is wrong."""
    try:
        yield
    except InputError as error:
        raise InputError(str(error) if str(error).startswith(where) else f"{where}: {error}") from error


def try_out(recipe: Recipe, store: Store, folder: Path) -> Tables:
    """Return what the maker of a bound line makes in one piece, refused rows among it, and keep nothing."""
    inputs = [store.check(store.require(id)) for id in recipe.entry.inputs]
    with _named(f"{recipe.entry.where}: {recipe.entry.id}"), _opened(recipe, folder) as params:
        sources = [_source(recipe, position, stored) for position, stored in enumerate(inputs)]
        made = recipe.maker.function(*(source.read(None) for source in sources), **params)
    return made if isinstance(made, Tables) else Tables(made)


def keep_log(store: Store) -> None:
    """Write what is logged under `rft` to build.log in the store too, with the time (UTC)."""
    store.make_home()
    handler = logging.FileHandler(store.home / "build.log", encoding="utf-8")
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    log.addHandler(handler)
    log.setLevel(logging.INFO)


# -- feeding the maker ----------------------------------------------------------------------------------------------


@contextmanager
def _opened(recipe: Recipe, folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the parameters, with a Location as an open file whose sha256 was checked."""
    params = dict(recipe.params)
    if recipe.location is None:
        yield params
        return
    path = folder / params[recipe.location]
    if not path.is_file():
        raise NotFound(f"{recipe.entry.where}: {recipe.entry.id}: {path} does not exist. Paths start at the catalog's folder.")
    digest = sha256_file(path)
    if params.get("sha256") != digest:
        raise InputError(
            f"{recipe.entry.where}: {recipe.entry.id}: {path.name} is not the file the line means. The line says {params.get('sha256')}, "
            f"the file has sha256: {digest}"
        )
    with path.open("rb") as file:
        params[recipe.location] = file
        yield params


def _make(
    recipe: Recipe, params: dict[str, Any], inputs: list[Stored], options: Options, progress: Progress | None
) -> Iterator[Tables]:
    maker = recipe.maker
    sources = [_source(recipe, position, stored) for position, stored in enumerate(inputs)]
    if maker.by_question and inputs:
        yield from _by_question(recipe, params, sources, options, progress)
        return
    made = maker.function(*(source.read(None) for source in sources), **params)
    frames: Iterable[Any] = [made] if isinstance(made, pl.DataFrame | Tables) else made
    done = 0
    for frame in frames:
        tables = frame if isinstance(frame, Tables) else Tables(frame)
        done += tables.rows.height
        if progress:
            progress(0, 0, done)
        yield tables


Span = tuple[str, str | None] | None  # from this question_id up to, and without, that one; None: everything


class _Source(NamedTuple):
    """Where an input's tables lie, and how its maker wants it."""

    id: str
    tables: dict[str, Path]
    facts: dict[str, Any]
    whole: bool

    def read(self, span: Span) -> pl.DataFrame | Input:
        frames = {name: _span(file, span) for name, file in self.tables.items() if self.whole or name == "rows"}
        return Input(self.id, **frames, facts=self.facts) if self.whole else frames["rows"]


def _source(recipe: Recipe, position: int, stored: Stored) -> _Source:
    at = f"{recipe.entry.where}: {recipe.entry.id}"
    tables = {name: file for name in ("rows", "verdicts", "path_stats") if (file := stored.file(f"{name}.parquet"))}
    if "rows" not in tables:
        raise InputError(f"{at}: {stored.id} has no rows ({stored.manifest.kind} by {stored.manifest.maker}).")
    shape, made = recipe.maker.shape_taken(position), stored.manifest.rows_are
    if shape is not None and shape.name != made:
        raise InputError(f"{at}: input {position + 1} must be {shape.name} rows; {stored.id} has {made} rows.")
    return _Source(str(stored.id), tables, stored.manifest.facts, recipe.maker.takes_whole(position))


def _span(file: Path, span: Span) -> pl.DataFrame:
    if span is None:
        return pl.read_parquet(file)
    # Row groups carry the least and greatest question_id, so only those that overlap are read.
    id, (first, end) = pl.col("question_id"), span
    return pl.scan_parquet(file).filter((id >= first) & (pl.lit(True) if end is None else id < end)).collect()


class _Chunk(NamedTuple):
    """Everything a worker needs to make one chunk: all of it can be pickled."""

    package: str
    maker: str
    function: str
    params: dict[str, Any]
    inputs: list[_Source]
    span: Span


def _make_chunk(chunk: _Chunk) -> Tables:
    function = getattr(importlib.import_module(f"{chunk.package}.{chunk.maker}"), chunk.function)
    made = function(*(source.read(chunk.span) for source in chunk.inputs), **chunk.params)
    return made if isinstance(made, Tables) else Tables(made)


def _by_question(
    recipe: Recipe, params: dict[str, Any], sources: list[_Source], options: Options, progress: Progress | None
) -> Iterator[Tables]:
    ids = [pl.scan_parquet(source.tables["rows"]).select("question_id") for source in sources]
    counts = pl.concat(ids).group_by("question_id").len().sort("question_id").collect()
    spans = _spans(counts, options.chunk)
    package, function = MAKERS[recipe.entry.kind]
    chunks = [_Chunk(package, recipe.entry.maker, function, params, sources, span) for span, _ in spans]
    parts = []
    done = rows = 0
    for (_, questions), tables in zip(spans, _mapped(chunks, options, int(counts["len"].sum())), strict=True):
        parts.append(tables.rows)
        done, rows = done + questions, rows + tables.rows.height
        if progress:
            progress(done, counts.height, rows)
        yield Tables(tables.rows.clear(), tables.verdicts, tables.path_stats, tables.facts)
    # Chunks came in the order of question_id; rows are written in the order in which the inputs name the questions.
    order = pl.concat(ids).collect().unique(maintain_order=True).with_row_index("_place")
    whole = pl.concat(parts).join(order, on="question_id", how="left", maintain_order="left")
    yield Tables(whole.sort("_place", maintain_order=True).drop("_place"))


def _spans(counts: pl.DataFrame, questions: int) -> list[tuple[Span, int]]:
    """Cut the space of question ids into spans of `questions` (sorted by id), or of about ROWS_PER_CHUNK rows.

    The first begins before and the last ends after every id: a question that has no rows belongs to a span too.
    """
    number = pl.int_range(pl.len()) // questions if questions else pl.col("len").cum_sum() // ROWS_PER_CHUNK
    chunks = counts.group_by(number.alias("chunk"), maintain_order=True).agg(pl.col("question_id").first(), pl.len())
    firsts = ["", *chunks["question_id"][1:]]
    return list(zip(zip(firsts, [*firsts[1:], None], strict=True), chunks["len"] if chunks.height else [0], strict=True))


def _mapped(chunks: list[_Chunk], options: Options, rows: int) -> Iterator[Tables]:
    workers = min(options.workers or _cores(), len(chunks))
    if workers <= 1 or (rows < WORTH_WORKERS and not options.workers):
        yield from map(_make_chunk, chunks)
        return
    # Spawned, never forked: polars has threads, and a forked child of it hangs.
    context = multiprocessing.get_context("spawn")
    with _one_thread_each(), ProcessPoolExecutor(workers, mp_context=context, initializer=_die_with_parent) as pool:
        waiting: list[Future[Tables]] = []
        try:
            for chunk in chunks:
                with _no_interrupts():
                    waiting.append(pool.submit(_make_chunk, chunk))
                if len(waiting) > 2 * workers:  # bounds what is finished but not yet written
                    yield waiting.pop(0).result()
            while waiting:
                yield waiting.pop(0).result()
        except BrokenProcessPool as error:
            raise OutOfResources(
                "a worker was killed, most likely for lack of memory. Build with fewer at a time: RFT_WORKERS=1, or a smaller RFT_CHUNK."
            ) from error
        finally:
            for future in waiting:
                future.cancel()


def _cores() -> int:
    # A container may own fewer cores than the machine has; macOS cannot say.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """While workers start, tell polars in them to use one thread: there is a worker for each core."""
    before = os.environ.get("POLARS_MAX_THREADS")
    os.environ["POLARS_MAX_THREADS"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["POLARS_MAX_THREADS"]
        else:
            os.environ["POLARS_MAX_THREADS"] = before


@contextmanager
def _no_interrupts() -> Iterator[None]:
    """Hold Ctrl-C back for a moment. Workers that start meanwhile never see it: it is the parent's to handle."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _die_with_parent() -> None:
    """End this worker when its parent is gone, even if it was killed."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


# -- writing --------------------------------------------------------------------------------------------------------


class Writer:
    """Writes a maker's tables as Parquet into a draft, counting rows and drops and hashing content as they pass."""

    def __init__(self, draft: Draft, recipe: Recipe, inputs: list[Stored]) -> None:
        self.draft = draft
        self.where = str(recipe.entry.id)
        self.rows = 0
        self.drops: Counter[str] = Counter()
        self.facts: dict[str, Any] = {}
        makes = recipe.maker.makes
        self.shape = makes if makes is not None else ROW_SHAPES[inputs[0].manifest.rows_are or ""]
        self._writers: dict[str, pq.ParquetWriter] = {}
        self._hashes: dict[str, ContentHash] = {}

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
                self.draft.folder / f"{name}.parquet", table.schema, compression="zstd", write_page_index=True
            )
            self._hashes[name] = ContentHash(shape)
        self._writers[name].write_table(table, row_group_size=ROWS_PER_GROUP)
        if name != "drops":
            self._hashes[name].add(table)

    def close(self) -> None:
        """Finish the files; an artifact without rows still has its rows file, with the right columns."""
        for writer in self._writers.values():
            writer.close()

    def content(self) -> str:
        """Return the hash over all tables that are content: rows and verdicts; drops and counts follow from them."""
        hashes = [f"{name} {self._hashes[name].hexdigest()}\n" for name in ("rows", "verdicts") if name in self._hashes]
        return hashlib.sha256("".join(hashes).encode()).hexdigest()

"""Make an artifact: feed its maker, take out the rows it refuses, write, hash, publish.

A model's files are put into the draft by its trainer; of everything else the maker returns frames, and they are written here.

Makers that decide question by question (`BY_QUESTION = True`) get chunks of whole questions, on all cores; the result
does not depend on how the questions are cut.
"""

import fcntl
import hashlib
import importlib
import json
import logging
import multiprocessing
import os
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pyarrow.parquet as pq

from registry.build.provenance import provenance
from registry.catalog.bind import MAKERS, Recipe, location_hash, names, recorded
from registry.errors import Conflict, InputError, NotFound, OutOfResources, UsageError
from registry.maker import Options, Progress, Run, nothing
from registry.rows import DROPS, LOSS, ROW_SHAPES, TABLES, ContentHash, Input, Shape, Tables, content_of
from registry.store.models import HUB_RECORD, Model, Trained, files_hash, open_model
from registry.store.store import Draft, InputRecord, Manifest, Store, Stored, no_space_is_an_error

log = logging.getLogger("rft")

ROWS_PER_CHUNK = 20_000  # sample rows a worker holds at once
WORTH_WORKERS = 60_000  # rows below which starting workers takes longer than the work
ROWS_PER_GROUP = 25_000  # Parquet row groups: what one chunk reads is a few of them
WAIT = 1.0  # seconds between two looks at what another process makes


class Built(NamedTuple):
    """What one build did."""

    manifest: Manifest
    new: bool  # False: the same content was registered by another build meanwhile
    seconds: float


class Contents(NamedTuple):
    """What a maker made, as the record says it."""

    rows_are: str | None
    content: str
    rows: int
    drops: Mapping[str, int]
    facts: Mapping[str, Any]


def build(recipe: Recipe, store: Store, folder: Path, *, options: Options | None = None, progress: Progress = nothing) -> Built:
    """Make the artifact of a bound line and publish it.

    `folder` is the catalog's: a Location starts there. Raises InputError (rows or a file are not what the maker
    needs), NotFound (an input is not built), Conflict (the name was taken by other content, or another process is training
    the model), OutOfResources, RemoteError.
    """
    started = time.monotonic()
    entry = recipe.entry
    options = options or Options.of_environment()
    if rank():
        with _named(f"{entry.where}: {entry.id}"):
            return _follow(recipe, store, folder, options)
    inputs = [store.check(store.require(id)) for id in entry.inputs]
    with (
        no_space_is_an_error(),
        _named(f"{entry.where}: {entry.id}"),
        store.draft(entry.id) as draft,
        _work(recipe, store, inputs) as work,
    ):
        run = Run(draft.folder, work, store.home, options, progress)
        made = (_model if entry.kind == "model" else _tables)(recipe, store, folder, inputs, draft, run)
        seconds = time.monotonic() - started
        manifest = Manifest(
            name=entry.id.name,
            version=entry.id.version,
            kind=entry.kind,
            maker=entry.maker,
            edition=recipe.maker.edition,
            inputs=[InputRecord(id=str(given.id), content=given.manifest.content) for given in inputs],
            params=recorded(recipe),
            rows_are=made.rows_are,
            content=made.content,
            rows=made.rows,
            drops=dict(sorted(made.drops.items())),
            facts=dict(made.facts),
            files=draft.files(),
            provenance=provenance(folder, seconds),
            built_at=datetime.now(UTC).replace(tzinfo=None),
        )
        new = draft.publish(manifest)
        shutil.rmtree(work, ignore_errors=True)
    log.info(
        "%s %s rows %d content %s in %.1f s",
        "built" if new else "found",
        entry.id,
        manifest.rows,
        manifest.content[:12],
        seconds,
    )
    return Built(manifest, new, seconds)


def _tables(recipe: Recipe, store: Store, folder: Path, inputs: list[Stored], draft: Draft, run: Run) -> Contents:
    writer = Writer(draft, recipe, inputs)
    with _opened(recipe, folder) as params:
        for tables in _make(recipe, params, inputs, store, run):
            writer.write(tables)
    writer.close()
    return Contents(writer.shape.name, writer.content(), writer.rows, writer.drops, writer.facts)


def _model(recipe: Recipe, store: Store, folder: Path, inputs: list[Stored], draft: Draft, run: Run) -> Contents:
    with _opened(recipe, folder) as params:
        trained: Trained = recipe.maker.function(*_given(recipe, inputs, store), **_with_run(recipe, params, run))
    drops: dict[str, int] = {}
    if trained.loss.height:
        loss = LOSS.fit(trained.loss, f"{recipe.entry.id} (loss)")
        pq.write_table(loss.to_arrow(), draft.folder / "loss.parquet")  # polars' own writer does not say that a disk is full
    if trained.drops is not None and trained.drops.height:
        refused = DROPS.fit(trained.drops, f"{recipe.entry.id} (drops)")
        pq.write_table(refused.to_arrow(), draft.folder / "drops.parquet")
        drops = dict(trained.drops["reason"].value_counts().iter_rows())
    files = draft.files()
    if trained.hub is not None:
        (draft.folder / HUB_RECORD).write_text(trained.hub.model_dump_json(indent=1))
        files = trained.hub.files
    return Contents(None, files_hash(files), 0, drops, trained.facts)


# -- one build, several processes ------------------------------------------------------------------------------------


def rank() -> int:
    """Return which process of a launcher this is (`accelerate launch`, `torchrun`); 0 is the one that publishes."""
    return int(os.environ.get("RANK", "0")) if int(os.environ.get("WORLD_SIZE", "1")) > 1 else 0


def _follow(recipe: Recipe, store: Store, folder: Path, options: Options) -> Built:
    """Take part in the training that process 0 leads, if it is one, and wait until it has published."""
    started = time.monotonic()
    entry = recipe.entry
    if entry.id.is_dev:
        raise UsageError(
            f"{entry.id} is built every time, so no process could tell whether it is the new one. Give it a version."
        )
    if entry.kind == "model":
        inputs = [store.check(store.require(id)) for id in entry.inputs]
        with store.draft(entry.id) as draft, _opened(recipe, folder) as params:
            run = Run(draft.folder, _work_folder(recipe, store, inputs), store.home, options)
            recipe.maker.function(*_given(recipe, inputs, store), **_with_run(recipe, params, run))
    while (stored := store.get(entry.id)) is None:
        time.sleep(WAIT)
    return Built(stored.manifest, False, time.monotonic() - started)


def _work_folder(recipe: Recipe, store: Store, inputs: list[Stored]) -> Path:
    what = [recipe.maker.name, recipe.maker.edition, recorded(recipe), [given.manifest.content for given in inputs]]
    key = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
    return store.work / f"{recipe.entry.id}.{key[:12]}"


@contextmanager
def _work(recipe: Recipe, store: Store, inputs: list[Stored]) -> Iterator[Path]:
    """Yield the folder in which a training keeps what must survive it; Conflict if another process works there."""
    folder = _work_folder(recipe, store, inputs)
    if recipe.entry.kind != "model":
        yield folder
        return
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder.with_name(folder.name + ".lock"), os.O_CREAT | os.O_RDWR, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Conflict(f"{recipe.entry.id} is being trained by another process. Wait for it, or stop it.") from error
        yield folder
    finally:
        os.close(handle)


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
        made = recipe.maker.function(*_given(recipe, inputs, store), **params)
    return made if isinstance(made, Tables) else Tables(made)


def preview(recipe: Recipe, store: Store, folder: Path, options: Options) -> str:
    """Return what the maker of a line can say of it before it is built, or an empty string.

    A maker says it by a function `preview` with the signature of its own; its inputs must be built.
    """
    function = getattr(recipe.maker.module, "preview", None)
    if function is None or not all(store.get(id) for id in recipe.entry.inputs):
        return ""
    inputs = [store.check(store.require(id)) for id in recipe.entry.inputs]
    with _named(f"{recipe.entry.where}: {recipe.entry.id}"), _opened(recipe, folder) as params:
        run = Run(store.temporary, store.work, store.home, options)
        return str(function(*_given(recipe, inputs, store), **_with_run(recipe, params, run)))


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


def _make(recipe: Recipe, params: dict[str, Any], inputs: list[Stored], store: Store, run: Run) -> Iterator[Tables]:
    maker = recipe.maker
    if maker.by_question and inputs:
        sources = [_source(recipe, position, stored) for position, stored in enumerate(inputs)]
        yield from _by_question(recipe, params, sources, run.options, run.progress)
        return
    made = maker.function(*_given(recipe, inputs, store), **_with_run(recipe, params, run))
    frames: Iterable[Any] = [made] if isinstance(made, pl.DataFrame | Tables) else made
    done = 0
    for frame in frames:
        tables = frame if isinstance(frame, Tables) else Tables(frame)
        done += tables.rows.height
        if maker.run is None:  # those with a Run speak for themselves
            run.progress(done, 0, "rows", "")
        yield tables


def _with_run(recipe: Recipe, params: dict[str, Any], run: Run) -> dict[str, Any]:
    return params | ({recipe.maker.run: run} if recipe.maker.run else {})


def _given(recipe: Recipe, inputs: list[Stored], store: Store) -> list["pl.DataFrame | Input | Model"]:
    """Return the inputs whole, as the maker wants them: frames, Inputs or Models."""
    return [
        open_model(stored, store)
        if recipe.maker.takes_model(position) and stored.manifest.kind == "model"
        else _source(recipe, position, stored).read(None)
        for position, stored in enumerate(inputs)
    ]


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
    if recipe.maker.takes_model(position):
        raise InputError(f"{at}: input {position + 1} must be a model; {stored.id} is a {stored.manifest.kind}.")
    if "rows" not in tables:
        raise InputError(f"{at}: {stored.id} has no rows ({stored.manifest.kind} by {stored.manifest.maker}).")
    shapes, made = recipe.maker.shapes_taken(position), stored.manifest.rows_are
    if shapes and made not in [shape.name for shape in shapes]:
        raise InputError(f"{at}: input {position + 1} must be {names(shapes)} rows; {stored.id} has {made} rows.")
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
    recipe: Recipe, params: dict[str, Any], sources: list[_Source], options: Options, progress: Progress
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
        progress(done, counts.height, "questions", f"{rows:,} rows")
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
        shape = makes or ROW_SHAPES.get(inputs[0].manifest.rows_are or "")
        if shape is None:
            raise InputError(f"{inputs[0].id} has no rows ({inputs[0].manifest.kind} by {inputs[0].manifest.maker}).")
        self.shape = shape
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
                self.draft.folder / f"{name}.parquet",
                table.schema,
                compression="zstd",
                write_page_index=True,  # as the Hub's viewer likes it
                use_content_defined_chunking=True,  # and its storage: of a version with few other rows little is new
            )
            self._hashes[name] = ContentHash(shape)
        if table.num_rows:  # `datasets` takes the first row group for the size of all: an empty one stops it
            self._writers[name].write_table(table, row_group_size=ROWS_PER_GROUP)
        if name != "drops":
            self._hashes[name].add(table)

    def close(self) -> None:
        """Finish the files; an artifact without rows still has its rows file, with the right columns."""
        for writer in self._writers.values():
            writer.close()

    def content(self) -> str:
        """Return the artifact's content."""
        return content_of(self._hashes)

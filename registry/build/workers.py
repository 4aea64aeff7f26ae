"""Makers that decide question by question: chunks of whole questions, on all cores."""

import importlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from registry.build.decisions import checker_of, decided, pairs_in, with_decided
from registry.build.inputs import Source
from registry.catalog.bind import MAKERS, Recipe
from registry.errors import OutOfResources
from registry.maker import Progress, Tables
from registry.tables import Span

ROWS_PER_CHUNK = 20_000  # sample rows a worker holds at once


WORTH_WORKERS = 60_000  # rows below which starting workers takes longer than the work


@dataclass(frozen=True)
class Workers:
    """How many processes (RFT_WORKERS), and how many questions at a time (RFT_CHUNK); 0: as fits."""

    workers: int = 0
    chunk: int = 0


class _Chunk(NamedTuple):
    """Everything a worker needs to make one chunk: all of it can be pickled."""

    package: str
    maker: str
    function: str
    params: dict[str, Any]
    inputs: list[Source]
    span: Span


def _make_chunk(chunk: _Chunk) -> Tables:
    function = getattr(importlib.import_module(f"{chunk.package}.{chunk.maker}"), chunk.function)
    made = function(*(source.read(chunk.span) for source in chunk.inputs), **chunk.params)
    return made if isinstance(made, Tables) else Tables(made)


def by_question(
    recipe: Recipe, params: dict[str, Any], sources: list[Source], asked: Workers, home: Path, progress: Progress
) -> Iterator[Tables]:
    ids = [pl.scan_parquet(source.rows).select("question_id") for source in sources]
    counts = pl.concat(ids).group_by("question_id").len().sort("question_id").collect()
    spans = _spans(counts, asked.chunk)
    package, function = MAKERS[recipe.entry.kind]
    chunks = [_Chunk(package, recipe.entry.maker, function, params, sources, span) for span, _ in spans]
    rows_of_all = int(counts["len"].sum())
    if checker := checker_of(recipe):
        asking = [chunk._replace(function="undecided") for chunk in chunks]
        pairs = [pairs_in(tables.rows) for tables in _mapped(asking, asked.workers, rows_of_all)]
        found = decided(home, checker, chain.from_iterable(pairs), asked.workers, progress)
        chunks = [
            chunk._replace(params=with_decided(recipe, params, {pair: found[pair] for pair in own}))
            for chunk, own in zip(chunks, pairs, strict=True)
        ]
    parts = []
    done = rows = 0
    for (_, questions), tables in zip(spans, _mapped(chunks, asked.workers, rows_of_all), strict=True):
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


def _mapped(chunks: list[_Chunk], asked: int, rows: int) -> Iterator[Tables]:
    workers = min(asked or _cores(), len(chunks))
    if workers <= 1 or (rows < WORTH_WORKERS and not asked):
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

"""Make an artifact: feed its maker, take out the rows it refuses, write, hash, publish.

A model's files are put into the draft by its trainer; of everything else the maker returns frames, and they are written here.

Makers that decide question by question (`BY_QUESTION = True`) get chunks of whole questions, on all cores; the result
does not depend on how the questions are cut.
"""

import logging
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pyarrow.parquet as pq

from registry.build.decisions import checker_of, decided, pairs_in, with_decided
from registry.build.inputs import given_to, opened, source_of, with_run
from registry.build.processes import follow, rank, work_folder_of
from registry.build.provenance import provenance
from registry.build.workers import Workers, by_question
from registry.build.writer import Writer
from registry.catalog.bind import Recipe, recorded
from registry.catalog.plan import Step, needed, plan, select
from registry.catalog.read import Catalog
from registry.errors import InputError
from registry.files import no_space_is_an_error
from registry.maker import Options, Pair, Progress, Run, Tables, Trained, nothing
from registry.rows import DROPS, LOSS
from registry.store.draft import Draft
from registry.store.models import HUB_RECORD, files_hash
from registry.store.record import InputRecord, Record, Stored
from registry.store.store import Store

log = logging.getLogger("rft")


class Built(NamedTuple):
    """What one build did."""

    record: Record
    new: bool  # False: the same content was registered by another build meanwhile
    seconds: float


class Contents(NamedTuple):
    """What a maker made, as the record says it."""

    rows_are: str | None
    columns: Mapping[str, list[str]]
    content: str
    rows: int
    drops: Mapping[str, int]
    facts: Mapping[str, Any]


def build(names: Iterable[str], catalog: Catalog, store: Store, *, options: Options | None = None) -> list[Built]:
    """Make what `names` mean (as `rft build` reads them) and is missing, inputs first.

    Raises CatalogError, NotFound for a name that means nothing, the refusal of a line that differs from what was built, and
    what `build_one` raises.
    """
    steps = plan(catalog, store)
    return list(build_all(needed(steps, select(steps, names)), store, catalog.folder, options=options))


def build_all(
    steps: Sequence[Step],
    store: Store,
    folder: Path,
    *,
    options: Options | None = None,
    watch: Callable[[Step], AbstractContextManager[Progress]] = lambda step: nullcontext(nothing),
) -> Iterator[Built]:
    """Make one line after the other, and yield each as it is there; `watch` gives the progress of a line."""
    for step in steps:
        with watch(step) as progress:
            built = build_one(step.recipe, store, folder, options=options, progress=progress)
        yield built


def build_one(
    recipe: Recipe, store: Store, folder: Path, *, options: Options | None = None, progress: Progress = nothing
) -> Built:
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
            return Built(follow(recipe, store, folder, options), False, time.monotonic() - started)
    inputs = [store.check(store.require(id)) for id in entry.inputs]
    with (
        no_space_is_an_error(),
        _named(f"{entry.where}: {entry.id}"),
        store.draft(entry.id) as draft,
        work_folder_of(recipe, store, inputs) as work,
    ):
        run = Run(draft.folder, work, store.home, options, progress)
        made = (_model if entry.kind == "model" else _tables)(recipe, store, folder, inputs, draft, run)
        seconds = time.monotonic() - started
        record = Record(
            name=entry.id.name,
            version=entry.id.version,
            kind=entry.kind,
            maker=entry.maker,
            edition=recipe.maker.edition,
            inputs=[InputRecord(id=str(given.id), content=given.record.content) for given in inputs],
            params=recorded(recipe),
            rows_are=made.rows_are,
            columns=dict(made.columns),
            content=made.content,
            rows=made.rows,
            drops=dict(sorted(made.drops.items())),
            facts=dict(made.facts),
            files=draft.files(),
            provenance=provenance(folder, seconds),
            built_at=datetime.now(UTC).replace(tzinfo=None),
        )
        new = draft.publish(record)
        shutil.rmtree(work, ignore_errors=True)
    log.info(
        "%s %s rows %d content %s in %.1f s",
        "built" if new else "found",
        entry.id,
        record.rows,
        record.content[:12],
        seconds,
    )
    return Built(record, new, seconds)


def _tables(recipe: Recipe, store: Store, folder: Path, inputs: list[Stored], draft: Draft, run: Run) -> Contents:
    writer = Writer(draft, recipe, inputs)
    with opened(recipe, folder) as params:
        for tables in _make(recipe, params, inputs, store, run):
            writer.write(tables)
    writer.close()
    if writer.graded_nothing:
        said = ", ".join(f"{n:,} {reason}" for reason, n in writer.drops.items())
        raise InputError(f"no sample could be graded ({said}). Are these the questions that the samples answer?")
    return Contents(writer.shape.name, writer.columns, writer.content(), writer.rows, writer.drops, writer.facts)


def _model(recipe: Recipe, store: Store, folder: Path, inputs: list[Stored], draft: Draft, run: Run) -> Contents:
    with opened(recipe, folder) as params:
        trained: Trained = recipe.maker.function(*given_to(recipe, inputs, store), **with_run(recipe, params, run))
    drops: dict[str, int] = {}
    columns: dict[str, list[str]] = {}
    if trained.loss.height:
        loss = LOSS.fit(trained.loss, f"{recipe.entry.id} (loss)")
        columns["loss"] = loss.columns
        pq.write_table(loss.to_arrow(), draft.folder / "loss.parquet")  # polars' own writer does not say that a disk is full
    if trained.drops is not None and trained.drops.height:
        refused = DROPS.fit(trained.drops, f"{recipe.entry.id} (drops)")
        columns["drops"] = refused.columns
        pq.write_table(refused.to_arrow(), draft.folder / "drops.parquet")
        drops = dict(trained.drops["reason"].value_counts().iter_rows())
    files = draft.files()
    if trained.hub is not None:
        (draft.folder / HUB_RECORD).write_text(trained.hub.model_dump_json(indent=1))
        files = trained.hub.files
    return Contents(None, columns, files_hash(files), 0, drops, trained.facts)


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
    with _named(f"{recipe.entry.where}: {recipe.entry.id}"), opened(recipe, folder) as params:
        made = recipe.maker.function(*given_to(recipe, inputs, store), **params)
    return made if isinstance(made, Tables) else Tables(made)


def preview(recipe: Recipe, store: Store, folder: Path, options: Options) -> str:
    """Return what the maker of a line can say of it before it is built, or an empty string.

    A maker says it by a function `preview` with the signature of its own; its inputs must be built.
    """
    function = getattr(recipe.maker.module, "preview", None)
    if function is None or not all(store.get(id) for id in recipe.entry.inputs):
        return ""
    inputs = [store.check(store.require(id)) for id in recipe.entry.inputs]
    with _named(f"{recipe.entry.where}: {recipe.entry.id}"), opened(recipe, folder) as params:
        run = Run(store.temporary, store.work, store.home, options)
        return str(function(*given_to(recipe, inputs, store), **with_run(recipe, params, run)))


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


def _make(recipe: Recipe, params: dict[str, Any], inputs: list[Stored], store: Store, run: Run) -> Iterator[Tables]:
    maker, workers = recipe.maker, run.options.read(Workers)
    if maker.by_question and inputs:
        sources = [source_of(recipe, position, stored) for position, stored in enumerate(inputs)]
        yield from by_question(recipe, params, sources, workers, store.home, run.progress)
        return
    given = given_to(recipe, inputs, store)
    found: Mapping[Pair, bool | None] = {}
    if checker := checker_of(recipe):
        pairs = pairs_in(maker.module.undecided(*given, **params))
        found = decided(store.home, checker, pairs, workers.workers, run.progress)
    made = maker.function(*given, **with_decided(recipe, with_run(recipe, params, run), found))
    frames: Iterable[Any] = [made] if isinstance(made, pl.DataFrame | Tables) else made
    done = 0
    for frame in frames:
        tables = frame if isinstance(frame, Tables) else Tables(frame)
        done += tables.rows.height
        if maker.run is None:  # those with a Run speak for themselves
            run.progress(done, 0, "rows", "")
        yield tables

"""`rft import`: a file of questions or samples becomes a line of the catalog."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from registry.build.build import build, try_out
from registry.catalog.bind import bind
from registry.catalog.edit import add_lines, line
from registry.catalog.plan import free
from registry.catalog.read import SECTIONS, Catalog, Entry
from registry.errors import CatalogError, InputError, NotFound, near
from registry.files import sha256_file
from registry.maker import Tables
from registry.names import ArtifactId, parse_id
from registry.store.store import Store
from registry.text import blocks, escaped, first_refused


@dataclass(frozen=True)
class Intake:
    """What an import found and wrote: a preview for people, the lines, and the names to build next."""

    preview: str
    lines: list[str]
    names: list[str]


def import_file(
    catalog: Catalog,
    store: Store,
    file: Path,
    name: str,
    questions: str | None,
    params: Mapping[str, Any],
    *,
    rejection: str | None = None,
    score: str | None = None,
    write: bool = True,
) -> Intake:
    """Read `file` as its builder would, and add its line (and those of a rejection set and an eval) to the catalog.

    The questions are built if they are not. Raises InputError if the file cannot be used as it is (too many rows
    refused, say), CatalogError if a name is taken; nothing is written then.
    """
    if not file.is_file():
        raise NotFound(f"{file} is a folder; name a file." if file.is_dir() else f"{file} does not exist.")
    # A file elsewhere on this machine keeps its full path; one beside the catalog moves with it.
    near_by = Path(os.path.relpath(file.resolve(), catalog.folder))
    where = str(file.resolve()) if near_by.parts[0] == ".." else near_by.as_posix()
    params = {"path": where, "sha256": sha256_file(file), **params}
    asked = () if questions is None else (_questions(questions, catalog, store),)
    entry = Entry(
        free(name, catalog, store), "dataset", "samples_file" if asked else "questions_file", asked, params, catalog.file.name
    )
    tables = try_out(bind(entry, catalog), store, catalog.folder)
    entries = [entry]
    if rejection is not None:
        entries.append(Entry(free(rejection, catalog, store), "dataset", "rejection", (*asked, entry.id)))
    if score is not None:
        entries.append(Entry(free(score, catalog, store), "eval", "gsm8k", (*asked, entry.id), {"k": _draws(tables.rows)}))
    if len({e.id.name for e in entries}) < len(entries):
        raise CatalogError("--as, --rejection and --eval need three different names.")
    lines = [line(e) for e in entries]
    if write:
        sections = [next(section for section, (kind, _) in SECTIONS.items() if kind == e.kind) for e in entries]
        add_lines(catalog.file, list(zip(sections, lines, strict=True)), {e.id: e for e in entries})
    return Intake(_preview(tables), lines, [str(e.id) for e in entries])


def _draws(rows: pl.DataFrame) -> int:
    """Return how many draws a question has; InputError unless they are numbered from 0 without gaps."""
    draws = rows.filter(pl.col("drop").is_null()).group_by("question_id", "model").agg(n=pl.len(), last=pl.col("draw").max())
    most, last = draws.select(pl.col("n").max().fill_null(0), pl.col("last").max().fill_null(-1)).row(0)
    if last + 1 > most:
        raise InputError(
            f"--eval: draws go up to {last}, but no question has more than {most} of them, and a missing draw counts as wrong. "
            "Number the draws of each question from 0, or leave the column out."
        )
    return int(most)


def _questions(name: str, catalog: Catalog, store: Store) -> ArtifactId:
    if "@" in name:
        id: ArtifactId | None = parse_id(name)
    else:
        id = max(catalog.named(name), default=store.highest(name))
    if id is None or (catalog.get(id) is None and store.get(id) is None):
        raise NotFound(f"--questions {name}: not in the catalog.{near(name, {i.name for i in catalog.entries})}")
    if store.get(id) is None:
        build([str(id)], catalog, store)
    return id


def _preview(tables: Tables) -> str:
    """Return three rows, and what was refused with its first lines."""
    refused = tables.rows.filter(pl.col("drop").is_not_null())
    kept = tables.rows.filter(pl.col("drop").is_null())
    said = [name for name in kept.columns if name != "label" or kept[name].count()]
    shown = [name for name in ("question_id", "question", "answer", "response", "draw", "model", "label") if name in said]
    parts = [blocks(kept.select(shown).head(3).to_dicts())] if kept.height else []
    summary = f"{kept.height:,} rows, {refused.height:,} refused"
    if refused.height:
        counts = refused["drop"].value_counts(sort=True).iter_rows()
        summary += ": " + ", ".join(f"{n:,} {reason}" for reason, n in counts)
        summary += "\n" + first_refused(refused)
    notes = [f"note: {note}" for note in tables.facts.get("notes", [])]
    return "\n\n".join([*parts, escaped("\n".join([summary, *notes]))])

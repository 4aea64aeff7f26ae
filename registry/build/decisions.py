"""What a checker decided of pairs of answers: asked once by the engine, and kept in the store.

Pairs lie in `decided.sqlite` of the store, under the checker's version. What was not decided is not kept: another machine, or
a quieter one, may do better. Deleting the file loses nothing but time.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from registry.catalog.bind import Recipe
from registry.errors import RftError
from registry.maker import Checker, Decided, Pair, Progress

AT_ONCE = 200  # pairs that are kept with one transaction
WAIT = 60.0  # seconds for another process that writes


def checker_of(recipe: Recipe) -> Checker | None:
    """Return the checker that a line's parameters ask for, or None."""
    if recipe.maker.decided is None:
        return None
    checker: Checker | None = recipe.maker.module.checker(recipe.params)
    return checker


def decided(
    home: Path, checker: Checker, pairs: Iterable[Pair], workers: int, progress: Progress
) -> Mapping[Pair, bool | None]:
    """Return what is decided of each pair (gold, answer), from the store or by asking now; what is asked is kept."""
    wanted = list(dict.fromkeys(pairs))
    if not wanted:
        return {}
    version = checker.version()
    try:
        with closing(sqlite3.connect(home / "decided.sqlite", timeout=WAIT)) as store:
            store.execute(
                "create table if not exists decided (checker text, gold text, answer text, equal integer, "
                "primary key (checker, gold, answer)) without rowid"
            )
            found: dict[Pair, bool | None] = dict(_known(store, version, wanted))
            missing = [pair for pair in wanted if pair not in found]
            answers = checker.decide(missing, workers)
            while batch := list(islice(answers, AT_ONCE)):
                kept = [(version, *pair, int(equal)) for pair, equal in batch if equal is not None]
                with store:
                    store.executemany("insert or ignore into decided values (?, ?, ?, ?)", kept)
                found |= dict(batch)
                progress(len(found), len(wanted), "pairs of answers compared", "")
    except sqlite3.Error as error:
        raise RftError(f"{home / 'decided.sqlite'} cannot be used ({error}). Remove it: it is made anew.") from error
    return found


def _known(store: sqlite3.Connection, version: str, wanted: list[Pair]) -> Iterator[tuple[Pair, bool]]:
    store.execute("create temp table wanted (gold text, answer text)")
    store.executemany("insert into wanted values (?, ?)", wanted)
    query = "select gold, answer, equal from wanted join decided using (gold, answer) where checker = ?"
    for gold, answer, equal in store.execute(query, [version]):
        yield (gold, answer), bool(equal)


def pairs_in(frame: pl.DataFrame) -> list[Pair]:
    """Return the rows of a frame of gold and answer, each once."""
    return list(frame.select("gold", "answer").unique(maintain_order=True).iter_rows())


def with_decided(recipe: Recipe, params: dict[str, Any], found: Mapping[Pair, bool | None]) -> dict[str, Any]:
    return params | ({recipe.maker.decided: Decided(found)} if recipe.maker.decided else {})

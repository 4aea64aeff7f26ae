"""Pool the kept paths of several models and select again (the paper's D'_U13B and D'_U33B)."""

from typing import Annotated, Any

import polars as pl

from builders._selection import Select, in_order, keep
from eval.grading.paths import count_paths, is_whole
from eval.grading.rules import PATHS, Policy
from registry.errors import InputError
from registry.maker import Input, Tables
from registry.rows import TRAINING

EDITION = 1
BY_QUESTION = True

SAMPLE = ["source", "question_id", "origin", "draw"]  # what makes a sample itself, in whichever set it is


def build(
    *sets: Annotated[Input, TRAINING], select: Select = "farthest", seed: int = 0, human: Policy = "keep"
) -> Annotated[Tables, TRAINING]:
    """Return the human rows (once) and the samples kept from those that the sets kept, pooled in the order given.

    Nothing is graded again: paths and verdicts are the sets' own. A sample that a set kept and the union did not
    ends as same_path (not_drawn with `select: random_rows`). `human: drop` leaves the human rows out. Raises InputError if the sets differ in mode, key or
    tolerance, or if there is none. The control for a union of path choices is not a union of random rows (its pool is
    another) but `rejection` with `select: random_rows` over all the samples.
    """
    mode, key, tolerance = (_agreed(sets, fact) for fact in ("mode", "key", "tolerance"))
    path = PATHS[key]
    pool = pl.concat(given.rows for given in sets)
    solutions = pool.filter(pl.col("origin") == "human").unique("question_id", keep="first", maintain_order=True)
    questions = pl.concat(
        [
            pool.select("question_id"),
            *(given.path_stats.select("question_id") for given in sets if given.path_stats is not None),
        ]
    )
    questions = questions.unique(maintain_order=True)
    # Pooled question by question, in the order of the sets; a sample that two sets kept is one sample.
    samples = pool.filter(pl.col("origin") != "human").unique(SAMPLE, keep="first", maintain_order=True).with_row_index("row")
    kept = samples.join(
        keep(samples.with_columns(key=_keys(samples, sets, path)), select, seed=seed),
        on="row",
        how="inner",
        maintain_order="left",
    )
    verdicts = _pooled_verdicts(sets, kept, "not_drawn" if select == "random_rows" else "same_path")
    rows = in_order(solutions if human == "keep" else solutions.clear(), kept, questions)
    return Tables(
        rows=rows.select(TRAINING.wide(rows.columns)),
        verdicts=verdicts.sort("question_id", maintain_order=True),
        path_stats=count_paths(verdicts, questions.join(solutions, on="question_id", how="left", maintain_order="left")).sort(
            "question_id"
        ),
        facts={
            "mode": mode,
            "key": key,
            "tolerance": tolerance,
            "sources": list(dict.fromkeys(s for given in sets for s in given.facts["sources"])),
        },
    )


def _keys(samples: pl.DataFrame, sets: tuple[Input, ...], path: str) -> pl.Series:
    """Return the key of each sample: its path, or one of its own where the path does not show all of it."""
    graded = pl.concat(given.verdicts for given in sets if given.verdicts is not None)
    partial = _with_origin(graded.filter(~is_whole())).select(SAMPLE).unique().with_columns(partial=True)
    found = samples.join(partial, on=SAMPLE, how="left", maintain_order="left", nulls_equal=True)
    key = pl.col(path).fill_null("")
    return found.select(pl.when("partial").then(pl.format("{} #{}", key, "row")).otherwise(key).alias("key"))["key"]


def _with_origin(verdicts: pl.DataFrame) -> pl.DataFrame:
    return verdicts.with_columns(origin=pl.coalesce("model", pl.col("source").str.split("@").list.first()))


def _pooled_verdicts(sets: tuple[Input, ...], kept: pl.DataFrame, passed_over: str) -> pl.DataFrame:
    """Return the sets' verdicts, each sample once, brought up to date for what the union kept."""
    verdicts = _with_origin(pl.concat(given.verdicts for given in sets if given.verdicts is not None))
    was_kept = pl.col("verdict") == "kept"
    # Where one set kept a sample and another did not, it reached this pool.
    verdicts = verdicts.with_columns(verdict=pl.when(was_kept.any().over(SAMPLE)).then(pl.lit("kept")).otherwise("verdict"))
    verdicts = verdicts.unique(SAMPLE, keep="first", maintain_order=True)
    still = kept.select(*SAMPLE, _still=pl.lit(True))
    verdicts = verdicts.join(still, on=SAMPLE, how="left", maintain_order="left", nulls_equal=True)
    return verdicts.with_columns(
        verdict=pl.when(was_kept & pl.col("_still").is_null()).then(pl.lit(passed_over)).otherwise("verdict")
    )


def _agreed(sets: tuple[Input, ...], fact: str) -> Any:
    if not sets:
        raise InputError("a union needs one rejection set at least.")
    values = {given.id: given.facts.get(fact) for given in sets}
    if len(set(values.values())) > 1 or None in values.values():
        said = ", ".join(f"{id} has {value}" for id, value in values.items())
        raise InputError(
            f"the sets of a union must have one {fact}: {said}. Only rejection sets and unions made with the same {fact} go together."
        )
    return values[sets[0].id]

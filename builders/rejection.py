"""Rejection sampling: keep right answers with sound calculations, one for each distinct reasoning path.

Two responses follow the same path when they write the same equations (eval/grading/paths.py says what "same" means).
"""

from typing import Annotated, Any

import polars as pl
from annotated_types import Ge

from builders._refusals import Share
from builders._selection import BLIND, Select, in_order, keep
from eval.grading.answers import Pattern
from eval.grading.grade import asked_pattern, check_models, gold_answers, grade, human_paths, undecided_pairs
from eval.grading.paths import count_paths, is_whole
from eval.grading.rules import PATHS, RULES, Key, Mode, Policy
from eval.grading.symbolic import checked_by, checker  # noqa: F401  the engine asks the checker
from registry.maker import Decided, Input, Questions, Tables
from registry.rows import SAMPLES, TRAINING, VERDICTS

EDITION = 3  # raise it when the same inputs would give other rows
BY_QUESTION = True

_COLUMNS = ["question_id", "draw", "response", "model", "label"]  # of samples


def build(
    questions: Questions,
    *samples: Annotated[Input, SAMPLES],
    k: Annotated[int, Ge(1)] | None = None,
    mode: Mode = "standard",
    key: Key | None = None,
    select: Select = "farthest",
    seed: int = 0,
    same_as_human: Policy | None = None,
    no_path: Policy = "drop",
    answer_pattern: Pattern | None = None,
    coverage: Share = 1.0,
    human: Policy = "keep",
    tolerance: Annotated[float, Ge(0)] = 0.0,
    decided: Decided = Decided(),  # noqa: B008  it is frozen
) -> Annotated[Tables, TRAINING]:
    """Return the human solutions and the kept samples, with the verdict on every sample and the counts of each question.

    The samples of all inputs are pooled in the order given; of each input only draws below `k` (default all). Defaults
    follow `mode`: paper selects by the paper's key and keeps samples with the human's own path, standard selects by
    the canonical key and drops them. `no_path` (standard mode): responses without any equation are dropped, or kept
    as one path. `coverage`: a response of whose results a smaller share is in its path is partial_path: its path says too
    little to tell it from others. `human: drop` leaves the human solutions out of the rows. `tolerance` is the largest difference from the gold answer that still counts as right. `answer_pattern`, a
    regular expression with one group, is tried before the usual places of an answer (docs/grading.md).

    Each sample gets the first verdict that applies: cut, no_answer, undecided, wrong_answer, bad_equation, no_path, partial_path, same_as_human,
    same_path, kept. `select: all` and `random_rows` do not look at paths, so no_path, partial_path, same_as_human and same_path do not
    apply to them; a sample that random_rows passed over is not_drawn. In paper mode `all` does not check equations
    either (the paper's "no dedup" set).
    """
    rules = RULES[mode]
    key = key or rules.key
    path = PATHS[key]
    drop_human = (same_as_human or rules.same_as_human) == "drop"
    solutions = human_paths(questions, rules).with_columns(origin=pl.lit("human"))
    asked = solutions.select(
        "question_id",
        "question",
        gold=gold_answers(questions, rules),
        human_path=path,
        has_human=pl.col("response").is_not_null(),
    ).with_row_index("place")

    for given in samples:
        check_models(given)
    pool = _pool(samples, k)
    unknown = pool.join(asked, on="question_id", how="anti").select(
        "question_id", "source", "model", "draw", drop=pl.lit("unknown_question")
    )
    pool = (
        pool.join(asked, on="question_id", how="inner", maintain_order="left")
        .sort("place", maintain_order=True)
        .with_row_index("row")
    )
    pool = grade(pool, rules, tolerance=tolerance, pattern=asked_pattern(answer_pattern, mode), decided=decided)

    right_is_enough = select == "all" and not rules.all_checks_equations
    pool = pool.with_columns(
        same_as_human=pl.col(path).eq_missing(pl.col("human_path")) & pl.col("has_human") & is_whole(),
        origin=pl.coalesce("model", pl.col("source").str.split("@").list.first()),
        verdict=pl.when(pl.col("failed").is_not_null())
        .then("failed")
        .when(pl.col("bad_equation") & pl.lit(not right_is_enough))
        .then(pl.lit("bad_equation")),
    )
    pool = pool.with_columns(
        by_path=pl.when(pl.col(path).is_null() & pl.lit(no_path == "drop"))
        .then(pl.lit("no_path"))
        .when((pl.col("coverage") < coverage) & pl.col(path).is_not_null())
        .then(pl.lit("partial_path"))
        .when(pl.col("same_as_human") & pl.lit(drop_human))
        .then(pl.lit("same_as_human")),
    )
    if select not in BLIND:
        pool = pool.with_columns(verdict=pl.coalesce("verdict", "by_path"))
    candidates = pool.filter(pl.col("verdict").is_null()).with_columns(
        # A path that does not show everything stands for itself alone.
        key=pl.when(pl.col("by_path").is_null()).then(
            pl.when(is_whole()).then(pl.col(path).fill_null("")).otherwise(pl.format("{} #{}", path, "row"))
        )
    )
    pool = pool.join(keep(candidates, select, seed=seed), on="row", how="left", maintain_order="left").with_columns(
        verdict=pl.when(pl.col("turn").is_not_null())
        .then(pl.lit("kept"))
        .otherwise(pl.coalesce("verdict", pl.lit("not_drawn" if select == "random_rows" else "same_path")))
    )
    kept = pool.filter(pl.col("turn").is_not_null()).with_columns(answer=pl.col("gold"))
    rows = in_order(solutions.filter(pl.col("response").is_not_null() & pl.lit(human == "keep")), kept, questions)
    return Tables(
        rows=pl.concat(
            [rows.select(TRAINING.wide(rows.columns)).with_columns(drop=pl.lit(None, pl.String)), unknown], how="diagonal"
        ),
        verdicts=VERDICTS.fit(pool, "verdicts").sort("question_id", maintain_order=True),
        path_stats=count_paths(pool, solutions).sort("question_id"),
        facts={"mode": mode, "key": key, "tolerance": tolerance, "sources": [given.id for given in samples]}
        | checked_by(rules),
    )


def undecided(questions: Questions, *samples: Input, **params: Any) -> pl.DataFrame:
    """Return the pairs (gold, answer) that only a checker can compare."""
    rules = RULES[params["mode"]]
    asked = questions.select("question_id", gold=gold_answers(questions, rules))
    pool = _pool(samples, params["k"]).join(asked, on="question_id", how="inner")
    return undecided_pairs(pool, rules, tolerance=params["tolerance"], pattern=params["answer_pattern"])


def _pool(samples: tuple[Input, ...], k: int | None) -> pl.DataFrame:
    frames = [
        given.rows.filter(pl.lit(True) if k is None else pl.col("draw") < k)
        .select(_COLUMNS)
        .with_columns(source=pl.lit(given.id))
        for given in samples
    ]
    if not frames:
        return pl.DataFrame(schema={**{c: SAMPLES.schema[c] for c in _COLUMNS}, "source": pl.String})
    return pl.concat(frames)

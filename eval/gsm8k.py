"""Score stored samples on a set of questions: maj1@1, maj1@k, pass@k and distinct correct reasoning paths.

An eval never runs a model: greedy accuracy is the eval of a samples line with temperature 0.0 and k 1.
"""

from collections.abc import Iterator
from math import comb
from typing import Annotated, Any

import numpy as np
import polars as pl
from annotated_types import Ge

from eval.grading.answers import Pattern
from eval.grading.grade import asked_pattern, check_models, gold_answers, grade, human_paths, undecided_pairs, vote_keys
from eval.grading.paths import count_paths, is_whole
from eval.grading.rules import PATHS, RULES, Mode, Rules
from eval.grading.symbolic import checked_by, checker  # noqa: F401  the engine asks the checker
from registry.errors import InputError
from registry.maker import Decided, Input, Tables
from registry.rows import QUESTIONS, SAMPLES, SCORES, VERDICTS

EDITION = 3

PASS_AT = (1, 3, 6, 12, 25, 50, 100)  # and k itself
RESAMPLES = 2_000


def evaluate(
    questions: Annotated[Input, QUESTIONS],
    samples: Annotated[Input, SAMPLES],
    *,
    k: Annotated[int, Ge(1)] = 1,
    mode: Mode = "standard",
    tolerance: Annotated[float, Ge(0)] | None = None,
    seed: int = 0,
    answer_pattern: Pattern | None = None,
    decided: Decided = Decided(),  # noqa: B008  it is frozen
) -> Annotated[Tables, SCORES]:
    """Return the scores of each model in `samples` over all `questions`, with the verdict on every draw below `k`.

    Metrics, each a mean over questions with a 95 % bootstrap interval over questions (seeded by `seed`):
    - maj1@1: the answer of draw 0 is right. maj1@k: the answer most draws agree on is right; equal counts go to the
      answer seen first, answers that cannot be read do not vote (standard mode counts values, paper mode texts).
    - pass@j for j up to k: 1 - C(k-c, j) / C(k, j) with c right draws of k, the unbiased estimate.
    - distinct_paths: different calculation processes among the draws with the right answer, sound or not (the paper's Fig. 7).
    - bad_equations: the share of the draws there are with an annotated equation that does not hold, right or wrong answer;
      it does not make a draw wrong here.
    A draw that `samples` lacks counts as wrong; `covered` says how many questions have any.  An answer is right within `tolerance`: paper mode's default is
    the reference script's (the difference is below 1e-4), standard mode's is 0. `answer_pattern`, a regular expression with
    one group, is tried before the usual places of an answer (docs/grading.md). Raises InputError if there
    are no questions, none of them has samples, or none has k.
    """
    if not questions.rows.height:
        raise InputError(f"{questions.id} has no questions.")
    rules = RULES[mode]
    tolerance = rules.tolerance if tolerance is None else tolerance
    check_models(samples)
    drawn = samples.rows.filter(pl.col("draw") < k).with_columns(source=pl.lit(samples.id))
    asked = questions.rows.select("question_id", gold=gold_answers(questions.rows, rules)).with_row_index("place")
    unknown = drawn.join(asked, on="question_id", how="anti").select(
        "question_id", "source", "model", "draw", drop=pl.lit("unknown_question")
    )
    drawn = drawn.join(asked, on="question_id", how="inner", maintain_order="left").sort("place", "draw", maintain_order=True)
    graded = grade(
        drawn, rules, tolerance=tolerance, strict=rules.strict, pattern=asked_pattern(answer_pattern, mode), decided=decided
    ).with_columns(verdict=pl.col("failed").fill_null("correct"))
    if not drawn.height:
        raise InputError(
            f"{samples.id} has no sample of a question of {questions.id} below draw {k}. Name the questions it answers."
        )
    most = drawn.group_by("question_id", "model").len()["len"].max()
    if isinstance(most, int) and most < k:
        raise InputError(
            f"k is {k}, but no question has more than {most} draws in {samples.id}: every score would count draws that were never "
            f"made as wrong. Set k: {most}, or draw more."
        )
    scores, missing = [], 0
    for model, draws in _by_model(graded):
        name = model or samples.id.split("@")[0]
        missing += asked.height * k - draws.height
        covered = draws["question_id"].n_unique()
        for metric, values in _metrics(draws, asked, k, rules):
            low, high = interval(values, seed)
            scores.append(
                {
                    "model": name,
                    "dataset": questions.id,
                    "metric": metric,
                    "value": float(values.mean()),
                    "low": low,
                    "high": high,
                    "n": len(values),
                    "covered": covered,
                }
            )
    notes = [f"{missing} draws are missing and count as wrong"] if missing else []
    rows = pl.concat([SCORES.fit(pl.DataFrame(scores, schema=SCORES.schema), "scores"), unknown], how="diagonal")
    facts = {"mode": mode, "key": rules.key, "sources": [samples.id]} | checked_by(rules)
    return Tables(
        rows,
        verdicts=VERDICTS.fit(graded, "verdicts"),
        path_stats=count_paths(graded, human_paths(questions.rows, rules)),
        facts=facts | ({"notes": notes} if notes else {}),
    )


def undecided(questions: Input, samples: Input, **params: Any) -> pl.DataFrame:
    """Return the pairs (gold, answer) that only a checker can compare."""
    rules = RULES[params["mode"]]
    asked = questions.rows.select("question_id", gold=gold_answers(questions.rows, rules))
    drawn = samples.rows.filter(pl.col("draw") < params["k"]).join(asked, on="question_id", how="inner")
    return undecided_pairs(drawn, rules, tolerance=params["tolerance"] or rules.tolerance, pattern=params["answer_pattern"])


def _by_model(graded: pl.DataFrame) -> Iterator[tuple[str | None, pl.DataFrame]]:
    for (model,), draws in graded.group_by("model", maintain_order=True):
        yield model, draws


def _metrics(draws: pl.DataFrame, asked: pl.DataFrame, k: int, rules: Rules) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each metric with its values, one for each question in order."""

    def of_questions(values: pl.DataFrame) -> np.ndarray:
        joined = asked.select("question_id").join(values, on="question_id", how="left", maintain_order="left")
        return joined["value"].cast(pl.Float64).fill_null(0.0).to_numpy()

    by_question = draws.group_by("question_id")
    yield "maj1@1", of_questions(draws.filter(pl.col("draw") == 0).select("question_id", value="right_answer"))
    if k > 1:
        yield f"maj1@{k}", of_questions(_majority(draws, rules))
    right = of_questions(by_question.agg(value=pl.col("right_answer").sum()))
    for j in sorted({*(j for j in PASS_AT if j < k), k}):
        chance = {c: 1 - comb(k - int(c), j) / comb(k, j) for c in set(right)}
        yield f"pass@{j}", np.array([chance[c] for c in right])
    distinct = (
        draws.filter(pl.col("right_answer") & is_whole())
        .group_by("question_id")
        .agg(value=pl.col(PATHS[rules.key]).drop_nulls().n_unique())
    )
    yield "distinct_paths", of_questions(distinct)
    yield "bad_equations", of_questions(by_question.agg(value=pl.col("bad_equation").mean()))


def _majority(draws: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    """Return question_id and whether the answer with the most votes is right; the first seen wins a tie."""
    votes = draws.with_columns(vote=vote_keys(draws["answer"], rules)).filter(pl.col("vote").is_not_null())
    counted = votes.group_by("question_id", "vote", maintain_order=True).agg(
        n=pl.len(), seen=pl.col("draw").min(), value=pl.col("right_answer").first()
    )
    ranked = counted.sort("n", "seen", descending=[True, False])
    return ranked.group_by("question_id", maintain_order=True).first().select("question_id", "value")


def interval(values: np.ndarray, seed: int) -> tuple[float, float]:
    """Return the 2.5 and 97.5 percentiles of the mean over resampled questions."""
    rng = np.random.default_rng(seed)
    n = len(values)
    means = [rng.multinomial(n, np.full(n, 1 / n), size=100) @ values / n for _ in range(RESAMPLES // 100)]
    low, high = np.percentile(np.concatenate(means), [2.5, 97.5])
    return float(low), float(high)

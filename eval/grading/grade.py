"""Grade samples: the answer, the equations and the path of each response, column by column. The only grader."""

from typing import Any

import polars as pl

from eval.grading.paths import read_paths
from eval.grading.rules import Rules
from registry.errors import InputError
from registry.maker import Input


def grade(samples: pl.DataFrame, rules: Rules, *, tolerance: float, strict: bool = False) -> pl.DataFrame:
    """Return `samples` (with `response` and the question's gold `answer` as `gold`) and what was read from each.

    Adds answer, answer_from, right_answer, bad_equation, path and path_canonical.
    """
    responses = samples["response"]
    graded = pl.concat([samples, rules.read_answers(responses), read_paths(responses, rules)], how="horizontal")
    return graded.with_columns(is_right(graded["answer"], graded["gold"], rules, tolerance=tolerance, strict=strict))


def is_right(answers: pl.Series, gold: pl.Series, rules: Rules, *, tolerance: float, strict: bool = False) -> pl.Series:
    """Return for each answer whether it equals the gold one (false where there is no answer).

    The difference may be up to `tolerance`, or must stay below it if `strict`.
    """
    pairs = pl.DataFrame({"answer": answers, "gold": gold})
    unique = pairs.unique().drop_nulls()
    margin = rules.margin(tolerance)
    values = {text: rules.value(text) for text in set(unique["answer"]) | set(unique["gold"])}
    equal = [_near(values[a], values[g], margin, strict) for a, g in unique.iter_rows()]
    graded = pairs.join(
        unique.with_columns(equal=pl.Series(equal, dtype=pl.Boolean)), on=["answer", "gold"], how="left", maintain_order="left"
    )
    return graded["equal"].fill_null(False).alias("right_answer")


def _near(a: Any, b: Any, margin: Any, strict: bool) -> bool:
    if a is None or b is None:
        return False
    if strict:
        return bool(abs(a - b) < margin)
    return bool(a == b or abs(a - b) <= margin)  # infinities can be equal, but their difference is no number


def vote_keys(answers: pl.Series, rules: Rules) -> pl.Series:
    """Return what a majority vote counts; null for an answer that has no vote."""
    votes = {text: rules.vote(text) for text in answers.unique().drop_nulls()}
    return answers.replace_strict(votes, default=None, return_dtype=pl.String)


def check_models(given: Input) -> None:
    """Raise InputError if samples without a model cannot be told from those of a model called like their artifact."""
    name = given.id.split("@")[0]
    if given.rows["model"].null_count() and (given.rows["model"] == name).any():
        raise InputError(
            f"{given.id} has samples of a model called {name} and samples of no model. Name the model of the others."
        )


def gold_answers(questions: pl.DataFrame, rules: Rules) -> pl.Series:
    """Return each question's gold answer; some rules read it from the human solution, where there is one."""
    if not rules.gold_from_solution:
        return questions["answer"]
    by_script = rules.read_answers(questions["response"])["answer"]
    return questions.select(answer=pl.coalesce(by_script, "answer"))["answer"]


def human_paths(questions: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    """Return `questions` with the path and path_canonical of each human solution, null where there is none."""
    paths = read_paths(questions["response"], rules).select("path", "path_canonical")
    return pl.concat([questions, paths], how="horizontal").with_columns(
        pl.when(pl.col("response").is_not_null()).then(pl.col("path", "path_canonical"))
    )

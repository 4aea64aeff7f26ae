"""Grade samples: the answer, the equations and the path of each response, column by column."""

import polars as pl

from eval.grading.answers import Mode, is_right, read_answers
from eval.grading.paths import read_paths
from registry.errors import InputError
from registry.maker import Input


def grade(samples: pl.DataFrame, mode: Mode, *, tolerance: float, strict: bool = False) -> pl.DataFrame:
    """Return `samples` (with `response` and the question's gold `answer` as `gold`) and what was read from each.

    Adds answer, answer_from, right_answer, bad_equation, path and path_canonical.
    """
    responses = samples["response"]
    graded = pl.concat([samples, read_answers(responses, mode), read_paths(responses, mode)], how="horizontal")
    return graded.with_columns(is_right(graded["answer"], graded["gold"], mode, tolerance=tolerance, strict=strict))


def check_models(given: Input) -> None:
    """Raise InputError if samples without a model cannot be told from those of a model called like their artifact."""
    name = given.id.split("@")[0]
    if given.rows["model"].null_count() and (given.rows["model"] == name).any():
        raise InputError(
            f"{given.id} has samples of a model called {name} and samples of no model. Name the model of the others."
        )


def gold_answers(questions: pl.DataFrame, mode: Mode) -> pl.Series:
    """Return each question's gold answer; paper mode reads it from the human solution by its own rule, where there is one."""
    if mode == "standard":
        return questions["answer"]
    by_script = read_answers(questions["response"], mode)["answer"]
    return questions.select(answer=pl.coalesce(by_script, "answer"))["answer"]


def human_paths(questions: pl.DataFrame, mode: Mode) -> pl.DataFrame:
    """Return `questions` with the path and path_canonical of each human solution, null where there is none."""
    paths = read_paths(questions["response"], mode).select("path", "path_canonical")
    return pl.concat([questions, paths], how="horizontal").with_columns(
        pl.when(pl.col("response").is_not_null()).then(pl.col("path", "path_canonical"))
    )

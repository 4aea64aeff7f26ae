"""Grade samples: the answer, the equations and the path of each response, column by column. The only grader."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from eval.grading.answers import same_text
from eval.grading.paths import read_paths
from eval.grading.rules import PAPER, RULES, STANDARD, Mode, Rules
from eval.grading.structures import is_short, is_words, same_structure
from registry.errors import InputError
from registry.maker import Decided, Input, Pair

UNDECIDED = "undecided"
STAGES = ("number", "text", "structure", "symbolic")  # of comparing, in the order in which they are asked


def grade(
    samples: pl.DataFrame,
    rules: Rules,
    *,
    tolerance: float,
    strict: bool = False,
    pattern: str | None = None,
    decided: Decided | None = None,
) -> pl.DataFrame:
    """Return `samples` (with `response` and the question's gold `answer` as `gold`) and what was read from each.

    Adds answer, answer_from, right_answer, compared_by, bad_equation, path, path_canonical and coverage, what simpler modes
    would have said (right_by_paper, right_by_standard), and `failed`: cut (the text
    stops before it gives an answer), no_answer (there is none, or what stands there is none that can be read), undecided (the
    checker could not tell), wrong_answer, or null for a right one. `pattern` is tried before the places that the rules know;
    `decided` is what the checker found of the pairs that `undecided_pairs` returns.
    """
    responses = samples["response"]
    graded = pl.concat([samples, rules.read_answers(responses, pattern), read_paths(responses, rules)], how="horizontal")
    compared = compare(graded["answer"], graded["gold"], rules, tolerance=tolerance, strict=strict, decided=decided)
    graded = pl.concat([graded, compared], how="horizontal")
    graded = pl.concat([graded, _by_simpler_modes(graded, rules, tolerance)], how="horizontal")
    failed = (
        pl.when("right_answer")
        .then(None)
        .when("cut")
        .then(pl.lit("cut"))
        .when(pl.col("compared_by") == UNDECIDED)
        .then(pl.lit(UNDECIDED))
        .when("readable")
        .then(pl.lit("wrong_answer"))
        .otherwise(pl.lit("no_answer"))
    )
    return graded.with_columns(failed=failed, compared_by=pl.when(pl.col("compared_by") != UNDECIDED).then("compared_by")).drop(
        "cut", "readable"
    )


def _by_simpler_modes(graded: pl.DataFrame, rules: Rules, tolerance: float) -> pl.DataFrame:
    """Return right_by_paper and right_by_standard: null for the mode itself and for those that read more."""
    nobody = pl.Series([None] * graded.height, dtype=pl.Boolean)
    by_paper = by_standard = nobody
    if rules.texts:
        alike = _is_read_alike() if tolerance == 0 else pl.lit(False)
        by_paper = graded.select(pl.when(alike).then("right_answer"))["right_answer"]
        rest = by_paper.is_null().arg_true()
        answers = PAPER.read_answers(graded["response"].gather(rest))["answer"]
        by_paper = by_paper.scatter(rest, is_right(answers, graded["gold"].gather(rest), PAPER, tolerance=tolerance))
    if rules.structures:
        by_standard = is_right(graded["answer"], graded["gold"], STANDARD, tolerance=tolerance)
    return pl.DataFrame({"right_by_paper": by_paper, "right_by_standard": by_standard})


def _is_read_alike() -> pl.Expr:
    """Whether paper mode reads the same answer, and finds the same of it without a tolerance: a number of up to 15 digits (a double
    tells any two of these apart) at the end, behind the only #### of the text."""
    response, answer = pl.col("response"), pl.col("answer")
    at_end = response.str.find("####", literal=True) + 5 + answer.str.len_bytes() == response.str.len_bytes()
    short = (answer.str.len_bytes() <= 15) & (pl.col("gold").str.len_bytes() <= 15)
    plain = ~answer.str.contains("/", literal=True) & ~response.str.contains("\0", literal=True)
    return (pl.col("compared_by") == "number") & short & at_end & plain & response.str.ends_with(pl.lit("#### ") + answer)


def undecided_pairs(samples: pl.DataFrame, rules: Rules, *, tolerance: float, pattern: str | None = None) -> pl.DataFrame:
    """Return the pairs (gold, answer) of graded samples that only a checker can compare."""
    answers = rules.read_answers(samples["response"], pattern)["answer"]
    compared = compare(answers, samples["gold"], rules, tolerance=tolerance)
    open_ = pl.DataFrame({"gold": samples["gold"], "answer": answers, "by": compared["compared_by"]})
    return open_.filter(pl.col("by") == UNDECIDED).select("gold", "answer").unique(maintain_order=True)


def asked_pattern(pattern: str | None, mode: Mode) -> str | None:
    """Return the pattern that a line asks for; InputError in paper mode, which reads as the script does and no other way."""
    if pattern is not None and not RULES[mode].texts:
        raise InputError(
            f"mode: {mode} reads answers as the reference script does. Take answer_pattern out, or mode: standard."
        )
    return pattern


def is_right(answers: pl.Series, gold: pl.Series, rules: Rules, *, tolerance: float, strict: bool = False) -> pl.Series:
    """Return for each answer whether it equals the gold one (false where there is no answer), as `compare` finds it."""
    return compare(answers, gold, rules, tolerance=tolerance, strict=strict)["right_answer"]


def compare(
    answers: pl.Series,
    gold: pl.Series,
    rules: Rules,
    *,
    tolerance: float,
    strict: bool = False,
    decided: Decided | None = None,
) -> pl.DataFrame:
    """Return for each answer right_answer, compared_by (the stage that told, or null) and whether it is `readable`.

    Stages: number (two numbers may differ by up to `tolerance`, or less if `strict`), text (the same but for the case of letters
    and spaces), and for some rules structure (part by part) and symbolic (what `decided` says). What none of them can tell is
    UNDECIDED where a checker could; elsewhere an answer without a value cannot be read.
    """
    pairs = pl.DataFrame({"answer": answers, "gold": gold})
    unique = pairs.unique().drop_nulls()
    margin = rules.margin(tolerance)
    values = {text: rules.value(text) for text in set(unique["answer"]) | set(unique["gold"])}
    known = decided.pairs if decided else {}
    found: list[tuple[bool, str | None, bool]] = []
    for answer, right in unique.iter_rows():
        a, g = values[answer], values[right]
        if a is not None and g is not None:
            found.append((_near(a, g, margin, strict), "number" if rules.texts else None, True))
        elif rules.texts and same_text(answer) == same_text(right):
            found.append((True, "text", True))
        elif rules.structures:
            found.append(_by_structure(answer, right, known))
        else:
            found.append((False, None, a is not None))
    schema = {"right_answer": pl.Boolean, "compared_by": pl.String, "readable": pl.Boolean}
    judged = pl.concat([unique, pl.DataFrame(found, schema=schema, orient="row")], how="horizontal")
    return (
        pairs.join(judged, on=["answer", "gold"], how="left", maintain_order="left")
        .select(*schema)
        .with_columns(pl.col("right_answer", "readable").fill_null(False))
    )


def _by_structure(answer: str, gold: str, known: Mapping[Pair, bool | None]) -> tuple[bool, str | None, bool]:
    if (same := same_structure(answer, gold)) is not None:
        return same, "structure", True
    if is_words(answer) or is_words(gold):
        return False, None, is_short(answer)  # words are compared as text alone
    equal = known.get((gold, answer))
    if equal is None:
        return False, UNDECIDED, True
    return equal, "symbolic", True


def opinions(gold: str, answer: str) -> dict[str, bool | None]:
    """Return what each stage that needs no checker says of a pair, whatever the others say; None where it says nothing."""
    a, g = STANDARD.value(answer), STANDARD.value(gold)
    return {
        "number": None if a is None or g is None else a == g,
        "text": True if same_text(answer) == same_text(gold) else None,
        "structure": same_structure(answer, gold),
    }


def _near(a: Any, b: Any, margin: Any, strict: bool) -> bool:
    if strict:
        return bool(abs(a - b) < margin)
    return bool(a == b or (margin and abs(a - b) <= margin))  # infinities can be equal, but their difference is no number


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

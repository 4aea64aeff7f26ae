"""The rules by which answers and paths are read and compared: one value for each family of texts.

    RULES["standard"].read_answers(responses)

MATH is STANDARD that compares more than numbers. What a parameter `mode` of a catalog line names is one of these.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Literal, Protocol

import polars as pl

from eval.grading.answers import double, read_paper_answers, read_standard_answers
from eval.grading.equations import Reading, passes_paper
from eval.grading.forms import written
from eval.grading.numbers import value
from eval.grading.structures import plain_latex

Mode = Literal["standard", "paper", "math"]
Key = Literal["paper", "canonical"]
Policy = Literal["keep", "drop"]

PATHS: dict[Key, str] = {"paper": "path", "canonical": "path_canonical"}  # the column of each key


class ReadAnswers(Protocol):
    def __call__(self, responses: pl.Series, pattern: str | None = None) -> pl.DataFrame: ...


@dataclass(frozen=True)
class Rules:
    """How one family of texts is read.

    `read_answers`: responses, and a pattern to try first, to `answer`, `answer_from` and `cut`. `value`: what an answer is compared by, None if it has none; `margin`
    a tolerance in the same numbers; `texts`: answers without a value are compared as texts; `structures`: and part by part, and by algebra; `strict`: in evals the difference must stay below it. `vote`: what a majority vote counts.
    `holds`: whether an annotated equation, and what was read of it, is sound. `plain`: equations in plain text make a path too, and without any there is
    none; else a response without an annotation has the path "". `gold_from_solution`: the gold answer is read from the human
    solution where there is one. `all_checks_equations`: a set without deduplication leaves out what does not hold. `key`, `same_as_human` and `tolerance` are defaults of the makers' parameters.
    """

    name: Mode
    read_answers: ReadAnswers
    value: Callable[[str], Any]
    margin: Callable[[float], Any]
    texts: bool
    structures: bool
    strict: bool
    vote: Callable[[str], str | None]
    holds: Callable[[str, Reading], bool]
    plain: bool
    gold_from_solution: bool
    all_checks_equations: bool
    key: Key
    same_as_human: Policy
    tolerance: float  # of evals


def _written_value(answer: str) -> str | None:
    number = value(answer)
    return None if number is None else written(number)


def _written_answer(answer: str) -> str | None:
    """A number by its value, anything else by its text in one way of writing."""
    return _written_value(answer) or plain_latex(answer)


PAPER = Rules(
    name="paper",
    read_answers=read_paper_answers,
    value=double,
    margin=float,
    texts=False,
    structures=False,
    strict=True,
    vote=lambda answer: answer,  # "10" and "10.0" differ
    holds=lambda equation, reading: passes_paper(equation),
    plain=False,
    gold_from_solution=True,
    all_checks_equations=False,  # the paper's "no dedup" set
    key="paper",
    same_as_human="keep",
    tolerance=1e-4,
)
STANDARD = Rules(
    name="standard",
    read_answers=read_standard_answers,
    value=value,
    margin=lambda tolerance: Fraction(str(tolerance)),
    texts=True,
    structures=False,
    strict=False,
    vote=_written_value,
    holds=lambda equation, reading: reading.holds,
    plain=True,
    gold_from_solution=False,
    all_checks_equations=True,
    key="canonical",
    same_as_human="drop",
    tolerance=0.0,
)
MATH = replace(STANDARD, name="math", structures=True, vote=_written_answer)
RULES: dict[Mode, Rules] = {rules.name: rules for rules in (STANDARD, PAPER, MATH)}

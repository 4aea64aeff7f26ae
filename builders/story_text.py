"""Text for the pre-training of tiny models, from which they learn to calculate and to read the made-up word problems.

    {"text": "7*8=<<7*8=56>>56", "source": "facts"}
    {"text": "4*6=<<4*6=24>>24\\n24+5=<<24+5=29>>29\\n#### 29", "source": "chains"}
    {"text": "Ava has 4 boxes with 6 pens in each. ...\\nNumbers: 4 6 5 9", "source": "copies"}

Stories come from the training split of `story_problems` alone, so that no question a model is tested on was ever read.
"""

import random
from collections.abc import Callable
from typing import Annotated

import polars as pl
from annotated_types import Ge

from builders.story_problems import LARGEST, in_split, problems
from registry.errors import InputError
from registry.rows import TEXT, question_id

EDITION = 1

Weight = Annotated[float, Ge(0)]


def build(
    *,
    lines: Annotated[int, Ge(1)],
    seed: int,
    facts: Weight = 0.35,
    chains: Weight = 0.30,
    copies: Weight = 0.30,
    solved: Weight = 0.05,
) -> Annotated[pl.DataFrame, TEXT]:
    """Return `lines` rows of TEXT in random order; `source` says what kind each is.

    `facts` are single calculations, `chains` calculations that go on with the last result and end in `#### N`, `copies`
    stories with their numbers written out after them, `solved` stories with their solution. The four are weights:
    each kind gets its share of the lines, rounded to whole ones. Raises InputError if all of them are 0.
    """
    makers: dict[str, Callable[[random.Random], str]] = {"facts": _fact, "chains": _chain, "copies": _copy, "solved": _solved}
    weights = {"facts": facts, "chains": chains, "copies": copies, "solved": solved}
    whole = sum(weights.values())
    if not whole:
        raise InputError("facts, chains, copies and solved are all 0: there is nothing to write. Give one of them a share.")
    kinds: list[str] = []
    taken = 0.0
    for kind, weight in weights.items():
        taken += weight
        kinds += [kind] * (round(lines * taken / whole) - len(kinds))
    dice = random.Random(seed)
    dice.shuffle(kinds)
    return pl.DataFrame([(makers[kind](dice), kind) for kind in kinds], schema=TEXT.schema, orient="row")


def _fact(dice: random.Random) -> str:
    return _calculation(dice, None)[0]


def _chain(dice: random.Random) -> str:
    lines = []
    result: int | None = None
    for _ in range(dice.randint(2, 4)):
        line, result = _calculation(dice, result)
        lines.append(line)
    return "\n".join([*lines, f"#### {result}"])


def _calculation(dice: random.Random, start: int | None) -> tuple[str, int]:
    """Return a calculation that begins with `start` (or anything) and its result, from 1 to LARGEST."""
    while True:
        x = dice.randint(2, 99) if start is None else start
        y = dice.randint(2, 9) if dice.random() < 0.8 else dice.randint(2, 99)
        operator = dice.choice("+-*/")
        if operator == "/" and x % y:
            continue
        value = {"+": x + y, "-": x - y, "*": x * y, "/": x // y}[operator]
        if 1 <= value <= LARGEST:
            if operator in "+*" and dice.random() < 0.5:
                x, y = y, x
            return f"{x}{operator}{y}=<<{x}{operator}{y}={value}>>{value}", value


def _story(dice: random.Random) -> tuple[str, str]:
    while True:
        for question, solution, _ in problems(dice, 1):
            if in_split(question_id(question), "train"):
                return question, solution


def _copy(dice: random.Random) -> str:
    question, _ = _story(dice)
    numbers = [word.strip(".,?") for word in question.split() if word.strip(".,?").isdecimal()]
    return f"{question}\nNumbers: {' '.join(numbers)}"


def _solved(dice: random.Random) -> str:
    return "\n".join(_story(dice))

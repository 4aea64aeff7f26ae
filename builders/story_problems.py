"""Made-up word problems, shaped like GSM8K and small enough for tiny models.

    {"question": "Ava has 4 boxes with 6 pens in each. She finds 5 more pens and gives 9 pens away. How many ...",
     "response": "In the boxes are 4*6=<<4*6=24>>24 pens.\\nThat makes 24+5=<<24+5=29>>29 pens.\\n...\\n#### 20"}

Six families of two to four steps. Each has several derivations, so that different right paths exist; the human-like
solution follows one of them. Every number, and every result on the way, is a whole number from 1 to 199.
"""

import random
from collections.abc import Iterator
from typing import Annotated, Literal, NamedTuple

import polars as pl
from annotated_types import Ge

from registry.errors import InputError
from registry.maker import Questions, Role
from registry.rows import QUESTIONS, question_id

EDITION = 1

LARGEST = 199
SPLITS = {"train": range(0, 8), "validation": range(8, 9), "test": range(9, 10)}  # tenths of all questions there can be
TRIES = 400  # for each question wanted; there are millions, so running out means that far too many are wanted


class Step(NamedTuple):
    """One calculation: `result` is the name its value gets, the operands are names of numbers or earlier results."""

    result: str
    left: str
    operator: Literal["+", "-", "*", "/"]
    right: str
    says: str


class Family(NamedTuple):
    """A kind of problem: its story, the ranges of its numbers, and the derivations of its answer."""

    story: str
    numbers: dict[str, tuple[int, int]]
    derivations: tuple[tuple[Step, ...], ...]


NAMES = ("Ava", "Ben", "Cleo", "Dan", "Eli", "Fay", "Gus", "Hana", "Ida", "Jon")
ITEMS = ("pens", "shells", "stickers", "marbles", "cards", "beads", "coins", "buttons")
FRUITS = ("apples", "plums", "pears", "lemons", "cherries")

FAMILIES = (
    Family(
        "{A} has {a} boxes with {b} {items} in each. {A} finds {c} more {items} and gives {d} {items} away. How many {items} does {A} have now?",
        {"a": (2, 9), "b": (2, 9), "c": (2, 9), "d": (2, 9)},
        (
            (
                Step("t", "a", "*", "b", "In the boxes are"),
                Step("s", "t", "+", "c", "With those found it is"),
                Step("r", "s", "-", "d", "After the gift it is"),
            ),
            (
                Step("t", "a", "*", "b", "In the boxes are"),
                Step("s", "t", "-", "d", "After the gift it is"),
                Step("r", "s", "+", "c", "With those found it is"),
            ),
            (
                Step("g", "c", "-", "d", "Found less given away is"),
                Step("t", "a", "*", "b", "In the boxes are"),
                Step("r", "t", "+", "g", "Together it is"),
            ),
        ),
    ),
    Family(
        "{A} buys {a} bags of {items} and {B} buys {b} bags of {items}. Each bag holds {c} {items}. How many {items} do they have together?",
        {"a": (2, 9), "b": (2, 9), "c": (2, 9)},
        (
            (Step("n", "a", "+", "b", "The number of bags is"), Step("r", "n", "*", "c", "They hold")),
            (
                Step("x", "a", "*", "c", "{A} has"),
                Step("y", "b", "*", "c", "{B} has"),
                Step("r", "x", "+", "y", "Together they have"),
            ),
        ),
    ),
    Family(
        "Every day {A} makes {a} {items} in the morning and {b} {items} in the evening. How many {items} does {A} make in {c} days?",
        {"a": (2, 9), "b": (2, 9), "c": (2, 9)},
        (
            (Step("s", "a", "+", "b", "A day makes"), Step("r", "s", "*", "c", "All days make")),
            (
                Step("x", "a", "*", "c", "The mornings make"),
                Step("y", "b", "*", "c", "The evenings make"),
                Step("r", "x", "+", "y", "Together that is"),
            ),
        ),
    ),
    Family(
        "{a} friends pick {b} {fruits} each. They throw {c} bad {fruits} away and put the others into {d} equal bowls. How many {fruits} are in each bowl?",
        {"a": (2, 9), "b": (2, 9), "c": (2, 9), "d": (2, 9)},
        (
            (
                Step("t", "a", "*", "b", "They pick"),
                Step("k", "t", "-", "c", "Good ones are"),
                Step("r", "k", "/", "d", "In each bowl are"),
            ),
            (
                Step("t", "a", "*", "b", "They pick"),
                Step("x", "t", "/", "d", "All in bowls would be"),
                Step("y", "c", "/", "d", "The bad ones are for each bowl"),
                Step("r", "x", "-", "y", "In each bowl are"),
            ),
        ),
    ),
    Family(
        "{A} has {m} dollars. {A} buys {a} {items} for {b} dollars each and {c} {fruits} for {d} dollars each. How many dollars does {A} have left?",
        {"m": (20, 99), "a": (2, 9), "b": (2, 9), "c": (2, 9), "d": (2, 9)},
        (
            (
                Step("x", "a", "*", "b", "The {items} cost"),
                Step("y", "c", "*", "d", "The {fruits} cost"),
                Step("s", "x", "+", "y", "Together they cost"),
                Step("r", "m", "-", "s", "The rest is"),
            ),
            (
                Step("x", "a", "*", "b", "The {items} cost"),
                Step("l", "m", "-", "x", "That leaves"),
                Step("y", "c", "*", "d", "The {fruits} cost"),
                Step("r", "l", "-", "y", "The rest is"),
            ),
            (
                Step("y", "c", "*", "d", "The {fruits} cost"),
                Step("l", "m", "-", "y", "That leaves"),
                Step("x", "a", "*", "b", "The {items} cost"),
                Step("r", "l", "-", "x", "The rest is"),
            ),
        ),
    ),
    Family(
        "{A} has {a} {items}. {B} has {b} times as many {items} as {A}. {C} has {c} {items} more than {B}. How many {items} do the three have together?",
        {"a": (2, 9), "b": (2, 9), "c": (2, 9)},
        (
            (
                Step("s", "b", "*", "a", "{B} has"),
                Step("t", "s", "+", "c", "{C} has"),
                Step("u", "a", "+", "s", "{A} and {B} have"),
                Step("r", "u", "+", "t", "All three have"),
            ),
            (
                Step("s", "b", "*", "a", "{B} has"),
                Step("t", "s", "+", "c", "{C} has"),
                Step("u", "s", "+", "t", "{B} and {C} have"),
                Step("r", "u", "+", "a", "All three have"),
            ),
        ),
    ),
)


def build(
    *, split: Literal["train", "validation", "test"], count: Annotated[int, Ge(1)], seed: int, role: Role | None = None
) -> Questions:
    """Return `count` different QUESTIONS of a split, each with a human-like solution, in the order in which they were made.

    The splits share no question, whatever their seeds: a question's own hash says which one it belongs to. `role` is what
    they are for (default: what the split is). Raises InputError if there are not that many.
    """
    rows: dict[str, tuple[str, str, str]] = {}
    for question, solution, answer in problems(random.Random(f"{seed}:{split}"), count * TRIES):
        id = question_id(question)
        if in_split(id, split):
            rows.setdefault(id, (question, solution, answer))
            if len(rows) == count:
                break
    else:
        raise InputError(
            f"there are only {len(rows)} {split} questions to be found with this seed; count is {count}. Ask for fewer."
        )
    return pl.DataFrame(
        [(id, question, solution, answer, place) for place, (id, (question, solution, answer)) in enumerate(rows.items())],
        schema=QUESTIONS.schema,
        orient="row",
    )


def in_split(id: str, split: str) -> bool:
    """Return whether the question with this id belongs to the split."""
    return int(id[:8], 16) % 10 in SPLITS[split]


def problems(dice: random.Random, most: int) -> Iterator[tuple[str, str, str]]:
    """Yield (question, solution, answer), `most` at the most."""
    for _ in range(most):
        family = dice.choice(FAMILIES)
        numbers = {name: dice.randint(*bounds) for name, bounds in family.numbers.items()}
        possible = [(steps, values) for steps in family.derivations if (values := _values(steps, numbers))]
        if not possible:
            continue
        a, b, c = dice.sample(NAMES, 3)
        words = {"A": a, "B": b, "C": c, "items": dice.choice(ITEMS), "fruits": dice.choice(FRUITS)}
        steps, values = dice.choice(possible)
        lines = [_line(step, values, words, dice) for step in steps]
        answer = str(values[steps[-1].result])
        yield family.story.format(**words, **numbers), "\n".join([*lines, f"#### {answer}"]), answer


def _values(steps: tuple[Step, ...], numbers: dict[str, int]) -> dict[str, int] | None:
    """Return every number of a derivation, or None if one of them is not a whole number from 1 to LARGEST."""
    values = dict(numbers)
    for step in steps:
        x, y = values[step.left], values[step.right]
        if step.operator == "/" and x % y:
            return None
        value = {"+": x + y, "-": x - y, "*": x * y, "/": x // y}[step.operator]
        if not 1 <= value <= LARGEST:
            return None
        values[step.result] = value
    return values


def _line(step: Step, values: dict[str, int], words: dict[str, str], dice: random.Random) -> str:
    x, y, value = values[step.left], values[step.right], values[step.result]
    if step.operator in "+*" and dice.random() < 0.5:
        x, y = y, x
    calculation = f"{x}{step.operator}{y}"
    return f"{step.says.format(**words)} {calculation}=<<{calculation}={value}>>{value}."

"""Several ways to solve one question side by side: the same step on the same line, and what differs marked.

48/2=24 | 48+24=72   and   48*0.5=24 | 48+24=72
->  line 1: 48/2=24   and   48*0.5=24, which differs;  line 2: 48+24=72 twice
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from eval.grading.equations import canonical_step

MOST_STEPS = 40  # lines of a table; no solution of a word problem has so many
SAME, LESS = 3, -1  # what two equal steps on one line are worth, and a line that one of the two does not have

Mark = Literal["", "otherwise", "differs", "none"]


class Cell(NamedTuple):
    """A step of one path. `mark`: how it compares with the first path's step on this line: "" is the same text, `otherwise`
    the same calculation written otherwise, `differs` another one; `none` is no step here."""

    text: str
    mark: Mark


def steps_of(path: str | None) -> list[str]:
    """Return the equations of a path."""
    return path.split("|") if path else []


def side_by_side(paths: Sequence[Sequence[str]]) -> list[list[Cell]]:
    """Return a line for each step, with a cell for each path; the first path is what the others are compared with."""
    lines: list[list[str | None]] = []
    for column, path in enumerate(paths):
        lines = _with(lines, path[: MOST_STEPS + 1], column)
    return [[_cell(step, line[0], i) for i, step in enumerate(line)] for line in lines]


def _cell(step: str | None, first: str | None, column: int) -> Cell:
    if step is None:
        return Cell("", "none")
    if column == 0 or step == first:
        return Cell(step, "")
    return Cell(step, "otherwise" if first is not None and _key(step) == _key(first) else "differs")


def _key(step: str) -> str:
    return canonical_step(step)


def _with(lines: list[list[str | None]], path: Sequence[str], column: int) -> list[list[str | None]]:
    """Return the lines with one path more, put where most of its steps stand beside equal ones (Needleman and Wunsch)."""
    known = [{_key(step) for step in line if step is not None} for line in lines]
    wanted = [_key(step) for step in path]
    best = [[LESS * (i + j) if 0 in (i, j) else 0 for j in range(len(path) + 1)] for i in range(len(lines) + 1)]
    for i in range(1, len(lines) + 1):
        for j in range(1, len(path) + 1):
            same = best[i - 1][j - 1] + (SAME if wanted[j - 1] in known[i - 1] else 0)
            best[i][j] = max(same, best[i - 1][j] + LESS, best[i][j - 1] + LESS)
    found: list[list[str | None]] = []
    i, j = len(lines), len(path)
    while i or j:
        if i and j and best[i][j] == best[i - 1][j - 1] + (SAME if wanted[j - 1] in known[i - 1] else 0):
            i, j = i - 1, j - 1
            found.append([*lines[i], path[j]])
        elif i and best[i][j] == best[i - 1][j] + LESS:
            i -= 1
            found.append([*lines[i], None])
        else:
            j -= 1
            found.append([None] * column + [path[j]])
    return found[::-1]

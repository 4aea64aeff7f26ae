"""Choose which accepted samples of a question to keep.

- `farthest`: one for each path, as unlike the others as can be (the paper's Algorithm 1). The order of the samples counts.
- `first`: the first of each path.
- `random_text`: a random one of each path.
- `random_rows`: as many as there are paths, drawn without looking at paths: the control for any claim about paths.
- `all`: every one.
"""

import random
from collections.abc import Sequence
from typing import Literal

import polars as pl
from rapidfuzz.distance import Levenshtein

Select = Literal["farthest", "first", "random_text", "random_rows", "all"]

BLIND = ("random_rows", "all")  # these do not look at paths, so no rule about paths applies to them


def farthest(keys: Sequence[str], texts: Sequence[str]) -> list[int]:
    """Return the chosen positions, in the order in which their keys first came (Algorithm 1, A.3 of the paper).

    A text whose key is new is chosen. A text whose key has a representative replaces it if the sum of its
    Levenshtein distances (over characters) to the other chosen texts is greater than the representative's.
    """
    chosen: dict[str, int] = {}
    number: dict[str, int] = {}  # equal texts share one number, and so their distances
    known: dict[tuple[int, int], int] = {}
    distance = Levenshtein.distance

    def apart(a: int, b: int) -> int:
        pair = (a, b) if a < b else (b, a)
        if (d := known.get(pair)) is None:
            d = known[pair] = distance(texts[a], texts[b])
        return d

    for position, key in enumerate(keys):
        text = number.setdefault(texts[position], position)
        rival = chosen.get(key)
        if rival is None:
            chosen[key] = text
        # With one key so far there are no others, and both sums are 0.
        elif text != rival and len(chosen) > 1:
            others = [other for other in chosen.values() if other != rival]
            if sum(apart(text, other) for other in others) > sum(apart(rival, other) for other in others):
                chosen[key] = text
    return list(chosen.values())


def choose(select: Select, keys: Sequence[str], texts: Sequence[str], *, seed: int, question_id: str) -> list[int]:
    """Return the positions that `select` keeps, in the order in which they are written.

    For `random_rows` the keys are those of the samples that a choice by path would have looked at.
    """
    if select == "farthest":
        return farthest(keys, texts)
    if select == "all":
        return list(range(len(texts)))
    dice = random.Random(f"{seed}:{question_id}")
    if select == "random_rows":
        return sorted(dice.sample(range(len(texts)), len(set(keys))))
    by_key: dict[str, list[int]] = {}
    for position, key in enumerate(keys):
        by_key.setdefault(key, []).append(position)
    if select == "first":
        return [positions[0] for positions in by_key.values()]
    return [dice.choice(positions) for positions in by_key.values()]


def keep(candidates: pl.DataFrame, select: Select, *, seed: int) -> pl.DataFrame:
    """Return `row` and `turn` (the place among its question's kept samples) of the candidates to keep.

    `candidates` has row, question_id, response and key, in pooled order. A null key is a sample that no choice by path
    would look at; only the choices that do not look at paths can be given one.
    """
    questions = candidates.group_by("question_id", maintain_order=True).agg("row", "response", pl.col("key").drop_nulls())
    kept: list[int] = []
    turns: list[int] = []
    for question_id, rows, texts, keys in questions.iter_rows():
        chosen = choose(select, keys, texts, seed=seed, question_id=question_id)
        kept += [rows[i] for i in chosen]
        turns += range(len(chosen))
    return pl.DataFrame({"row": kept, "turn": turns}, schema={"row": pl.UInt32, "turn": pl.UInt32})


def in_order(human: pl.DataFrame, kept: pl.DataFrame, questions: pl.DataFrame) -> pl.DataFrame:
    """Return the human rows and the kept ones (with `turn`) as one frame: by question as in `questions`, human first."""
    rows = pl.concat([human, kept], how="diagonal")
    place = questions.select("question_id").with_row_index("_place")
    return rows.join(place, on="question_id", how="left", maintain_order="left").sort(
        "_place", "turn", nulls_last=False, maintain_order=True
    )

"""On perturbed GSM8K solutions a paper-mode set keeps, question by question, what a plain reading of the paper's script keeps."""

import builtins
import random
import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.builders.test_selection import algorithm_1
from tests.real.test_parity import gsm8k, kept_texts
from tests.workspace import Workspace

QUESTIONS = 150
SAMPLES = 24


def script_answer(text: Any) -> Any:
    found = re.search(r"#### (\-?[0-9\.\,]+)", text.split("\0")[0])
    try:
        return float(found[1].replace(",", "")) if found else None
    except ValueError:
        return None


def script_passes(equation: Any) -> Any:
    # Only arithmetic of the solutions and of the changes below gets here.
    sides = equation.split("=")
    try:
        return len(sides) > 1 and abs(builtins.eval(sides[0]) - float(sides[1])) < 1e-3  # noqa: S307
    except Exception:
        return False


def script_keeps(gold: Any, texts: Any) -> Any:
    right = [text for text in texts if script_answer(text) == script_answer(gold)]
    equations = {text: re.findall(r"<<([^>]*)>>", text) for text in right}
    passed = [text for text in right if all(map(script_passes, equations[text]))]
    return algorithm_1(["|".join(equations[text]).replace(" ", "") for text in passed], passed)


def perturbed(solution: Any, dice: Any) -> Any:
    """A variation of a solution: operands swapped, equations spaced, split, restated or broken, words and answers changed."""
    lines = solution.split("\n")
    for _ in range(dice.randint(0, 3)):
        kind = dice.randrange(9)
        place = dice.randrange(len(lines))
        line = lines[place]
        if kind == 0:
            line = re.sub(r"<<([0-9.]+)([+*])([0-9.]+)=", r"<<\3\2\1=", line)
        elif kind == 1:
            line = re.sub(r"<<([^>]*)>>", lambda m: f"<<{m[1].replace('=', ' = ')}>>", line)
        elif kind == 2:
            line = dice.choice(["So, ", "Then ", "Next, we see that "]) + line
        elif kind == 3:
            line = re.sub(
                r"<<([^>=]*)=([^>]*)>>",
                lambda m: f"<<{m[1]}={m[2]}{dice.choice(['1', '.4', '.0001', ',000'])}>>",
                line,
                count=1,
            )
        elif kind == 4 and place < len(lines) - 1:
            lines[place], lines[place + 1] = lines[place + 1], lines[place]
            continue
        elif kind == 5:
            line = re.sub(r"<<[^>]*>>", "", line, count=1)
        elif kind == 6:
            line = re.sub(
                r"#### (\S+)",
                lambda m: dice.choice([f"#### ${m[1]}", f"####{m[1]}", f"#### {m[1]}.0", "#### 7", f"#### {m[1]} dollars"]),
                line,
            )
        elif kind == 7:
            line = re.sub(r"<<([^>]*)>>", r"<<\1>><<\1>>", line, count=1)
        elif kind == 8:
            line = line + dice.choice([" Good.", "  ", "\tDone", "\0#### 3", " é"])
        lines[place] = line
    return "\n".join(lines)


@pytest.mark.parametrize("seed", [1, 2])
def test_kept_texts_equal_those_of_the_script(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    questions = dice.sample(gsm8k("train"), QUESTIONS)
    pools = [[perturbed(row["answer"], dice) for _ in range(SAMPLES)] for row in questions]
    made = Workspace(tmp_path)
    made.write("train.jsonl", questions)
    half = SAMPLES // 2
    for name, part in (("s0", slice(0, half)), ("s1", slice(half, SAMPLES))):
        rows = [
            {"question": q["question"], "completion": text}
            for q, texts in zip(questions, pools, strict=True)
            for text in texts[part]
        ]
        made.write(f"{name}.jsonl", rows)
    made.add(
        "train@1: {builder: questions_file, params: {path: train.jsonl, sha256: ?}}",
        "s0@1: {builder: samples_file, inputs: [train@1], params: {path: s0.jsonl, sha256: ?}}",
        "s1@1: {builder: samples_file, inputs: [train@1], params: {path: s1.jsonl, sha256: ?}}",
        "pool@1: {builder: rejection, inputs: [train@1, s0@1, s1@1], params: {mode: paper, select: farthest}}",
    )
    made.build("pool")
    ours = kept_texts(made, "pool@1")
    ids = made.made("train@1").rows["question_id"].to_list()
    replaced = 0
    for id, row, texts in zip(ids, questions, pools, strict=True):
        expected = script_keeps(row["answer"], texts)
        assert ours.get(id, []) == expected, row["question"]
        replaced += len(expected) > 1
    assert replaced > QUESTIONS / 2  # most questions have several paths, so the selection had something to do
    verdicts = made.made("pool@1").verdicts
    assert set(verdicts["verdict"]) == {"no_answer", "wrong_answer", "bad_equation", "same_path", "kept"}  # type: ignore[index]
    human = made.made("pool@1").rows.filter(pl.col("origin") == "human")
    assert human["response"].to_list() == [row["answer"] for row in questions]

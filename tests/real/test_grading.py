"""Real samples with labels of their own: what standard mode says of them, and how much of a right solution its path shows."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from eval.grading import answers
from eval.grading.answers import as_text
from eval.grading.grade import UNDECIDED, compare, grade
from eval.grading.numbers import number
from eval.grading.rules import MATH, STANDARD
from eval.grading.steps import steps
from eval.grading.symbolic import decide
from registry.maker import Decided
from tests.real.test_parity import DATA, read
from tests.workspace import ROOT

PLAIN = r"\d[\d,.]*\)?\s*[-+*/×x÷]\s*\(?[$€£]?\d[\d,.]*[^=\n]{0,30}=\s*[$€£]?\d"  # 5 * 3 = 15


def gold_of(solution: str) -> str:
    return solution.partition("####")[2].strip().replace(",", "")


def openai_rows() -> list[tuple[str, str, bool | None]]:
    names = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")
    rows = read("openai_example_model_solutions.jsonl")
    return [(r[n]["solution"], r["ground_truth"].rpartition("A:")[2].strip(), r[n]["is_correct"]) for r in rows for n in names]


def core_rows() -> list[tuple[str, str, bool | None]]:
    rows = read("core_gsm8k_train_verifier_samples.even.jsonl")
    return [(r["solution"], r["ground_truth"].partition("[ANS]")[2].partition("<")[0].strip(), r["is_correct"]) for r in rows]


def faithfulcot_rows() -> list[tuple[str, str, bool | None]]:
    rows = [
        (s["text"], gold_of(r["gold"]), s["their_answer"])
        for r in read("nl_faithfulcot_gsm8k_test.even.jsonl.gz")
        for s in r["samples"]
    ]
    theirs = pl.Series([number(str(their)) for _, _, their in rows], dtype=pl.String)
    same = compare(theirs, pl.Series([gold for _, gold, _ in rows]), STANDARD, tolerance=0.0)["right_answer"]
    return [(text, gold, right) for (text, gold, _), right in zip(rows, same, strict=True)]


def grpo_rows() -> list[tuple[str, str, bool | None]]:
    rows = read("grpo_qwen3_1.7b_gsm8k_train_groups.even.jsonl.gz")
    return [(s["tail"], r["gt"], s["correct"]) for r in rows for s in r["samples"]]


def phi_rows() -> list[tuple[str, str, bool | None]]:
    rows = read("nl_phi3.5mini_gsm8k_train.even.jsonl.gz")
    return [(s["text"], gold_of(r["gold"]), s["label"] == "kept") for r in rows for s in r["samples"]]


def unlabelled(name: str) -> list[tuple[str, str, bool | None]]:
    return [(s["text"], gold_of(r["gold"]), None) for r in read(name) for s in r["samples"]]


Rows = list[tuple[str, str, bool | None]]
POOLS: dict[str, Callable[[], Rows]] = {
    "core": core_rows,
    "openai": openai_rows,
    "grpo": grpo_rows,
    "faithfulcot": faithfulcot_rows,
    "phi": phi_rows,
    "zeroeval": lambda: unlabelled("nl_zeroeval_gsm8k_test.even.jsonl.gz"),
    "abel": lambda: unlabelled("nl_abel_gsm8k_test.even.jsonl.gz"),
}


def graded(name: str) -> pl.DataFrame:
    rows = [(text, number(gold, whole=True), label) for text, gold, label in POOLS[name]()]
    frame = pl.DataFrame(rows, schema={"response": pl.String, "gold": pl.String, "label": pl.Boolean}, orient="row")
    return grade(frame, STANDARD, tolerance=0.0).with_columns(verdict=pl.col("failed").fill_null("right"))


def documented() -> dict[str, Counter[tuple[str, str]]]:
    """Return the confusion tables of docs/grading.md: for each pool, label and verdict, the number of samples."""
    page = (ROOT / "docs" / "grading.md").read_text().partition("## Against the labels of real data")[2]
    head, *lines = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("| ")
    ]
    found: dict[str, Counter[tuple[str, str]]] = {}
    for pool, label, *counts in lines:
        own = found.setdefault(pool, Counter())
        own.update({(label, verdict): int(n.replace(",", "")) for verdict, n in zip(head[2:], counts, strict=True) if n != "0"})
    return found


@pytest.mark.parametrize("pool", POOLS)
def test_the_confusion_with_the_labels_is_the_one_that_the_page_shows(pool: str) -> None:
    labels = {True: "right", False: "wrong", None: "none"}
    counted = Counter((labels[label], verdict) for label, verdict in graded(pool).select("label", "verdict").iter_rows())
    assert counted == documented()[pool]


@pytest.mark.parametrize("pool", ["faithfulcot", "phi", "grpo", "zeroeval", "abel"])
def test_right_solutions_with_plain_equations_have_a_path_that_shows_them_all(pool: str) -> None:
    right = graded(pool).filter(
        (pl.col("verdict") == "right")
        & ~pl.col("response").str.contains("<<")
        & (pl.col("response").str.count_matches(PLAIN) >= 2)
    )
    assert right.height > 500
    assert right["path"].null_count() <= 0.01 * right.height
    assert (right["coverage"] < 1).sum() <= 0.03 * right.height


SOLUTIONS = [*POOLS, "rft_llama7b_u13b_gsm8k_test.even.jsonl", "qwen3_0.6b_sft_gsm8k_test.even.jsonl"]


@pytest.mark.parametrize("pool", SOLUTIONS)
def test_usual_endings_are_read_as_all_the_rest_of_the_text_would_say(pool: str, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = pl.Series([text for text, _, _ in (POOLS[pool]() if pool in POOLS else unlabelled(pool))])
    fast = STANDARD.read_answers(texts)
    monkeypatch.setattr(answers, "_USUAL", dict.fromkeys(answers._USUAL, r"(\z.)"))
    assert STANDARD.read_answers(texts).equals(fast)


def judged(pairs: list[tuple[str, str]]) -> Any:
    answers, golds = (
        pl.Series([number(pair[i], whole=True) or as_text(pair[i]) for pair in pairs], dtype=pl.String) for i in (0, 1)
    )
    first = compare(answers, golds, MATH, tolerance=0.0)
    asked = [pair for pair, by in zip(zip(golds, answers, strict=True), first["compared_by"], strict=True) if by == UNDECIDED]
    return compare(answers, golds, MATH, tolerance=0.0, decided=Decided(dict(decide(asked))))["right_answer"].to_list()


def test_math_like_answers_in_other_notations_are_right_and_those_of_other_questions_wrong() -> None:
    rows = read("math_predictions_gemma.even.jsonl.gz")
    assert judged([(row["prediction"], row["answer"]) for row in rows]) == [row["label"] == "correct" for row in rows]
    shuffled = [(row["prediction"], other["answer"]) for row, other in zip(rows, rows[1:] + rows[:1], strict=True)]
    equal = [pair for pair, right in zip(shuffled, judged(shuffled), strict=True) if right]
    assert all(number(a, whole=True) == number(b, whole=True) is not None or as_text(a) == as_text(b) for a, b in equal)


# Where the judges of the pairs and we differ: idx, and who is right.
PAIRS_THAT_DIFFER = {
    6: "a matter of taste: 1,22 may be a decimal comma or not, so it is no number here",
    14: "they: a sentence with two numbers and no place for an answer is read as its last number; here it is not",
    16: "they: the same",
    32: "we: Answer \\( 9 \\) gives 9 whatever the line breaks in it",
    62: "they: the words of two solutions are compared",
    88: "they: a formula in the middle of a sentence without a place for an answer; a guess that is not made here",
    90: "they: the same",
    92: "they: the same",
    104: "we: 1.3 is not 1/3",
    120: "they: a formula behind a colon without a place for an answer",
    122: "they: the same",
    124: "they: the same, and two of them multiplied",
    126: "a matter of taste: sixteen digits of 1/12 are not 1/12 without a tolerance",
    142: "they: a number in a sentence without a place for an answer",
    156: "they: the same",
    182: "they: two boxes with nothing between them are a list",
    190: "they: a box written with two backslashes",
    250: "they: two boxes with words between them are a list",
}


def test_judged_pairs_are_judged_so_but_for_those_in_the_list() -> None:
    rows = read("math_pairs.even.jsonl.gz")
    read_or_raw = [
        [MATH.read_answers(pl.Series([row[side]]))["answer"][0] or row[side].strip() for row in rows]
        for side in ("answer", "gold")
    ]
    found = judged(list(zip(*read_or_raw, strict=True)))
    differ = {row["idx"] for row, right in zip(rows, found, strict=True) if right != row["equal"]}
    assert differ == set(PAIRS_THAT_DIFFER)


def test_every_human_solution_of_math_gives_its_own_gold() -> None:
    rows = [row for row in read("math_golds.even.jsonl.gz") if row.get("solution")]
    answers = STANDARD.read_answers(pl.Series([row["solution"] for row in rows]))["answer"]
    golds = [number(row["answer"], whole=True) or as_text(row["answer"]) for row in rows]
    assert compare(answers, pl.Series(golds), STANDARD, tolerance=0.0)["right_answer"].all()


def test_every_gold_of_mathematics_is_accepted() -> None:
    for row in read("math_golds.even.jsonl.gz"):
        assert number(row["answer"], whole=True) or as_text(row["answer"])


def test_no_real_text_takes_long_to_be_read() -> None:
    assert DATA.exists()
    longest = max((text for pool in POOLS for text, _, _ in POOLS[pool]()), key=len)
    assert steps(longest).shown >= 0

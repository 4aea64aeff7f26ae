"""On real model samples, paper mode gives what the unmodified reference code gave."""

import gzip
import json
import os
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from eval.grading.equations import passes_paper, read_standard
from eval.grading.grade import grade, is_right
from eval.grading.paths import read_paths
from eval.grading.rules import PAPER, RULES, STANDARD
from tests.workspace import ROOT, Workspace

DATA = Path(os.environ.get("RFT_TEST_DATA") or ROOT.parent / "shared" / "data")


def read(name: Any) -> Any:
    file = DATA / name
    text = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    return [json.loads(line) for line in text.splitlines()]


def gsm8k(split: Any) -> Any:
    return read("gsm8k_train.jsonl.gz" if split == "train" else "gsm8k_test.jsonl")


@pytest.fixture(scope="module")
def pools(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Both pools with a reference output, built as a user would: files, lines, `rft build`."""
    made = Workspace(tmp_path_factory.mktemp("pools"))
    models = zip(read("rft_llama7b_u13b_gsm8k_test.even.jsonl"), read("qwen3_0.6b_sft_gsm8k_test.even.jsonl"), strict=True)
    rows = [(a["question"], a["gold"], [s["text"] for s in a["samples"]], [s["text"] for s in b["samples"]]) for a, b in models]
    made.write("test-questions.jsonl", [{"question": q, "answer": gold} for q, gold, _, _ in rows])
    made.write(
        "llama.jsonl",
        [{"question": q, "completion": text, "draw": i} for q, _, texts, _ in rows for i, text in enumerate(texts)],
    )
    made.write(
        "qwen.jsonl",
        [{"question": q, "completion": text, "draw": i} for q, _, _, texts in rows for i, text in enumerate(texts)],
    )
    eleven = [{"question": q, "completion": text, "draw": i} for q, _, a, b in rows for i, text in enumerate(a + b)]
    made.write("eleven.jsonl", eleven)
    grace = read("grace_cots_svamp_multiarith.even.jsonl")
    # Some questions stand in two of its splits; the place keeps them apart.
    numbered = [(f"{row['question']} [{row['dataset']} {row['split']} {row['idx']}]", row) for row in grace]
    made.write("grace-questions.jsonl", [{"question": q, "answer": row["answer"]} for q, row in numbered])
    made.write(
        "grace.jsonl", [{"question": q, "completion": c, "draw": i} for q, row in numbered for i, c in enumerate(row["cots"])]
    )
    made.add(
        "questions@1: {builder: questions_file, params: {path: test-questions.jsonl, sha256: ?}}",
        "llama@1: {builder: samples_file, inputs: [questions@1], params: {path: llama.jsonl, sha256: ?}}",
        "qwen@1: {builder: samples_file, inputs: [questions@1], params: {path: qwen.jsonl, sha256: ?}}",
        "eleven@1: {builder: samples_file, inputs: [questions@1], params: {path: eleven.jsonl, sha256: ?}}",
        "testpool@1: {builder: rejection, inputs: [questions@1, eleven@1], params: {mode: paper, select: farthest}}",
        "two-inputs@1: {builder: rejection, inputs: [questions@1, llama@1, qwen@1], params: {mode: paper, select: farthest}}",
        "rft-llama@1: {builder: rejection, inputs: [questions@1, llama@1], params: {mode: paper}}",
        "rft-qwen@1: {builder: rejection, inputs: [questions@1, qwen@1], params: {mode: paper}}",
        "union@1: {builder: union, inputs: [rft-llama@1, rft-qwen@1]}",
        "standard@1: {builder: rejection, inputs: [questions@1, eleven@1]}",
        "scores@1: {eval: gsm8k, inputs: [questions@1, eleven@1], params: {mode: paper, k: 11}}",
        "grace-questions@1: {builder: questions_file, params: {path: grace-questions.jsonl, sha256: ?}}",
        "grace-samples@1: {builder: samples_file, inputs: [grace-questions@1], params: {path: grace.jsonl, sha256: ?}}",
        "grace@1: {builder: rejection, inputs: [grace-questions@1, grace-samples@1], params: {mode: paper, select: farthest}}",
    )
    made.build("*")
    return made


def kept_texts(made: Any, name: Any) -> Any:
    """Return for each question, in order, the texts of its kept samples, in order."""
    rows = made.made(name).rows.filter(pl.col("origin") != "human")
    return {q: group["response"].to_list() for (q,), group in rows.group_by("question_id", maintain_order=True)}


@pytest.mark.parametrize(
    ("pool", "samples", "questions", "reference", "kept"),
    [
        ("testpool@1", "eleven@1", "questions@1", "reference_output_testpool.even.jsonl", 1051),
        ("grace@1", "grace-samples@1", "grace-questions@1", "reference_output_grace.even.jsonl", 1189),
    ],
)
def test_paper_mode_keeps_exactly_the_samples_of_the_reference_in_their_order(
    pools: Any, pool: Any, samples: Any, questions: Any, reference: Any, kept: Any
) -> None:
    expected = read(reference)
    ids = pools.made(questions).rows["question_id"].to_list()
    texts = {(q, d): text for q, d, text in pools.made(samples).rows.select("question_id", "draw", "response").iter_rows()}
    ours = kept_texts(pools, pool)
    assert len(ids) == len(expected)
    for question, row in zip(ids, expected, strict=True):
        assert ours.get(question, []) == [texts[question, draw] for draw in row["selected"]]
    assert sum(map(len, ours.values())) == kept


def test_two_inputs_pool_like_one_file_with_the_draws_of_both(pools: Any) -> None:
    assert kept_texts(pools, "two-inputs@1") == kept_texts(pools, "testpool@1")


def test_answers_votes_and_accuracies_agree_with_the_reference(pools: Any) -> None:
    expected = read("reference_output_testpool.even.jsonl")
    ids = pools.made("questions@1").rows["question_id"].to_list()
    verdicts = pools.made("scores@1").verdicts
    answers = {(q, d): a for q, d, a in verdicts.select("question_id", "draw", "answer").iter_rows()}
    for question, row in zip(ids, expected, strict=True):
        assert [answers[question, d] or "[invalid]" for d in range(11)] == row["extracted"]
    right = verdicts.group_by("draw").agg(pl.col("right_answer").sum()).sort("draw")["right_answer"].to_list()
    assert right == [326, 327, 206, 199, 188, 309, 308, 300, 313, 293, 284]
    scores = {row["metric"]: row["value"] for row in pools.made("scores@1").rows.to_dicts()}
    assert scores["maj1@11"] == pytest.approx(374 / 660)
    assert scores["maj1@1"] == pytest.approx(326 / 660)
    assert scores["pass@11"] == pytest.approx(522 / 660)
    stats = pools.made("testpool@1").path_stats
    assert stats["right_answers"].sum() == 3053
    assert (stats["right_answers"] > 0).sum() == 522


def test_a_union_has_as_many_paths_as_one_selection_over_all_samples(pools: Any) -> None:
    union, pooled = pools.made("union@1"), pools.made("two-inputs@1")
    for column in ("draws", "right_answers", "accepted", "paths", "paths_canonical", "paths_with_human", "kept"):
        assert union.path_stats.select("question_id", column).equals(pooled.path_stats.select("question_id", column)), column
    # Which text stands for a path differs: the union compares with fewer candidates.
    assert kept_texts(pools, "union@1") != kept_texts(pools, "two-inputs@1")


def test_standard_mode_drops_no_right_answer_for_a_plain_text_calculation() -> None:
    rows = [
        (row["gold"], sample["text"])
        for name in (
            "nl_phi3.5mini_gsm8k_train.even.jsonl.gz",
            "nl_abel_gsm8k_test.even.jsonl.gz",
            "nl_faithfulcot_gsm8k_test.even.jsonl.gz",
        )
        for row in read(name)
        for sample in row["samples"]
    ]
    frame = pl.DataFrame(rows, schema=["solution", "response"], orient="row")
    gold = STANDARD.read_answers(frame["solution"])["answer"]
    graded = grade(frame.with_columns(gold=gold), STANDARD, tolerance=0.0)
    plain = graded.filter(~pl.col("response").str.contains("<<", literal=True))
    assert plain.height > 3000
    assert not plain["bad_equation"].any()
    # Most of these responses write equations, and so have a path without any annotation.
    assert plain["path"].is_not_null().sum() > plain.height / 2


@pytest.mark.parametrize(("split", "rows", "without"), [("train", 7473, 95), ("test", 1319, 18)])
def test_every_gold_solution_has_an_answer_and_sound_calculations(split: Any, rows: Any, without: Any) -> None:
    solutions = pl.Series([row["answer"] for row in gsm8k(split)])
    standard, paper = STANDARD.read_answers(solutions, None)["answer"], PAPER.read_answers(solutions)["answer"]
    assert len(solutions) == rows
    assert standard.null_count() == 0
    assert standard.equals(paper)
    assert is_right(standard, paper, STANDARD, tolerance=0.0).all()
    bad = {mode: read_paths(solutions, RULES[mode])["bad_equation"].arg_true().to_list() for mode in ("paper", "standard")}
    assert bad == {"paper": [319] if split == "test" else [], "standard": []}
    annotated = solutions.str.contains("<<", literal=True)
    assert (~annotated).sum() == without


def test_the_one_equation_that_paper_mode_fails_is_three_quarters() -> None:
    assert not passes_paper("3/4=3/4")
    assert read_standard("3/4=3/4").holds


@pytest.mark.parametrize("mode", ["paper", "standard"])
def test_no_human_solution_is_ever_dropped(tmp_path: Path, mode: Any) -> None:
    made = Workspace(tmp_path)
    made.write("train.jsonl", gsm8k("train"))
    made.add(
        "train@1: {builder: questions_file, params: {path: train.jsonl, sha256: ?}}",
        f"pool@1: {{builder: rejection, inputs: [train@1], params: {{mode: {mode}}}}}",
    )
    for n, size in ((2, 3736), (4, 1868), (8, 934), (16, 467), (32, 233)):
        made.add(f"train-1of{n}@1: {{builder: fraction, inputs: [train@1], params: {{denominator: {n}, seed: 42}}}}")
        made.build(f"train-1of{n}")
        assert made.made(f"train-1of{n}@1").rows.height == size
    made.build("pool")
    rows = made.made("pool@1").rows
    assert rows["origin"].unique().to_list() == ["human"]
    assert rows["response"].to_list() == [row["answer"] for row in gsm8k("train")]

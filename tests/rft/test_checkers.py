"""What other judges say of samples: the view checkers, `rft stats --checkers`, and verdicts that changed."""

import json
import shutil

import pytest

from registry.errors import Drifted
from rft.reports.checkers import checkers, report
from rft.reports.diff import difference
from tests.rft.test_cli import rft
from tests.workspace import Workspace

# A question each: (gold, response, label).
JUDGED = [
    ("5", "2+3=<<2+3=5>>5\n#### 5", True),  # all agree
    ("5", "2+3=<<2+3=5>>5\n#### 5", False),  # the label differs
    ("5", "2+3=5\nThe answer is 5.", True),  # the reference script finds no answer
    ("1/2", "it is \\boxed{\\frac{1}{2}}", None),  # only numbers of plain text are read there
    ("(1, 2)", "so \\boxed{(1,2)}", None),  # only mode: math knows that they are the same
    ("sqrt(8)", "so \\boxed{2\\sqrt{2}}", True),  # only the checker does
]


@pytest.fixture
def judged(workspace: Workspace) -> Workspace:
    questions = [{"question": f"question {n}?", "answer": gold} for n, (gold, _, _) in enumerate(JUDGED)]
    samples = [{"question": f"question {n}?", "completion": text, "label": label} for n, (_, text, label) in enumerate(JUDGED)]
    workspace.write("q.jsonl", questions)
    workspace.write("s.jsonl", samples)
    workspace.add("q@1: {builder: questions_file, params: {path: q.jsonl, sha256: ?}}")
    workspace.add("s@1: {builder: samples_file, inputs: [q@1], params: {path: s.jsonl, sha256: ?, model: m}}")
    for version, mode in enumerate(("standard", "math", "paper"), 1):
        workspace.add(f"set@{version}: {{builder: rejection, inputs: [q@1, s@1], params: {{mode: {mode}, select: all}}}}")
    workspace.build("set@1", "set@2", "set@3")
    return workspace


def places(workspace: Workspace, name: str) -> dict[str, list[int]]:
    """Return for each judge the places in JUDGED at which it differs from a set."""
    found = checkers(workspace.registry.load(name))
    ids = workspace.registry.load("q@1").polars()["question_id"].to_list()
    return {
        judge: sorted(ids.index(s["question_id"]) for s in found.samples if s[judge] not in (None, s["right_answer"]))
        for judge in ("label", "right_by_paper", "right_by_standard")
    }


def test_the_label_and_simpler_modes_are_compared_with_each_verdict(judged: Workspace) -> None:
    assert places(judged, "set@1") == {"label": [1, 5], "right_by_paper": [2, 3], "right_by_standard": []}
    assert places(judged, "set@2") == {"label": [1], "right_by_paper": [2, 3, 4, 5], "right_by_standard": [4, 5]}
    assert places(judged, "set@3") == {"label": [1, 2, 5], "right_by_paper": [], "right_by_standard": []}


def test_the_view_has_the_same_samples(judged: Workspace) -> None:
    counted = judged.registry.sql("select name, version, count(*) as n from checkers group by all order by all").rows()
    assert counted == [("set", 1, 4), ("set", 2, 5), ("set", 3, 3)]


def test_agreement_counts_the_samples_that_a_judge_saw(judged: Workspace) -> None:
    found = checkers(judged.registry.load("set@2"))
    assert found.agreement[0] == {"judge": "label", "both_right": 3, "only_here": 1, "only_there": 0, "neither": 0}
    assert {(s["gold"], s["compared_by"]) for s in found.samples} >= {("(1, 2)", "structure"), ("sqrt(8)", "symbolic")}


def test_stages_are_asked_whatever_decided(judged: Workspace) -> None:
    judged.write("q2.jsonl", [{"question": "which?", "answer": "(1,2)"}])
    judged.write("s2.jsonl", [{"question": "which?", "completion": "\\boxed{1,2}"}])
    judged.add("q2@1: {builder: questions_file, params: {path: q2.jsonl, sha256: ?}}")
    judged.add("s2@1: {builder: samples_file, inputs: [q2@1], params: {path: s2.jsonl, sha256: ?, model: m}}")
    judged.add("set2@1: {builder: rejection, inputs: [q2@1, s2@1], params: {mode: math}}")
    judged.build("set2@1")
    found = checkers(judged.registry.load("set2"))
    said = {"number": None, "text": None, "structure": False, "symbolic": True}
    assert found.stages == [{"gold": "(1,2)", "answer": "1,2"} | said]
    assert "answers that two stages judge otherwise" in report(found)


def test_the_command_prints_who_differs_and_where(judged: Workspace) -> None:
    out, _ = rft("stats", "set@2", "--checkers", cwd=judged.folder)
    assert "set@2 (mode: math) and others on the same samples" in out
    assert "right here, wrong by the data's label\n" in out
    assert "wrong here" not in out
    found = json.loads(rft("stats", "set@2", "--checkers", "--json", cwd=judged.folder)[0])
    assert len(found[0]["samples"]) == 5


def test_where_nobody_else_judged_that_is_said(workspace: Workspace) -> None:
    workspace.write("s.jsonl", [{"question": "unknown", "completion": "x"}])
    workspace.add("s@1: {builder: samples_file, inputs: [six@1], params: {path: s.jsonl, sha256: ?, unmatched: ignore}}")
    workspace.add("set@1: {builder: rejection, inputs: [six@1, s@1], params: {mode: paper}}")
    workspace.build("set@1")
    assert "nobody else judged its samples" in report(checkers(workspace.registry.load("set")))


def test_samples_that_are_gone_are_named(judged: Workspace) -> None:
    shutil.rmtree(judged.stored("s@1").folder)
    with pytest.raises(Drifted, match="s@1 is missing"):
        checkers(judged.registry.load("set@1"))


def test_diff_shows_which_verdicts_changed(judged: Workspace) -> None:
    found = difference(judged.registry.load("set@1"), judged.registry.load("set@2"))
    changes = {(v["before"], v["after"]): v["samples"] for v in found.verdicts}
    assert changes == {("no_answer", "kept"): 2}
    assert {e["answer_after"] for e in found.verdicts[0]["examples"]} == {"(1,2)", "2\\sqrt{2}"}
    out, _ = rft("diff", "set@1", "set@2", cwd=judged.folder)
    assert "samples whose verdict changed" in out

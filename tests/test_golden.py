"""The rows of every maker on tiny inputs. If they change, raise the maker's EDITION and write the new content here."""

import pytest
import yaml

from registry.catalog.bind import MAKERS, find_maker
from tests.workspace import CASE_FILES, ROOT, SIX, Workspace, samples_of

GOLDEN = yaml.safe_load((CASE_FILES / "golden.yaml").read_text())
LINES = {
    "questions_file": "six@1: {builder: questions_file, params: {path: six.jsonl, sha256: ?}}",
    "samples_file": "red@1: {builder: samples_file, inputs: [six@1], params: {path: red.jsonl, sha256: ?, model: red}}",
    "story_problems": "stories@1: {builder: story_problems, params: {split: train, count: 20, seed: 1}}",
    "story_text": "text@1: {builder: story_text, params: {lines: 40, seed: 1}}",
    "fraction": "half@1: {builder: fraction, inputs: [six@1], params: {denominator: 2, seed: 42}}",
    "rejection": "set@1: {builder: rejection, inputs: [six@1, red@1, blue@1]}",
    "rejection in paper mode": "paper@1: {builder: rejection, inputs: [six@1, red@1, blue@1], params: {mode: paper}}",
    "rejection at random": "random@1: {builder: rejection, inputs: [six@1, red@1, blue@1], params: {select: random_text, seed: 1}}",
    "union": "union@1: {builder: union, inputs: [set@1, red-set@1]}",
    "eval gsm8k": "scores@1: {eval: gsm8k, inputs: [six@1, red@1], params: {k: 3}}",
}
OTHERS = (
    "blue@1: {builder: samples_file, inputs: [six@1], params: {path: blue.jsonl, sha256: ?}}",
    "red-set@1: {builder: rejection, inputs: [six@1, red@1]}",
)


@pytest.fixture
def full(workspace: Workspace) -> Workspace:
    human = [row["answer"] for row in SIX]
    texts = {
        n: [
            solution,
            f"Well. {solution}",
            "#### 15",
            "6*4=<<6*4=24>>24, 24-9=<<24-9=14>>15\n#### 15",
            "Who knows?",
            "30/2=<<30/2=15>>15\n\\boxed{15}",
        ]
        for n, solution in enumerate(human)
    }
    workspace.write("red.jsonl", samples_of(texts))
    workspace.write(
        "blue.jsonl", samples_of({n: [t.replace("*", " * ") + " " for t in reversed(found)] for n, found in texts.items()})
    )
    workspace.add(*LINES.values(), *OTHERS)
    return workspace


@pytest.mark.parametrize("what", LINES)
def test_rows_change_only_with_the_edition(full: Workspace, what: str) -> None:
    name = LINES[what].partition(":")[0]
    full.build(name)
    record = full.made(name).record
    assert {"edition": record.edition, "content": record.content} == GOLDEN[what], (
        f"{record.maker} makes other rows than before. If that is meant, raise its EDITION and set {what} in golden.yaml."
    )


def test_every_maker_has_a_golden_line() -> None:
    makers = {(kind, file.stem) for kind, (package, _) in MAKERS.items() for file in (ROOT / package).glob("[!_]*.py")}
    assert makers >= {("dataset", "rejection"), ("eval", "gsm8k")}
    covered = {line.split("{")[1].split(",")[0] for line in LINES.values()}
    # gsm8k's rows are the release's own; tests/real compares them. What a model is, and what it says, differs in the last
    # bits from machine to machine: tests of their own see to it that one machine makes the same twice.
    elsewhere = {
        ("dataset", "gsm8k"),
        ("dataset", "samples"),
        *(("model", name) for name in ("hub", "local", "pretrain", "sft")),
    }
    assert elsewhere <= makers
    for kind, name in makers - elsewhere:
        assert any(words.endswith(f": {name}") for words in covered), f"{kind} {name} has no golden line"
        assert find_maker(kind, name).edition >= 1

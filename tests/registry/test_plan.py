"""The plan: what is there, what is missing, what was changed, and what a build would make."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from registry.catalog.plan import needed, same, select
from registry.errors import CatalogError, Corrupt, Drifted, EditedEntry, NotFound
from registry.names import parse_id
from tests.workspace import SIX, Made, Workspace

HALF = "half@1: {builder: fraction, inputs: [six@1], params: {denominator: 2, seed: 42}}"
Make = Callable[..., Made]


def edit_record(workspace: Workspace, name: str, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change an artifact.json, as an older version of a maker would have written it."""
    file = workspace.store.folder(parse_id(name)) / "artifact.json"
    record = json.loads(file.read_text())
    change(record)
    file.chmod(0o644)
    file.write_text(json.dumps(record))


def ids(steps: Any) -> list[str]:
    return [str(step.id) for step in steps]


# -- states ---------------------------------------------------------------------------------------------------------


def test_a_line_is_missing_until_it_is_built(workspace: Workspace) -> None:
    workspace.add(HALF)
    assert {str(id): (step.state, step.why) for id, step in workspace.plan().items()} == {
        "six@1": ("build", "not built yet"),
        "half@1": ("build", "not built yet"),
    }
    assert [built.new for built in workspace.build("half")] == [True, True]
    assert {step.state for step in workspace.plan().values()} == {"ok"}
    assert workspace.build("half") == []


def test_planning_writes_nothing(workspace: Workspace) -> None:
    before = sorted(workspace.folder.rglob("*"))
    workspace.plan()
    assert sorted(workspace.folder.rglob("*")) == before


def test_a_released_line_cannot_be_edited(make: Make) -> None:
    make(HALF)
    with pytest.raises(EditedEntry, match="add half@2") as caught:
        make(HALF.replace("seed: 42", "seed: 7"))
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (HALF.replace("seed: 42", "seed: 7"), "seed is 7, it was built with 42"),
        (HALF.replace("seed: 42", "seed: 42, part: out"), "part is 'out', it was built with 'in'"),
        (HALF.replace("[six@1]", "[six@2]"), "its inputs are [six@2], it was built from [six@1]"),
        ("half@1: {builder: rejection, inputs: [six@1]}", "its maker is rejection, it was built by fraction"),
    ],
)
def test_an_edited_line_says_what_was_changed_and_the_cure(make: Make, workspace: Workspace, line: str, why: str) -> None:
    make(HALF)
    workspace.add("six@2: {builder: questions_file, params: {path: six.jsonl, sha256: ?}}", line)
    step = workspace.step("half@1")
    assert (step.state, step.why) == ("edited", why)
    refusal = step.refusal()
    assert isinstance(refusal, EditedEntry)
    assert refusal.exit_code == 3
    assert str(refusal) == f"catalog.yaml:3: half@1 is edited: {why}. Restore the line, or add half@2."


def test_what_is_edited_can_still_be_read(make: Make, workspace: Workspace) -> None:
    rows = make(HALF).rows
    workspace.add(HALF.replace("seed: 42", "seed: 7"))
    assert workspace.registry.load("half@1").polars().equals(rows)


def test_numbers_are_compared_by_value(workspace: Workspace) -> None:
    line = "a@1: {builder: questions_file, params: {path: six.jsonl, sha256: ?, max_refused: %s}}"
    workspace.add(line % "2.0e-5")
    workspace.build("a@1")
    for written, state in (("0.00002", "ok"), ("2.0e-05", "ok"), ("2.00e-5", "ok"), ("2.0e-4", "edited"), ("0", "edited")):
        workspace.add(line % written)
        assert workspace.state("a@1") == state


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        (1, 1.0, True),
        (True, 1, False),
        (0, False, False),
        (True, True, True),
        ("1", 1, False),
        (None, None, True),
        (None, 0, False),
        ([1, 2], (1.0, 2), True),
        ([1, 2], [2, 1], False),
        ([1], [1, 1], False),
        ([True], [1], False),
        ({"a": 1}, {"a": 1.0}, True),
    ],
)
def test_parameters_are_equal_as_json_values(a: Any, b: Any, equal: bool) -> None:
    assert same(a, b) is equal
    assert same(b, a) is equal


def test_a_default_that_is_left_out_equals_one_that_is_written(make: Make, workspace: Workspace) -> None:
    make(HALF)
    workspace.add(HALF.replace("seed: 42", "part: in, seed: 42"))
    assert workspace.state("half@1") == "ok"


def test_the_record_holds_every_parameter_and_of_a_file_only_its_name(make: Make, workspace: Workspace) -> None:
    (workspace.folder / "data").mkdir()
    workspace.write("data/mine.jsonl", SIX)
    made = make("mine@1: {builder: questions_file, params: {path: data/mine.jsonl, sha256: ?}}")
    assert set(made.record.params) == {"path", "sha256", "max_refused", "role", "licence"}
    assert made.record.params["path"] == "mine.jsonl"
    assert make(HALF).record.params == {"denominator": 2, "seed": 42, "part": "in"}


def test_renaming_the_file_behind_a_line_is_not_an_edit(workspace: Workspace) -> None:
    workspace.build("six@1")
    (workspace.folder / "six.jsonl").rename(workspace.folder / "moved.jsonl")
    workspace.add("six@1: {builder: questions_file, params: {path: moved.jsonl, sha256: ?}}")
    assert workspace.state("six@1") == "ok"


def test_what_a_line_says_about_its_source_is_no_edit(workspace: Workspace) -> None:
    workspace.build("six@1")
    workspace.add("six@1: {builder: questions_file, params: {path: six.jsonl, sha256: ?, licence: mit, role: test}}")
    assert workspace.state("six@1") == "ok"
    workspace.add("six@1: {builder: questions_file, params: {path: six.jsonl, sha256: ?, role: exam}}")
    with pytest.raises(CatalogError, match=r"role is 'exam': input should be 'train', 'validation' or 'test'"):
        workspace.plan()


def test_other_bytes_behind_a_line_are_an_edit(workspace: Workspace) -> None:
    workspace.build("six@1")
    workspace.write("six.jsonl", SIX[:5])
    workspace.add("six@1: {builder: questions_file, params: {path: six.jsonl, sha256: ?}}")
    assert workspace.step("six@1").why.startswith("sha256 is '")


def test_a_parameter_that_the_record_lacks_counts_as_its_default(make: Make, workspace: Workspace) -> None:
    make(HALF)
    edit_record(workspace, "half@1", lambda record: record["params"].pop("part"))
    assert workspace.state("half@1") == "ok"
    workspace.add(HALF.replace("seed: 42", "seed: 42, part: out"))
    assert workspace.step("half@1").why == "part is 'out', it was built with 'in'"


def test_a_parameter_without_a_default_that_the_record_lacks_is_an_edit(make: Make, workspace: Workspace) -> None:
    make(HALF)
    edit_record(workspace, "half@1", lambda record: record["params"].pop("seed"))
    assert workspace.step("half@1").why == "seed is 42, it was built without"


def test_a_parameter_that_its_maker_no_longer_has_is_an_edit(make: Make, workspace: Workspace) -> None:
    make(HALF)
    edit_record(workspace, "half@1", lambda record: record["params"].update(old=1))
    assert workspace.step("half@1").why == "it was built with old, which fraction no longer has"


def test_another_edition_is_only_a_note(make: Make, workspace: Workspace) -> None:
    make(HALF)
    edit_record(workspace, "half@1", lambda record: record.update(edition=0))
    step = workspace.step("half@1")
    assert (step.state, step.note) == ("ok", "made by edition 0 of fraction; edition 1 would give other rows")


def test_other_content_of_an_input_is_drift(make: Make, workspace: Workspace) -> None:
    make(HALF)
    was = workspace.stored("six@1").record.content
    workspace.store.remove(parse_id("six@1"))
    assert workspace.state("half@1") == "ok"  # removed, but not changed
    workspace.write("six.jsonl", SIX[:5])
    workspace.add("six@1: {builder: questions_file, params: {path: six.jsonl, sha256: ?}}")
    workspace.build("six@1")
    now = workspace.stored("six@1").record.content
    step = workspace.step("half@1")
    assert (step.state, step.why) == ("drifted", f"its input six@1 is now {now[:12]}, it was {was[:12]} when this was built")
    refusal = step.refusal()
    assert isinstance(refusal, Drifted)
    assert refusal.exit_code == 6
    assert str(refusal).endswith("Add half@2, or `rft rm half@1` and build it again.")
    with pytest.raises(Drifted):
        workspace.build("half@1")


def test_the_same_content_made_again_is_no_drift(make: Make, workspace: Workspace) -> None:
    make(HALF)
    workspace.store.remove(parse_id("six@1"))
    workspace.build("six@1")
    assert workspace.state("half@1") == "ok"


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda file: file.write_bytes(file.read_bytes()[:-1]), "rows.parquet has "),
        (lambda file: file.write_bytes(file.read_bytes()[:-1] + b"?"), "rows.parquet has other bytes than were written"),
        (lambda file: file.unlink(), "rows.parquet is missing"),
        (lambda file: file.with_name("artifact.json").write_text("{"), "artifact.json is damaged"),
    ],
    ids=["truncated", "changed", "missing", "record"],
)
def test_a_damaged_artifact_is_corrupt(make: Make, workspace: Workspace, damage: Callable[[Path], Any], why: str) -> None:
    make(HALF)
    for file in workspace.stored("half@1").folder.iterdir():
        file.chmod(0o644)
    damage(workspace.stored("half@1").folder / "rows.parquet")
    step = workspace.step("half@1")
    assert step.state == "corrupt"
    assert why in step.why
    refusal = step.refusal()
    assert isinstance(refusal, Corrupt)
    assert refusal.exit_code == 6
    assert "`rft rm half@1` removes it, `rft build half@1` makes it again." in str(refusal)
    with pytest.raises(Corrupt):
        workspace.build("half@1")


def test_a_damaged_record_of_an_input_does_not_hide_the_other_states(make: Make, workspace: Workspace) -> None:
    make(HALF)
    record = workspace.stored("six@1").folder / "artifact.json"
    record.chmod(0o644)
    record.write_text("{}")
    workspace.add("third@1: {builder: fraction, inputs: [six@1], params: {denominator: 3, seed: 42}}")
    assert {str(id): step.state for id, step in workspace.plan().items()} == {
        "six@1": "corrupt",
        "half@1": "ok",
        "third@1": "build",
    }
    workspace.file.write_text(workspace.file.read_text().replace("  six@1:", "  five@1:"))
    assert {str(id): step.state for id, step in workspace.plan().items()} == {
        "five@1": "build",
        "half@1": "ok",
        "third@1": "build",
    }


def test_dev_lines_are_built_every_time(workspace: Workspace) -> None:
    workspace.add("half@dev: {builder: fraction, inputs: [six@1], params: {denominator: 2, seed: 42}}")
    workspace.build("half@dev")
    assert (workspace.state("half@dev"), workspace.step("half@dev").why) == ("build", "@dev is built every time")
    workspace.add("half@dev: {builder: fraction, inputs: [six@1], params: {denominator: 3, seed: 42}}")
    assert [str(built.record.id) for built in workspace.build("half")] == ["half@dev"]
    assert workspace.made("half@dev").rows.height == 2


def test_an_input_that_is_built_need_not_be_listed(workspace: Workspace) -> None:
    workspace.build("six@1")
    workspace.file.write_text("datasets:\n  " + HALF + "\n")
    assert ids(workspace.plan().values()) == ["half@1"]
    assert [str(built.record.id) for built in workspace.build("half@1")] == ["half@1"]


# -- what a build makes ---------------------------------------------------------------------------------------------

CHAIN = [
    "half@1: {builder: fraction, inputs: [six@1], params: {denominator: 2, seed: 1}}",
    "third@1: {builder: fraction, inputs: [half@1], params: {denominator: 3, seed: 1}}",
    "last@1: {builder: fraction, inputs: [third@1], params: {denominator: 1, seed: 1}}",
]


def test_inputs_come_first_whatever_the_order_of_the_file(workspace: Workspace) -> None:
    workspace.add(*reversed(CHAIN))
    steps = workspace.plan()
    assert ids(steps.values()) == ["six@1", "half@1", "third@1", "last@1"]
    assert ids(needed(steps, select(steps, ["last"]))) == ["six@1", "half@1", "third@1", "last@1"]
    assert ids(needed(steps, select(steps, ["half", "third"]))) == ["six@1", "half@1", "third@1"]


def test_what_exists_hides_what_it_was_made_from(workspace: Workspace) -> None:
    workspace.add(*CHAIN)
    workspace.build("third@1")
    workspace.store.remove(parse_id("six@1"))
    workspace.add("half@1: {builder: fraction, inputs: [six@1], params: {denominator: 2, seed: 999}}")
    steps = workspace.plan()
    assert {str(id): step.state for id, step in steps.items()} == {
        "six@1": "build",
        "half@1": "edited",
        "third@1": "ok",
        "last@1": "build",
    }
    assert ids(needed(steps, select(steps, ["last@1"]))) == ["last@1"]
    assert ids(needed(steps, select(steps, ["third@1"]))) == []
    workspace.build("last@1")


def test_a_missing_ancestor_that_was_edited_is_refused_before_anything_is_built(workspace: Workspace) -> None:
    workspace.add(*CHAIN)
    workspace.build("half@1")
    workspace.add(CHAIN[0].replace("seed: 1", "seed: 2"))
    with pytest.raises(EditedEntry, match="half@1 is edited"):
        workspace.build("last@1")
    assert workspace.store.get(parse_id("third@1")) is None


def test_of_two_refused_targets_the_first_one_is_named(workspace: Workspace) -> None:
    workspace.add(*CHAIN)
    workspace.build("third@1")
    workspace.add(CHAIN[0].replace("seed: 1", "seed: 2"), CHAIN[1].replace("seed: 1", "seed: 2"))
    steps = workspace.plan()
    for first, second in (("half@1", "third@1"), ("third@1", "half@1")):
        with pytest.raises(EditedEntry, match=f"{first} is edited"):
            needed(steps, select(steps, [first, second]))


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["six"], ["six@10"]),
        (["six@2"], ["six@2"]),
        (["half"], ["half@2"]),
        (["only"], ["only@dev"]),
        (["six@*"], ["six@1", "six@2", "six@10"]),
        (["six*"], ["six@1", "six@2", "six@10"]),
        (["*@dev"], ["half@dev", "only@dev"]),
        (["[ho]*"], ["half@1", "half@2", "half@dev", "only@dev"]),
        (["half@?"], ["half@1", "half@2"]),
        (["six", "half", "six@10"], ["six@10", "half@2"]),
        ([], []),
    ],
)
def test_words_name_steps(workspace: Workspace, words: list[str], found: list[str]) -> None:
    six = "{builder: questions_file, params: {path: six.jsonl, sha256: ?}}"
    half = "{builder: fraction, inputs: [six@1], params: {denominator: 2, seed: 42}}"
    workspace.add(*(f"six@{n}: {six}" for n in (2, 10)), *(f"half@{n}: {half}" for n in (1, 2, "dev")), f"only@dev: {half}")
    assert ids(select(workspace.plan(), words)) == found


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("sixx", r"sixx is not in the catalog\. Did you mean six, six@2, six@1\?$"),
        ("six@3", r"six@3 is not in the catalog\. Did you mean six@2, six@1, six\?$"),
        ("zzz*", r"zzz\* is not in the catalog\.$"),
        ("six@01", r"six@01 is not in the catalog\. Did you mean six@1"),
        ("Six", r"Six is not in the catalog\. Did you mean six"),
        ("", r" is not in the catalog\.$"),
    ],
)
def test_a_word_that_names_nothing_offers_near_names(workspace: Workspace, word: str, message: str) -> None:
    workspace.add("six@2: {builder: questions_file, params: {path: six.jsonl, sha256: ?}}")
    with pytest.raises(NotFound, match=message):
        select(workspace.plan(), [word])


# -- large catalogs -------------------------------------------------------------------------------------------------


def chain_of(workspace: Workspace, length: int) -> None:
    given = ["six@1", *(f"a@{n}" for n in range(1, length))]
    lines = [
        f"  a@{n}: {{builder: fraction, inputs: [{id}], params: {{denominator: 1, seed: 0}}}}\n"
        for n, id in enumerate(given, 1)
    ]
    # Last first, so that the order must be found.
    workspace.file.write_text(workspace.file.read_text() + "".join(reversed(lines)))


def test_a_chain_of_3000_lines_is_planned(workspace: Workspace) -> None:
    chain_of(workspace, 3000)
    steps = workspace.plan()
    assert ids(steps.values()) == ["six@1", *(f"a@{n}" for n in range(1, 3001))]
    assert len(needed(steps, select(steps, ["a"]))) == 3001


def test_a_cycle_of_3000_lines_is_found(workspace: Workspace) -> None:
    chain_of(workspace, 3000)
    workspace.file.write_text(workspace.file.read_text().replace("inputs: [six@1]", "inputs: [a@3000]"))
    with pytest.raises(CatalogError, match="a cycle: a@3000 -> a@2999"):
        workspace.plan()


def test_wrong_rows_at_the_far_end_of_a_chain_are_found(workspace: Workspace) -> None:
    chain_of(workspace, 300)
    workspace.file.write_text(workspace.file.read_text() + "  u@1: {builder: union, inputs: [a@300]}\n")
    with pytest.raises(CatalogError, match="u@1: input 1 must be TRAINING rows; a@300 has QUESTIONS rows"):
        workspace.plan()


def test_planning_1000_lines_is_quick_and_imports_nothing_heavy(workspace: Workspace) -> None:
    chain_of(workspace, 500)
    text = workspace.file.read_text()
    more = "".join(
        f'  g@{n}: {{builder: gsm8k, params: {{split: test, revision: "{"0" * 40}"}}}}\n'
        f"  s@{n}: {{builder: samples_file, inputs: [g@{n}], params: {{path: s.jsonl, sha256: x}}}}\n"
        f"  r@{n}: {{builder: rejection, inputs: [g@{n}, s@{n}]}}\n"
        for n in range(1, 167)
    )
    workspace.file.write_text(f"{text}{more}evals:\n  e@1: {{eval: gsm8k, inputs: [g@1, s@1]}}\n")
    script = """
import sys
from pathlib import Path
from registry.catalog import read as catalog
from registry.catalog.plan import plan
from registry.store.store import Store
steps = plan(catalog.read(Path("catalog.yaml")), Store(Path(".rft")))
heavy = {"torch", "datasets", "vllm", "transformers", "pandas", "ray", "matplotlib", "sympy"} & sys.modules.keys()
print(len(steps), *heavy)
"""
    shown = subprocess.run(
        [sys.executable, "-c", script], cwd=workspace.folder, capture_output=True, text=True, check=True
    ).stdout.split()
    assert shown == ["1000"]

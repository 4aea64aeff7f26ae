"""catalog.yaml: every mistake is found before anything is built, with its line and the cure."""

import re
from pathlib import Path

import pytest
import yaml

from registry.catalog import read as catalog
from registry.catalog.bind import bind
from registry.catalog.edit import add_lines
from registry.catalog.plan import plan
from registry.errors import CatalogError, InputError, NotFound
from registry.names import parse_id
from tests.workspace import SIX, Workspace

GSM8K = f'{{builder: gsm8k, params: {{split: train, revision: "{"0" * 40}"}}}}'
HALF = "{builder: fraction, inputs: [six@1], params: {denominator: 2, seed: 42}}"
FILE = '{builder: questions_file, params: {path: six.jsonl, sha256: "00", max_refused: %s}}'
SAMPLES = '{builder: samples_file, inputs: [six@1], params: {path: s.jsonl, sha256: "00"}}'


def refused(workspace: Workspace, data: str | bytes, line: int | None, *words: str) -> None:
    """Check that a catalog is refused with its line and these words, and that nothing was built."""
    workspace.file.write_bytes(data if isinstance(data, bytes) else data.encode())
    with pytest.raises(CatalogError) as caught:
        plan(catalog.read(workspace.file), workspace.store)
    message = str(caught.value)
    if line is not None:
        assert f"catalog.yaml:{line}:" in message
    for word in words:
        assert word in message
    assert not workspace.store.home.exists()


# One bad line each, below `datasets:` and six@1: it is line 3.
BAD_LINES = {
    "an unknown maker offers near names": ("a@1: {builder: fractoin, inputs: [six@1]}", ["a@1", "Did you mean fraction?"]),
    "an unknown maker lists all if none is near": ("a@1: {builder: zzz}", ["There are ", "fraction, ", "union"]),
    "a module that makes nothing is no maker": ("a@1: {builder: refusals}", ["no builders/refusals.py"]),
    "an unknown parameter offers near names": (
        "a@1: {builder: fraction, inputs: [six@1], params: {denominatr: 2, seed: 1}}",
        ["no parameter 'denominatr'", "it has denominator, seed, part", "Did you mean denominator?"],
    ),
    "a seam for tests cannot be named": (
        'a@1: {builder: gsm8k, params: {split: train, revision: "abc", _load: x}}',
        ["no parameter '_load'", "it has split, revision, repo"],
    ),
    "a missing parameter": (
        "a@1: {builder: fraction, inputs: [six@1], params: {denominator: 2}}",
        ["needs the parameter seed"],
    ),
    "a missing input": ("a@1: {builder: fraction, params: {denominator: 2, seed: 1}}", ["takes the inputs (rows)", "gives 0"]),
    "too many inputs": (
        "a@1: {builder: fraction, inputs: [six@1, six@1], params: {denominator: 2, seed: 1}}",
        ["takes the inputs (rows)", "gives 2"],
    ),
    "too few inputs of a maker with any number of them": (
        "a@1: {builder: rejection}",
        ["takes the inputs (questions, *samples)", "gives 0"],
    ),
    "an input that is not in the catalog": ("a@1: " + HALF.replace("six@1", "sixx@1"), ["sixx@1", "mean six@1?"]),
    "an input of another version": ("a@1: " + HALF.replace("six@1", "six@2"), ["six@2", "The catalog lists six@1."]),
    "an input without a version": ("a@1: " + HALF.replace("six@1", "six"), ["an input of a@1", "Write six@1"]),
    "inputs that are no list": ("a@1: {builder: fraction, inputs: six@1}", ["must be a list", "[gsm8k-train@1]"]),
    "inputs that are false": ("a@1: {builder: fraction, inputs: false}", ["must be a list"]),
    "params that are no mapping": ("a@1: {builder: fraction, params: [1]}", ["must be a mapping", "{seed: 42}"]),
    "params that are zero": ("a@1: {builder: fraction, params: 0}", ["must be a mapping"]),
    "an input of the wrong rows": (
        "a@1: {builder: rejection, inputs: [six@1, six@1]}",
        ["input 2 must be SAMPLES rows", "six@1 has QUESTIONS rows"],
    ),
    "a line that uses itself": ("a@1: " + HALF.replace("six@1", "a@1"), ["a cycle: a@1 -> a@1", "Take one"]),
    "a number that YAML reads as text": (
        f"a@1: {FILE % '2e-5'}",
        ["reads 2e-5 as text", "Write 2.0e-5, or quote it"],
    ),
    "a number with a point that YAML reads as text": (f"a@1: {FILE % '1.5E3'}", ["Write 1.5e+3"]),
    "a revision of digits": (
        "a@1: {builder: gsm8k, params: {split: train, revision: 1234567890123456789012345678901234567890}}",
        ["read as a number", 'revision: "1234567890123456789012345678901234567890"'],
    ),
    "a word that YAML reads as true": (
        "a@1: {builder: fraction, inputs: [six@1], params: {denominator: 2, seed: 1, part: on}}",
        ["YAML reads on as True", "quote it"],
    ),
    "a word that YAML reads as false": ("a@1: {builder: No}", ["YAML reads No as False"]),
    "a sexagesimal number": (
        "a@1: {builder: fraction, inputs: [six@1], params: {denominator: 2, seed: 1:30}}",
        ["1:30 would be read as 90", "quote it"],
    ),
    "an octal number": (
        "a@1: {builder: fraction, inputs: [six@1], params: {denominator: 010, seed: 1}}",
        ["010 would be read as 8", "plain decimal digits"],
    ),
    "a hexadecimal number": ("a@1: {builder: fraction, params: {denominator: 0x10}}", ["0x10 would be read as 16"]),
    "a number with underscores": ("a@1: {builder: fraction, params: {seed: 1_000}}", ["1_000 would be read as 1000"]),
    "a date": ("a@1: {builder: fraction, params: {seed: 2024-01-02}}", ["read as a timestamp", "Quote it"]),
    "a name with capitals": (f"Half@1: {HALF}", ["'Half' is not an artifact name", "lower-case"]),
    "a name with a folder": (f"a/b@1: {HALF}", ["'a/b' is not an artifact name"]),
    "a name with two dots": (f"a..b@1: {HALF}", ["'a..b' is not an artifact name"]),
    "a name of 97 characters": (f"{'a' * 97}@1: {HALF}", ["has 97 characters; 96 is the most"]),
    "a name that is an origin": (f"human@1: {HALF}", ["the name human is taken", "Choose another"]),
    "no version": (f"a: {HALF}", ["'a' has no version. Write a@1."]),
    "version 0": (f"a@0: {HALF}", ["'a@0'", "a whole number from 1, or dev"]),
    "version 01": (f"a@01: {HALF}", ["'a@01'", "a whole number from 1, or dev"]),
    "version x": (f"a@x: {HALF}", ["'a@x'", "Write a@1"]),
    "a number as a name": ("12: {builder: fraction}", ["'12' has no version"]),
    "a list as a name": (f"[a@1]: {HALF}", ["a key must be a word"]),
    "a line that is no mapping": ("a@1: fraction", ["a@1 needs {builder: ..., inputs: [...], params: {...}}"]),
    "a line that says nothing": ("a@1:", ["a@1 needs {builder: ..."]),
    "a line without a maker": ("a@1: {inputs: [six@1]}", ["names no builder", "Write {builder: NAME, ...}"]),
    "a maker of another section": ("a@1: {trainer: sft}", ["made by a trainer", "go under models, not under datasets"]),
    "an unknown key of a line": ("a@1: {builder: fraction, param: {}}", ["unknown key 'param'", "Did you mean params"]),
    "a line that is there twice": (f"six@1: {HALF}", ["'six@1' stands here and on line 2", "Remove one"]),
    "a parameter that is there twice": (
        "a@1: {builder: fraction, params: {seed: 1, seed: 2}}",
        ["'seed' stands here and on line 3"],
    ),
    "a merge": ("a@1: {<<: {builder: fraction}}", ["no << merges", "says all of its own"]),
    "an anchor": (f"a@1: &half {HALF}", ["no & anchors", "Write it out"]),
    "an anchor within itself": ("a@1: &a {builder: fraction, params: {seed: *a}}", ["no & anchors"]),
    "an alias": ("a@1: *half", ["catalog.yaml:3"]),
    "a tag": ("a@1: !!int abc", ["no ! tags here (tag:yaml.org,2002:int)"]),
    "a tag that would run code": ("a@1: !!python/object/apply:os.system [ls]", ["no ! tags here"]),
    "brackets without end": (f"a@1: {'[' * 100_000}", ["nested more than 20 deep"]),
    "not YAML": ("a@1: {builder: fraction]", ["not YAML", "Mend the line"]),
    "a control character": ("a@1: {builder: \x01}", ["characters are not allowed", "Remove the character"]),
    "a tab": ("\ta@1: {}", ["not YAML"]),
    "not a number": (f"a@1: {FILE % '.nan'}", ["max_refused is nan", "finite number"]),
    "an infinite number": (f"a@1: {FILE % '-.inf'}", ["max_refused is -inf", "finite number"]),
    "true for a number": (f"a@1: {FILE % 'true'}", ["max_refused is True", "valid number"]),
    "text for a number": (f"a@1: {FILE}" % '".5"', ["max_refused is '.5'", "valid number"]),
    "true for a whole number": (
        "a@1: {builder: fraction, inputs: [six@1], params: {denominator: 2, seed: true}}",
        ["seed is True", "valid integer"],
    ),
    "a fraction for a whole number": (
        "a@1: {builder: fraction, inputs: [six@1], params: {denominator: 2, seed: 1.5}}",
        ["seed is 1.5", "valid integer"],
    ),
    "a number for text": (
        "a@1: {builder: samples_file, inputs: [six@1], params: {path: s, sha256: x, model: 7}}",
        ["model is 7", "Put it in quotes"],
    ),
    "a number for a file": ("a@1: {builder: questions_file, params: {path: 7, sha256: x}}", ["path is 7", "Put it in quotes"]),
    "no file at all": ("a@1: {builder: questions_file, params: {path: null, sha256: x}}", ["path is None", "valid string"]),
    "a word that is not one of the choices": (
        "a@1: {builder: fraction, inputs: [six@1], params: {denominator: 2, seed: 1, part: between}}",
        ["part is 'between'", "'in' or 'out'"],
    ),
    "a released line that uses a @dev one": (
        f"b@1: {HALF.replace('six@1', 'six@dev')}",
        ["b@1 is released and cannot use six@dev", "write b@dev"],
    ),
    "a missing sha256 of a file that is not there": (
        "a@1: {builder: questions_file, params: {path: nowhere.jsonl}}",
        ["needs the parameter sha256", "nowhere.jsonl does not exist"],
    ),
}


@pytest.mark.parametrize(("line", "words"), BAD_LINES.values(), ids=BAD_LINES.keys())
def test_a_bad_line_is_refused_with_its_number_and_the_cure(workspace: Workspace, line: str, words: list[str]) -> None:
    refused(workspace, f"{workspace.file.read_text()}  {line}\n", 3, *words)


def test_a_loader_without_c_refuses_the_same_lines(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "_LOADER", yaml.SafeLoader)
    before = workspace.file.read_text()
    for line, words in BAD_LINES.values():
        refused(workspace, f"{before}  {line}\n", 3, *words)


BAD_FILES = {
    "an unknown section": ("dataset:\n  a@1: {}\n", 1, ["unknown section 'dataset'", "Did you mean datasets?"]),
    "a section that is there twice": ("datasets:\ndatasets:\n", 2, ["'datasets' stands here and on line 1"]),
    "a section that is a list": ("datasets:\n- a@1\n", 2, ["a mapping is needed here"]),
    "a list": ("- a@1\n", 1, ["a mapping is needed here"]),
    "a word": ("\n\nhello\n", 3, ["a mapping is needed here"]),
    "two documents": ("datasets:\n---\ndatasets:\n", 2, ["not YAML"]),
    "a name with two kinds": (
        f"datasets:\n  a@1: {HALF}\nevals:\n  a@2: {{eval: gsm8k, inputs: []}}\n",
        4,
        ["a is a dataset already (catalog.yaml:2)", "choose another"],
    ),
    "questions where a set is needed": (
        f"datasets:\n  six@1: {GSM8K}\n  half@1: {HALF}\n  u@1: {{builder: union, inputs: [half@1]}}\n",
        4,
        ["input 1 must be TRAINING rows; half@1 has QUESTIONS rows"],
    ),
    "samples where questions are needed": (
        f"datasets:\n  six@1: {GSM8K}\n  s@1: {SAMPLES}\nevals:\n  e@1: {{eval: gsm8k, inputs: [s@1, s@1]}}\n",
        5,
        ["input 1 must be QUESTIONS rows; s@1 has SAMPLES rows"],
    ),
    "two lines that use each other": (
        f"datasets:\n  a@1: {HALF.replace('six@1', 'b@1')}\n  b@1: {HALF.replace('six@1', 'a@1')}\n",
        2,
        ["a cycle: a@1 -> b@1 -> a@1"],
    ),
    "a cycle further up": (
        "datasets:\n"
        + "".join(f"  a@{n}: {HALF.replace('six@1', given)}\n" for n, given in ((1, "a@2"), (2, "a@3"), (3, "a@2"))),
        3,
        ["a cycle: a@2 -> a@3 -> a@2"],
    ),
    "not UTF-8": (b"datasets:\n  # caf\xe9\n", 2, ["not UTF-8", "Save it as UTF-8"]),
    "UTF-16": ("datasets:\n".encode("utf-16"), 1, ["not UTF-8"]),
    "a control character after other letters": (
        "# ßßßß\n\ndatasets:\n  a: \x07\n".encode(),
        4,
        ["not YAML", "Remove the char"],
    ),
}


@pytest.mark.parametrize(("data", "line", "words"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_bad_file_is_refused_with_the_line_and_the_cure(
    workspace: Workspace, data: str | bytes, line: int, words: list[str]
) -> None:
    refused(workspace, data, line, *words)


def test_a_file_that_is_not_there_says_how_to_begin(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"nowhere\.yaml does not exist\. `rft init`"):
        catalog.read(tmp_path / "nowhere.yaml")


def test_a_folder_is_not_a_catalog(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"is a folder\. Name the file"):
        catalog.read(tmp_path)


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "datasets:\n", "datasets:\nmodels:\nevals:\n", "\ufeff\n"])
def test_an_empty_catalog_has_no_lines(workspace: Workspace, text: str) -> None:
    workspace.file.write_text(text, encoding="utf-8")
    assert workspace.plan() == {}


def test_a_catalog_may_have_a_byte_order_mark_and_windows_line_ends(workspace: Workspace) -> None:
    text = workspace.file.read_text()
    workspace.file.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert [str(id) for id in workspace.plan()] == ["six@1"]


def test_the_nearest_catalog_upwards_is_found(workspace: Workspace) -> None:
    below = workspace.folder / "a" / "b"
    below.mkdir(parents=True)
    assert catalog.find(below) == workspace.file.resolve()


def test_without_a_catalog_anywhere_above_the_message_says_how_to_begin(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"no catalog\.yaml in .* or above it\. `rft init`"):
        catalog.find(tmp_path)


def test_a_line_knows_its_inputs_params_and_place(workspace: Workspace) -> None:
    workspace.add(f"half@1: {HALF}")
    entry = catalog.read(workspace.file).entries[parse_id("half@1")]
    assert (entry.kind, entry.maker, entry.inputs, entry.params, entry.where) == (
        "dataset",
        "fraction",
        (parse_id("six@1"),),
        {"denominator": 2, "seed": 42},
        "catalog.yaml:3",
    )


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("2.0e-5", 0.00002),
        ("1.0e-0", 1.0),
        ("1", 1.0),
        ("0", 0.0),
        ("0.5", 0.5),
        (".5", 0.5),
    ],
)
def test_a_number_may_be_written_in_these_ways(workspace: Workspace, written: str, value: float) -> None:
    workspace.add(f"a@1: {FILE % written}")
    read = catalog.read(workspace.file)
    assert bind(read.entries[parse_id("a@1")], read).params["max_refused"] == value


def test_quoted_words_are_text_whatever_they_look_like(workspace: Workspace) -> None:
    for word in ("2e-5", "010", "1:30", "on", "2024-01-02", "0x10", "null", "~", "<<"):
        workspace.file.write_text(f"datasets:\n  a@1: {{builder: b, params: {{x: '{word}', '{word}': 1}}}}\n")
        assert catalog.read(workspace.file).entries[parse_id("a@1")].params == {"x": word, word: 1}


def test_lists_and_mappings_may_be_written_on_many_lines(workspace: Workspace) -> None:
    workspace.file.write_text(
        "datasets:\n  a@dev:\n    builder: b\n    inputs:\n    - six@1\n    - six@dev\n    params:\n      seeds: [1, 2]\n      on_end: null\n"
    )
    entry = catalog.read(workspace.file).entries[parse_id("a@dev")]
    assert entry.inputs == (parse_id("six@1"), parse_id("six@dev"))
    assert entry.params == {"seeds": [1, 2], "on_end": None}


def test_a_model_is_no_rows(workspace: Workspace, toy_trainer: str) -> None:
    text = (
        f"{workspace.file.read_text()}  a@1: {{builder: rejection, inputs: [m@1]}}\n"
        f"models:\n  m@1: {{trainer: {toy_trainer}, inputs: [six@1], params: {{rates: [1, 0.5]}}}}\n"
    )
    refused(workspace, text, 3, "a@1: input 1 must be QUESTIONS rows; m@1 is a model")


def test_a_list_of_numbers_is_checked_like_a_number(workspace: Workspace, toy_trainer: str) -> None:
    line = f"models:\n  m@1: {{trainer: {toy_trainer}, inputs: [six@1], params: {{rates: %s}}}}\n"
    before = workspace.file.read_text()
    refused(workspace, before + line % "[1, .nan]", 4, "rates is [1, nan]", "finite number")
    refused(workspace, before + line % "[1, true]", 4, "rates is [1, True]", "valid number")
    refused(workspace, before + line % "0.5", 4, "rates is 0.5", "valid list")
    workspace.file.write_text(before + line % "[1, 0.5]")
    assert workspace.step("m@1").recipe.params == {"rates": [1, 0.5]}


def test_a_missing_sha256_is_answered_with_the_right_one(workspace: Workspace) -> None:
    good = re.search(r'sha256: "(\w+)"', workspace.file.read_text())
    assert good is not None
    bad = workspace.file.read_text().replace(f", {good[0]}", "")
    refused(workspace, bad, 2, "needs the parameter sha256", f"That of six.jsonl is: sha256: {good[1]}")


def test_a_wrong_sha256_is_answered_with_the_right_one_and_nothing_is_built(workspace: Workspace) -> None:
    good = re.search(r'sha256: "(\w+)"', workspace.file.read_text())
    assert good is not None
    workspace.file.write_text(workspace.file.read_text().replace(good[1], "ab" * 32))
    with pytest.raises(InputError, match=rf"catalog\.yaml:2: six@1: .*The line says {'ab' * 32}.*sha256: {good[1]}"):
        workspace.build("six@1")
    assert workspace.store.stamps() == {}
    assert list(workspace.store.temporary.iterdir()) == []


def test_a_file_that_was_changed_is_not_the_one_the_line_means(workspace: Workspace) -> None:
    workspace.write("six.jsonl", [*SIX, SIX[0]])
    with pytest.raises(InputError, match=r"six\.jsonl is not the file the line means"):
        workspace.build("six@1")


# -- adding a line --------------------------------------------------------------------------------------------------

LINE = "new@1: {builder: b}"

ADDED = {
    "into no file": (None, f"datasets:\n  {LINE}\n"),
    "into an empty file": ("", f"datasets:\n  {LINE}\n"),
    "into a file with a comment": ("# mine\n", f"# mine\n\ndatasets:\n  {LINE}\n"),
    "into a file without the section": (
        "models:\n  m@1: {trainer: t}\n",
        f"models:\n  m@1: {{trainer: t}}\n\ndatasets:\n  {LINE}\n",
    ),
    "into an empty section": ("datasets:  # none yet\n", f"datasets:  # none yet\n  {LINE}\n"),
    "into an empty section before another": (
        "datasets:\n\n# then\nmodels:\n  m@1: {trainer: t}\n",
        f"datasets:\n  {LINE}\n\n# then\nmodels:\n  m@1: {{trainer: t}}\n",
    ),
    "at the end": ("datasets:\n  a@1: {builder: b}\n", f"datasets:\n  a@1: {{builder: b}}\n  {LINE}\n"),
    "after a last line without its end": ("datasets:\n  a@1: {builder: b}", f"datasets:\n  a@1: {{builder: b}}\n  {LINE}\n"),
    "after a section without its end": ("datasets:", f"datasets:\n  {LINE}\n"),
    "in the middle, before the blank lines and comments of the next section": (
        "datasets:\n    a@1:   {builder: b}   # first\n\n# the models\nmodels:\n  m@1: {trainer: t}\n",
        f"datasets:\n    a@1:   {{builder: b}}   # first\n    {LINE}\n\n# the models\nmodels:\n  m@1: {{trainer: t}}\n",
    ),
    "after a line that goes over two": (
        "datasets:\n  a@1: {builder: b,\n        params: {x: 1}}\n  # end\nevals:\n",
        f"datasets:\n  a@1: {{builder: b,\n        params: {{x: 1}}}}\n  {LINE}\n  # end\nevals:\n",
    ),
    "after a line in block form": (
        "datasets:\n  a@1:\n    builder: b\n    params:\n      text: |\n        one\n\n        # two\n\nevals:\n",
        f"datasets:\n  a@1:\n    builder: b\n    params:\n      text: |\n        one\n\n        # two\n\n  {LINE}\nevals:\n",
    ),
    "keeping Windows line ends": (
        "datasets:\r\n  a@1: {builder: b} # é\r\n",
        f"datasets:\r\n  a@1: {{builder: b}} # é\r\n  {LINE}\r\n",
    ),
    "keeping a byte order mark": (
        "\ufeffdatasets:\n  a@1: {builder: b}\n",
        f"\ufeffdatasets:\n  a@1: {{builder: b}}\n  {LINE}\n",
    ),
}


@pytest.mark.parametrize(("before", "after"), ADDED.values(), ids=ADDED.keys())
def test_a_line_is_added_and_every_other_byte_stays(tmp_path: Path, before: str | None, after: str) -> None:
    file = tmp_path / "catalog.yaml"
    if before is not None:
        file.write_bytes(before.encode())
    add_lines(file, [("datasets", LINE)], {})
    assert file.read_bytes().decode() == after
    assert "new@1" in yaml.safe_load(after)["datasets"]
    assert [path.name for path in tmp_path.iterdir()] == ["catalog.yaml"]


@pytest.mark.parametrize(
    "text", ["datasets: {a@1: {builder: b}}\n", "datasets: null\n", "{datasets: {}}\n", "[]\n", "datasets: []\n"]
)
def test_a_section_that_cannot_take_a_line_is_left_as_it_is(tmp_path: Path, text: str) -> None:
    file = tmp_path / "catalog.yaml"
    file.write_text(text)
    with pytest.raises(CatalogError, match=r"catalog\.yaml: write datasets in block form(?s:.*)new@1"):
        add_lines(file, [("datasets", LINE)], {})
    assert file.read_text() == text


def test_no_line_is_added_to_a_file_that_is_not_yaml(tmp_path: Path) -> None:
    file = tmp_path / "catalog.yaml"
    file.write_text("datasets: {\n")
    with pytest.raises(CatalogError, match=r"catalog\.yaml with the new lines:2: not YAML"):
        add_lines(file, [("datasets", LINE)], {})
    assert file.read_text() == "datasets: {\n"


def test_adding_a_line_keeps_the_rights_of_the_file_and_follows_a_link(tmp_path: Path) -> None:
    file, link = tmp_path / "mine.yaml", tmp_path / "catalog.yaml"
    file.write_text("datasets:\n")
    file.chmod(0o640)
    link.symlink_to(file)
    add_lines(link, [("datasets", LINE)], {})
    assert link.is_symlink()
    assert file.read_text() == f"datasets:\n  {LINE}\n"
    assert file.stat().st_mode & 0o777 == 0o640


def test_lines_added_one_after_another_are_all_read(workspace: Workspace) -> None:
    for n in range(1, 6):
        add_lines(workspace.file, [("datasets", f"half@{n}: {HALF}")], {})
        add_lines(workspace.file, [("evals", f"e@{n}: {{eval: gsm8k, inputs: []}}")], {})
    read = catalog.read(workspace.file)
    assert [str(id) for id in read.named("half")] == [f"half@{n}" for n in range(1, 6)]
    assert [str(id) for id in read.named("e")] == [f"e@{n}" for n in range(1, 6)]


def test_one_input_given_twice_is_refused(workspace: Workspace) -> None:
    workspace.add("k@1: {builder: rejection, inputs: [six@1, s@1, s@1]}", f"s@1: {SAMPLES}")
    with pytest.raises(CatalogError, match="the input s@1 stands twice"):
        workspace.plan()

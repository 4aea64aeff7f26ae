"""What `rft check` finds and what stops `rft push`, by the command, and what an override leaves behind."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fakehub import Hub, environment, running
from tests.workspace import SIX, Workspace, samples_of

RFT = Path(sys.executable).with_name("rft")
REPO = "someone/family"
RIGHT = {0: ["4*6-9=<<4*6-9=15>>15\n#### 15"], 1: ["12+3*8=<<12+3*8=36>>36\n#### 36"]}
OTHERS = [
    {
        "question": f"Nora plants {n} rows of {n + 3} tulips and picks {n} of them. How many tulips does she leave in the garden?",
        "answer": "#### 5",
    }
    for n in range(2, 6)
]
QUESTIONS = "six@1: {builder: questions_file, params: {path: six.jsonl, sha256: ?, licence: mit}}"
SAMPLES = "red@1: {builder: samples_file, inputs: [six@1], params: {path: red.jsonl, sha256: ?, model: red, licence: mit}}"
SET = "set@1: {builder: rejection, inputs: [six@1, red@1]}"
TESTS = "exam@1: {builder: questions_file, params: {path: exam.jsonl, sha256: ?, role: test}}"

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def made(workspace: Workspace) -> Workspace:
    """A rejection set and a test set that share nothing, both built."""
    workspace.write("red.jsonl", samples_of(RIGHT))
    workspace.write("exam.jsonl", OTHERS)
    workspace.add(QUESTIONS, SAMPLES, SET, TESTS)
    workspace.build("set@1", "exam@1")
    return workspace


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running() as hub:
        yield hub


@pytest.fixture
def rft(workspace: Workspace, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    for name, value in environment(hub, tmp_path / "hf").items():
        monkeypatch.setenv(name, value)

    def run(*words: str, code: int = 0, answer: str = "") -> subprocess.CompletedProcess[str]:
        done = subprocess.run([RFT, *words], cwd=workspace.folder, capture_output=True, text=True, input=answer)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return run


def findings(rft: Run, name: str, code: int, *words: str) -> dict[str, dict[str, object]]:
    [checked] = json.loads(rft("check", name, "--json", *words, code=code).stdout)
    assert checked["passes"] is (code == 0)
    return {finding["name"]: finding for finding in checked["findings"]}


def test_a_set_that_shares_nothing_with_a_test_may_be_published(made: Workspace, rft: Run) -> None:
    found = findings(rft, "set", 0)
    assert set(found) == {"contamination/exam@1"}
    assert "no overlap" in found["contamination/exam@1"]["says"]  # type: ignore[operator]
    assert rft("check", "set").stdout.startswith("set@1: may be published\n")


def test_a_planted_test_question_stops_the_push_and_is_named(made: Workspace, hub: Hub, rft: Run) -> None:
    planted = "  " + SIX[1]["question"].upper()
    made.write("exam.jsonl", [*OTHERS, {"question": planted, "answer": "#### 36"}])
    made.add(TESTS.replace("exam@1", "exam@2"))
    made.build("exam@2")
    said = rft("push", "set", REPO, code=1).stderr
    assert "contamination/exam@2" in said
    assert "1 exact" in said
    assert "nothing was published" in said
    assert not hub.repos
    rft("push", "set", REPO, "--override", "contamination/exam@2", "--quiet")
    files = hub.repo(REPO).files("set-v1")
    assert json.loads(files["set/publication.json"])["overrides"] == ["contamination/exam@2"]
    assert "contamination/exam@2" in files["README.md"].decode()


def test_what_was_overridden_stands_in_the_record_of_who_pulls(made: Workspace, hub: Hub, rft: Run, tmp_path: Path) -> None:
    made.add(TESTS.replace("exam@1", "later@1"))
    rft("push", "set", REPO, "--override", "not-built/*", "--quiet")
    rft("pull", REPO, "--home", str(tmp_path / "home"))
    record = json.loads(rft("show", "set", "--json", "--home", str(tmp_path / "home")).stdout)
    assert record["provenance"]["published"]["overrides"] == ["not-built/later@1"]


def test_a_test_question_in_a_response_is_found(made: Workspace, rft: Run) -> None:
    told = f"{OTHERS[0]['question']} That is another one. 4*6-9=<<4*6-9=15>>15\n#### 15"
    made.write("red.jsonl", samples_of({0: [told]}))
    made.add(SAMPLES.replace("red@1", "red@2"), SET.replace("set@1", "set@2").replace("red@1", "red@2"))
    made.build("set@2")
    assert findings(rft, "set@2", 1)["contamination/exam@1"]["stops"]


def test_a_test_set_that_is_not_built_stops_and_a_role_may_come_later(made: Workspace, rft: Run) -> None:
    made.add(TESTS.replace("exam@1", "later@1"))
    assert findings(rft, "set", 1)["not-built/later@1"]["stops"]
    made.add(TESTS.replace("exam@1", "later@1").replace(", role: test", ""))
    assert "not-built/later@1" not in findings(rft, "set", 0)
    made.add(TESTS.replace(", role: test", ", role: validation"))
    assert set(findings(rft, "set", 0)) == {"contamination/none"}  # the line says today that these are no test questions


def test_against_names_other_questions_to_compare_with(made: Workspace, rft: Run) -> None:
    assert findings(rft, "set", 1, "--against", "six")["contamination/six@1"]["stops"]
    said = rft("check", "set", "--against", "red", code=1).stderr
    assert "no questions to compare with" in said


def test_a_token_in_a_parameter_stops_and_is_not_repeated(made: Workspace, hub: Hub, rft: Run) -> None:
    token = "hf_" + "AbCd1234" * 5
    made.write("red.jsonl", samples_of(RIGHT))
    line = SAMPLES.replace("red@1", "red@2").replace("model: red", f"model: {token}")
    made.add(line, SET.replace("set@1", "set@2").replace("red@1", "red@2"))
    made.build("set@2")
    said = rft("push", "set@2", REPO, code=1).stderr
    assert "secrets/red@2/params.model" in said
    assert "a Hugging Face token" in said
    assert token not in said
    assert not hub.repos


def test_a_secret_is_overridden_by_its_own_name_alone(made: Workspace, hub: Hub, rft: Run) -> None:
    made.write("red.jsonl", samples_of(RIGHT, model="/home/ada/checkpoint"))
    made.add(SAMPLES.replace("red@1", "red@2"), SET.replace("set@1", "set@2").replace("red@1", "red@2"))
    made.build("set@2")
    name = "secrets/set@2/column origin/0"
    assert findings(rft, "set@2", 1)[name]["stops"]  # the model's name stands in every row that it wrote
    said = rft("push", "set@2", REPO, "--override", "*", code=2).stderr
    assert f"There are {name}" in said
    assert not hub.repos
    rft("push", "set@2", REPO, "--override", name, "--quiet")


def test_a_command_without_a_test_set_says_that_nothing_was_compared(workspace: Workspace, rft: Run) -> None:
    workspace.add(QUESTIONS)
    workspace.build("six@1")
    assert "was compared with none" in findings(rft, "six", 0)["contamination/none"]["says"]  # type: ignore[operator]


def test_an_input_that_is_gone_stops_and_is_named(made: Workspace, rft: Run) -> None:
    (made.stored("red@1").folder / "artifact.json").chmod(0o644)
    (made.stored("red@1").folder / "artifact.json").write_text("damaged")
    rft("rm", "red@1")
    assert "red@1" in findings(rft, "set", 1)["rows/set@1/lineage"]["says"]  # type: ignore[operator]


def test_lines_that_did_not_make_an_artifact_are_not_published_with_it(made: Workspace, hub: Hub, rft: Run) -> None:
    made.add(SET.replace("]}", "], params: {select: all}}"))
    rft("push", "set", REPO, "--quiet")
    lines = hub.repo(REPO).files()["set/catalog.yaml"].decode()
    assert 'select: "farthest"' in lines


def test_what_was_pulled_stays_when_what_is_not_listed_goes(made: Workspace, hub: Hub, rft: Run, tmp_path: Path) -> None:
    rft("push", "set", REPO, "--quiet")
    rft("pull", REPO, "--as", "theirs", "--quiet")
    assert "pulled from" in rft("show", "theirs").stdout
    rft("gc", "--unlisted", "--yes")
    assert rft("head", "theirs").stdout


def test_licences_that_do_not_go_together_stop_with_the_clause(made: Workspace, hub: Hub, rft: Run) -> None:
    made.add(QUESTIONS.replace("mit", "cc-by-sa-4.0"), SAMPLES.replace("mit", "cc-by-nc-4.0"))
    said = rft("push", "set", REPO, code=1).stderr
    assert "licence/cc-by-sa-4.0+cc-by-nc-4.0" in said
    assert "six@1" in said
    assert "red@1" in said
    assert "BY-SA Compatible License" in said
    assert not hub.repos
    made.add(QUESTIONS, SAMPLES)
    rft("push", "set", REPO, "--quiet")


def test_an_override_of_nothing_is_an_error(made: Workspace, hub: Hub, rft: Run) -> None:
    said = rft("push", "set", REPO, "--override", "contamination/exm@1", code=2).stderr
    assert "nothing that stops is called so" in said
    assert not hub.repos


def test_rows_that_are_not_the_recorded_ones_stop(made: Workspace, rft: Run) -> None:
    file = made.stored("set@1").file("rows.parquet")
    assert file
    file.chmod(0o644)
    data = bytearray(file.read_bytes())
    data[100] ^= 1
    file.write_bytes(bytes(data))
    assert "rft rm set@1" in rft("check", "set", code=6).stderr


def test_a_model_and_a_dev_artifact_are_refused(made: Workspace, rft: Run) -> None:
    made.add(SET.replace("set@1", "set@dev"))
    made.build("set@dev")
    assert "Give it a version" in rft("push", "set@dev", REPO, code=1).stderr
    assert "name what to publish and where" in rft("push", "set", code=2).stderr


def test_a_dry_run_shows_files_card_and_tag_and_touches_nothing(made: Workspace, hub: Hub, rft: Run) -> None:
    shown = json.loads(rft("push", "set", REPO, "--dry-run", "--json").stdout)
    assert shown["tags"] == ["set-v1"]
    assert "set/train-00000-of-00001.parquet" in shown["files"]
    assert shown["card"].startswith("---\n")
    assert "tag set-v1" in rft("push", "set", REPO, "--dry-run").stdout
    assert not hub.repos


def test_public_needs_an_answer(made: Workspace, hub: Hub, rft: Run) -> None:
    assert "nothing was published" in rft("push", "set", REPO, "--public", code=1, answer="n\n").stderr
    assert not hub.repos
    rft("push", "set", REPO, "--public", answer="y\n")
    assert not hub.repo(REPO).private
    rft("push", "set", "someone/other", "--public", "--yes")
    assert not hub.repo("someone/other").private

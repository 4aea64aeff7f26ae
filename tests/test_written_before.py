"""A store and a repository of the Hub that an earlier version wrote are read, checked, compared, united, pushed and pulled."""

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fakehub import Hub, Repo, environment, running

RFT = Path(sys.executable).with_name("rft")
ARCHIVE = Path(__file__).parent / "fixtures" / "written-by-0.1.0.tar.gz"
REPO = "someone/family"
PUSHED = ("both@1", "scores@1", "red@1")
KINDS = {
    "QUESTIONS": {"six@1", "exam@1", "stories@1", "half@1"},
    "SAMPLES": {"red@1", "blue@1", "drawn@1"},
    "TRAINING": {"red-rft@1", "blue-rft@1", "green-rft@1", "paper@1", "random@1", "both@1", "three@1"},
    "TEXT": {"text@1", "held-out@1"},
    "SCORES": {"scores@1", "drawn-scores@1"},
    None: {"base@1", "tuned@1", "taken@1"},
}

Rft = Callable[..., str]


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """Return the folder of the archive, unpacked."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path / "written", filter="tar")
    return tmp_path / "written"


@pytest.fixture
def hub(written: Path) -> Iterator[Hub]:
    """A hub that holds the repository as it was pushed."""
    with running() as hub:
        there = json.loads((written / "tags.json").read_text())
        folder = written / "hub"
        files = {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
        made = hub.repos["dataset", REPO] = Repo(REPO, "dataset", private=True)
        made.commit(files, "written before", id=there["commit"])
        made.tags.update(dict.fromkeys(there["tags"], there["commit"]))
        yield hub


@pytest.fixture
def rft(written: Path, hub: Hub, tmp_path: Path) -> Rft:
    """Run the command in the checkout; return what it printed on stdout."""

    def ran(*words: str, code: int = 0) -> str:
        done = subprocess.run(
            [RFT, *words],
            cwd=written / "checkout",
            env=os.environ | environment(hub, tmp_path / "hf"),
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, f"rft {' '.join(words)}\n{done.stdout}{done.stderr}"
        return done.stdout

    return ran


def contents(rft: Rft, *options: str) -> dict[str, str]:
    query = "select name || '@' || version as id, content from artifacts"
    return {row["id"]: row["content"] for row in json.loads(rft("sql", query, "--json", *options))}


def test_everything_in_the_store_is_sound_and_stands_as_its_lines_say(rft: Rft) -> None:
    recorded = {id: json.loads(rft("show", id, "--json")) for ids in KINDS.values() for id in ids}
    assert {shape: {id for id, record in recorded.items() if record["rows_are"] == shape} for shape in KINDS} == KINDS
    assert contents(rft) == {id: record["content"] for id, record in recorded.items()}
    rft("verify")
    states = {step["id"]: step["state"] for step in json.loads(rft("plan", "--json"))}
    assert states == dict.fromkeys(recorded, "ok") | {"green@1": "build"}


def test_every_table_is_read_by_sql_and_by_the_commands(rft: Rft) -> None:
    for id in set().union(*KINDS.values()) - KINDS[None]:
        assert json.loads(rft("sql", f'select * from "{id}"', "--json"))
        assert rft("head", id)
    for id in KINDS["TRAINING"] | KINDS["SCORES"]:
        assert json.loads(rft("stats", id, "--json"))[0]["id"] == id
        assert json.loads(rft("sql", f'select count(*) as n from "{id}/verdicts"', "--json"))[0]["n"] > 0
    assert {row["name"] for row in json.loads(rft("sql", "select distinct name from path_stats", "--json"))} == {
        id.partition("@")[0] for id in KINDS["TRAINING"] | KINDS["SCORES"]
    }
    assert {row["name"] for row in json.loads(rft("sql", "select distinct name from scores", "--json"))} == {
        "scores",
        "drawn-scores",
    }
    assert json.loads(rft("sql", 'select * from "tuned@1/loss"', "--json"))
    assert json.loads(rft("sql", 'select * from "six@1/drops"', "--json"))[0]["reason"] == "not_an_object"
    assert "someone/green" in rft("show", "green-rft@1")
    assert "green@1  samples_file" in rft("lineage", "three@1")
    assert json.loads(rft("models", "--json"))


def test_what_is_made_anew_from_the_same_lines_has_the_same_content(rft: Rft, tmp_path: Path) -> None:
    home = str(tmp_path / "anew")
    rft("build", "both", "scores", "paper", "random", "half", "exam", "text", "held-out", "--home", home)
    made = contents(rft, "--home", home)
    assert len(made) > 10
    # What came after is a newer edition of these makers, and what was made with them: `rft plan` says so.
    newer = {"red-rft@1", "blue-rft@1", "random@1", "both@1", "scores@1"}
    assert contents(rft).items() >= {id: content for id, content in made.items() if id not in newer}.items()
    notes = {step["id"]: step["note"] for step in json.loads(rft("plan", "--json"))}
    assert "would give other rows" in notes["red-rft@1"]
    assert "are identical" in rft("diff", "paper", "paper", "--other", home)


def test_old_artifacts_are_inputs_of_new_ones(rft: Rft, written: Path) -> None:
    file = written / "checkout" / "catalog.yaml"
    text = file.read_text().replace(
        "datasets:\n",
        "datasets:\n  all@1: {builder: union, inputs: [red-rft@1, blue-rft@1, green-rft@1]}\n"
        "  half-set@1: {builder: fraction, inputs: [both@1], params: {denominator: 2, seed: 1}}\n",
    )
    file.write_text(text)
    rft("build", "all", "half-set")
    assert json.loads(rft("stats", "all", "--json"))[0]["solved"] == 5
    assert json.loads(rft("diff", "three", "all", "--json"))["counts"]["solved_gained"] == 1
    for name in ("both", "all"):
        rft("export", name, "--format", "messages", "-o", f"{name}.jsonl")


def test_a_push_of_what_is_there_changes_nothing_and_a_pull_gives_the_same(rft: Rft, hub: Hub, tmp_path: Path) -> None:
    files = hub.repo(REPO).files()
    rft("push", *PUSHED, REPO)
    # The card may say of a column what it says today; everything else is as it was, byte for byte.
    assert {name for name, data in hub.repo(REPO).files().items() if files[name] != data} <= {"README.md"}
    home = str(tmp_path / "home")
    rft("pull", REPO, "--home", home)
    here = contents(rft)
    assert contents(rft, "--home", home) == {id: here[id] for id in PUSHED}
    for id in PUSHED:
        assert "are identical" in rft("diff", id, id, "--other", home)
    rft("verify", "--home", home)


def test_a_push_beside_what_was_pushed_before(rft: Rft, hub: Hub, tmp_path: Path) -> None:
    rft("push", "three", "paper", REPO)
    home = str(tmp_path / "home")
    rft("pull", REPO, "--home", home)
    assert set(contents(rft, "--home", home)) == {*PUSHED, "three@1", "paper@1"}


def test_the_lines_of_older_rules_are_renewed_with_all_that_rests_on_them(rft: Rft, written: Path) -> None:
    file = written / "checkout" / "catalog.yaml"
    before = file.read_text()
    shown = rft("renew", "--dry-run")
    assert file.read_text() == before
    assert rft("renew") == shown
    new = {line.split()[0]: line.split()[1] for line in shown.splitlines()[1:]}
    assert new["six@1"] == "six@2"  # of an older edition itself
    assert new["both@1"] == "both@2"  # it rests on sets of one
    assert "text@1" not in new
    assert "both@2: {builder: union, inputs: [red-rft@2, blue-rft@2]}" in file.read_text()
    rft("build", "both@2", "scores@2")
    assert {row["name"] for row in json.loads(rft("sql", "select name from artifacts where version = 2", "--json"))} >= {
        "six",
        "red-rft",
        "both",
        "scores",
    }
    assert "rows" in rft("diff", "red-rft@1", "red-rft@2")
    assert "nothing stands on older rules" in rft_error(written, "renew", "both@2")


def rft_error(written: Path, *words: str) -> str:
    done = subprocess.run([RFT, *words], cwd=written / "checkout", capture_output=True, text=True)
    assert done.returncode == 1
    return done.stderr

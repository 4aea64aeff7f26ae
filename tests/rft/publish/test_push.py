"""`rft push` and `rft pull` with the real clients of the Hub, against tests/fakehub: what lands, and what a failure leaves."""

import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import polars as pl
import pytest
import stamina
from huggingface_hub import DatasetCard

from registry.catalog import read as catalog
from registry.errors import Conflict, NotFound, RemoteError, UsageError
from registry.files import sha256_file
from registry.names import parse_id
from registry.query.api import Registry
from registry.retries import TRIES
from registry.store.lineage import flat, lineage
from registry.store.store import Store
from rft.publish.gate.check import check
from rft.publish.remote.layout import Publication, lay_out
from rft.publish.remote.pull import pull
from rft.publish.remote.push import preview, push
from rft.reports.diff import difference
from tests.fakehub import Fault, Hub, environment, pointing_at, running
from tests.workspace import SIX, Workspace, samples_of

# huggingface_hub 2.4 uploads LFS objects in a way that httpx2 no longer likes.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

REPO = "someone/family"
SCRIPTS, PARTS = 200, 8
SAID = "licence: mit"
LINES = (
    f"red@1: {{builder: samples_file, inputs: [six@1], params: {{path: red.jsonl, sha256: ?, model: red, {SAID}}}}}",
    f"blue@1: {{builder: samples_file, inputs: [six@1], params: {{path: blue.jsonl, sha256: ?, model: blue, {SAID}}}}}",
    "red-rft@1: {builder: rejection, inputs: [six@1, red@1]}",
    "blue-rft@1: {builder: rejection, inputs: [six@1, blue@1]}",
    "both@1: {builder: union, inputs: [red-rft@1, blue-rft@1]}",
    "scores@1: {eval: gsm8k, inputs: [six@1, red@1], params: {k: 3}}",
)
RED = {0: ["6*4=<<6*4=24>>24, 24-9=<<24-9=15>>15\n#### 15", "#### 3", "15\n#### 15"], 1: ["3*8=<<3*8=24>>24\n#### 36"] * 3}
BLUE = {0: ["4*6-9=<<4*6-9=15>>15\n#### 15"], 4: ["15*7=<<15*7=105>>105, 105*2=<<105*2=210>>210\n#### 210"]}


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Questions, samples of two models, their rejection sets and the union, and an eval: all built."""
    made = Workspace(tmp_path_factory.mktemp("family"))
    made.write("six.jsonl", SIX)
    made.write("red.jsonl", samples_of(RED))
    made.write("blue.jsonl", samples_of(BLUE))
    made.add(f"six@1: {{builder: questions_file, params: {{path: six.jsonl, sha256: ?, {SAID}}}}}", *LINES)
    made.build("both@1", "scores@1")
    return made


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=TRIES):
        yield


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with running() as hub, pointing_at(hub, tmp_path / "hf"):
        yield hub


@pytest.fixture(scope="module")
def pair(family: Workspace) -> list[Publication]:
    """Questions and a rejection set, ready to be pushed."""
    return published(family, "six@1", "red-rft@1")


def published(workspace: Workspace, *names: str) -> list[Publication]:
    """Return artifacts ready to be pushed."""
    checked = check(workspace.registry, catalog.read(workspace.file), [parse_id(name) for name in names])
    assert not [finding for one in checked for finding in one.stops]
    return [lay_out(one) for one in checked]


def bytes_of(publications: Sequence[Publication]) -> dict[str, bytes]:
    return {
        file.path: file.source if isinstance(file.source, bytes) else file.source.read_bytes()
        for publication in publications
        for file in publication.files
    }


# -- there and back ---------------------------------------------------------------------------------------------------


def test_what_is_pulled_into_an_empty_home_is_what_was_pushed(family: Workspace, hub: Hub, tmp_path: Path) -> None:
    done = push(published(family, "both@1", "scores@1"), REPO)
    assert done.tags == ["both-v1", "scores-v1"]
    assert hub.repo(REPO).tags == {"both-v1": done.commit, "scores-v1": done.commit}
    home = Registry(tmp_path / "home")
    assert [(str(p.record.id), p.new) for p in pull(home.store, REPO)] == [("both@1", True), ("scores@1", True)]
    for name in ("both@1", "scores@1"):
        here, there = family.registry.load(name), home.load(name)
        assert here.record.files == there.record.files
        assert difference(here, there).identical
        was, now = (flat(lineage(artifact.store, parse_id(name))) for artifact in (here, there))
        assert [row | {"state": ""} for row in now] == was
        assert {row["id"] for row in now if row["state"] == "not here"} == {row["id"] for row in now} - {
            name,
            "both@1",
            "scores@1",
        }
        assert home.store.damage(there.stored, thorough=True) is None
    assert home.sql("select count(*) as n from \"both@1/verdicts\" where verdict = 'kept'")["n"].item() > 0
    assert [(p.tag, p.new) for p in pull(home.store, REPO, configs=["both"])] == [("both-v1", False)]


def test_datasets_loads_a_tag_with_equal_rows(family: Workspace, hub: Hub) -> None:
    from datasets import load_dataset

    push(published(family, "both@1", "scores@1"), REPO)
    rows = load_dataset(REPO, "both", revision="both-v1", split="train")
    assert pl.DataFrame(rows.to_list(), schema=family.made("both@1").rows.schema).equals(family.made("both@1").rows)
    verdicts = load_dataset(REPO, "both_verdicts", revision="both-v1", split="train")
    assert verdicts.num_rows == family.made("both@1").verdicts.height  # type: ignore[union-attr]
    assert load_dataset(REPO, "scores", revision="scores-v1", split="test").num_rows == family.made("scores@1").rows.height
    by_k = load_dataset(REPO, "statistics", revision="both-v1", split="train")
    assert {row["artifact"]: row["paths_with_human"] is None for row in by_k} == {"both@1": False, "scores@1": True}
    assert load_dataset(REPO, revision="both-v1", split="train").num_rows == rows.num_rows  # the default config


def test_the_card_is_valid_and_all_that_it_shows_runs(family: Workspace, hub: Hub, tmp_path: Path) -> None:
    push(published(family, "both@1", "scores@1"), REPO)
    card = DatasetCard.load(REPO)
    card.validate(repo_type="dataset")
    assert [config["config_name"] for config in card.data.configs if config.get("default")] == ["both"]
    blocks = re.findall(r"^```(\w+)\n(.*?)^```", card.text, flags=re.MULTILINE | re.DOTALL)
    there = os.environ | environment(hub, tmp_path / "hf") | {"RFT_HOME": str(tmp_path / "home")}
    snippets = [body for kind, body in blocks if kind == "python"]
    script = "".join(f"{body}\nprint(len(rows))\n" for body in snippets)
    ran = subprocess.run([sys.executable, "-c", script], env=there, cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    height = {name: family.made(name).rows.height for name in ("both@1", "scores@1")}
    assert [int(line) for line in ran.stdout.split()] == [height["both@1"]] * 3 + [height["scores@1"]] * 3
    (tmp_path / "catalog.yaml").write_text(next(body for kind, body in blocks if kind == "yaml"))
    for name in ("six.jsonl", "red.jsonl", "blue.jsonl"):
        shutil.copy(family.folder / name, tmp_path)
    for kind, body in blocks:
        for line in body.splitlines() if kind == "console" else ():
            command = [Path(sys.executable).with_name("rft"), *line.removeprefix("$ rft ").split()]
            if command[1] == "pull" or "both" in line:
                ran = subprocess.run(command, env=there, cwd=tmp_path, capture_output=True, text=True)
                assert ran.returncode == 0, (line, ran.stderr)
    built = catalog.read(tmp_path / "catalog.yaml").entries
    assert {str(id) for id in built} == {"both@1", "six@1", "red@1", "blue@1", "red-rft@1", "blue-rft@1"}
    home = Registry(tmp_path / "home")
    home.store.remove(parse_id("both@1"))
    ran = subprocess.run([command[0], "build", "both"], env=there, cwd=tmp_path, capture_output=True, text=True)
    assert home.load("both@1").record.content == family.made("both@1").record.content, ran.stderr


def test_a_second_push_of_the_same_makes_no_commit(family: Workspace, hub: Hub) -> None:
    first = push(published(family, "both@1"), REPO)
    commits, before = hub.count("POST */commit/*"), len(hub.requests)
    second = push(published(family, "both@1"), REPO)
    assert (second.commit, second.files, second.tags) == (first.commit, [], [])
    assert hub.count("POST */commit/*") == commits == 1
    assert len(hub.requests) - before < 15


def test_a_push_leaves_what_is_not_its_own(family: Workspace, hub: Hub) -> None:
    readme = b"---\nlicense: mit\n# mine\n---\n# Ours\n\nBy hand.\n"
    hub.create(REPO, private=True).commit({"README.md": readme, "notes/a.txt": b"a", "both/old.txt": b"old"}, "by hand")
    push(published(family, "both@1"), REPO)
    push(published(family, "red-rft@1"), REPO)
    files = hub.repo(REPO).files()
    assert files["notes/a.txt"] == b"a"
    assert "both/old.txt" not in files  # the artifact's folder holds the artifact
    assert files["README.md"].count(b"By hand.") == files["README.md"].count(b"# mine") == 1
    assert {path: files[path] for path in bytes_of(published(family, "both@1"))} == bytes_of(published(family, "both@1"))


def test_a_license_by_hand_stays_and_is_said_if_it_is_not_the_sources(family: Workspace, hub: Hub) -> None:
    hub.create(REPO, private=True).commit({"README.md": b"---\nlicense: cc0-1.0\n---\n"}, "by hand")
    talk: list[str] = []
    push(published(family, "six@1"), REPO, say=talk.append)
    assert "note: the card says license: cc0-1.0, by hand; the sources are mit" in talk
    assert "license: cc0-1.0\n" in hub.repo(REPO).files()["README.md"].decode()


def test_a_repository_is_private_unless_it_is_said_to_be_public(family: Workspace, hub: Hub) -> None:
    push(published(family, "six@1"), REPO)
    assert hub.repo(REPO).private
    with pytest.raises(UsageError, match="exists and is private"):
        push(published(family, "six@1"), REPO, public=True)
    push(published(family, "six@1"), "someone/open", public=True)
    assert not hub.repo("someone/open").private
    with pytest.raises(UsageError, match="everyone could read"):
        push(published(family, "six@1"), "someone/open")


def test_a_preview_touches_nothing(family: Workspace, hub: Hub) -> None:
    shown = preview(published(family, "both@1"), REPO)
    assert (shown.state, shown.tags) == ("would be made, private", ["both-v1"])
    assert not hub.repos
    push(published(family, "both@1"), REPO)
    commits = hub.repo(REPO).history()
    again = preview(published(family, "both@1", "red@1"), REPO)
    assert again.tags == ["red-v1"]
    assert {path.partition("/")[0] for path in again.files} == {"red", "README.md"}
    assert hub.repo(REPO).history() == commits
    assert hub.count("POST */commit/*") == 1


def test_a_tag_that_means_other_content_is_never_moved(family: Workspace, hub: Hub, workspace: Workspace) -> None:
    push(published(family, "six@1"), REPO)
    tag = dict(hub.repo(REPO).tags)
    workspace.write("six.jsonl", SIX[:5])
    workspace.add(f"six@1: {{builder: questions_file, params: {{path: six.jsonl, sha256: ?, {SAID}}}}}")
    workspace.build("six@1")
    with pytest.raises(Conflict, match=r"the tag six-v1 .* A tag is never moved"):
        push(published(workspace, "six@1"), REPO)
    assert hub.repo(REPO).tags == tag
    workspace.add(f"six@2: {{builder: questions_file, params: {{path: six.jsonl, sha256: ?, {SAID}}}}}")
    workspace.build("six@2")
    push(published(workspace, "six@2"), REPO)
    assert set(hub.repo(REPO).tags) == {"six-v1", "six-v2"}
    assert push(published(family, "six@1"), REPO).tags == []
    hub.repo(REPO).tags.pop("six-v1")
    with pytest.raises(Conflict, match="holds six@2 already"):
        push(published(family, "six@1"), REPO)


def test_two_versions_of_one_name_are_refused_before_anything_is_sent(family: Workspace, hub: Hub) -> None:
    [six] = published(family, "six@1")
    with pytest.raises(UsageError, match=r"six@1 and six@1 are versions of one name"):
        push([six, six], REPO)
    with pytest.raises(UsageError, match="write user/name"):
        push([six], "family")
    assert not hub.repos


def test_a_section_or_file_that_somebody_took_away_comes_back(family: Workspace, hub: Hub) -> None:
    pair = published(family, "six@1", "both@1")
    push(pair, REPO)
    repo = hub.repo(REPO)
    whole, tags = repo.files(), dict(repo.tags)
    repo.commit({"README.md": b"# Nothing\n", "both/verdicts.parquet": None}, "by hand")
    assert push(pair, REPO).tags == []
    assert "<!-- rft:begin both -->" in repo.files()["README.md"].decode()
    assert "<!-- rft:begin six -->" in repo.files()["README.md"].decode()
    repo.commit({"both/artifact.json": None}, "by hand")
    push(pair, REPO)
    assert {path: data for path, data in repo.files().items() if path.startswith("both/")} == {
        path: data for path, data in whole.items() if path.startswith("both/")
    }
    assert repo.tags == tags


def test_a_licence_that_is_known_later_comes_into_the_card(hub: Hub, workspace: Workspace) -> None:
    workspace.build("six@1")
    push(published(workspace, "six@1"), REPO)
    assert "**unknown**" in hub.repo(REPO).files()["README.md"].decode()
    workspace.add(f"six@1: {{builder: questions_file, params: {{path: six.jsonl, sha256: ?, {SAID}}}}}")
    assert push(published(workspace, "six@1"), REPO).files == ["README.md"]
    assert "**unknown**" not in hub.repo(REPO).files()["README.md"].decode()


def test_what_was_known_of_a_set_is_known_where_it_was_pulled(
    family: Workspace, hub: Hub, workspace: Workspace, tmp_path: Path
) -> None:
    workspace.write("exam.jsonl", SIX[3:])
    workspace.add("exam@1: {builder: questions_file, params: {path: exam.jsonl, sha256: ?, licence: mit}}")
    workspace.build("exam@1")
    workspace.add("exam@1: {builder: questions_file, params: {path: exam.jsonl, sha256: ?, licence: mit, role: test}}")
    push(published(workspace, "exam@1"), REPO)  # the line said so after it was built
    push(published(family, "both@1"), REPO)
    home = Registry(tmp_path / "home")
    pull(home.store, REPO)
    pull(home.store, REPO, configs=["both"], rename="theirs")
    [checked] = check(home, None, [parse_id("theirs@1")])
    assert [finding.name for finding in checked.stops] == ["contamination/exam@1"]
    assert {term.licence for term in checked.terms} == {"mit"}
    assert checked.first == f"both@1 in {REPO}, tag both-v1"


# -- failures -----------------------------------------------------------------------------------------------------------


WHATS = ("429", "500", "503", "reset", "lost", "412", "409 tag", "wrong bytes", "stored wrong")
MOST_REQUESTS = 60 + TRIES * 100  # of one push, however it goes


def a_script(dice: random.Random) -> list[Fault]:
    faults = []
    for _ in range(dice.randint(1, 5)):
        what = dice.choice(WHATS)
        near = {"409 tag": 1, "412": 2, "stored wrong": 4}.get(what, 40)
        wait = dice.choice([None, 0]) if what == "429" else None
        after = dice.choice([None, 0, dice.randint(1, 400)]) if what == "reset" else None
        faults.append(Fault(what, at=dice.randint(1, near), retry_after=wait, after=after))  # type: ignore[arg-type]
    return faults


@pytest.mark.parametrize("part", range(PARTS))
def test_a_tag_is_there_if_and_only_if_all_under_it_was_read_back(pair: list[Publication], tmp_path: Path, part: int) -> None:
    outcomes = []
    for seed in range(part, SCRIPTS, PARTS):
        with running() as hub, pointing_at(hub, tmp_path / "hf"):
            hub.create(REPO, private=True)
            hub.fail(*a_script(random.Random(seed)))
            try:
                whole = push(pair, REPO)
                outcomes.append("done")
            except (RemoteError, Conflict) as error:
                whole = None
                outcomes.append(type(error).__name__)
            assert len(hub.requests) < MOST_REQUESTS
            check_tags(pair, hub, seed)
            if whole is not None:
                assert set(whole.tags) <= set(hub.repo(REPO).tags)
            # What failed is completed by the same push, unless somebody took the tag or the Hub itself keeps other bytes.
            hub.faults.clear()
            taken, damaged = foreign(hub), hub.repo(REPO).damaged
            try:
                push(pair, REPO)
                assert not taken, seed
                assert set(hub.repo(REPO).tags) == {"six-v1", "red-rft-v1"}
            except Conflict:
                assert taken, seed
            except RemoteError:
                assert damaged, seed
            check_tags(pair, hub, seed)
    assert {"done", "RemoteError"} <= set(outcomes)


def foreign(hub: Hub) -> set[str]:
    """Return the tags that somebody else made."""
    repo = hub.repo(REPO)
    return {tag for tag in repo.tags if f"{tag.rpartition('-v')[0]}/artifact.json" not in repo.files(tag)}


def check_tags(sent: Sequence[Publication], hub: Hub, seed: int) -> None:
    """Fail if a tag of ours stands over anything but what was sent."""
    repo = hub.repo(REPO)
    for tag in set(repo.tags) - foreign(hub):
        [publication] = [one for one in sent if one.tag == tag]
        there = {path: data for path, data in repo.files(tag).items() if path.startswith(f"{publication.name}/")}
        assert there == bytes_of([publication]), (seed, tag)


def test_a_push_that_is_killed_anywhere_is_completed_by_the_next(
    family: Workspace, pair: list[Publication], tmp_path: Path
) -> None:
    command = [Path(sys.executable).with_name("rft"), "push", "six", "red-rft", REPO]
    killed = 0
    for at in range(1, 40, 4):
        with running() as hub:
            there = os.environ | environment(hub, tmp_path / f"hf{at}")
            running_push: list[subprocess.Popen[bytes]] = []

            def kill(of: list[subprocess.Popen[bytes]] = running_push, at: int = at) -> bool:
                of[0].kill()
                of[0].wait()
                return at % 8 == 1  # the request was carried out, or not

            hub.fail(Fault("call", at=at, call=kill))
            running_push.append(subprocess.Popen(command, cwd=family.folder, env=there, stderr=subprocess.DEVNULL))  # type: ignore[arg-type]
            killed += running_push[0].wait() != 0
            hub.settle()
            if ("dataset", REPO) in hub.repos:
                check_tags(pair, hub, at)
            again = subprocess.run(command, cwd=family.folder, env=there, capture_output=True, text=True)  # type: ignore[arg-type]
            assert again.returncode == 0, again.stderr
            assert set(hub.repo(REPO).tags) == {"six-v1", "red-rft-v1"}
            check_tags(pair, hub, at)
    assert killed >= 8


def test_an_upload_that_fails_for_good_is_an_error_of_the_hub(pair: list[Publication], hub: Hub) -> None:
    hub.create(REPO, private=True)
    hub.fail(*(Fault("503", at=1, on="PUT /lfs/*") for _ in range(200)))
    with pytest.raises(RemoteError, match="pushing to someone/family: "):
        push(pair, REPO)
    assert not hub.repo(REPO).tags
    hub.faults.clear()
    push(pair, REPO)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Fault("wrong bytes", at=1, on="GET */resolve/*.parquet"), "has other bytes than were sent: looking again"),
        (Fault("lost", on="POST */commit/*"), "looking again"),
        (Fault("412"), "looking again"),
        (Fault("lost", on="POST */tag/*"), "looking again"),
    ],
    ids=["wrong bytes", "lost commit", "moved branch", "lost tag"],
)
def test_what_passes_is_tried_again_and_said(pair: list[Publication], hub: Hub, fault: Fault, says: str) -> None:
    hub.create(REPO, private=True)
    hub.fail(fault)
    talk: list[str] = []
    done = push(pair, REPO, say=talk.append)
    assert any(says in line for line in talk)
    assert hub.repo(REPO).tags["six-v1"] == done.commit
    commits = [commit for commit in hub.repo(REPO).history() if commit.title.startswith("Add ")]
    assert len(commits) == 1
    check_tags(pair, hub, 0)


def test_bytes_that_the_hub_keeps_wrong_are_never_tagged(family: Workspace, hub: Hub) -> None:
    hub.create(REPO, private=True)
    hub.fail(Fault("stored wrong"))
    with pytest.raises(RemoteError, match=r"six/.* has other bytes than were sent.*Nothing was tagged"):
        push(published(family, "six@1"), REPO)
    assert not hub.repo(REPO).tags


def test_without_a_token_the_message_says_how_to_log_in(family: Workspace, tmp_path: Path) -> None:
    with running() as hub, pointing_at(hub, tmp_path / "hf", token=None), pytest.raises(RemoteError, match="hf auth login"):
        push(published(family, "six@1"), REPO)


# -- pulling what is not as it should be ----------------------------------------------------------------------------------


def test_a_name_that_is_taken_by_other_content_is_a_conflict_and_can_be_pulled_as_another(
    family: Workspace, hub: Hub, workspace: Workspace
) -> None:
    push(published(family, "six@1"), REPO)
    workspace.write("six.jsonl", SIX[:5])
    workspace.add("six@1: {builder: questions_file, params: {path: six.jsonl, sha256: ?}}")
    workspace.build("six@1")
    with pytest.raises(Conflict, match=r"six@1 is taken by other content.*--as NAME"):
        pull(workspace.store, REPO)
    [taken] = pull(workspace.store, REPO, rename="theirs")
    assert str(taken.record.id) == "theirs@1"
    assert workspace.made("theirs@1").rows.height == 6
    assert workspace.made("theirs@1").record.provenance["published"]["as"] == "six@1"


def test_pull_names_what_there_is(family: Workspace, hub: Hub, tmp_path: Path) -> None:
    store = Store(tmp_path / "home")
    with pytest.raises(NotFound, match=f"no dataset repository {REPO}"):
        pull(store, REPO)
    push(published(family, "six@1", "red@1"), REPO)
    with pytest.raises(NotFound, match=r"has no tag six-v2\. Did you mean six-v1"):
        pull(store, REPO, "six-v2")
    with pytest.raises(NotFound, match=r"has no blue\. There are red-v1, six-v1"):
        pull(store, REPO, configs=["blue"])
    assert [str(one.record.id) for one in pull(store, REPO, "six-v1")] == ["six@1"]
    assert [str(one.record.id) for one in pull(store, REPO, "six-v1", ["red"])] == ["red@1"]


def forged(hub: Hub, path: str, data: bytes) -> None:
    """Put a commit with one other file under the tag."""
    repo = hub.repo(REPO)
    repo.commit({path: data}, "forged")
    repo.tags["six-v1"] = repo.head


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"rows": 7}, "its rows are not those of its record"),
        ({"content": "0" * 64}, "its rows are not those of its record"),
        ({"name": "five"}, "holds the record of dataset five@1"),
        ({"rows_are": "TRAINING"}, "its tables cannot be read"),
        ({"files": [{"name": "six.parquet", "bytes": 1, "sha256": "0" * 64}]}, "lists a file that no artifact has"),
        ({"files": [{"name": "../../six.parquet", "bytes": 1, "sha256": "0" * 64}]}, "is no path inside an artifact"),
        ({"edition": 10**12}, "a record is damaged"),
        ({"drops": {"x": 10**30}}, "a record is damaged"),
        ({"inputs": [{"id": "no id", "content": "0" * 64}]}, "a record is damaged"),
        ({"params": {"a\nevil@1": 1}}, "a record is damaged"),
        ({"facts": {"key": "mine"}}, "a record is damaged"),
        ({"files": []}, "its tables cannot be read"),
        ({"format": 2}, "a record is damaged"),
    ],
    ids=lambda change: next(iter(change)) if isinstance(change, dict) else "",
)
def test_a_record_that_lies_is_refused_and_nothing_is_registered(
    family: Workspace, hub: Hub, tmp_path: Path, change: dict[str, object], says: str
) -> None:
    push(published(family, "six@1"), REPO)
    record = json.loads(hub.repo(REPO).files()["six/artifact.json"])
    forged(hub, "six/artifact.json", json.dumps(record | change).encode())
    store = Store(tmp_path / "home")
    with pytest.raises(RemoteError, match=says):
        pull(store, REPO)
    assert not store.stamps()


HOSTILE = (
    {"name": "../../../victim/settings"},
    {"name": "/victim/settings"},
    {"content": "/../artifact"},
    {"version": -1},
    {"name": "../artifacts/red/1/x", "content": "/../artifact"},
)


@pytest.mark.parametrize("change", HOSTILE, ids=lambda change: "-".join(change))
def test_records_of_ancestors_cannot_be_written_anywhere_else(
    family: Workspace, hub: Hub, tmp_path: Path, change: dict[str, object]
) -> None:
    push(published(family, "red@1"), REPO)
    record = json.loads(hub.repo(REPO).files()["red/ancestors.jsonl"].splitlines()[0])
    repo = hub.repo(REPO)
    repo.commit({"red/ancestors.jsonl": json.dumps(record | change).encode() + b"\n"}, "forged")
    repo.tags["red-v1"] = repo.head
    store = Store(tmp_path / "deep" / "er" / "home")
    with pytest.raises(RemoteError, match="a record is damaged"):
        pull(store, REPO)
    assert not store.stamps()
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and "hf" not in file.parts]


def test_a_pull_replaces_no_record_that_is_known_and_keeps_only_those_it_needs(
    family: Workspace, hub: Hub, tmp_path: Path
) -> None:
    push(published(family, "red-rft@1", "blue-rft@1"), REPO)
    store = Store(tmp_path / "home")
    pull(store, REPO, configs=["red-rft"])
    six = store.record(parse_id("six@1"), family.stored("six@1").record.content)
    assert six
    repo = hub.repo(REPO)
    lines = [json.loads(line) for line in repo.files()["blue-rft/ancestors.jsonl"].splitlines()]
    for line in lines:
        if line["name"] == "six":
            line["params"] |= {"role": "test", "licence": "cc0-1.0"}
    stranger = lines[0] | {"name": "stranger", "content": "1" * 64}
    repo.commit(
        {"blue-rft/ancestors.jsonl": "".join(json.dumps(line) + "\n" for line in [*lines, stranger]).encode()}, "forged"
    )
    repo.tags["blue-rft-v1"] = repo.head
    pull(store, REPO, configs=["blue-rft"])
    assert store.record(six.id, six.content) == six
    assert store.record(parse_id("stranger@1"), "1" * 64) is None


def test_records_that_go_in_a_circle_are_refused(family: Workspace, hub: Hub, tmp_path: Path) -> None:
    push(published(family, "red@1"), REPO)
    repo = hub.repo(REPO)
    six = json.loads(repo.files()["red/ancestors.jsonl"])
    other = six | {"name": "other", "inputs": [{"id": "six@1", "content": six["content"]}]}
    six |= {"inputs": [{"id": "other@1", "content": six["content"]}]}
    repo.commit({"red/ancestors.jsonl": "".join(json.dumps(line) + "\n" for line in (six, other)).encode()}, "forged")
    repo.tags["red-v1"] = repo.head
    with pytest.raises(RemoteError, match="was made from itself"):
        pull(Store(tmp_path / "home"), REPO)


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows.with_columns(pl.col("question").cast(pl.Binary)),
        lambda rows: rows.with_columns(pl.col("source_row").cast(pl.Int32)),
        lambda rows: rows.with_columns(more=pl.lit(1)),
        lambda rows: rows.select(reversed(rows.columns)),
    ],
    ids=["binary", "integer", "more", "order"],
)
def test_columns_of_other_types_are_refused(
    family: Workspace, hub: Hub, tmp_path: Path, change: Callable[[pl.DataFrame], pl.DataFrame]
) -> None:
    push(published(family, "six@1"), REPO)
    file = tmp_path / "other.parquet"
    change(family.made("six@1").rows).write_parquet(file)
    repo = hub.repo(REPO)
    record = json.loads(repo.files()["six/artifact.json"])
    record["files"] = [{"name": "rows.parquet", "bytes": file.stat().st_size, "sha256": sha256_file(file)}]
    repo.commit({"six/train-00000-of-00001.parquet": file.read_bytes(), "six/artifact.json": json.dumps(record).encode()}, "x")
    repo.tags["six-v1"] = repo.head
    store = Store(tmp_path / "home")
    with pytest.raises(RemoteError, match="its tables cannot be read"):
        pull(store, REPO)
    assert not store.stamps()


@pytest.mark.parametrize(
    "fault", [Fault("503", on="GET /api/*"), Fault("reset", on="GET */resolve/*", after=300)], ids=["503", "reset"]
)
def test_a_pull_tries_again_what_may_pass(family: Workspace, hub: Hub, tmp_path: Path, fault: Fault) -> None:
    push(published(family, "six@1"), REPO)
    hub.fail(fault)
    assert pull(Store(tmp_path / "home"), REPO)[0].new


def test_other_rows_than_the_record_says_are_refused(family: Workspace, hub: Hub, tmp_path: Path) -> None:
    push(published(family, "six@1"), REPO)
    other = tmp_path / "other.parquet"
    family.made("six@1").rows.head(5).write_parquet(other)
    forged(hub, "six/train-00000-of-00001.parquet", other.read_bytes())
    store = Store(tmp_path / "home")
    with pytest.raises(RemoteError, match="has other bytes than its record says"):
        pull(store, REPO)
    assert not store.stamps()

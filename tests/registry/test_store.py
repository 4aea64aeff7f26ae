"""The store: an artifact is whole or absent, whoever writes, reads, dies or damages files meanwhile."""

import errno
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from registry.errors import Conflict, Corrupt, InputError, NotFound, OutOfResources
from registry.files import no_space_is_an_error
from registry.names import parse_id
from registry.query.api import open_registry
from registry.store.store import Store
from tests.processes import record_of, register
from tests.workspace import IDS, ROOT, SIX, Made, Workspace, samples_of

SCRIPT = "tests.processes"
Make = Callable[..., Made]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / ".rft")


@contextmanager
def process(*words: object) -> Iterator[subprocess.Popen[str]]:
    """Run processes.py; it is killed at the end if it still runs."""
    running = subprocess.Popen(
        [sys.executable, "-m", SCRIPT, *map(str, words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    with running:
        try:
            yield running
        finally:
            running.kill()


def line(running: subprocess.Popen[str]) -> str:
    assert running.stdout is not None
    return running.stdout.readline().strip()


def text_of(store: Store, name: str) -> str:
    return str(open_registry(store.home).load(name).polars()["text"].item())


def writable(folder: Path) -> Path:
    for file in folder.iterdir():
        file.chmod(0o644)
    return folder


# -- publishing -----------------------------------------------------------------------------------------------------


def test_opening_a_store_creates_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / ".rft")
    assert store.stamps() == {}
    assert store.get(parse_id("a@1")) is None
    assert store.highest("a") is None
    assert (store.sweep(), store.leftovers()) == (0, 0)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_visible_before_it_is_published(store: Store) -> None:
    with store.draft(parse_id("a@1")) as draft:
        record = record_of(draft, "text")
        (draft.folder / "artifact.json").write_text(record.model_dump_json())
        assert store.stamps() == {}
        assert store.get(parse_id("a@1")) is None
        assert store.highest("a") is None
        assert not store.artifacts.exists()
        assert draft.publish(record) is True
        assert store.get(parse_id("a@1")) is not None
    assert [str(id) for id in store.stamps()] == ["a@1"]
    assert text_of(store, "a@1") == "text"
    assert list(store.temporary.iterdir()) == []


def test_a_draft_that_is_given_up_leaves_nothing(store: Store) -> None:
    with store.draft(parse_id("a@1")) as draft:
        record_of(draft, "text")
    assert list(store.temporary.iterdir()) == []
    assert not store.artifacts.exists()


def test_the_same_content_twice_is_a_success_that_is_not_new(store: Store) -> None:
    assert register(store, "a@1", "text") is True
    stamp = store.stamps()
    assert register(store, "a@1", "text") is False
    assert store.stamps() == stamp
    assert list(store.temporary.iterdir()) == []


def test_other_content_is_a_conflict_that_shows_both(store: Store) -> None:
    register(store, "a@1", "text")
    was = store.require(parse_id("a@1")).record.content
    with store.draft(parse_id("a@1")) as draft:
        record = record_of(draft, "other")
        with pytest.raises(Conflict) as caught:
            draft.publish(record)
    assert caught.value.exit_code == 3
    assert f"{was[:12]} is there, {record.content[:12]} is this one" in str(caught.value)
    assert "another version" in str(caught.value)
    assert text_of(store, "a@1") == "text"
    assert list(store.temporary.iterdir()) == []


def test_an_empty_folder_in_the_way_is_taken(store: Store) -> None:
    store.folder(parse_id("a@1")).mkdir(parents=True)
    assert store.get(parse_id("a@1")) is None
    assert register(store, "a@1", "text") is True
    assert text_of(store, "a@1") == "text"


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_something_else_in_the_way_is_a_conflict_and_stays(store: Store, kind: str) -> None:
    target = store.folder(parse_id("a@1"))
    target.parent.mkdir(parents=True)
    if kind == "folder":
        target.mkdir()
        (target / "notes.txt").write_text("mine")
    else:
        target.write_text("mine")
    with pytest.raises(Conflict, match=r"is in the way and holds no artifact\.json\. Move it away"):
        register(store, "a@1", "text")
    assert (target / "notes.txt" if kind == "folder" else target).read_text() == "mine"
    assert store.stamps() == {}


def test_a_dev_artifact_is_replaced(store: Store) -> None:
    for text in ("one", "two", "two", "three"):
        assert register(store, "a@dev", text) is True
        assert text_of(store, "a@dev") == text
        assert text_of(store, "a") == text
    assert list(store.temporary.iterdir()) == []


def test_a_dev_artifact_that_was_replaced_meanwhile_is_not_called_damaged(store: Store) -> None:
    register(store, "a@dev", "one")
    old = store.require(parse_id("a@dev"))
    register(store, "a@dev", "another text")
    assert store.check(old) == store.require(parse_id("a@dev"))
    store.remove(parse_id("a@dev"))
    with pytest.raises(NotFound, match="a@dev is not built"):
        store.check(old)


def test_a_dev_artifact_is_the_highest_only_if_there_is_no_other(store: Store) -> None:
    register(store, "a@dev", "dev")
    assert text_of(store, "a") == "dev"
    for version in (2, 10, 9):
        register(store, f"a@{version}", f"text {version}")
    assert store.highest("a") == parse_id("a@10")
    assert text_of(store, "a") == "text 10"


def test_a_published_artifact_cannot_be_written_by_accident(store: Store) -> None:
    register(store, "a@1", "text")
    files = list(store.folder(parse_id("a@1")).iterdir())
    assert sorted(file.name for file in files) == ["artifact.json", "rows.parquet"]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o444}


def test_files_in_folders_are_published_too(store: Store) -> None:
    with store.draft(parse_id("a@1")) as draft:
        (draft.folder / "weights" / "part").mkdir(parents=True)
        (draft.folder / "weights" / "part" / "1.bin").write_bytes(b"1234")
        record = record_of(draft, "text")
        draft.publish(record)
    stored = store.require(parse_id("a@1"))
    assert [file.name for file in stored.record.files] == ["rows.parquet", "weights/part/1.bin"]
    assert store.damage(stored, thorough=True) is None
    file = stored.file("weights/part/1.bin")
    assert file is not None
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"1234", 0o444)
    store.remove(parse_id("a@1"))
    assert not store.folder(parse_id("a@1")).exists()


def test_a_draft_whose_folder_was_taken_away_is_not_published(store: Store) -> None:
    with store.draft(parse_id("a@1")) as draft:
        record = record_of(draft, "text")
        shutil.rmtree(draft.folder)
        with pytest.raises(FileNotFoundError):
            draft.publish(record)
    assert store.stamps() == {}


# -- removing -------------------------------------------------------------------------------------------------------


def test_what_is_removed_is_gone(store: Store) -> None:
    register(store, "a@1", "one")
    register(store, "a@2", "two")
    store.remove(parse_id("a@1"))
    assert [str(id) for id in store.stamps()] == ["a@2"]
    store.remove(parse_id("a@2"))
    assert store.stamps() == {}
    assert store.highest("a") is None
    assert list(store.temporary.iterdir()) == []
    assert register(store, "a@2", "other") is True


def test_what_is_not_there_cannot_be_removed(store: Store) -> None:
    with pytest.raises(NotFound, match="a@1 is not built"):
        store.remove(parse_id("a@1"))
    assert list(store.temporary.iterdir()) == []


def test_what_is_not_built_offers_near_names(store: Store) -> None:
    register(store, "gsm8k-train@1", "text")
    with pytest.raises(NotFound, match=r"gsm8k-trian@1 is not built.*Did you mean gsm8k-train@1\?"):
        store.require(parse_id("gsm8k-trian@1"))


# -- dead and living writers ----------------------------------------------------------------------------------------


def test_a_sweep_removes_what_dead_writers_left_and_nothing_else(store: Store) -> None:
    with process("hold", store.home) as dead, process("hold", store.home) as alive:
        left, kept = line(dead), line(alive)
        dead.kill()
        dead.wait()
        with store.draft(parse_id("mine@1")) as draft:
            assert store.leftovers() == 1
            assert store.sweep() == 1
            assert (store.leftovers(), store.sweep()) == (0, 0)
            names = {path.name for path in store.temporary.iterdir()}
            assert left not in names
            assert names == {kept, f"{kept}.lock", draft.folder.name, f"{draft.folder.name}.lock"}
            assert (store.temporary / kept / "rows.parquet").read_bytes() == b"half"
            assert draft.publish(record_of(draft, "text")) is True
    assert store.sweep() == 1
    assert list(store.temporary.iterdir()) == []


def test_a_removal_that_was_cut_off_is_swept_up(store: Store) -> None:
    register(store, "a@1", "text")
    draft = store.draft(parse_id("a@1"))
    store.folder(parse_id("a@1")).rename(draft.folder / "removed")
    draft._lock.close()  # as the death of its process does
    assert store.stamps() == {}
    assert store.sweep() == 1
    assert list(store.temporary.iterdir()) == []


# -- damage ---------------------------------------------------------------------------------------------------------


def flip(file: Path, at: int = 10) -> None:
    data = bytearray(file.read_bytes())
    data[at] ^= 1
    file.chmod(0o644)
    file.write_bytes(data)


@pytest.mark.parametrize("thorough", [False, True])
def test_each_damage_is_told_apart(store: Store, thorough: bool) -> None:
    def damage() -> str:
        return str(store.damage(store.require(parse_id("a@1")), thorough=thorough))

    register(store, "a@1", "text")
    assert damage() == "None"
    file = writable(store.folder(parse_id("a@1"))) / "rows.parquet"
    whole = file.read_bytes()
    flip(file)
    assert damage() == "rows.parquet has other bytes than were written"
    file.write_bytes(whole[:-1])
    assert damage() == f"rows.parquet has {len(whole) - 1} bytes, {len(whole)} were written"
    file.unlink()
    assert damage() == "rows.parquet is missing"
    file.write_bytes(whole)
    assert damage() == "None"


def test_a_damaged_artifact_is_not_read_and_the_cure_is_said(store: Store) -> None:
    register(store, "a@1", "text")
    flip(store.folder(parse_id("a@1")) / "rows.parquet")
    with pytest.raises(
        Corrupt, match=r"a@1: rows\.parquet has other bytes.*`rft rm a@1` removes it, `rft build a@1`"
    ) as caught:
        open_registry(store.home).load("a@1")
    assert caught.value.exit_code == 6


def test_a_file_that_was_only_touched_is_fine(store: Store) -> None:
    register(store, "a@1", "text")
    file = store.folder(parse_id("a@1")) / "rows.parquet"
    os.utime(file, ns=(1, 1))
    assert store.damage(store.require(parse_id("a@1"))) is None
    copied = file.read_bytes()
    file.unlink()
    file.write_bytes(copied)
    assert store.damage(store.require(parse_id("a@1"))) is None


def test_a_damaged_file_stays_damaged_however_often_one_looks(store: Store) -> None:
    register(store, "a@1", "text")
    flip(store.folder(parse_id("a@1")) / "rows.parquet")
    for _ in range(3):
        assert store.damage(store.require(parse_id("a@1"))) == "rows.parquet has other bytes than were written"


def test_verify_finds_damage_that_size_and_time_do_not_show(store: Store) -> None:
    register(store, "a@1", "text")
    file = store.folder(parse_id("a@1")) / "rows.parquet"
    before = file.stat()
    flip(file)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    stored = store.require(parse_id("a@1"))
    assert store.damage(stored) is None  # what was seen once is not hashed again
    assert store.damage(stored, thorough=True) == "rows.parquet has other bytes than were written"


@pytest.mark.parametrize("junk", ["", "{", "[]", '{"rows.parquet": null}', '{"rows.parquet": [1, 2]}', "\0"])
def test_a_damaged_memory_of_what_was_seen_is_no_damage(store: Store, junk: str) -> None:
    register(store, "a@1", "text")
    (store.seen / "a@1.json").write_text(junk)
    assert store.damage(store.require(parse_id("a@1"))) is None
    flip(store.folder(parse_id("a@1")) / "rows.parquet")
    assert store.damage(store.require(parse_id("a@1"))) == "rows.parquet has other bytes than were written"


@pytest.mark.parametrize("junk", ["", "{", "[]", "{}", "null", "\0\0\0", '{"format": 2}'])
def test_a_damaged_record_is_corrupt_and_the_cure_is_said(store: Store, junk: str) -> None:
    register(store, "a@1", "text")
    register(store, "b@1", "other")
    (writable(store.folder(parse_id("a@1"))) / "artifact.json").write_text(junk)
    with pytest.raises(Corrupt, match=r"a@1: .*artifact\.json is damaged.*`rft rm a@1` and build it again") as caught:
        store.get(parse_id("a@1"))
    assert caught.value.exit_code == 6
    with pytest.raises(Corrupt, match=r"artifact\.json is damaged"):
        register(store, "a@1", "text")
    assert text_of(store, "b@1") == "other"
    assert open_registry(store.home).sql("select name from artifacts").rows() == [("b",)]
    store.remove(parse_id("a@1"))
    assert register(store, "a@1", "text") is True


def test_a_folder_that_was_copied_by_hand_is_not_another_artifact(store: Store) -> None:
    register(store, "a@1", "text")
    shutil.copytree(store.folder(parse_id("a@1")), store.folder(parse_id("a@2")))
    with pytest.raises(Corrupt, match=r"a@2: .*artifact\.json is the record of a@1"):
        store.get(parse_id("a@2"))


def test_a_record_from_a_later_version_may_say_more(store: Store) -> None:
    register(store, "a@1", "text")
    record = writable(store.folder(parse_id("a@1"))) / "artifact.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"new": 1}))
    assert text_of(store, "a@1") == "text"


# -- many processes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", ["none", "old", "new"])
def test_a_store_that_may_not_be_written_can_be_read(index: str) -> None:
    with tempfile.TemporaryDirectory() as folder:  # tmp_path lies in a folder that is closed to other users
        Path(folder).chmod(0o755)
        store = Store(Path(folder) / ".rft")
        register(store, "b@1", "text")
        if index == "old":
            open_registry(store.home).artifacts()
        register(store, "a@1", "text")
        if index == "new":
            open_registry(store.home).artifacts()
        shutil.rmtree(store.seen)
        folders = [store.home, *(path for path in store.home.rglob("*") if path.is_dir())]
        for path in folders:
            path.chmod(0o555)
        try:
            with process("read_only", store.home, "a@1") as reader:
                out, err = reader.communicate()
            assert err == ""
            assert reader.returncode == 0
            assert out.split("\n") == ["1", "1", "1", "None", ""]
        finally:
            for path in folders:
                path.chmod(0o755)


def test_400_registrations_at_once_lose_none_while_others_query(tmp_path: Path) -> None:
    store = Store(tmp_path / ".rft")
    writers = [["register", store.home, n, 50] for n in range(8)]
    readers = [["query", store.home]] * 2
    running = [
        subprocess.Popen(
            [sys.executable, "-m", SCRIPT, *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for words in writers + readers
    ]
    try:
        for one in running:
            assert line(one) == "ready"
        (tmp_path / "start").touch()
        ends = [one.communicate(timeout=60) for one in running[:8]]
        (tmp_path / "stop").touch()
        counts = [one.communicate(timeout=60) for one in running[8:]]
    finally:
        for one in running:
            one.kill()
    assert [(one.returncode, err) for one, (_, err) in zip(running, ends + counts, strict=True)] == [(0, "")] * 10
    for out, _ in counts:
        seen, queries = map(int, out.split())
        assert seen == 400
        assert queries > 1
    assert len(store.stamps()) == 400
    found = open_registry(store.home).sql("select name, version from artifacts").rows()
    assert sorted(found) == sorted((f"a{n}", version) for n in range(8) for version in range(1, 51))
    assert list(store.temporary.iterdir()) == []


def test_of_two_builders_of_one_name_with_other_content_one_wins(store: Store) -> None:
    with store.draft(parse_id("a@1")) as first, store.draft(parse_id("a@1")) as second:
        records = record_of(first, "one"), record_of(second, "two")
        assert second.publish(records[1]) is True
        with pytest.raises(Conflict, match="another build with other content"):
            first.publish(records[0])
    assert text_of(store, "a@1") == "two"


def test_of_builders_in_other_processes_one_wins_and_the_others_conflict(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from pathlib import Path; from tests.processes import register, wait_for\n"
        "from registry.errors import Conflict; from registry.store.store import Store\n"
        "home = Path(sys.argv[1]); wait_for(home.with_name('start')); wins = []\n"
        "for n in range(1, 41):\n"
        "    try: wins.append(n) if register(Store(home), f'a@{n}', sys.argv[2]) else None\n"
        "    except Conflict: pass\n"
        "print(*wins)\n"
    )
    home = tmp_path / ".rft"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", script, home, text], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
        )
        for text in ("one", "two", "three")
    ]
    try:
        for one in running:
            assert line(one) == "ready"
        (tmp_path / "start").touch()
        ends = [one.communicate(timeout=60) for one in running]
    finally:
        for one in running:
            one.kill()
    assert [err for _, err in ends] == [""] * 3
    wins = {text: [int(n) for n in out.split()] for text, (out, _) in zip(("one", "two", "three"), ends, strict=True)}
    assert sorted(n for won in wins.values() for n in won) == list(range(1, 41))
    store = Store(home)
    assert all(text_of(store, f"a@{n}") == text for text, won in wins.items() for n in won)


def test_what_is_removed_registered_and_swept_at_once_is_never_a_conflict(store: Store) -> None:
    def churn(seed: int) -> None:
        dice = random.Random(seed)
        for _ in range(60):
            name = f"a@{dice.choice((1, 2, 'dev'))}"
            register(store, name, "text")
            if dice.random() < 0.3:
                assert store.sweep() == 0
            if dice.random() < 0.7:
                with suppress(NotFound):
                    store.remove(parse_id(name))

    with ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(churn, seed) for seed in range(6)]:
            done.result()
    assert list(store.temporary.iterdir()) == []
    assert all(text_of(store, str(id)) == "text" for id in store.stamps())


# -- builds that are killed -----------------------------------------------------------------------------------------


def many_samples(workspace: Workspace) -> None:
    """Add 400 questions, 4,000 samples of them and a rejection set, whose build takes a while in small chunks."""
    rows = [
        {"question": f"What is {n} more than {m}?", "answer": f"{m}+{n}=<<{m}+{n}={m + n}>>{m + n}\n#### {m + n}"}
        for m in range(20)
        for n in range(20)
    ]
    workspace.write("many.jsonl", rows)
    workspace.write(
        "samples.jsonl",
        [
            {"question": row["question"], "completion": f"{draw}+0=<<{draw}+0={draw}>>{draw}. {row['answer']}", "draw": draw}
            for row in rows
            for draw in range(10)
        ],
    )
    workspace.add(
        "many@1: {builder: questions_file, params: {path: many.jsonl, sha256: ?}}",
        "samples@1: {builder: samples_file, inputs: [many@1], params: {path: samples.jsonl, sha256: ?}}",
        "kept@1: {builder: rejection, inputs: [many@1, samples@1]}",
    )
    workspace.build("samples@1")


def test_a_build_that_is_killed_leaves_nothing_and_the_next_one_gives_the_same(workspace: Workspace) -> None:
    many_samples(workspace)
    store, id = workspace.store, parse_id("kept@1")
    words = ["make", workspace.file, "kept@1", 20]
    with process(*words) as undisturbed:
        assert line(undisturbed) == "ready"
        began = time.monotonic()
        out, err = undisturbed.communicate("go\n")
        lasted = time.monotonic() - began
    assert err == ""
    content = out.split()[0]
    record = store.require(id).record
    store.remove(id)
    dice = random.Random(0)
    killed = 0
    for _ in range(40):
        moment = lasted * dice.random()
        with process(*words) as victim:
            assert line(victim) == "ready"
            assert victim.stdin is not None
            victim.stdin.write("go\n")
            victim.stdin.flush()
            time.sleep(moment)
            victim.kill()
            victim.wait()
        there = store.get(id)
        if there is None:
            killed += 1
            assert id not in store.stamps()
            assert not store.folder(id).exists()
            assert open_registry(store.home).sql("select count(*) from artifacts where name = 'kept'").item() == 0
        else:  # it was quicker than the first one
            lasted = moment
            assert there.record.content == content
            assert store.damage(there, thorough=True) is None
            store.remove(id)
        if killed == 10:
            break
    assert killed == 10
    assert len(list(store.temporary.iterdir())) > 0
    store.sweep()
    assert list(store.temporary.iterdir()) == []
    workspace.build("kept@1")
    again = store.require(id).record
    assert again.content == content
    assert (again.rows, again.drops, again.facts) == (record.rows, record.drops, record.facts)
    assert [file.name for file in again.files] == [file.name for file in record.files]
    assert list(store.temporary.iterdir()) == []


DIES = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
from registry.names import parse_id
from registry.store.record import Record
from registry.store.store import Store

store, id = Store(Path(sys.argv[1])), parse_id(sys.argv[2])

def publish(text, lines):
    with store.draft(id) as draft:
        (draft.folder / "rows.parquet").write_bytes(text)
        record = Record(
            name=id.name, version=id.version, kind="dataset", maker="text", edition=1, inputs=[], params={}, content=text.hex().ljust(64, "0"),
            rows=1, drops={}, facts={}, files=draft.files(), provenance={}, built_at=datetime(2024, 1, 1),
        )
        def trace(frame, event, argument):
            nonlocal lines
            lines -= event == "line" and frame.f_code.co_filename.endswith(("draft.py", "store.py"))
            if lines < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return trace
        sys.settrace(trace)
        draft.publish(record)
    sys.settrace(None)

for lines in range(1000):
    if id.is_dev:
        publish(b"old", 10_000)
    child = os.fork()  # nothing here has threads
    if not child:
        publish(b"new", lines)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    found = store.get(id)
    seen = "nothing" if found is None else bytes.fromhex(found.record.content[:6]).decode()
    assert found is None or (store.damage(found, thorough=True), found.file("rows.parquet").read_text()) == (None, seen)
    store.sweep()
    assert list(store.temporary.iterdir()) == [], lines
    print(lines, seen)
    if status == 0:
        break
    if found is not None:
        store.remove(id)
"""


@pytest.mark.parametrize(("name", "states"), [("a@1", ["nothing", "new"]), ("a@dev", ["old", "nothing", "new"])])
def test_a_publish_that_dies_at_any_line_leaves_all_or_nothing(store: Store, name: str, states: list[str]) -> None:
    ran = subprocess.run([sys.executable, "-c", DIES, store.home, name], capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")
    seen = [line.split()[1] for line in ran.stdout.splitlines()]
    assert len(seen) > 30
    assert list(dict.fromkeys(seen)) == states
    assert seen.count("nothing") < 10 or name == "a@1"


def test_a_build_that_fails_leaves_nothing(workspace: Workspace) -> None:
    workspace.write("bad.jsonl", "{\n" * 3)
    workspace.add("bad@1: {builder: questions_file, params: {path: bad.jsonl, sha256: ?}}")
    with pytest.raises(InputError):
        workspace.build("bad@1")
    assert workspace.store.stamps() == {}
    assert list(workspace.store.temporary.iterdir()) == []
    assert not workspace.store.artifacts.exists()


def test_a_build_from_a_damaged_input_is_refused(make: Make, workspace: Workspace) -> None:
    workspace.write("s.jsonl", samples_of({0: ["#### 15"]}))
    make("s@1: {builder: samples_file, inputs: [six@1], params: {path: s.jsonl, sha256: ?}}")
    flip(workspace.store.folder(parse_id("six@1")) / "rows.parquet")
    with pytest.raises(Corrupt, match=r"six@1(?s:.*)rows\.parquet has other bytes"):
        make("kept@1: {builder: rejection, inputs: [six@1, s@1]}")


def test_a_build_whose_content_is_there_already_changes_nothing(make: Make, workspace: Workspace) -> None:
    from registry.build.build import build_one

    first = make("half@1: {builder: fraction, inputs: [six@1], params: {denominator: 2, seed: 42}}")
    stamp = workspace.store.stamps()
    again = build_one(workspace.step("half@1").recipe, workspace.store, workspace.folder)
    assert (again.new, again.record.content) == (False, first.record.content)
    assert workspace.store.stamps() == stamp


def test_the_six_questions_are_stored_as_they_were_given(workspace: Workspace) -> None:
    workspace.build("six@1")
    rows = workspace.made("six@1").rows
    assert rows["question_id"].to_list() == IDS
    assert rows["question"].to_list() == [row["question"] for row in SIX]
    assert rows["response"].to_list() == [row["answer"] for row in SIX]
    assert rows["answer"].to_list() == ["15", "36", "15", "900", "210", "10"]
    assert rows["source_row"].to_list() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        Exception("I/O error: No space left on device (os error 28)"),
        RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0"),
    ],
    ids=["the system's", "of safetensors", "of torch"],
)
def test_a_full_disk_is_known_by_whatever_a_library_says_of_it(error: Exception) -> None:
    with pytest.raises(OutOfResources, match="the disk is full"), no_space_is_an_error():
        raise error
    with pytest.raises(RuntimeError, match="something else"), no_space_is_an_error():
        raise RuntimeError("something else")

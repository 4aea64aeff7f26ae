"""Reading from Python: rows in every form, SQL over one artifact and over all."""

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from registry import open_registry
from registry.errors import Corrupt, NotFound, RftError
from registry.query.index import path as index_path
from tests.workspace import Workspace, samples_of


@pytest.fixture
def full(workspace: Workspace) -> Workspace:
    workspace.write(
        "red.jsonl",
        samples_of({0: ["6*4=<<6*4=24>>24\n24-9=<<24-9=15>>15\n#### 15", "#### 3"], 1: ["12+24=<<12+24=36>>36\n#### 36"]}),
    )
    workspace.add(
        "red@1: {builder: samples_file, inputs: [six@1], params: {path: red.jsonl, sha256: ?}}",
        "set@1: {builder: rejection, inputs: [six@1, red@1], params: {mode: paper}}",
        "set@2: {builder: rejection, inputs: [six@1, red@1]}",
        "scores@1: {eval: gsm8k, inputs: [six@1, red@1], params: {k: 2}}",
    )
    workspace.build("*")
    return workspace


def test_an_artifact_comes_as_polars_arrow_datasets_and_sql(full: Workspace) -> None:
    artifact = open_registry(full.store.home).load("set@1")
    rows = artifact.polars()
    assert artifact.id == "set@1"
    assert rows.height == artifact.record.rows == 8
    assert pl.from_arrow(artifact.arrow()).equals(rows)  # type: ignore[arg-type]
    loaded = artifact.to_datasets()
    assert loaded.num_rows == 8
    assert loaded[0]["response"] == rows["response"][0]
    assert artifact.sql("select count(*) as n from rows where origin = 'red'")["n"].to_list() == [2]
    assert artifact.sql("select verdict, count(*) as n from verdicts group by all order by all").rows() == [
        ("kept", 2),
        ("wrong_answer", 1),
    ]
    assert artifact.sql("select reason from drops").rows() == [("wrong_answer",)]
    assert artifact.sql("select sum(kept) as n from path_stats")["n"][0] == 2
    assert open_registry(full.store.home).load("six@1").sql("select count(*) as n from drops")["n"][0] == 0


def test_a_bare_name_is_the_highest_built_version(full: Workspace) -> None:
    registry = open_registry(full.store.home)
    assert registry.load("set").id == "set@2"
    assert registry.sql('select count(*) as n from "set"').equals(registry.sql('select count(*) as n from "set@2"'))
    assert "set@1" in registry
    assert "set@3" not in registry
    assert "nothing" not in registry


def test_loading_what_was_never_built_or_was_changed_is_an_error(full: Workspace) -> None:
    registry = open_registry(full.store.home)
    with pytest.raises(NotFound, match="Did you mean set"):
        registry.load("sets")
    file = registry.load("set@1").stored.folder / "rows.parquet"
    file.chmod(0o644)
    data = bytearray(file.read_bytes())
    data[100] ^= 255
    file.write_bytes(data)
    with pytest.raises(Corrupt, match="rft rm set@1"):
        registry.load("set@1")


def test_the_tables_hold_what_was_built(full: Workspace) -> None:
    registry = open_registry(full.store.home)
    assert registry.artifacts()["name"].to_list() == ["red", "scores", "set", "set", "six"]
    assert registry.sql("select input from inputs where name = 'set' and version = 1 order by position")["input"].to_list() == [
        "six@1",
        "red@1",
    ]
    assert registry.sql("select reason, rows from drops_by_reason where name = 'set' and version = 1").rows() == [
        ("wrong_answer", 1)
    ]
    columns = ["name", "version", "question_id", "draws", "right_answers", "accepted", "paths", "paths_canonical"]
    columns += ["paths_with_human", "paths_canonical_with_human", "kept"]
    stats = registry.sql("select * from path_stats where name = 'set' and version = 1")
    assert stats.columns == columns
    assert stats.height == 6  # unsolved questions included
    assert stats["draws"].sum() == 3
    assert registry.sql("select metric, n from scores where metric = 'pass@2'").rows() == [("pass@2", 6)]


def test_what_is_removed_leaves_the_tables(full: Workspace) -> None:
    registry = open_registry(full.store.home)
    assert "scores" in registry.artifacts()["name"].to_list()
    full.store.remove(registry.resolve("scores@1"))
    full.store.remove(registry.resolve("set@2"))
    assert registry.artifacts()["name"].to_list() == ["red", "set", "six"]
    assert registry.sql("select count(*) as n from scores")["n"][0] == 0
    assert registry.sql('select count(*) as n from "set"')["n"][0] == 8
    with pytest.raises(RftError, match="does not exist"):
        registry.sql('select * from "scores@1"')


def test_an_index_of_another_folder_or_none_is_made_anew(full: Workspace, tmp_path: Path) -> None:
    registry = open_registry(full.store.home)
    registry.artifacts()
    moved = full.folder / "moved"
    full.store.home.rename(moved)
    assert open_registry(moved).sql('select count(*) as n from "set@1"')["n"][0] == 8
    index_path(open_registry(moved).store).unlink()
    assert open_registry(moved).artifacts().height == 5
    assert open_registry(tmp_path / "empty").artifacts().height == 0


def test_users_own_duckdb_opens_the_index(full: Workspace) -> None:
    open_registry(full.store.home).artifacts()
    with duckdb.connect(str(full.store.home / "registry.duckdb"), read_only=True) as connection:
        assert connection.execute('select count(*) from "set@1"').fetchone() == (8,)
    # Storage version 64 is what every DuckDB since 1.0 reads.
    assert b"DUCK" in (full.store.home / "registry.duckdb").read_bytes()[:20]


def test_threads_query_at_once_and_an_open_reader_keeps_what_it_sees(full: Workspace) -> None:
    registry = open_registry(full.store.home)
    found, errors = [], []

    def ask() -> Any:
        try:
            found.append(registry.sql("select count(*) as n from artifacts")["n"][0])
        except Exception as error:  # collected, and asserted on below
            errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert found == [5] * 8


def test_a_lock_that_is_held_does_not_stop_readers_for_ever(full: Workspace) -> None:
    registry = open_registry(full.store.home)
    registry.artifacts()
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"from registry.files import locked; import time; from pathlib import Path; held = locked(Path({str(index_path(registry.store)) + '.lock'!r})); held.__enter__(); print(1, flush=True); time.sleep(60)",
        ],
        stdout=subprocess.PIPE,
    )
    try:
        holder.stdout.read(1)  # type: ignore[union-attr]
        assert registry.artifacts().height == 5  # nothing is new: no lock is needed
    finally:
        holder.kill()
        holder.communicate()


@pytest.mark.parametrize(
    "query",
    [
        "select sum(rows) as n from artifacts",
        "select [1, 2] as n",
        "select {'a': 1} as n",
        "select built_at as n from artifacts limit 1",
    ],
)
@pytest.mark.parametrize("form", ["--json", "--csv", None])
def test_every_type_prints_in_every_form(full: Workspace, query: str, form: str | None) -> None:
    from tests.rft.test_cli import rft

    out, _ = rft("sql", query, *([form] if form else []), cwd=full.folder)
    assert "n" in out


def test_one_damaged_artifact_does_not_hide_the_others(full: Workspace) -> None:
    registry = open_registry(full.store.home)
    for name, text in (("set@1", None), ("scores@1", b"garbage")):
        file = full.stored(name).folder / "rows.parquet"
        file.chmod(0o644)
        file.unlink() if text is None else file.write_bytes(text)
    assert registry.artifacts()["name"].to_list() == ["red", "scores", "set", "set", "six"]
    assert registry.sql('select count(*) as n from "set"')["n"][0] == 7
    with pytest.raises(RftError, match="set@1"):
        registry.sql('select * from "set@1"')


def test_a_file_that_is_lost_later_is_named_and_verify_is_offered(full: Workspace) -> None:
    registry = open_registry(full.store.home)
    registry.artifacts()
    (full.stored("set@1").folder / "rows.parquet").unlink()
    with pytest.raises(RftError, match="rft verify"):
        registry.sql('select * from "set@1"')


def test_a_file_that_comes_back_is_found_again(full: Workspace) -> None:
    registry = open_registry(full.store.home)
    file = full.stored("set@2").folder / "rows.parquet"
    aside = full.folder / "aside"
    file.rename(aside)
    assert registry.artifacts().height == 5
    with pytest.raises(RftError, match="set@2"):
        registry.sql('select * from "set@2"')
    aside.rename(file)
    assert registry.sql('select count(*) as n from "set@2"')["n"][0] == 7
    assert registry.artifacts().height == 5


def test_lost_counts_do_not_stop_what_is_built_later(full: Workspace) -> None:
    registry = open_registry(full.store.home)
    registry.artifacts()
    (full.stored("set@1").folder / "path_stats.parquet").unlink()
    full.add("half@1: {builder: fraction, inputs: [six@1], params: {denominator: 2, seed: 1}}")
    full.build("half")
    assert registry.artifacts().height == 6
    assert registry.sql("select count(*) as n from path_stats where name = 'set'")["n"][0] == 6
    assert "no such thing" not in registry
    assert "Bad@1" not in registry

"""Shapes grow by a nullable column each, and artifacts written before and after go through everything together."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from registry import rows
from registry.build.writer import Writer
from registry.catalog.read import read
from registry.maker import Tables
from registry.names import parse_id
from registry.query.api import Registry
from registry.rows import Column, Shape
from rft.export.export import export
from rft.publish.gate.check import check
from rft.publish.remote.layout import lay_out
from rft.publish.remote.pull import pull
from rft.publish.remote.push import push
from rft.reports.diff import difference
from rft.reports.paths import statistics
from tests.fakehub import Hub, pointing_at, running
from tests.workspace import SIX, Workspace, samples_of

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

GROWN = ("QUESTIONS", "SAMPLES", "TRAINING", "VERDICTS", "PATH_STATS", "SCORES")
LATE = {name: f"late_{name.lower()}" for name in GROWN}
REPO = "someone/wide"
TEXTS = {
    "red": {0: ["6*4=<<6*4=24>>24, 24-9=<<24-9=15>>15\n#### 15", "#### 3"], 1: ["12+3*8=<<12+3*8=36>>36\n#### 36", "no"]},
    "blue": {0: ["4*6-9=<<4*6-9=15>>15\n#### 15"], 4: ["15*7=<<15*7=105>>105, 105*2=<<105*2=210>>210\n#### 210"]},
}


@pytest.fixture
def old(workspace: Workspace) -> Workspace:
    """Questions, and samples, a rejection set and scores of `red`: built before the shapes grew."""
    workspace.write("six.jsonl", SIX)
    workspace.add("six@1: {builder: questions_file, params: {path: six.jsonl, sha256: ?, role: train, licence: mit}}")
    for name, texts in TEXTS.items():
        workspace.write(f"{name}.jsonl", samples_of(texts))
        workspace.write(f"{name}-six.jsonl", SIX)
        workspace.add(
            f"{name}-six@1: {{builder: questions_file, params: {{path: {name}-six.jsonl, sha256: ?, role: train, licence: mit}}}}",
            f"{name}@1: {{builder: samples_file, inputs: [{name}-six@1], params: {{path: {name}.jsonl, sha256: ?, licence: mit}}}}",
            f"{name}-rft@1: {{builder: rejection, inputs: [{name}-six@1, {name}@1]}}",
            f"{name}-scores@1: {{eval: gsm8k, inputs: [{name}-six@1, {name}@1], params: {{k: 1}}}}",
        )
    workspace.add(
        "both@1: {builder: union, inputs: [red-rft@1, blue-rft@1]}",
        "same@1: {builder: rejection, inputs: [red-six@1, red@1]}",
    )
    workspace.build("red-rft", "red-scores")
    return workspace


@pytest.fixture
def both(old: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The same, and `blue` and the union of both, built when each shape had a column more; what made `blue` fills it."""
    grow(monkeypatch)
    write = Writer.write

    def filling(self: Writer, tables: Tables) -> None:
        if self.where.startswith("blue"):
            frames = {name: getattr(tables, name) for name in ("rows", "verdicts", "path_stats")}
            shapes = {"rows": self.shape, "verdicts": rows.VERDICTS, "path_stats": rows.PATH_STATS}
            grown = {n: f if f is None else f.with_columns(_numbered(shapes[n])) for n, f in frames.items()}
            assert grown["rows"] is not None
            tables = Tables(grown["rows"], grown["verdicts"], grown["path_stats"], tables.facts)
        write(self, tables)

    monkeypatch.setattr(Writer, "write", filling)
    old.build("both", "blue-scores")
    return old


def grow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add a column to each shape, as a line more in registry/rows.py does."""
    for name, column in LATE.items():
        monkeypatch.setitem(getattr(rows, name).columns, column, Column(pl.Int64, f"of {name}", later=True))


def _numbered(shape: Shape) -> pl.Expr:
    return pl.int_range(1, pl.len() + 1).alias(LATE[shape.name])


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with running() as hub, pointing_at(hub, tmp_path / "hf"):
        yield hub


def test_old_and_new_are_read_with_the_columns_of_today(both: Workspace) -> None:
    load = both.registry.load
    assert load("red-six").polars()[LATE["QUESTIONS"]].to_list() == [None] * 6
    assert load("blue-six").polars()[LATE["QUESTIONS"]].to_list() == [1, 2, 3, 4, 5, 6]
    assert load("red").polars()[LATE["SAMPLES"]].is_null().all()
    assert load("blue").polars()[LATE["SAMPLES"]].to_list() == [1, 2]
    assert load("red-rft").graded()[LATE["VERDICTS"]].is_null().all()
    assert load("red-rft").arrow().column_names == load("blue-rft").arrow().column_names
    assert load("blue-rft").record.columns["rows"] == list(rows.TRAINING.columns)
    assert {step.state for step in both.plan().values()} == {"ok", "build"}


def test_a_union_of_old_and_new_keeps_what_the_new_knows(both: Workspace) -> None:
    made = both.made("both@1")
    source = pl.col("source").str.split("@").list.first()
    kept = dict(made.rows.filter(origin=pl.lit("blue")).select("draw", LATE["TRAINING"]).iter_rows())
    assert set(kept.values()) <= set(both.made("blue-rft@1").rows[LATE["TRAINING"]])
    assert None not in kept.values()
    assert made.rows.filter(source == "red")[LATE["TRAINING"]].is_null().all()
    assert made.verdicts is not None
    late = made.verdicts.group_by(source).agg(pl.col(LATE["VERDICTS"]).is_null().all()).sort("source")
    assert late.rows() == [("blue", False), ("red", True)]


def test_what_holds_no_new_value_has_the_content_that_it_had(both: Workspace) -> None:
    both.build("same")
    assert both.stored("same@1").record.content == both.stored("red-rft@1").record.content
    assert both.stored("same@1").record.columns != both.stored("red-rft@1").record.columns


def test_sql_unites_them_by_name(both: Workspace) -> None:
    sql = both.registry.sql
    for name, late in (("red-rft", [0]), ("blue-rft", [8])):
        assert sql(f'select count({LATE["TRAINING"]}) as n from "{name}@1"')["n"].to_list() == late
    assert sql(f'select count({LATE["VERDICTS"]}) as n from "red-rft@1/verdicts"')["n"].item() == 0
    stats = sql(f"select name, count(*) as n, count({LATE['PATH_STATS']}) as late from path_stats group by all order by all")
    counted = {"blue-rft": (6, 6), "blue-scores": (6, 6), "both": (6, 0), "red-rft": (6, 0), "red-scores": (6, 0)}
    assert {name: (n, late) for name, n, late in stats.iter_rows()} == counted
    scores = sql(f"select name, min({LATE['SCORES']}) as least from scores group by all order by all")
    assert scores.rows() == [("blue-scores", 1), ("red-scores", None)]
    assert sql("select count(*) as n from artifacts")["n"].item() == 9


def test_statistics_diff_and_export_take_both(both: Workspace, tmp_path: Path) -> None:
    load = both.registry.load
    counts = {name: statistics(load(name)) for name in ("red-rft", "blue-rft", "both", "red-scores", "blue-scores")}
    assert counts["both"].solved == 3
    assert difference(load("red-rft"), load("both")).counts["solved_gained"] == 1
    for name in ("red-rft", "blue-rft", "both"):
        written = export(both.registry, name, "parquet", tmp_path / f"{name}.parquet")
        assert pl.read_parquet(tmp_path / f"{name}.parquet").columns == list(rows.TRAINING.columns) == written.columns


def test_both_are_checked_pushed_and_pulled(both: Workspace, hub: Hub, tmp_path: Path) -> None:
    names = ("red-rft@1", "blue-rft@1", "both@1", "red-scores@1", "blue-scores@1", "red@1", "blue@1")
    checked = check(both.registry, read(both.file), [parse_id(name) for name in names])
    assert not [finding for one in checked for finding in one.stops]
    push([lay_out(one) for one in checked], REPO)
    assert LATE["TRAINING"] in hub.repo(REPO).files()["README.md"].decode()
    home = Registry(tmp_path / "home")
    pull(home.store, REPO)
    for name in names:
        here, there = both.registry.load(name), home.load(name)
        assert difference(here, there).identical
        assert here.record.columns == there.record.columns
        assert here.polars().equals(there.polars())


def test_a_version_that_does_not_know_the_columns_reads_and_checks_what_has_them(
    old: Workspace, monkeypatch: pytest.MonkeyPatch, hub: Hub, tmp_path: Path
) -> None:
    with monkeypatch.context() as newer:
        grow(newer)
        write = Writer.write
        newer.setattr(
            Writer,
            "write",
            lambda self, tables: write(
                self,
                Tables(tables.rows.with_columns(_numbered(self.shape)), tables.verdicts, tables.path_stats, tables.facts),
            ),
        )
        old.build("blue-rft")
    checked = check(old.registry, read(old.file), [parse_id("blue-rft@1")])
    assert not checked[0].stops
    push([lay_out(checked[0])], REPO)
    home = Registry(tmp_path / "home")
    pull(home.store, REPO)
    assert home.load("blue-rft").polars().columns == list(rows.TRAINING.columns)
    assert home.sql('select * from "blue-rft@1"').columns == list(rows.TRAINING.columns)
    old.build("both")
    assert old.made("both@1").rows.columns == list(rows.TRAINING.columns)

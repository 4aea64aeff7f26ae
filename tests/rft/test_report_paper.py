"""The paper's tables in a report, with one's own models and sets below the paper's numbers."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from registry.names import ArtifactId, parse_id
from registry.query.api import Registry
from registry.rows import SCORES
from registry.store.record import InputRecord, Kind, Record, files_in
from registry.store.store import Store
from rft.reports.site.pages import page, site
from rft.reports.site.paper import laws_page, paper_tables
from rft.reports.table import Table
from tests.report_store import no_licences, planted

TRAINED = {"parameters": 10**6, "tokens": 10**6, "seconds": 7200.0, "device": "2 x NVIDIA H100"}
CONTENT = "0" * 64


def put(
    store: Store,
    name: str,
    kind: Kind,
    maker: str,
    inputs: Sequence[str] = (),
    params: Mapping[str, Any] | None = None,
    facts: Mapping[str, Any] | None = None,
    rows_are: str | None = None,
    scores: Mapping[str, float] | None = None,
) -> None:
    """Put an artifact into a store as if its maker had been there; an eval has the scores of its second input's model."""
    folder = store.folder(ArtifactId(name, 1))
    folder.mkdir(parents=True)
    if scores:
        model = name.removesuffix("-scores")
        rows = [
            {"model": f"{model}@1", "dataset": "test@1", "metric": m, "value": v, "low": v, "high": v, "n": 9}
            for m, v in scores.items()
        ]
        SCORES.fit(pl.DataFrame(rows), name).write_parquet(folder / "rows.parquet")
    record = Record(
        name=name,
        version=1,
        kind=kind,
        maker=maker,
        edition=1,
        inputs=[InputRecord(id=f"{each}@1", content=CONTENT) for each in inputs],
        params=dict(params or {}),
        rows_are=rows_are,
        content=CONTENT,
        rows=len(scores or ()),
        drops={},
        facts=dict(facts or {}),
        files=files_in(folder),
        provenance={},
        built_at=datetime(2024, 1, 1, tzinfo=UTC),
    )
    (folder / "artifact.json").write_text(record.model_dump_json())


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """A base of the paper and one of one's own, each fine-tuned on a quarter of the questions, and on a rejection set."""
    made = Registry(tmp_path_factory.mktemp("own") / ".rft")
    store = made.store
    put(store, "train", "dataset", "gsm8k", rows_are="QUESTIONS")
    put(store, "test", "dataset", "gsm8k", rows_are="QUESTIONS")
    put(store, "quarter", "dataset", "fraction", ["train"], {"denominator": 4, "part": "in"}, rows_are="QUESTIONS")
    for base in ("llama2-7b", "tiny"):
        put(store, base, "model", "hub", facts={"loss": 1.75})
        put(store, f"{base}-sft", "model", "sft", [base, "quarter"], {"epochs": 12, "seed": 0}, TRAINED | {"loss": 1.75})
        put(store, f"{base}-drawn", "dataset", "samples", ["train", f"{base}-sft"], {"k": 100}, rows_are="SAMPLES")
        sources = {"sources": [f"{base}-drawn@1"], "key": "paper"}
        put(
            store,
            f"{base}-set",
            "dataset",
            "rejection",
            ["train", f"{base}-drawn"],
            {"select": "farthest"},
            sources,
            "TRAINING",
        )
        put(store, f"{base}-rft", "model", "sft", [base, f"{base}-set"], {"epochs": 3, "seed": 0}, TRAINED | {"loss": 1.75})
        for arm, value in (("sft", 0.256), ("rft", 0.481)):
            put(
                store,
                f"{base}-{arm}-asked",
                "dataset",
                "samples",
                ["test", f"{base}-{arm}"],
                {"k": 1, "temperature": 0.0},
                rows_are="SAMPLES",
            )
            asked = ["test", f"{base}-{arm}-asked"]
            put(
                store,
                f"{base}-{arm}-scores",
                "eval",
                "gsm8k",
                asked,
                rows_are="SCORES",
                scores={"maj1@1": value, "maj1@8": 0.5},
            )
    return made


def cell(table: Table, labels: Sequence[Any], whose: str, column: str) -> Any:
    (row,) = [row for row in table.rows if list(row[: len(labels) + 1]) == [*labels, whose]]
    return row[list(table.columns).index(column)]


def test_ones_own_models_stand_below_the_papers_numbers(registry: Registry) -> None:
    one, two, three, four, five = paper_tables(site(registry, None, None, no_licences))
    assert list(one.columns[2:]) == [
        *("llama-7b", "llama2-7b", "llama-13b", "llama2-13b", "llama-33b", "llama-65b", "llama2-70b"),
        "tiny",
    ]
    assert cell(one, ["RFT, k = 100"], "paper", "llama2-7b") == "47.5"
    assert cell(one, ["RFT, k = 100"], "yours", "llama2-7b").text == "48.1"
    assert cell(one, ["pre-training loss"], "paper", "llama2-7b") == "1.75"
    assert cell(one, ["pre-training loss"], "yours", "tiny").text == "1.75"
    assert cell(one, ["distinct paths per question, k = 100"], "paper", "llama-33b") == "2.78"
    assert cell(two, [400], "paper", "rft-u13b") == "12.84"
    assert cell(three, ["llama2-7b", "sft", None], "paper", "maj1@100") == "55.4"
    assert cell(three, ["palm2", "icl", None], "paper", "maj1@40") == "91.0"
    assert cell(three, ["tiny", "rft", 100], "yours", "maj1@8").text == "50.0"
    assert cell(four, ["sft", "FLOPs"], "paper", "llama2-7b") == "1.7e+17"
    assert cell(four, ["sft", "FLOPs"], "yours", "llama2-7b").text == "6.0e+12"
    assert cell(four, ["rft training", "GPU hours"], "yours", "tiny").text == "4"
    assert cell(five, ["sft", None, "1/4", 12], "paper", "llama2-7b") == "27.7"
    assert cell(five, ["sft", None, "1/4", 12], "yours", "llama2-7b").href == "llama2-7b-sft@1.html"
    assert cell(five, ["rft", 100, 1, 3], "yours", "tiny").text == "48.1"


def test_a_report_of_chosen_models_has_no_others(registry: Registry) -> None:
    tables = paper_tables(site(registry, None, [parse_id("llama2-7b-sft@1")], no_licences))
    for table in tables:
        assert "tiny" not in [*table.columns, *(row[0] for row in table.rows)]
        assert registry.sql(table.sql).height
    assert cell(tables[4], ["sft", None, "1/4", 12], "yours", "llama2-7b").text == "25.6"
    assert not [row for row in tables[4].rows if row[0] == "rft" and row[4] == "yours"]


def test_a_union_has_its_paths_by_draws_in_table_2(tmp_path: Path) -> None:
    made = planted(tmp_path)
    _, two, *_ = paper_tables(site(made.registry, None, None, no_licences))
    assert "rft-both" in two.columns
    assert [row[1] for row in two.rows if row[0] == 2] == ["yours"]


def test_every_law_and_claim_has_its_line_and_its_points_in_sql(registry: Registry) -> None:
    shown = laws_page(site(registry, None, None, no_licences))
    *laws, claims = shown["laws"]
    assert any("196.20 - 88.16 x" in row for row in laws[0].rows)
    for table in laws:
        rows = [row for row in table.rows if row[0] == "published"]
        assert registry.sql(table.sql).height >= max(row[2] for row in rows)
    assert all(row[-1] for row in claims.rows)
    assert "llama2-7b-rft@1 has no score" not in " ".join(shown["missing"])


def test_the_page_of_a_model_says_how_it_was_made(registry: Registry) -> None:
    found = page(site(registry, None, None, no_licences), "tiny-rft@1")
    assert found.line == "models:\n  tiny-rft@1: {trainer: sft, inputs: [tiny@1, tiny-set@1], params: {epochs: 3, seed: 0}}"
    assert found.what == "A model, made by sft (edition 1)."
    assert found.remarks == []
    assert found.lineage is not None
    assert 'href="tiny-sft@1.html"' in found.lineage
    assert (found.rows, found.questions, found.statistics) == (None, None, [])

"""The paper's tables in a report, with one's own models and sets below the paper's numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from registry.store.record import InputRecord, Record
from rft.reports.models import Row
from rft.reports.site.pages import Site, page, site
from rft.reports.site.paper import paper_tables
from tests.report_store import no_licences, planted
from tests.workspace import Workspace


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return planted(tmp_path_factory.mktemp("report"))


def record(like: Record, name: str, maker: str, inputs: Sequence[str], **changes: object) -> Record:
    given = [InputRecord(id=f"{each}@1", content=like.content) for each in inputs]
    return like.model_copy(update={"name": name, "version": 1, "maker": maker, "inputs": given, **changes})


def own_models(store: Workspace) -> tuple[Site, list[Row]]:
    """A store with a base of the paper and one of one's own, each fine-tuned on a quarter of the questions and on a rejection set."""
    like = store.stored("six@1").record
    found: dict[str, Record] = {}

    def add(
        name: str, maker: str, inputs: Sequence[str] = (), params: Mapping[str, object] | None = None, **more: object
    ) -> None:
        found[f"{name}@1"] = record(like, name, maker, inputs, params=dict(params or {}), **more)

    trained = {"parameters": 10**6, "tokens": 10**6, "seconds": 7200.0, "device": "2 x NVIDIA H100"}
    add("train", "gsm8k")
    add("quarter", "fraction", ["train"], {"denominator": 4})
    for base in ("llama2-7b", "tiny"):
        add(base, "hub", kind="model", facts={"loss": 1.75})
        add(f"{base}-sft", "sft", [base, "quarter"], {"epochs": 12}, kind="model", facts=trained)
        add(f"{base}-samples", "samples", ["train", f"{base}-sft"], {"k": 100}, rows_are="SAMPLES")
        facts = {"sources": [f"{base}-samples@1"], "key": "paper"}
        add(f"{base}-set", "rejection", ["train", f"{base}-samples"], {"k": None}, rows_are="TRAINING", facts=facts)
        add(f"{base}-rft", "sft", [base, f"{base}-set"], {"epochs": 3}, kind="model", facts=trained)
    row = Row((), None, 1.75, None, 1, 1.0, 1, "test@1", None, None, 0.4, 0.5, (0.45,))
    rows = []
    for base in ("llama2-7b", "tiny"):
        rows.append(replace(row, models=(f"{base}-sft@1",), base=f"{base}@1", dataset="quarter@1", maj1=0.256))
        rows.append(replace(row, models=(f"{base}-rft@1",), base=f"{base}@1", dataset=f"{base}-set@1", maj1=0.481))
    return Site(store.registry, found, frozenset(), {}, {}, no_licences), rows


def test_ones_own_models_stand_below_the_papers_numbers(store: Workspace) -> None:
    one, two, three, four, five = paper_tables(*own_models(store))
    assert one.columns[2:] == [
        "llama-7b",
        "llama2-7b",
        "llama-13b",
        "llama2-13b",
        "llama-33b",
        "llama-65b",
        "llama2-70b",
        "tiny",
    ]

    def cell(table: object, labels: Sequence[object], whose: str, base: str) -> object:
        rows = [row for row in table.rows if list(row[: len(labels) + 1]) == [*labels, whose]]  # type: ignore[attr-defined]
        (row,) = rows
        return row[list(table.columns).index(base)]  # type: ignore[attr-defined]

    assert cell(one, ["RFT, k = 100"], "paper", "llama2-7b") == "47.5"
    assert cell(one, ["RFT, k = 100"], "yours", "llama2-7b").text == "48.1"  # type: ignore[attr-defined]
    assert cell(one, ["pre-training loss"], "paper", "llama2-7b") == "1.75"
    assert cell(two, [400], "paper", "rft-u13b") == "12.84"
    assert cell(three, ["sft", None, "maj1@100"], "paper", "llama2-7b") == "55.4"
    assert cell(five, ["sft", None, "1/4", 12], "paper", "llama2-7b") == "27.7"
    assert cell(five, ["sft", None, "1/4", 12], "yours", "llama2-7b").href == "llama2-7b-sft@1.html"  # type: ignore[attr-defined]
    assert cell(five, ["rft", 100, 1, 3], "yours", "tiny").text == "48.1"  # type: ignore[attr-defined]
    assert cell(four, ["sft", "FLOPs"], "paper", "llama2-7b") == "1.7e+17"
    assert cell(four, ["sft", "FLOPs"], "yours", "llama2-7b").text == "6.0e+12"  # type: ignore[attr-defined]
    assert cell(four, ["sft", "GPU hours"], "yours", "tiny").text == "4"  # type: ignore[attr-defined]


def test_a_set_of_samples_has_its_paths_by_draws_in_table_2(store: Workspace) -> None:
    _, two, *_ = paper_tables(site(store.registry, None, None, no_licences), [])
    assert "rft-both" in two.columns
    assert [row[1] for row in two.rows if row[0] == 2] == ["yours"]


def test_the_page_of_a_model_says_how_it_was_made(store: Workspace) -> None:
    made, _ = own_models(store)
    found = page(made, "tiny-rft@1")
    assert found.line == "models:\n  tiny-rft@1: {trainer: sft, inputs: [tiny@1, tiny-set@1], params: {epochs: 3}}"
    assert found.remarks == ["only its record is here: it was not pulled with what was made from it."]
    assert found.lineage is not None
    assert 'href="tiny-sft@1.html"' in found.lineage
    assert (found.load, found.rows, found.questions) == ([], None, None)

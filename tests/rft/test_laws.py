"""The paper's numbers as tables, and the lines through them."""

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from registry.query.api import open_registry
from registry.query.index import _layout as index_layout
from registry.query.published import published
from rft.reports.laws import Laws, laws, report
from tests.rft.test_cli import rft, start_project


@pytest.fixture
def found(tmp_path: Path) -> Laws:
    return laws(open_registry(tmp_path / ".rft"))


def line(found: Laws, who: str, against: str) -> Any:
    (law,) = [law for law in found.laws if (law.who, law.against) == (who, against)]
    return law.line


def test_the_dotted_lines_of_figure_2_come_out(found: Laws) -> None:
    sft, icl = line(found, "sft", "loss"), line(found, "icl", "loss")
    assert (sft.n, round(sft.intercept, 1), round(sft.slope, 1), round(sft.r, 3)) == (12, 196.2, -88.2, -0.992)
    assert (icl.n, round(icl.intercept, 1), round(icl.slope, 1), round(icl.r, 3)) == (7, 307.7, -166.4, -0.989)


def test_rft_lies_above_sft_above_icl_and_is_the_flattest(found: Laws) -> None:
    lines = [line(found, who, "loss") for who in ("rft-u33b", "sft, LLaMA", "icl")]
    for loss in (1.57, 1.65, 1.8):  # at 1.50 the lines of SFT and RFT cross
        levels = [one.at(loss) for one in lines]
        assert levels == sorted(levels, reverse=True)
    assert [abs(one.slope) for one in lines] == sorted(abs(one.slope) for one in lines)


def test_the_points_per_doubling_of_the_human_data_come_out(found: Laws) -> None:
    slopes = {law.who: round(law.line.slope, 1) for law in found.laws if law.against == "log2 share of human data"}
    assert slopes == {
        "llama-7b": 6.2,
        "llama2-7b": 6.6,
        "llama-13b": 7.9,
        "llama2-13b": 5.8,
        "llama-33b": 5.2,
        "llama-65b": 4.5,
        "llama2-70b": 1.9,
    }


def test_gains_are_fitted_only_where_there_are_three_points(found: Laws) -> None:
    assert {law.who for law in found.laws if law.against.startswith("log2 k")} == {
        "llama-7b",
        "llama2-7b",
        "llama-13b",
        "llama2-13b",
    }


def test_every_number_has_its_place_in_the_paper_and_lies_where_such_numbers_do() -> None:
    tables = published()
    for frame in tables.values():
        assert not frame["source"].null_count()
        assert set(frame["mark"]) <= {"P", "F", "D"}
    scores, paths = tables["published_scores"], tables["published_paths"]
    assert scores["value"].is_between(0, 1).all()
    assert not scores.select("base", "setting", "metric", "share", "k", "epochs").is_duplicated().any()
    assert not paths.select("base", "statistic", "k", "temperature").is_duplicated().any()
    assert tables["published_costs"]["value"].min() > 0  # type: ignore[operator]


def test_sql_joins_the_papers_numbers_with_ones_own(tmp_path: Path) -> None:
    start_project(tmp_path)
    query = (
        "select setting, value from published_scores where base = 'llama-7b' and metric = 'maj1@1' and k = 100 and share = 1"
    )
    found = json.loads(rft("sql", f"{query} order by all", "--json", cwd=tmp_path)[0])
    assert found == [{"setting": "rft", "value": 0.417}, {"setting": "rft-no-dedup", "value": 0.436}]


def test_an_index_with_other_published_numbers_is_made_anew(tmp_path: Path) -> None:
    registry, query = open_registry(tmp_path / ".rft"), "select count(*) as n from published_scores"
    all_ = registry.sql(query)["n"].item()
    assert all_ == published()["published_scores"].height
    for layout, left in (("as it was", 0), (None, all_)):  # what is there is taken, unless something else made it
        with duckdb.connect(tmp_path / ".rft" / "registry.duckdb") as index:
            index.execute("delete from published_scores")
            index.execute("update _about set layout = coalesce(?, 'another')", [None if layout is None else index_layout()])
        assert registry.sql(query)["n"].item() == left


def test_the_command_prints_every_line_and_what_it_covers(tmp_path: Path) -> None:
    start_project(tmp_path)
    out, _ = rft("laws", cwd=tmp_path)
    assert "196.20 - 88.16 x" in out
    assert "passes its own ICL (50.9) from 1/2 on" in out
    assert len(json.loads(rft("laws", "--json", cwd=tmp_path)[0])["laws"]) == len(laws(open_registry(tmp_path / ".rft")).laws)


def test_models_without_a_score_are_named(tmp_path: Path) -> None:
    found = Laws([], [], ["m@1 has no score"])
    assert report(found) == "m@1 has no score"


def test_what_the_paper_says_of_its_lines_is_borne_out_by_intervals(found: Laws) -> None:
    assert {claim.claim: claim.holds for claim in found.claims} == {
        "rft-u13b lies above sft": True,
        "sft lies above icl": True,
        "rft-u13b depends less on loss than sft, LLaMA": True,
        "sft, LLaMA depends less on loss than icl": True,
        "better models gain less from rft-u13b": True,
        "better models gain less from rft-u33b": True,
    }
    for claim in found.claims:
        assert claim.found.low < claim.found.value < claim.found.high
    (above,) = [claim.found.value for claim in found.claims if claim.claim == "rft-u13b lies above sft"]
    assert above == pytest.approx(
        (49.3 + 50.3 + 52.1 + 55.4 + 56.5 + 59.0 + 62.3 - 35.9 - 41.6 - 43.0 - 50.0 - 54.6 - 59.3 - 63.2) / 7
    )

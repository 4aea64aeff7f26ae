"""Figures: of the paper's numbers, of one's own, and what is said where there is nothing to show."""

from pathlib import Path
from typing import Any

import pytest

from registry.build.build import build
from registry.catalog import read as catalog
from registry.errors import InputError
from registry.query.api import Registry, open_registry
from registry.store.store import Store
from rft.reports.figures.catalogue import FIGURES, draw
from tests.rft.test_cli import rft, start_project
from tests.workspace import ROOT


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """A registry with the lines of the catalog that need no model."""
    home = tmp_path_factory.mktemp("demo") / ".rft"
    build(["demo-*"], catalog.read(ROOT / "catalog.yaml"), Store(home))
    return open_registry(home)


def drawn(registry: Registry, figure: str, *names: str) -> Any:
    return draw(figure, registry, registry.select(names) if names else [])


def lines(made: Any, axes: int = 0) -> dict[str, list[float]]:
    """Return the heights of each named series."""
    return {
        line.get_label(): [float(y) for y in line.get_ydata()]
        for line in made.figure.axes[axes].lines
        if line.get_label()[0] != "_"
    }


@pytest.mark.parametrize("figure", ["loss", "share", "k", "paths"])
def test_without_anything_built_there_are_the_published_points(figure: str, tmp_path: Path) -> None:
    made = drawn(open_registry(tmp_path / ".rft"), figure)
    assert "llama-7b" in lines(made) or "sft" in lines(made)
    for format in ("svg", "png", "pdf"):
        assert made.written(format) == made.written(format) != b""


def test_paths_against_k_are_those_of_stats_with_twice_the_draws_in_dashes(demo: Registry) -> None:
    from rft.reports.paths import statistics

    made = drawn(demo, "paths", "demo-rft-small", "demo-rft-union")
    found = lines(made)
    assert found["demo-rft-small@1"] == [
        row["paths_canonical_with_human"] for row in statistics(demo.load("demo-rft-small")).at_k
    ]
    assert found["llama-33b"] == [1.06, 1.16, 1.28, 1.46, 1.77, 2.19, 2.78]
    (band,) = made.figure.axes[0].collections  # of the set of one source
    at = band.get_paths()[0].get_extents()
    assert (at.x0, at.x1) == (12, 24)
    assert at.y0 < found["demo-rft-small@1"][-1] + 1 < at.y1 + 1


def test_contributions_are_all_paths_once(demo: Registry) -> None:
    made = drawn(demo, "contributions", "demo-rft-union")
    bars = [bar.get_height() for bar in made.figure.axes[0].patches]
    assert bars == sorted(bars, reverse=True)
    assert len(bars) == 7
    counted = demo.load("demo-rft-union").sql("select sum(paths_canonical) as n from path_stats")["n"].item()
    assert sum(bars) == counted
    assert f"{counted:,} distinct reasoning paths" in made.caption


def test_processes_and_difficulty_are_shares_of_all_questions(demo: Registry) -> None:
    for figure in ("processes", "difficulty"):
        for heights in lines(drawn(demo, figure, "demo-scores-small", "demo-scores-large")).values():
            assert sum(heights) == pytest.approx(100)


@pytest.mark.parametrize(
    ("figure", "names", "says"),
    [
        ("los", [], "there is no figure los.*Did you mean loss"),
        ("contributions", [], "of one set"),
        ("contributions", ["demo-rft-small"], "has 1 source"),
        ("processes", ["demo-rft-small"], "this figure is of evals"),
        ("paths", ["demo-train"], "this figure is of rejection sets and unions"),
        ("loss", ["demo-rft-small"], "no score that this figure shows"),
        ("difficulty", [], "too many for one figure"),
        ("lineage", [], "of one artifact"),
        ("curves", [], "no model is trained here"),
        ("curves", ["demo-rft-small"], "no loss was recorded"),
    ],
)
def test_what_cannot_be_shown_is_said(demo: Registry, figure: str, names: list[str], says: str) -> None:
    with pytest.raises(InputError, match=says):
        drawn(demo, figure, *names)


def test_lineage_has_a_box_for_all_that_an_artifact_was_made_from(demo: Registry) -> None:
    made = drawn(demo, "lineage", "demo-rft-small")
    written = {text.get_text() for text in made.figure.axes[0].texts}
    assert {"demo-rft-small@1", "rejection", "demo-train@1", "samples_file"} <= written
    assert "demo-samples-small@1 (samples_file)" in made.alt
    assert made.written("svg").startswith(b"<?xml")


def test_paths_by_different_keys_are_not_compared(tmp_path: Path) -> None:
    lines = (ROOT / "catalog.yaml").read_text()
    words = "  demo-rft-large@1:"
    file = tmp_path / "catalog.yaml"
    file.write_text(
        lines.replace(
            words,
            "  demo-paper@1: {builder: rejection, inputs: [demo-train@1, demo-samples-large@1], params: {mode: paper}}\n"
            + words,
        )
    )
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    build(["demo-rft-small", "demo-paper"], catalog.read(file), Store(tmp_path / ".rft"))
    with pytest.raises(InputError, match="by the canonical key and demo-paper@1 by the paper key"):
        drawn(open_registry(tmp_path / ".rft"), "paths", "demo-rft-small", "demo-paper")


def test_the_command_lists_and_writes(tmp_path: Path) -> None:
    start_project(tmp_path)
    listed, _ = rft("plot", cwd=tmp_path)
    assert all(name in listed for name in FIGURES)
    out, _ = rft("plot", "loss", "-o", "figure.png", cwd=tmp_path)
    assert out.strip() == "figure.png"
    assert (tmp_path / "figure.png").read_bytes()[:4] == b"\x89PNG"
    rft("plot", "k", cwd=tmp_path)
    assert (tmp_path / "k.svg").read_text().startswith("<?xml")
    _, said = rft("plot", "k", "-o", "figure.gif", cwd=tmp_path, code=1)
    assert ".svg, .png, .pdf" in said

"""The paper's costs, by its own formulas."""

import pytest

from eval.fits.costs import (
    PROMPT,
    QUESTIONS,
    RESPONSE,
    SHAPES,
    Transformer,
    generation,
    generation_as_printed,
    page,
    points,
    published_utilisation,
    table_4,
    training,
)
from registry.query.published import published
from tests.workspace import ROOT


def rows(what: str) -> dict[str, bool]:
    """Return for each base whether the formula gives the number of Table 4."""
    return {row.base: row.close for row in table_4() if row.what == what}


def test_parameters_are_those_without_embeddings() -> None:
    assert {base: f"{shape.parameters:.3g}" for base, shape in SHAPES.items() if not base.startswith("llama2")} == {
        "llama-7b": "6.44e+09",
        "llama-13b": "1.26e+10",
        "llama-33b": "3.19e+10",
        "llama-65b": "6.44e+10",
    }


def test_pre_training_comes_out_for_all_and_sft_for_all_but_two() -> None:
    assert all(rows("pre-training").values())
    assert [base for base, close in rows("sft").items() if not close] == ["llama-33b", "llama-65b"]


def test_sampling_comes_out_only_by_the_formula_as_printed_with_one_draw() -> None:
    assert not any(close for base, close in rows("rft inference").items() if base not in ("llama-65b", "llama2-70b"))
    costs = published()["published_costs"]
    printed = {
        base: generation_as_printed(SHAPES[base], PROMPT, RESPONSE) * QUESTIONS / value
        for what, base, unit, value in costs.select("what", "base", "unit", "value").iter_rows()
        if (what, unit) == ("rft inference", "FLOPs")
    }
    assert [base for base, ratio in printed.items() if abs(ratio - 1) > 0.05] == ["llama2-70b"]


def test_rft_training_comes_out_for_one_base_alone() -> None:
    assert [base for base, close in rows("rft-u33b training").items() if close] == ["llama-33b"]


@pytest.mark.parametrize("response", [1, 10, 130])
def test_a_sample_costs_at_least_two_operations_for_each_parameter_and_token(response: int) -> None:
    model = SHAPES["llama-7b"]
    assert generation(model, PROMPT, response) > 1.6 * model.parameters * (PROMPT + response)
    assert generation(model, PROMPT, response) < training(model.parameters, PROMPT + response)


def test_parameters_that_were_counted_count() -> None:
    counted = Transformer(32, 4096, 7e9)
    assert counted.parameters == 7e9
    assert generation(counted, PROMPT, RESPONSE) > generation(SHAPES["llama-7b"], PROMPT, RESPONSE)
    without_shape = Transformer(0, 0, 7e9)
    assert generation(without_shape, PROMPT, RESPONSE) == 2 * 7e9 * (
        PROMPT + RESPONSE + 1
    )  # the sum of Appendix E has both ends


def test_the_papers_utilisation_is_that_of_its_gpu_hours() -> None:
    assert published_utilisation("pre-training") == pytest.approx(4.2e22 / (82_000 * 3600 * 312e12), rel=0.01)
    assert published_utilisation("sft") == pytest.approx(1.7e17 / (0.6 * 3600 * 312e12), rel=0.01)
    assert published_utilisation("rft inference") == pytest.approx(1.69e18 / (10 * 3600 * 312e12), rel=0.01)


def test_a_point_costs_what_section_4_2_says() -> None:
    found = {(point.way, point.base): point for point in points()}
    step = found["pre-training, after RFT on U33B", "llama-7b to llama2-7b"]
    assert (f"{step.flops:.1e}", round(step.points, 1)) == ("4.2e+22", 2.1)
    step = found["pre-training, after RFT on U33B", "llama-7b to llama-13b"]
    assert (f"{step.flops:.1e}", round(step.points, 1)) == ("3.6e+22", 2.3)
    own = found["RFT on 100 draws of its own", "llama-7b"]
    assert round(own.points, 1) == 5.8
    assert own.each == own.flops / own.points
    assert ("RFT on 100 draws of its own", "llama-33b") not in found  # 54.5 after 54.6: no price for a point
    half = found["SFT on all human solutions, not half", "llama-7b"]
    assert (half.flops, round(half.points, 1)) == (0.85e17, 5.0)
    assert all(point.points > 0 for point in found.values())


def test_the_page_of_costs_is_what_the_formulas_give() -> None:
    assert (ROOT / "docs" / "costs.md").read_text() == page()

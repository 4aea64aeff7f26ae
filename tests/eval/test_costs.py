"""The paper's costs, by its own formulas."""

import pytest

from eval.fits.costs import (
    PROMPT,
    QUESTIONS,
    RESPONSE,
    SHAPES,
    generation,
    generation_as_printed,
    page,
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


def test_the_page_of_costs_is_what_the_formulas_give() -> None:
    assert (ROOT / "docs" / "costs.md").read_text() == page()

"""How large a model is, by its files."""

import json
from pathlib import Path

from eval.fits.costs import Transformer
from inference.size import size_of
from tests.tiny_models import tiny_model


def test_parameters_are_those_of_all_tensors_but_embeddings(tmp_path: Path) -> None:
    found = size_of(tiny_model(tmp_path, hidden=32, layers=2, vocab=320))
    layer = 4 * 32 * 32 + 3 * 32 * 64 + 2 * 32  # attention, the gated layer of 64, two norms
    assert found == Transformer(2, 32, 2 * layer + 32)


def test_without_weights_the_shape_says_it(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"num_hidden_layers": 2, "hidden_size": 10}))
    found = size_of(tmp_path)
    assert found is not None
    assert found.parameters == 12 * 2 * 100


def test_a_folder_without_a_shape_has_no_size(tmp_path: Path) -> None:
    assert size_of(tmp_path) is None
    (tmp_path / "config.json").write_text('{"hidden_size": 10}')
    assert size_of(tmp_path) is None


def test_weights_of_which_a_part_is_missing_are_not_counted(tmp_path: Path) -> None:
    tiny_model(tmp_path, hidden=32, layers=2)
    index = {"weight_map": {"a": "model.safetensors", "b": "not-here.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert size_of(tmp_path) == Transformer(2, 32)

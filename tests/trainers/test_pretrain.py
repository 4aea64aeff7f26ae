"""Pre-training: a tokenizer that can write anything, a small model, and the loss it is known by."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.story_problems import LARGEST
from builders.story_problems import build as story_problems
from builders.story_text import build as story_text
from registry.errors import CatalogError, InputError
from registry.maker import Input, Options, Run, Trained
from registry.rows import LOSS, TEXT
from tests.workspace import Workspace
from trainers.pretrain import EOS, train, train_tokenizer

TINY = {"hidden": 32, "layers": 1, "heads": 1, "vocab": 300, "context": 64, "length": 48, "batch": 4}


def texts(*lines: str, id: str = "text@1") -> Input:
    return Input(id, TEXT.fit(pl.DataFrame({"text": lines}, schema={"text": pl.String}), "a test"))


SMALL = texts(*story_text(lines=60, seed=1)["text"])
HELD_OUT = texts(*story_text(lines=17, seed=2)["text"], "", id="held-out@1")


@pytest.fixture
def pretrain(tmp_path: Path) -> Callable[..., tuple[Trained, Path]]:
    def made(text: Input = SMALL, held_out: Input = HELD_OUT, name: str = "model", **params: Any) -> tuple[Trained, Path]:
        run = Run(tmp_path / name, tmp_path / f"{name}.work", tmp_path, Options())
        run.folder.mkdir()
        run.work.mkdir()
        return train(text, held_out, **TINY | params, run=run), run.folder

    return made


# -- the tokenizer ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    return train_tokenizer(story_text(lines=5000, seed=1)["text"].to_list(), 1024, 512)


def test_every_number_of_the_stories_is_one_token(tokenizer: Any) -> None:
    for number in map(str, range(1, LARGEST + 1)):
        assert len(tokenizer(number)["input_ids"]) == 1
        written = tokenizer.convert_ids_to_tokens(tokenizer(f"{number}*{number}=<<{number}")["input_ids"])
        assert written == [number, "*", number, "=", "<<", number]


def test_a_number_of_many_digits_is_read_from_the_left_in_threes(tokenizer: Any) -> None:
    assert tokenizer.convert_ids_to_tokens(tokenizer("1001991")["input_ids"]) == ["100", "199", "1"]


def test_a_word_of_the_stories_is_one_token_with_the_space_before_it(tokenizer: Any) -> None:
    story = story_problems(split="train", count=1, seed=1)["question"][0]
    words = story.replace(".", "").replace("?", "").replace(",", "").split()
    ids = tokenizer(story)["input_ids"]
    marks = len([sign for sign in story if sign in ".?,"])
    numbers = len([word for word in words if word.isdecimal()])
    assert len(ids) == len(words) + marks + numbers  # the space before a number is a token of its own


@settings(max_examples=300)
@given(text=st.text())
def test_any_text_can_be_written_and_read_back(tokenizer: Any, text: Any) -> None:
    ids = tokenizer(text)["input_ids"]
    assert tokenizer.decode(ids) == text
    assert (tokenizer.eos_token_id in ids) == (EOS in text)


def test_story_problems_can_be_written_and_read_back_and_nothing_is_added(tokenizer: Any) -> None:
    for row in story_problems(split="test", count=20, seed=5).iter_rows(named=True):
        ids = tokenizer(row["response"])["input_ids"]
        assert tokenizer.decode(ids) == row["response"]
        assert tokenizer.eos_token_id not in ids
    assert tokenizer.bos_token is None


# -- the model -------------------------------------------------------------------------------------------------------


def blocks_by_hand(tokenizer: Any, given: Input, length: int) -> list[list[int]]:
    """Cut `</s>text</s>text</s>...` into blocks that overlap by one token."""
    stream = tokenizer(EOS + "".join(text + EOS for text in given.rows["text"]))["input_ids"]
    return [stream[start : start + length] for start in range(0, len(stream) - 1, length - 1)]


@pytest.mark.parametrize("length", [48, 64])
def test_the_loss_of_a_model_is_what_plain_transformers_measures_on_the_held_out_text(pretrain: Any, length: Any) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    made, folder = pretrain(length=length)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    nats = tokens = 0.0
    for block in blocks_by_hand(tokenizer, HELD_OUT, length):
        ids = torch.tensor([block])
        with torch.no_grad():
            nats += model(input_ids=ids, labels=ids).loss.item() * (len(block) - 1)
        tokens += len(block) - 1
    assert tokens == sum(len(tokenizer(text)["input_ids"]) + 1 for text in HELD_OUT.rows["text"])
    assert made.facts["loss"] == pytest.approx(nats / tokens, rel=1e-5)
    assert made.facts["loss_source"] == "held-out text held-out@1"


def test_a_model_learns_and_its_curve_has_the_held_out_loss_from_before_the_first_step_to_the_end(pretrain: Any) -> None:
    made, folder = pretrain(epochs=8.0, lr=1e-2)
    loss = LOSS.fit(made.loss, "a test")
    held_out, trained = loss.filter(split="held_out"), loss.filter(split="train")
    vocabulary = json.loads((folder / "config.json").read_text())["vocab_size"]
    assert held_out["step"].to_list()[:1] == [0]
    assert held_out["step"].to_list()[-1] == made.facts["steps"] == trained["step"].to_list()[-1]
    assert 4 <= len(held_out) <= 6
    assert held_out["loss"][0] == pytest.approx(math.log(vocabulary), abs=0.3)
    assert held_out["loss"][-1] == made.facts["loss"] < 0.6 * held_out["loss"][0]
    assert held_out["learning_rate"].null_count() == len(held_out)
    assert made.facts["padding"] < 0.1
    assert made.facts["tokens_per_second"] > 0


def test_a_model_is_a_plain_llama_of_the_size_that_was_asked_for(pretrain: Any) -> None:
    _, folder = pretrain(hidden=64, layers=2, heads=2, context=80)
    config = json.loads((folder / "config.json").read_text())
    wanted = {
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "head_dim": 32,
        "intermediate_size": 192,
        "max_position_embeddings": 80,
        "tie_word_embeddings": True,
        "use_cache": True,
        "vocab_size": 300,
        "eos_token_id": 0,
    }
    assert config.items() >= wanted.items()
    assert json.loads((folder / "tokenizer_config.json").read_text())["model_max_length"] == 80


def test_the_same_line_gives_the_same_bytes_and_another_seed_does_not(pretrain: Any) -> None:
    def content(name: str, seed: int) -> tuple[dict[str, bytes], float]:
        made, folder = pretrain(name=name, seed=seed)
        return {file.name: file.read_bytes() for file in folder.iterdir()}, made.loss["loss"][0]

    (first, start), again, (other, elsewhere) = content("first", 3), content("again", 3), content("other", 4)
    assert (first, start) == again
    assert first["model.safetensors"] != other["model.safetensors"]
    assert first["tokenizer.json"] == other["tokenizer.json"]
    assert start != elsewhere  # before the first step: it begins with other weights too, not only with another order


def test_what_looks_like_the_end_in_a_text_is_text(pretrain: Any) -> None:
    from transformers import AutoTokenizer

    made, folder = pretrain(texts(*["a </s> b"] * 40), texts("</s>"))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer("a </s> b", split_special_tokens=True)["input_ids"]
    assert tokenizer.eos_token_id not in ids
    assert made.facts["tokens"] >= 40 * (len(ids) + 1)


# -- what goes wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"hidden": 48, "heads": 32}, "hidden is 48 and heads 32: .* Make hidden a multiple of 64"),
        ({"hidden": 33, "heads": 3}, "hidden is 33 and heads 3: .* must be whole and even"),
        ({"length": 65}, "length is 65, context 64: .* Raise context"),
    ],
)
def test_sizes_that_do_not_go_together_are_an_error(pretrain: Any, params: Any, says: Any) -> None:
    with pytest.raises(InputError, match=says):
        pretrain(**params)


@pytest.mark.parametrize("given", [(texts(), HELD_OUT), (SMALL, texts())], ids=["text", "held out"])
def test_a_text_without_rows_is_an_error(pretrain: Any, given: Any) -> None:
    with pytest.raises(InputError, match="text@1 has no rows"):
        pretrain(*given)


def test_a_line_of_the_catalog_becomes_a_base_model_that_can_be_tuned(workspace: Workspace) -> None:
    sizes = "hidden: 32, layers: 1, heads: 1, vocab: 300, context: 160, length: 64, batch: 4"
    workspace.add(
        "text@1: {builder: story_text, params: {lines: 60, seed: 1}}",
        "held-out@1: {builder: story_text, params: {lines: 20, seed: 2}}",
        f"base@1: {{trainer: pretrain, inputs: [text@1, held-out@1], params: {{{sizes}}}}}",
        "tuned@1: {trainer: sft, inputs: [base@1, six@1], params: {epochs: 1, batch: 2, prompt: plain, dtype: fp32}}",
        "wrong@1: {trainer: pretrain, inputs: [text@1, held-out@1], params: {hidden: 16}}",
    )
    with pytest.raises(CatalogError, match="hidden"):
        workspace.build("wrong")
    workspace.add("wrong@1: {trainer: pretrain, inputs: [text@1, held-out@1]}")
    workspace.build("tuned")
    base, tuned = (workspace.stored(name).record.facts for name in ("base@1", "tuned@1"))
    assert (tuned["loss"], tuned["loss_source"]) == (base["loss"], "held-out text held-out@1")
    curve = workspace.registry.sql("""select loss from "base@1/loss" where split = 'held_out' order by step""")
    assert curve["loss"][-1] == base["loss"]

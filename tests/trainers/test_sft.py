"""Supervised fine-tuning: what is learned of a row, what is refused, and what kind of model comes out."""

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from builders.story_problems import build as story_problems
from inference.prompts import TEMPLATES, Prompt, load_tokenizer
from registry.catalog.bind import location_hash
from registry.errors import InputError
from registry.maker import Input, Model, Options, Run, Trained
from registry.rows import DROPS, LOSS, QUESTIONS, question_id
from tests.tiny_models import tiny_model, tiny_tokenizer
from tests.workspace import SIX, Workspace
from trainers.sft import train

WEIGHTS = "model.safetensors"


def questions(*pairs: tuple[str, str | None]) -> Input:
    """Return rows of these questions and responses."""
    rows = [
        {"question_id": f"{n:016x}", "question": question, "response": response, "answer": "1"}
        for n, (question, response) in enumerate(pairs)
    ]
    return Input("some@1", QUESTIONS.fit(pl.DataFrame(rows, schema_overrides={"response": pl.String}), "a test"))


SIX_ROWS = questions(*((row["question"], row["answer"]) for row in SIX))


@dataclass(frozen=True)
class Tuned:
    trained: Trained
    folder: Path

    @property
    def weights(self) -> bytes:
        return (self.folder / WEIGHTS).read_bytes()

    @property
    def curve(self) -> list[float]:
        return self.trained.loss["loss"].to_list()


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tiny_model(tmp_path_factory.mktemp("base"), spread=0.02)
    return Model("tiny@1", "0" * 64, folder, {"loss": 1.5, "loss_source": "someone"})


@pytest.fixture
def tune(tmp_path: Path, base: Any) -> Callable[..., Tuned]:
    """Fine-tune the tiny model, or another one, in fp32 and with the plain prompt unless told otherwise."""
    numbers = count()

    def tuned(data: Input, *, model: Model = base, options: Options | None = None, **params: Any) -> Tuned:
        at = tmp_path / f"{next(numbers)}"
        run = Run(at / "model", at / "work", tmp_path, options or Options())
        for folder in (run.folder, run.work):
            folder.mkdir(parents=True)
        usual: dict[str, Any] = {"epochs": 1.0, "batch": 4, "lr": 1e-3, "prompt": "plain", "dtype": "fp32"}
        return Tuned(train(model, data, **usual | params, run=run), run.folder)

    return tuned


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[int], list[int]]]:
    """The ids and labels of every row that a Llama is given."""
    from transformers import LlamaForCausalLM

    rows: list[tuple[list[int], list[int]]] = []
    forward = LlamaForCausalLM.forward

    @functools.wraps(forward)  # the Trainer looks at the signature
    def noted(self: Any, *args: Any, **given: Any) -> Any:
        rows.extend(zip(given["input_ids"].tolist(), given["labels"].tolist(), strict=True))
        return forward(self, *args, **given)

    monkeypatch.setattr(LlamaForCausalLM, "forward", noted)
    return rows


# -- what is learned -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bos", [False, True], ids=["no bos", "bos"])
@pytest.mark.parametrize("prompt", ["plain", "alpaca"])
def test_only_the_response_and_its_end_are_learned_and_the_prompt_is_what_generation_begins_with(
    tmp_path: Path, tune: Any, read: Any, prompt: Any, bos: Any
) -> None:
    model = Model("other@1", "", tiny_model(tmp_path / "base", bos=bos, context=512))
    tokenizer = load_tokenizer(model.folder, model.id)
    tune(SIX_ROWS, model=model, prompt=prompt)
    learned = {}
    for ids, labels in read:
        start = next((place for place, label in enumerate(labels) if label != -100), None)
        if start is None:
            continue  # what fills up the last batch
        end = ids.index(tokenizer.eos_token_id, start) + 1
        assert labels == [-100] * start + ids[start:end] + [-100] * (len(ids) - end)
        learned[tuple(ids[:start])] = tokenizer.decode(ids[start:end])
    prompts = TEMPLATES[prompt].encode(tokenizer, [row["question"] for row in SIX])
    assert all((ids[0] == tokenizer.bos_token_id) == bos for ids in prompts)
    assert learned == {tuple(ids): row["answer"] + "</s>" for ids, row in zip(prompts, SIX, strict=True)}


def test_the_end_of_a_row_that_is_too_long_is_cut_off(base: Any, tune: Any, read: Any) -> None:
    tokenizer = load_tokenizer(base.folder, base.id)
    whole, [start, *_] = TEMPLATES["plain"].encode_examples(tokenizer, [SIX[0]["question"]], [SIX[0]["answer"]])
    tune(questions((SIX[0]["question"], SIX[0]["answer"])), batch=1, max_length=start + 3)
    assert read == [(whole[0][: start + 3], [-100] * start + whole[0][start : start + 3])]


def test_no_row_is_longer_than_the_model_can_read(tune: Any, read: Any) -> None:
    tune(questions((SIX[0]["question"], "1+" * 300)), batch=1, max_length=512)
    assert [len(ids) for ids, _ in read] == [256]


def test_rows_without_a_response_and_too_long_prompts_are_refused(tune: Any, read: Any) -> None:
    data = questions(("a?", "1"), ("b?", None), ("c?", ""), ("d?", " \n"), ("long" * 20 + "?", "5"), ("f?", "6"))
    tuned = tune(data, max_length=20, batch=1)
    drops = DROPS.fit(tuned.trained.drops, "a test").sort("question_id").select("source", "question_id", "reason").rows()
    reasons = ["no_response", "no_response", "no_response", "too_long"]
    assert drops == [("some@1", f"{n:016x}", reason) for n, reason in enumerate(reasons, 1)]
    assert tuned.trained.facts["rows"] == len(read) == 2


@pytest.mark.parametrize("response", [None, "1"], ids=["no response", "too long"])
def test_that_no_row_is_left_is_an_error(tune: Any, response: Any) -> None:
    with pytest.raises(InputError, match=r"some@1: none of 1 rows has a response and a prompt of less than 8 tokens"):
        tune(questions(("What is the question?", response)), max_length=8)


def broken_base(folder: Path, damage: str) -> Model:
    """Return a tiny model of which something is missing."""
    from safetensors.torch import load_file, save_file

    made = tiny_model(folder)
    if damage == "lacks weights":
        weights = load_file(made / WEIGHTS)
        del weights["lm_head.weight"]
        save_file(weights, made / WEIGHTS, {"format": "pt"})
    elif damage == "cut off":
        (made / WEIGHTS).write_bytes((made / WEIGHTS).read_bytes()[:-100])
    else:
        tiny_tokenizer(vocab=500, texts=[f"x {n} y" for n in range(900)] + [row["question"] for row in SIX]).save_pretrained(
            made
        )
    return Model("broken@1", "0" * 64, made)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        ("lacks weights", "lacks 1 of its weights"),
        ("cut off", "transformers cannot load the model"),
        ("other tokenizer", "They are not of one model"),
    ],
)
def test_a_base_that_is_not_whole_cannot_be_tuned(tmp_path: Path, tune: Any, damage: Any, says: Any) -> None:
    with pytest.raises(InputError, match=says):
        tune(SIX_ROWS, model=broken_base(tmp_path / "broken", damage))


def test_a_model_without_a_tokenizer_cannot_be_tuned(tmp_path: Path, tune: Any) -> None:
    folder = tiny_model(tmp_path / "bare")
    for file in folder.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(InputError, match="bare@1 has no tokenizer"):
        tune(SIX_ROWS, model=Model("bare@1", "", folder))


def test_story_problems_are_padded_by_less_than_a_tenth(tmp_path: Path, tune: Any, read: Any) -> None:
    stories = story_problems(split="train", count=200, seed=1)
    texts = [f"{question}\n{response}" for question, response in stories.select("question", "response").iter_rows()]
    model = Model("story@1", "", tiny_model(tmp_path / "base", vocab=700, texts=texts))
    facts = tune(Input("stories@1", stories), model=model, batch=64).trained.facts
    positions = sum(len(ids) for ids, _ in read)
    tokenizer = load_tokenizer(model.folder, model.id)
    tokens = sum(len(ids) + 1 for ids in tokenizer([text + "\n" for text in texts])["input_ids"])
    assert 0 < facts["padding"] < 0.1
    assert facts["padding"] == pytest.approx(1 - facts["tokens"] / positions, abs=1e-4)
    assert facts["tokens"] == pytest.approx(tokens, rel=0.02)  # prompt and response are tokenized apart


# -- what does not change it -----------------------------------------------------------------------------------------


def test_how_a_batch_is_cut_for_the_memory_does_not_change_what_is_learned(tune: Any) -> None:
    curves = [tune(SIX_ROWS, epochs=8, batch=16, options=Options(batch=rows)).curve for rows in (0, 1, 4, 16)]
    assert len(curves[0]) == 3
    for curve in curves[1:]:
        assert curve == pytest.approx(curves[0], rel=1e-4)


def test_the_same_line_gives_the_same_bytes_and_another_seed_does_not(tune: Any) -> None:
    first, again, other = (tune(SIX_ROWS, epochs=2, seed=seed) for seed in (7, 7, 8))
    assert first.weights == again.weights
    assert first.weights != other.weights
    assert first.trained.loss.equals(again.trained.loss)


# -- what comes out --------------------------------------------------------------------------------------------------


def test_a_tiny_model_learns_its_rows_by_heart_and_plain_transformers_gets_them_out_of_it(tune: Any) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    pairs = [("What is 2+3?", "2+3=<<2+3=5>>5\n#### 5"), ("What is 4*4?", "4*4=<<4*4=16>>16\n#### 16")]
    tuned = tune(questions(*pairs), epochs=120, batch=2, lr=1e-2, schedule="linear")
    assert tuned.curve[0] > 5
    assert tuned.curve[-1] < 0.05
    assert tuned.trained.loss["learning_rate"][-1] < 1e-3 < tuned.trained.loss["learning_rate"].max() <= 1e-2
    tokenizer = AutoTokenizer.from_pretrained(tuned.folder)
    model = AutoModelForCausalLM.from_pretrained(tuned.folder)
    for question, response in pairs:
        chat = tokenizer.apply_chat_template([{"role": "user", "content": question}], return_tensors="pt", return_dict=True)
        written = model.generate(**chat, max_new_tokens=60, do_sample=False)[0, chat["input_ids"].shape[1] :]
        assert tokenizer.decode(written) == response + "</s>"


@pytest.mark.parametrize("prompt", ["plain", "alpaca"])
def test_a_model_carries_its_prompt_in_its_own_file_and_as_a_chat_template(tune: Any, prompt: Any) -> None:
    folder = tune(SIX_ROWS, prompt=prompt).folder
    tokenizer = load_tokenizer(folder, "tuned@1")
    chat = tokenizer.apply_chat_template([{"role": "user", "content": "Why?"}], return_dict=False)
    assert Prompt.of_model(folder) == TEMPLATES[prompt]
    assert [chat] == TEMPLATES[prompt].encode(tokenizer, ["Why?"])


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_a_model_is_saved_as_precise_as_its_line_says(tune: Any, dtype: Any) -> None:
    from safetensors.torch import load_file

    tuned = tune(SIX_ROWS, dtype=dtype)
    name = {"fp32": "float32", "bf16": "bfloat16"}[dtype]
    assert {str(part.dtype) for part in load_file(tuned.folder / WEIGHTS).values()} == {f"torch.{name}"}
    config = json.loads((tuned.folder / "config.json").read_text())
    assert (config["dtype"], config["use_cache"]) == (name, True)


def test_a_tokenizer_without_a_pad_token_gets_none_and_no_vocabulary_grows(tmp_path: Path, tune: Any) -> None:
    folder = tiny_model(tmp_path / "base")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    del settings["pad_token"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    model = Model("unpadded@1", "", folder)
    assert load_tokenizer(folder, model.id).pad_token is None
    tuned = tune(SIX_ROWS, model=model)
    assert load_tokenizer(tuned.folder, "tuned@1").pad_token is None
    assert json.loads((tuned.folder / "config.json").read_text())["vocab_size"] == 320


def test_facts_and_the_loss_curve_say_what_was_done(tune: Any) -> None:
    tuned = tune(SIX_ROWS, epochs=3, batch=4)
    facts = tuned.trained.facts
    loss = LOSS.fit(tuned.trained.loss, "a test")
    assert facts.items() >= {"steps": 5, "epochs": 3, "rows": 6, "dtype": "fp32", "base": "tiny@1", "prompt": "plain"}.items()
    assert facts.items() >= {"loss": 1.5, "loss_source": "someone", "parameters": 41120}.items()
    assert facts["tokens_per_second"] > 0
    assert facts["device"].startswith("cpu")
    assert loss["step"].to_list() == [1, 2, 3, 4, 5]
    assert loss["epoch"].to_list() == pytest.approx([4 / 6, 8 / 6, 2, 16 / 6, 3])
    assert loss["tokens"].is_sorted()
    assert loss["tokens"][-1] == facts["tokens"]
    assert set(loss["split"]) == {"train"}


# -- through the catalog ---------------------------------------------------------------------------------------------


def test_a_line_of_the_catalog_becomes_a_model_with_its_loss_and_drops_as_views(workspace: Workspace, base: Any) -> None:
    (workspace.folder / "tiny").symlink_to(base.folder)
    long = "Why? " * 60
    workspace.write("seven.jsonl", [*SIX, {"question": long, "answer": "#### 1"}])
    workspace.add(
        f'tiny@1: {{trainer: local, params: {{path: tiny, sha256: "{location_hash(base.folder)}", loss: 1.5}}}}',
        "seven@1: {builder: questions_file, params: {path: seven.jsonl, sha256: ?}}",
        "six-tuned@1: {trainer: sft, inputs: [tiny@1, six@1], params: {batch: 2, lr: 1.0e-3, prompt: plain, dtype: fp32}}",
        "seven-tuned@1: {trainer: sft, inputs: [tiny@1, seven@1], params: {batch: 2, prompt: plain, dtype: fp32, max_length: 150}}",
    )
    workspace.build("six-tuned", "seven-tuned")
    record = workspace.stored("six-tuned@1").record
    assert record.params["epochs"] == 3.0
    assert record.facts["base"] == "tiny@1"
    assert record.facts["loss"] == 1.5
    rows = workspace.registry.sql('select step, tokens, split, loss from "six-tuned@1/loss" order by step')
    assert rows["step"].to_list() == list(range(1, 10))
    assert rows["loss"][-1] < rows["loss"][0]
    assert workspace.stored("seven-tuned@1").record.drops == {"too_long": 1}
    refused = workspace.registry.sql('select source, question_id, reason from "seven-tuned@1/drops"').rows()
    assert refused == [("seven@1", question_id(long), "too_long")]
    assert list(workspace.store.work.glob("*/*")) == []  # no checkpoint is left

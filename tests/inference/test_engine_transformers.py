"""The transformers engine on a real tiny model: what a draw depends on, how it ends, and what is refused."""

import dataclasses
import gc
import json
import resource
import shutil
import sys
import weakref
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from inference.engines import Request, Sampling
from inference.engines.transformers import LOOK, GumbelNoise, TransformersEngine, splitmix64
from registry.errors import InputError, OutOfResources
from tests.tiny_models import EOS, tiny_model, tiny_tokenizer
from tests.workspace import SIX

GREEDY = Sampling(temperature=0.0, top_p=1.0, max_tokens=40)
SAMPLED = Sampling(temperature=0.7, top_p=0.95, max_tokens=40)
CONTEXT = 256


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny tensors gain nothing from threads, and threads of several test processes on the same cores wait for each other."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model"), context=CONTEXT)


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[TransformersEngine]:
    engine = TransformersEngine(folder)
    yield engine
    engine.close()


def copy_of(folder: Path, where: Path) -> Path:
    return shutil.copytree(folder, where / "copy")


def requests_of(engine: TransformersEngine, count: int, *, first_seed: int = 0) -> list[Request]:
    """Return draws of prompts of very different lengths: 1 token, a question, most of the context."""
    texts = ["A", SIX[1]["question"], " ".join(row["question"] for row in SIX)]
    prompts = [tuple(engine.tokenizer(text)["input_ids"][: CONTEXT - 60]) for text in texts]
    return [Request(place, prompts[place % 3], first_seed + place) for place in range(count)]


def complete(engine: TransformersEngine, requests: list[Request], sampling: Sampling) -> Any:
    return list(chain.from_iterable(engine.complete(requests, sampling)))


@pytest.mark.parametrize("sampling", [GREEDY, SAMPLED])
def test_a_batch_of_short_and_long_prompts_gives_what_each_gives_alone(engine: TransformersEngine, sampling: Sampling) -> None:
    requests = requests_of(engine, 24)
    assert max(len(r.prompt) for r in requests) > 100 * min(len(r.prompt) for r in requests)
    alone = [complete(engine, [request], sampling)[0] for request in requests]
    assert complete(engine, requests, sampling) == alone


def test_greedy_is_the_most_likely_token_each_time(engine: TransformersEngine) -> None:
    import torch

    for request in requests_of(engine, 3):
        [made] = complete(engine, [request], GREEDY)
        ids = list(request.prompt)
        with torch.inference_mode():
            for token in made.tokens:  # without a cache, a mask or generate()
                assert int(engine.model(torch.tensor([ids])).logits[0, -1].argmax()) == token
                ids.append(token)


def test_a_draw_depends_on_its_prompt_and_seed_alone(engine: TransformersEngine) -> None:
    requests = requests_of(engine, 12)
    made = {c.place: c for c in complete(engine, requests, SAMPLED)}
    moved = [Request(1000 - r.place, r.prompt, r.seed) for r in requests if r.place % 5]
    for completion in complete(engine, moved, SAMPLED):
        assert completion._replace(place=1000 - completion.place) == made[1000 - completion.place]
    assert complete(engine, requests, SAMPLED) == list(made.values())


def test_other_seeds_give_other_draws(engine: TransformersEngine) -> None:
    [prompt] = {r.prompt for r in requests_of(engine, 2) if r.place == 1}
    seeds = [0, 1, 2, 2**62, 2**63 - 2, 2**63 - 1]
    made = complete(engine, [Request(place, prompt, seed) for place, seed in enumerate(seeds)], SAMPLED)
    assert len({completion.tokens for completion in made}) == len(seeds)


def test_the_place_of_a_draw_says_which_batch_it_is_in(folder: Path) -> None:
    engine = TransformersEngine(folder, batch=4)
    requests = requests_of(engine, 10)
    assert [[c.place for c in made] for made in engine.complete(requests, GREEDY)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    rest = [r for r in reversed(requests) if r.place not in (0, 5, 6)]
    assert [[c.place for c in made] for made in engine.complete(rest, GREEDY)] == [[1, 2, 3], [4, 7], [8, 9]]


def frequencies(engine: TransformersEngine, sampling: Sampling, draws: Any = 6000) -> Any:
    """Return how often each token follows one prompt, and the scores of the model there."""
    import torch

    [first] = requests_of(engine, 1)
    sampling = Sampling(sampling.temperature, sampling.top_p, max_tokens=1)
    made = complete(engine, [Request(place, first.prompt, place) for place in range(draws)], sampling)
    with torch.inference_mode():
        scores = engine.model(torch.tensor([first.prompt])).logits[0, -1].double()
    return torch.bincount(torch.tensor([c.tokens[0] for c in made]), minlength=len(scores)), scores


def chi_square(counts: Any, chances: Any) -> Any:
    """Return by how many standard deviations chi-square is above its mean; rare tokens (expected under 5) count as one."""
    import torch

    expected = chances * counts.sum()
    common = expected >= 5
    seen = torch.cat([counts[common], counts[~common].sum()[None]])
    wanted = torch.cat([expected[common], expected[~common].sum()[None]])
    seen, wanted = seen[wanted > 0], wanted[wanted > 0]
    freedom = len(wanted) - 1
    assert freedom > 10
    return (((seen - wanted) ** 2 / wanted).sum() - freedom) / (2 * freedom) ** 0.5


@pytest.mark.parametrize("temperature", [0.5, 0.7, 1, 1.5])
def test_tokens_are_as_frequent_as_the_softmax_of_the_scores_says(engine: TransformersEngine, temperature: float) -> None:
    counts, scores = frequencies(engine, Sampling(temperature, 1.0, 1))
    assert chi_square(counts, (scores / temperature).softmax(0)) < 4
    assert chi_square(counts, (scores / (temperature * 1.2)).softmax(0)) > 4  # the test would notice another temperature


def test_top_p_takes_the_likeliest_tokens_that_have_that_share_and_no_other(engine: TransformersEngine) -> None:
    import torch

    counts, scores = frequencies(engine, Sampling(0.7, 0.6, 1))
    chances, order = (scores / 0.7).softmax(0).sort(descending=True)
    inside = order[: int((chances.cumsum(0) < 0.6).sum()) + 1]
    kept = torch.zeros_like(scores).index_fill_(0, inside, 1.0) * (scores / 0.7).softmax(0)
    assert set(counts.nonzero().flatten().tolist()) <= set(inside.tolist())
    assert chi_square(counts, kept / kept.sum()) < 4


def noise_of(seeds: list[int], step: int, tokens: int) -> Any:
    import torch

    ids = torch.zeros(len(seeds), 7 + step, dtype=torch.int64)
    return GumbelNoise(torch.tensor(seeds), 7)(ids, torch.zeros(len(seeds), tokens))


def test_the_noise_of_near_seeds_steps_and_tokens_is_unrelated() -> None:
    import torch

    tokens = 20_000
    rows = torch.cat(
        [noise_of([0, 1, 2, 2**63 - 1], 0, tokens), noise_of([0, 1], 1, tokens), noise_of([0, 1], 0, tokens + 1)[:, 1:]]
    )
    between = torch.corrcoef(rows) - torch.eye(len(rows))
    assert between.abs().max() < 5 / tokens**0.5


def test_the_noise_is_of_the_gumbel_distribution_and_never_infinite() -> None:
    import torch

    noise = noise_of(list(range(100)), 3, 32_000).flatten().double()
    assert noise.isfinite().all()
    assert abs(noise.mean() - 0.5772157) < 0.005
    assert abs(noise.var() - torch.pi**2 / 6) < 0.01
    for at in (-1.0, 0.0, 1.0, 3.0):
        assert abs((noise <= at).double().mean() - torch.exp(-torch.exp(torch.tensor(-at)))) < 0.002


def test_the_hash_is_splitmix64_as_published() -> None:
    import torch

    golden, state, made = 0x9E3779B97F4A7C15, 1234567, []
    for n in range(5):
        bits = (state + n * golden) % 2**64
        made.append(int(splitmix64(torch.tensor([bits - 2**64 if bits >= 2**63 else bits]))) % 2**64)
    # https://rosettacode.org/wiki/Pseudo-random_numbers/Splitmix64
    assert made == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


def test_a_completion_ends_with_its_end_of_sequence_or_at_max_tokens(engine: TransformersEngine) -> None:
    made = complete(engine, requests_of(engine, 60), SAMPLED)
    eos = engine.tokenizer.convert_tokens_to_ids(EOS)
    assert {c.finish_reason for c in made} == {"stop", "length"}
    assert len({len(c.tokens) for c in made}) > 5
    for completion in made:
        ended = completion.finish_reason == "stop"
        assert completion.tokens.count(eos) == (completion.tokens[-1] == eos) == ended
        assert ended or len(completion.tokens) == SAMPLED.max_tokens
        assert completion.text == engine.tokenizer.decode(completion.tokens, skip_special_tokens=True)
        assert EOS not in completion.text


def test_every_end_of_sequence_of_the_generation_config_ends_a_completion(
    folder: Path, engine: TransformersEngine, tmp_path: Path
) -> None:
    requests = requests_of(engine, 3)
    long = max(complete(engine, requests, GREEDY), key=lambda c: len(c.tokens))
    other = long.tokens[len(long.tokens) // 2]
    copy = copy_of(folder, tmp_path)
    config = json.loads((copy / "generation_config.json").read_text())
    (copy / "generation_config.json").write_text(json.dumps(config | {"eos_token_id": [other]}))
    [made] = complete(TransformersEngine(copy), [requests[long.place]], GREEDY)
    assert made.tokens == long.tokens[: long.tokens.index(other) + 1]  # and the tokenizer's own still counts:
    ends = {
        c.tokens[-1] for c in complete(TransformersEngine(copy), requests_of(engine, 60), SAMPLED) if c.finish_reason == "stop"
    }
    assert ends == {other, engine.tokenizer.eos_token_id}


@pytest.mark.parametrize("length", [1, 3, 6])
def test_a_completion_ends_before_a_stop_text(engine: TransformersEngine, length: int) -> None:
    sampling = Sampling(1.0, 1.0, 60)
    requests = requests_of(engine, 30)
    for free in complete(engine, requests, sampling):
        if len(free.text) < 20 or "\ufffd" in free.text[8 : 8 + length]:
            continue
        stop = free.text[8 : 8 + length]
        [made] = complete(engine, [requests[free.place]], Sampling(1.0, 1.0, 60, stop=("never said", stop)))
        assert made.text == free.text[: free.text.index(stop)]
        assert made.finish_reason == "stop"
        assert made.tokens == free.tokens[: len(made.tokens)]
        said = [
            engine.tokenizer.decode(made.tokens[:n], skip_special_tokens=True) for n in (len(made.tokens) - 1, len(made.tokens))
        ]
        assert [stop in text for text in said] == [False, True]


def test_a_stop_text_ends_the_batch_s_other_rows_nowhere_else(engine: TransformersEngine) -> None:
    requests = requests_of(engine, 30)
    sampling = Sampling(1.0, 1.0, 60, stop=("o",))
    free = {c.place: c for c in complete(engine, requests, Sampling(1.0, 1.0, 60))}
    for made in complete(engine, requests, sampling):
        assert made.text == free[made.place].text.split("o")[0]
        if "o" not in free[made.place].text:
            assert made == free[made.place]


def longest(engine: TransformersEngine, text: str, sampling: Sampling) -> Any:
    """Return the draw of a prompt that goes on longest of 60, and its completion."""
    prompt = tuple(engine.tokenizer(text)["input_ids"])
    requests = [Request(seed, prompt, seed) for seed in range(60)]
    made = max(complete(engine, requests, sampling), key=lambda c: len(c.tokens))
    assert len(made.tokens) > 2 * LOOK
    return requests[made.place], made


def test_a_stop_text_that_began_in_the_prompt_ends_nothing(engine: TransformersEngine) -> None:
    request, free = longest(engine, "A baker", SAMPLED)
    assert "baker" not in free.text
    stopping = dataclasses.replace(SAMPLED, stop=("baker", "baker" + free.text[0]))
    assert complete(engine, [request], stopping) == [free]


def test_nothing_is_generated_long_after_every_row_said_a_stop_text(engine: TransformersEngine) -> None:
    sampling = Sampling(1.5, 1.0, 100)
    request, free = longest(engine, "A baker", sampling)
    steps = []
    counting = engine.model.register_forward_hook(lambda *_: steps.append(1))
    [made] = complete(engine, [request], dataclasses.replace(sampling, stop=(free.text[:1],)))
    counting.remove()
    assert (made.text, made.finish_reason, len(steps)) == ("", "stop", LOOK)


def test_what_a_checkpoint_recommends_changes_no_draw(folder: Path, engine: TransformersEngine, tmp_path: Path) -> None:
    copy = copy_of(folder, tmp_path)
    smuggled: dict[str, Any] = {
        "do_sample": True,
        "temperature": 0.1,
        "top_k": 1,
        "top_p": 0.1,
        "repetition_penalty": 5.0,
        "min_new_tokens": 30,
    }
    smuggled |= {"suppress_tokens": list(range(50, 300)), "no_repeat_ngram_size": 1, "max_length": 5, "max_time": 0.0}
    config = json.loads((copy / "generation_config.json").read_text())
    (copy / "generation_config.json").write_text(json.dumps(config | smuggled))
    other = TransformersEngine(copy)
    for sampling in (GREEDY, SAMPLED):
        requests = requests_of(engine, 12)
        assert complete(other, requests, sampling) == complete(engine, requests, sampling)


def near_the_end(tokenizer: Any, context: int) -> list[Request]:
    """Return draws of a prompt with no end of sequence for a while, short, and long up to 1 token before the context's end."""
    text = tokenizer(" ".join(row["question"] for row in SIX))["input_ids"]
    return [Request(place, tuple(text[:length]), place) for place, length in enumerate([3, context - 7, context - 1])]


def test_a_completion_ends_where_the_context_does(engine: TransformersEngine) -> None:
    sampling = Sampling(1.0, 1.0, max_tokens=100)
    requests = [Request(r.place, r.prompt, seed) for seed in range(20) for r in near_the_end(engine.tokenizer, CONTEXT)]
    requests = [Request(place, r.prompt, r.seed) for place, r in enumerate(requests)]
    made = complete(engine, requests, sampling)
    for request, completion in zip(requests, made, strict=True):
        limit = min(100, CONTEXT - len(request.prompt))
        assert len(completion.tokens) <= limit
        if completion.finish_reason == "length":
            assert len(completion.tokens) == limit
    assert {(len(r.prompt), c.finish_reason) for r, c in zip(requests, made, strict=True)} >= {
        (3, "stop"),
        (CONTEXT - 7, "length"),
        (CONTEXT - 7, "stop"),
        (CONTEXT - 1, "length"),
    }
    assert [complete(engine, [request], sampling)[0] for request in requests[:6]] == made[:6]


def test_a_model_with_a_table_of_positions_can_have_rows_at_its_end(tmp_path: Path) -> None:
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    tokenizer = tiny_tokenizer()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = GPT2LMHeadModel(
            GPT2Config(
                vocab_size=len(tokenizer),
                n_positions=48,
                n_embd=32,
                n_layer=1,
                n_head=1,
                initializer_range=0.3,
                bos_token_id=None,
                eos_token_id=None,
            )
        )
    model.save_pretrained(tmp_path)
    tokenizer.eos_token = None
    tokenizer.save_pretrained(tmp_path)
    engine = TransformersEngine(tmp_path)
    requests = near_the_end(tokenizer, 48)
    made = complete(engine, requests, SAMPLED)
    assert [(len(c.tokens), c.finish_reason) for c in made] == [(40, "length"), (7, "length"), (1, "length")]
    assert [complete(engine, [request], SAMPLED)[0] for request in requests] == made


@pytest.mark.parametrize("length", [0, CONTEXT, CONTEXT + 5])
def test_a_prompt_that_leaves_no_room_for_an_answer_is_refused(engine: TransformersEngine, length: int) -> None:
    with pytest.raises(InputError, match=rf"draw 7 has {length} tokens.*the {CONTEXT} that the model can read"):
        complete(engine, [Request(7, (5,) * length, 0)], GREEDY)


def test_a_prompt_of_another_model_s_tokenizer_is_refused(engine: TransformersEngine) -> None:
    with pytest.raises(InputError, match=r"draw 7 has the token 320.*only 320.*another model"):
        complete(engine, [Request(7, (5, 320), 0)], GREEDY)


def edited(folder: Path, where: Path, edit: Any) -> Any:
    from safetensors.torch import load_file, save_file

    copy = copy_of(folder, where)
    weights = load_file(copy / "model.safetensors")
    edit(weights)
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    return copy


@pytest.mark.parametrize("sampling", [GREEDY, SAMPLED])
def test_a_model_whose_weights_are_not_numbers_is_refused(folder: Path, tmp_path: Path, sampling: Sampling) -> None:
    broken = TransformersEngine(edited(folder, tmp_path, lambda w: w["model.norm.weight"].fill_(float("nan"))))
    with pytest.raises(InputError, match="not numbers"):
        complete(broken, requests_of(broken, 2), sampling)


def test_scores_that_stop_being_numbers_later_are_refused_too(folder: Path, tmp_path: Path) -> None:
    whole = TransformersEngine(folder)
    first = complete(whole, requests_of(whole, 1), SAMPLED)[0].tokens[0]
    broken = TransformersEngine(edited(folder, tmp_path, lambda w: w["model.embed_tokens.weight"][first].fill_(float("nan"))))
    with pytest.raises(InputError, match="not numbers"):
        complete(broken, requests_of(broken, 1), SAMPLED)


def test_a_model_that_lacks_weights_is_refused(folder: Path, tmp_path: Path) -> None:
    half = edited(folder, tmp_path, lambda w: w.pop("model.layers.1.mlp.up_proj.weight"))
    with pytest.raises(InputError, match=r"lacks 1 of its weights \(model\.layers\.1\.mlp\.up_proj\.weight"):
        TransformersEngine(half)


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_a_folder_that_holds_no_whole_model_is_refused(folder: Path, tmp_path: Path, file: str) -> None:
    copy = copy_of(folder, tmp_path)
    (copy / file).unlink()
    with pytest.raises(InputError, match="transformers cannot load the model in"):
        TransformersEngine(copy)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the size of the process from /proc")
def test_a_batch_that_does_not_fit_into_memory_says_how_to_make_it_smaller(folder: Path) -> None:
    engine = TransformersEngine(folder, batch=20_000)
    requests = [Request(place, (5,) * 200, place) for place in range(20_000)]
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 200 * 2**20, before[1]))
    try:
        with pytest.raises(OutOfResources, match="not enough main memory to generate 20000 rows at once"):
            complete(engine, requests, GREEDY)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    assert complete(engine, requests_of(engine, 2), GREEDY)


def test_the_version_says_what_it_ran_on(engine: TransformersEngine) -> None:
    import torch
    import transformers

    number = torch.__version__.split("+")[0]
    assert engine.version == f"transformers {transformers.__version__}, torch {number}, cpu, float32"
    assert engine.name == "transformers"


def test_weights_take_the_type_asked_for(folder: Path) -> None:
    engine = TransformersEngine(folder, dtype="bfloat16")
    assert engine.version.endswith("bfloat16")
    assert complete(engine, requests_of(engine, 3), SAMPLED)


def test_it_says_nothing_of_its_own(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    engine = TransformersEngine(folder)
    complete(engine, near_the_end(engine.tokenizer, CONTEXT), Sampling(1.0, 1.0, max_tokens=100))
    assert capfd.readouterr() == ("", "")


def test_a_closed_engine_holds_no_model(folder: Path) -> None:
    engine = TransformersEngine(folder)
    complete(engine, requests_of(engine, 2), SAMPLED)
    model = weakref.ref(engine.model)
    engine.close()
    gc.collect()
    assert model() is None

"""vLLM in this process and vLLM as a server: the same draws as each other, and greedily the same as transformers."""

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from inference.engines import Request, Sampling
from inference.engines.openai import OpenAIEngine
from inference.engines.transformers import TransformersEngine
from inference.engines.vllm import VllmEngine
from registry.errors import InputError, RemoteError
from tests.real_vllm.conftest import DRAWS, PROMPTS, wait_until
from tests.workspace import ROOT

SAMPLED = Sampling(temperature=0.7, top_p=0.95, max_tokens=48)
GREEDY = Sampling(temperature=0.0, top_p=1.0, max_tokens=48)
TRAINED = ROOT / "examples" / "mini-large"
STOP = ("r", "\n")


def drawn_by(engine: Any, requests: Any, sampling: Any) -> Any:
    done = [completion for batch in engine.complete(requests, sampling) for completion in batch]
    assert sorted(completion.place for completion in done) == sorted(request.place for request in requests)
    return {completion.place: completion for completion in done}


def drawn_before_it_dies(engine: Any, requests: Any, kill: Any, says: Any) -> Any:
    """Return what comes of these requests if the engine is killed after the second list; it must say what happened."""
    before: dict[int, Any] = {}
    lists = engine.complete(requests, SAMPLED)
    for batch in (next(lists), next(lists)):
        before |= {completion.place: completion for completion in batch}
    kill()
    try:
        for batch in lists:
            before |= {completion.place: completion for completion in batch}
    except RemoteError as error:
        assert says in str(error)  # noqa: PT017
        return before
    raise AssertionError("it did not die")


@pytest.fixture(scope="module")
def sampled(offline: Any, requests: Any) -> Any:
    return drawn_by(offline, requests, SAMPLED)


@pytest.fixture
def client(server: Any, tokenizer: Any) -> Any:
    engine = OpenAIEngine(server.url, ["tiny"], tokenizer=tokenizer, retries=0)
    yield engine
    engine.close()


@pytest.fixture
def here(folder: Any) -> Any:

    engine = TransformersEngine(folder)
    yield engine
    engine.close()


@pytest.mark.parametrize("stop", [(), STOP])
def test_greedy_completions_are_those_of_transformers(offline: Any, here: Any, requests: Any, stop: Any) -> None:
    greedy = Sampling(temperature=0.0, top_p=1.0, max_tokens=48, stop=stop)
    one_each = requests[:PROMPTS]
    done = drawn_by(offline, one_each, greedy)
    assert done == drawn_by(here, one_each, greedy)
    assert len({completion.tokens for completion in done.values()}) > PROMPTS // 2


def test_a_seed_gives_the_same_draw_again_and_another_seed_another(offline: Any, requests: Any, sampled: Any) -> None:
    assert drawn_by(offline, requests, SAMPLED) == sampled
    for question in range(PROMPTS):
        assert len({sampled[place].tokens for place in range(question, PROMPTS * DRAWS, PROMPTS)}) > DRAWS // 2


def test_a_draw_does_not_depend_on_its_neighbours(offline: Any, requests: Any, sampled: Any) -> None:
    for request in requests[::23]:
        assert drawn_by(offline, [request], SAMPLED) == {request.place: sampled[request.place]}
    half = requests[1::2]
    assert drawn_by(offline, half[::-1], SAMPLED) == {request.place: sampled[request.place] for request in half}


def test_a_completion_ends_at_eos_or_after_max_tokens(tokenizer: Any, sampled: Any) -> None:
    ended = [completion for completion in sampled.values() if completion.finish_reason == "stop"]
    assert 0 < len(ended) < len(sampled)
    for completion in sampled.values():
        inside, last = completion.tokens[:-1], completion.tokens[-1]
        assert tokenizer.eos_token_id not in inside
        assert (last == tokenizer.eos_token_id) == (completion.finish_reason == "stop")
        assert completion.finish_reason == "stop" or len(completion.tokens) == SAMPLED.max_tokens
        assert completion.text == tokenizer.decode(completion.tokens, skip_special_tokens=True)


def test_a_stop_text_ends_the_same_draw_sooner(offline: Any, requests: Any, sampled: Any) -> None:
    stopped = drawn_by(offline, requests, Sampling(0.7, 0.95, 48, stop=STOP))
    sooner = 0
    for place, completion in stopped.items():
        whole = sampled[place]
        assert completion.tokens == whole.tokens[: len(completion.tokens)]
        assert completion.text == whole.text[: min((at for at in map(whole.text.find, STOP) if at >= 0), default=None)]
        if completion != whole:
            assert completion.finish_reason == "stop"
            sooner += 1
    assert sooner > len(stopped) // 4


def test_more_prompts_than_vllm_takes_at_once_are_all_answered(
    offline: Any, tokenizer: Any, sampled: Any, requests: Any
) -> None:
    many = [
        Request(1000 + n, tuple(tokenizer(f"Mia buys {n} boxes of {n * n} pencils for ${n}. How many?").input_ids), n)
        for n in range(700)
    ]
    done = drawn_by(offline, requests + many, Sampling(0.7, 0.95, 48))
    assert {place: done[place] for place in sampled} == sampled


def test_an_answer_is_as_long_as_the_context_allows(offline: Any, client: Any) -> None:
    long = Request(0, (40,) * 250, 1)
    for engine in (offline, client):
        assert len(drawn_by(engine, [long], Sampling(0.7, 1.0, 48))[0].tokens) <= 6
        with pytest.raises(InputError, match="256 tokens"):
            drawn_by(engine, [Request(0, (40,) * 256, 1)], SAMPLED)


def test_what_vllm_refuses_is_an_input_error_and_does_not_end_it(
    offline: Any, client: Any, requests: Any, sampled: Any
) -> None:
    for engine in (offline, client):
        with pytest.raises(InputError, match="temperature"):
            drawn_by(engine, requests[:5], Sampling(3.0, 1.0, 48))
        assert drawn_by(engine, requests[:1], SAMPLED) == {0: sampled[0]}


def test_the_version_says_what_it_ran_on(offline: Any, client: Any) -> None:
    import vllm

    assert offline.version.startswith(f"vllm {vllm.__version__}, torch 2.")
    assert offline.version.endswith(", cpu, float32, eager")
    assert client.version.endswith("tiny served by vllm")


@pytest.mark.parametrize("sampling", [SAMPLED, GREEDY, Sampling(0.7, 0.95, 48, stop=STOP)], ids=["sampled", "greedy", "stop"])
def test_a_server_makes_the_same_draws(offline: Any, client: Any, requests: Any, sampling: Any) -> None:
    assert drawn_by(client, requests, sampling) == drawn_by(offline, requests, sampling)


def test_a_server_that_is_killed_and_comes_back_makes_the_missing_draws(
    server: Any, tokenizer: Any, requests: Any, sampled: Any
) -> None:
    engine = OpenAIEngine(server.url, ["tiny"], tokenizer=tokenizer, concurrency=4, retries=1)
    try:
        before = drawn_before_it_dies(engine, requests, server.kill, "Connection error")
    finally:
        engine.close()
        server.kill()
        server.start()
    assert 0 < len(before) < len(requests)
    again = OpenAIEngine(server.url, ["tiny"], tokenizer=tokenizer)
    try:
        missing = drawn_by(again, [request for request in requests if request.place not in before], SAMPLED)
    finally:
        again.close()
    assert before | missing == sampled


def test_an_engine_whose_process_is_killed_is_a_remote_error(folder: Any, requests: Any, sampled: Any) -> None:
    already = set(multiprocessing.active_children())
    engine = VllmEngine(folder, context=128)
    (core,) = set(multiprocessing.active_children()) - already
    many = requests + [Request(1000 + n, requests[n % PROMPTS].prompt, n) for n in range(5000)]
    try:
        before = drawn_before_it_dies(engine, many, lambda: os.kill(core.pid, signal.SIGKILL), "vLLM died")  # type: ignore[arg-type]
        with pytest.raises(RemoteError, match="vLLM died"):
            drawn_by(engine, requests[:1], SAMPLED)
    finally:
        engine.close()
    assert before.keys() & sampled.keys()
    assert all(before[place] == sampled[place] for place in before.keys() & sampled.keys())
    wait_until(lambda: not core.is_alive(), 30)


def test_a_model_trained_here_serves_in_plain_vllm(tmp_path: Path) -> None:
    # The way of vLLM's own first page, in a process of its own: nothing of ours but the folder.
    script = """
import sys
from vllm import LLM, SamplingParams

if __name__ == "__main__":
    model = LLM(model=sys.argv[1], dtype="float32", enforce_eager=True, max_model_len=256)
    print(model.generate(["7*8=<<7*8="], SamplingParams(temperature=0.0, max_tokens=1))[0].outputs[0].text)
"""
    file = tmp_path / "plain.py"
    file.write_text(script)
    ran = subprocess.run(
        [sys.executable, file, TRAINED], capture_output=True, text=True, env=os.environ | {"HF_HUB_OFFLINE": "1"}
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert ran.stdout.splitlines()[-1] == "56"

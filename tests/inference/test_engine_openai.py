"""The openai engine against servers that refuse, hang, babble and die. A real vLLM serves it in tests/real_vllm."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import pytest

from inference.engines import Request, Sampling
from inference.engines.choice import open_engine
from inference.engines.openai import OpenAIEngine
from registry.errors import InputError, RemoteError, UsageError
from registry.maker import Model, Options
from tests.openai_server import Body, Hangup, drawn, reply, serving
from tests.tiny_models import tiny_model, tiny_tokenizer

IN_FLIGHT = 8
SAMPLING = Sampling(temperature=0.7, top_p=0.9, max_tokens=24)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return tiny_tokenizer(bos=True)


@pytest.fixture
def requests(tokenizer: Any) -> list[Request]:
    """Forty draws: of eight prompts, five each, as the samples builder orders them."""
    prompts = [tuple(tokenizer(f"Tom reads {n} pages a day.").input_ids) for n in range(8)]
    return [Request(place, prompts[place % 8], 2**63 - 1 - place) for place in range(40)]


@contextmanager
def opened(server: Any, tokenizer: Any, **settings: Any) -> Iterator[OpenAIEngine]:
    url = settings.pop("url", server.url if server else None)
    engine = OpenAIEngine(url, ["tiny@1", "tiny"], tokenizer=tokenizer, **{"retries": 0} | settings)
    try:
        yield engine
    finally:
        engine.close()


def drawn_by(engine: OpenAIEngine, requests: list[Request], sampling: Sampling = SAMPLING) -> Any:
    done = [completion for batch in engine.complete(requests, sampling) for completion in batch]
    assert len({completion.place for completion in done}) == len(done)
    return {completion.place: completion for completion in done}


def test_every_request_is_answered_once_from_its_own_tokens_and_seed(tokenizer: Any, requests: list[Request]) -> None:
    with serving(lambda body: reply(body, tokenizer)) as server, opened(server, tokenizer) as engine:
        done = drawn_by(engine, requests)
    bodies = {(tuple(body["prompt"]), body["seed"]): body for body in server.bodies}
    assert len(done) == len(bodies) == len(server.bodies) == 40
    for request in requests:
        body = bodies[request.prompt, request.seed]
        assert (body["model"], body["temperature"], body["top_p"], body["max_tokens"]) == ("tiny", 0.7, 0.9, 24)
        assert "stop" not in body
        assert (body["top_k"], body["repetition_penalty"], body["min_p"]) == (-1, 1.0, 0.0)
        assert done[request.place].tokens == tuple(drawn(body))
        assert done[request.place].text == tokenizer.decode(drawn(body))
        assert done[request.place].finish_reason == "stop"


def test_no_more_requests_are_in_flight_than_asked_for_and_those_of_a_prompt_come_together(
    tokenizer: Any, requests: list[Request]
) -> None:
    def slow(body: Body) -> Any:
        time.sleep(0.02)
        return reply(body, tokenizer)

    with serving(slow) as server, opened(server, tokenizer, concurrency=3) as engine:
        assert len(drawn_by(engine, requests)) == 40
        assert server.most_at_once == 3
    with serving(slow) as server, opened(server, tokenizer, concurrency=1) as engine:
        drawn_by(engine, requests)
    prompts = [tuple(body["prompt"]) for body in server.bodies[1:]]
    assert sum(a != b for a, b in pairwise(prompts)) == 7


def test_a_text_ends_before_the_first_stop(tokenizer: Any, requests: list[Request]) -> None:
    texts = ["He has 12.\n\nQuestion: no", "no stop here"]
    tokens = {request.place: tokenizer(texts[request.place], add_special_tokens=False).input_ids for request in requests[:2]}

    def answer(body: Body) -> Any:
        place = requests[0].seed - body["seed"]
        return reply(body, tokenizer) | {
            "choices": [{"text": texts[place], "finish_reason": "stop", "token_ids": tokens[place]}]
        }

    with serving(answer) as server, opened(server, tokenizer) as engine:
        done = drawn_by(engine, requests[:2], Sampling(0.7, 1.0, 24, stop=("Question:", "\n\n")))
    assert [done[0].text, done[1].text] == ["He has 12.", "no stop here"]
    assert done[0].tokens == tuple(tokens[0])
    assert server.bodies[0]["stop"] == ["Question:", "\n\n"]


@pytest.mark.parametrize("takes_ids", [True, False])
@pytest.mark.parametrize("takes_more", [True, False])
def test_what_a_server_refuses_is_left_out_from_the_first_request_on(
    tokenizer: Any, requests: list[Request], caplog: pytest.LogCaptureFixture, takes_ids: bool, takes_more: bool
) -> None:
    def picky(body: Body) -> Any:
        if isinstance(body["prompt"], list) and not takes_ids:
            return {"error": {"message": "prompt must be a string"}}, 400
        if "return_token_ids" in body and not takes_more:
            return {"error": {"message": "unknown field return_token_ids"}}, 422
        return reply(body, tokenizer)

    with (
        caplog.at_level(logging.WARNING, "rft"),
        serving(picky) as server,
        opened(server, tokenizer, concurrency=4) as engine,
    ):
        done = drawn_by(engine, requests)
        again = drawn_by(engine, requests[:1])
    assert len(done) == 40
    assert again[0] == done[0]
    refused = len(server.bodies) - 41
    assert refused == {(True, True): 0, (True, False): 1, (False, True): 2, (False, False): 3}[takes_ids, takes_more]
    said = " ".join(record.getMessage() for record in caplog.records)
    assert ("sent as text" in said, "own settings hold" in said) == (not takes_ids, not takes_more)
    last = server.bodies[-1]
    assert last["prompt"] == (list(requests[0].prompt) if takes_ids else "Tom reads 0 pages a day.")
    assert done[0].tokens == (tuple(drawn(last)) if takes_more else ())
    assert done[0].text == tokenizer.decode(drawn(last))


def test_a_prompt_that_its_text_does_not_give_back_is_not_sent_as_text(tokenizer: Any) -> None:
    def no_ids(body: Body) -> Any:
        return reply(body, tokenizer) if isinstance(body["prompt"], str) else ({"error": {"message": "no ids"}}, 400)

    without_bos = tuple(tokenizer("Tom reads", add_special_tokens=False).input_ids)
    with serving(no_ids) as server, opened(server, tokenizer) as engine, pytest.raises(InputError, match="other tokens"):
        drawn_by(engine, [Request(0, without_bos, 1)])


def test_a_request_that_no_form_makes_good_is_an_input_error(tokenizer: Any, requests: list[Request]) -> None:
    refuse = {"error": {"message": "temperature must be in [0, 2]"}}, 400
    with (
        serving(lambda body: refuse) as server,
        opened(server, tokenizer) as engine,
        pytest.raises(InputError, match=r"draw 0 in every form: .*temperature must be"),
    ):
        drawn_by(engine, requests)
    assert len(server.bodies) == 4


def test_a_later_request_that_is_refused_is_an_input_error(tokenizer: Any, requests: list[Request]) -> None:
    def answer(body: Body) -> Any:
        return ({"error": {"message": "not this one"}}, 400) if body["seed"] == requests[7].seed else reply(body, tokenizer)

    with (
        serving(answer) as server,
        opened(server, tokenizer) as engine,
        pytest.raises(InputError, match=r"refuses draw 7: .*not this one"),
    ):
        drawn_by(engine, requests)


def test_an_answer_is_as_long_as_the_servers_context_allows(tokenizer: Any, requests: list[Request]) -> None:
    length = len(requests[0].prompt)
    with serving(lambda body: reply(body, tokenizer), max_model_len=length + 5) as server, opened(server, tokenizer) as engine:
        drawn_by(engine, requests[:3])
        assert {body["max_tokens"] for body in server.bodies} == {5}
        with pytest.raises(InputError, match=rf"has {length + 5} tokens"):
            drawn_by(engine, [Request(0, requests[0].prompt + (40,) * 5, 0)])


def test_the_first_name_that_is_served_is_asked_for(tokenizer: Any) -> None:
    with serving(lambda body: reply(body, tokenizer), "other", "tiny", "tiny@1", owned_by="vllm") as server:
        with opened(server, tokenizer) as engine:
            assert engine.version.endswith("tiny@1 served by vllm")
        with opened(server, tokenizer, served_model="other") as engine:
            assert engine.version.endswith("other served by vllm")
            drawn_by(engine, [Request(0, (40,), 0)])
            assert server.bodies[0]["model"] == "other"
        with pytest.raises(InputError, match=r"serves other, tiny, tiny@1, not mine.*RFT_SERVED_MODEL"):
            opened(server, tokenizer, served_model="mine").__enter__()
    with (
        serving(lambda body: reply(body, tokenizer), "other") as server,
        pytest.raises(InputError, match=r"serves other, not tiny@1 or tiny.*--served-model"),
    ):
        opened(server, tokenizer).__enter__()


def test_the_key_comes_from_the_environment(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "not-a-real-key")
    with serving(lambda body: reply(body, tokenizer)) as server, opened(server, tokenizer):
        assert server.keys == {"Bearer not-a-real-key"}


def test_a_server_that_is_not_there_is_named(tokenizer: Any) -> None:
    with serving(lambda body: body) as server:
        gone = server.url
    with pytest.raises(RemoteError, match=rf"{gone}: Connection error. Start one there"):
        opened(None, tokenizer, url=gone).__enter__()


def test_a_server_of_something_else_is_named(tokenizer: Any) -> None:
    with (
        serving(lambda body: body) as server,
        pytest.raises(RemoteError, match=r"No server of the OpenAI protocol answers at .*/v2: .*404"),
    ):
        opened(server, tokenizer, url=server.url.replace("v1", "v2")).__enter__()


def test_a_failure_that_passes_is_asked_again(tokenizer: Any, requests: list[Request]) -> None:
    seen = set()

    def shaky(body: Body) -> Any:
        first = body["seed"] not in seen
        seen.add(body["seed"])
        return ({"error": {"message": "try again"}}, 503) if first and body["seed"] % 2 else reply(body, tokenizer)

    with serving(shaky) as server, opened(server, tokenizer, retries=2) as engine:
        assert len(drawn_by(engine, requests)) == 40
    assert len(server.bodies) == 60


def failing(answer: Callable[[Body], Any], tokenizer: Any, requests: list[Request], *, good: int, **settings: Any) -> Any:
    """Return what was drawn before a server fails after `good` answers, and the message of the RemoteError."""
    lock = threading.Lock()
    answered: list[Any] = []
    done: list[Any] = []

    def some(body: Body) -> Any:
        with lock:
            if len(answered) < good:
                answered.append(body["seed"])
                return reply(body, tokenizer)
        return answer(body)

    with (
        serving(some) as server,
        opened(server, tokenizer, concurrency=IN_FLIGHT, **settings) as engine,
        pytest.raises(RemoteError) as raised,
    ):
        done.extend(completion for batch in engine.complete(requests, SAMPLING) for completion in batch)
    return done, str(raised.value)


def checked(done: Any, requests: list[Request]) -> Any:
    """Return the places of these draws, each of which must be what its request asks for."""
    for completion in done:
        request = requests[completion.place]
        body = {"prompt": list(request.prompt), "seed": request.seed, "max_tokens": 24}
        assert completion.tokens == tuple(drawn(body))
    return {completion.place for completion in done}


def test_what_came_before_a_failure_stays_good(tokenizer: Any, requests: list[Request]) -> None:
    done, message = failing(lambda body: ({"error": {"message": "out of luck"}}, 500), tokenizer, requests, good=20, retries=1)
    assert 20 - IN_FLIGHT < len(checked(done, requests)) <= 20
    assert "out of luck" in message
    assert "the same command goes on" in message


def test_a_server_that_hangs_is_given_up(tokenizer: Any, requests: list[Request]) -> None:
    release = threading.Event()
    try:
        done, message = failing(lambda body: release.wait(), tokenizer, requests, good=20, timeout=0.3, retries=1)
    finally:
        release.set()
    assert 20 - IN_FLIGHT < len(checked(done, requests)) <= 20
    assert "timed out" in message


def choices(**changes: Any) -> Any:
    choice = {"index": 0, "text": "a", "finish_reason": "stop", "token_ids": [40]}
    return {"choices": [{name: value for name, value in (choice | changes).items() if value is not None}]}


GARBAGE = {
    "not JSON": (b"<html>busy</html>", "Invalid JSON"),
    "cut off": (b'{"choices": [{"text": "a", "fin', "Invalid JSON"),
    "no choices": ({"id": "cmpl-1"}, "choices: Field required"),
    "an empty list": ({"choices": []}, "at least 1 item"),
    "two choices": ({"choices": choices()["choices"] * 2}, "at most 1 item"),
    "no text": (choices(text=None), "text: Field required"),
    "a number for a text": (choices(text=3), "valid string"),
    "another end": (choices(finish_reason="abort"), "finish_reason: .*'abort'"),
    "no end": (choices(finish_reason=None), "finish_reason: Field required"),
    "no tokens": (choices(token_ids=[]), "token_ids: .*at least 1 item"),
    "words for tokens": (choices(token_ids=["a"]), "token_ids.0: .*valid integer"),
}


@pytest.mark.parametrize("garbage", GARBAGE)
def test_an_answer_that_is_no_completion_is_a_remote_error(tokenizer: Any, requests: list[Request], garbage: Any) -> None:
    content, says = GARBAGE[garbage]
    with (
        serving(lambda body: content) as server,
        opened(server, tokenizer) as engine,
        pytest.raises(RemoteError, match=f"failed at draw 0: .*{says}"),
    ):
        drawn_by(engine, requests)


def test_after_a_server_died_the_missing_draws_are_asked_of_its_successor(tokenizer: Any, requests: list[Request]) -> None:
    def dead(body: Body) -> Any:
        raise Hangup

    done, message = failing(dead, tokenizer, requests, good=20)
    assert 20 - IN_FLIGHT < len(checked(done, requests)) <= 20
    assert "Connection error" in message
    had = {completion.place for completion in done}
    with serving(lambda body: reply(body, tokenizer)) as server, opened(server, tokenizer) as engine:
        rest = drawn_by(engine, [request for request in requests if request.place not in had])
    assert had | checked(rest.values(), requests) == set(range(40))


def test_an_engine_whose_server_came_back_goes_on(tokenizer: Any, requests: list[Request]) -> None:
    def answer(body: Body) -> Any:
        return reply(body, tokenizer)

    with serving(answer) as server, opened(server, tokenizer) as engine:
        port = server.server_port
        before = drawn_by(engine, requests[:10])
        server.shutdown()
        server.server_close()
        with pytest.raises(RemoteError, match="Connection error"):
            drawn_by(engine, requests[10:])
        with serving(answer, port=port):
            assert len(before | drawn_by(engine, requests[10:])) == 40


def test_closing_early_ends_what_is_in_flight(tokenizer: Any, requests: list[Request]) -> None:
    order, arrived, release = count(), threading.Semaphore(0), threading.Event()

    def answer(body: Body) -> Any:
        if next(order) >= 3:
            arrived.release()
            release.wait()
        return reply(body, tokenizer)

    with serving(answer) as server, opened(server, tokenizer, concurrency=4) as engine:
        running = engine.complete(requests, SAMPLING)
        before = next(running) + next(running)
        for _ in range(4):
            arrived.acquire()
        running.close()  # type: ignore[attr-defined]
        release.set()
        missing = [request for request in requests if request.place not in {completion.place for completion in before}]
        assert len(before) + len(drawn_by(engine, missing)) == 40
    assert len(server.bodies) == 40 + 4


def test_a_server_that_reads_less_than_the_model_is_refused_for_it_would_cut_draws(
    tokenizer: Any, requests: list[Request]
) -> None:
    with serving(lambda body: reply(body, tokenizer)) as server:
        server.models[:] = [{"id": "tiny", "object": "model", "max_model_len": 30}]
        with opened(server, tokenizer, context=256) as engine, pytest.raises(InputError, match="Start it with room for"):
            drawn_by(engine, requests)
        room = len(requests[0].prompt) + 4
        server.models[:] = [{"id": "tiny", "object": "model", "max_model_len": room}]
        with opened(server, tokenizer, context=room) as engine:  # the model itself has room for no more
            drawn_by(engine, requests[:1])
    assert server.bodies[-1]["max_tokens"] == 4


@pytest.mark.parametrize("ids", [[-1], [2**31], [2**63]])
def test_token_ids_that_are_none_are_an_error_of_the_server(tokenizer: Any, requests: list[Request], ids: list[int]) -> None:
    def answer(body: Body) -> Any:
        return reply(body, tokenizer) | {"choices": [{"text": "x", "finish_reason": "stop", "token_ids": ids}]}

    with serving(answer) as server, opened(server, tokenizer) as engine, pytest.raises(RemoteError, match="token_ids"):
        drawn_by(engine, requests)


def test_an_address_that_is_none_is_said(tokenizer: Any) -> None:
    with pytest.raises(UsageError, match="is no address of a server"):
        OpenAIEngine("http://HOST:PORT/v1", ["tiny"], tokenizer=tokenizer)


def test_no_requests_at_once_is_refused(tokenizer: Any, tmp_path: Path) -> None:
    model = Model("tiny@1", "0" * 64, tiny_model(tmp_path / "tiny"))
    with pytest.raises(UsageError, match="RFT_CONCURRENCY is 0"):
        open_engine(model, Options(engine="openai", base_url="http://127.0.0.1:1/v1", concurrency=0), tokenizer)

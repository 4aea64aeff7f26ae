"""What the vLLM engine does without vLLM. With it: tests/real_vllm."""

import asyncio
import importlib.util
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import pytest

from inference.engines import Completion, Request
from inference.engines.flight import Loop, before, by_prompt
from inference.engines.vllm import ENVIRONMENT, VllmEngine, completion, guard
from registry.errors import RemoteError, UsageError

REQUEST = Request(place=7, prompt=(1, 2), seed=3)


def output(request_id: str = "7", *draws: Any) -> Any:
    """Return what vLLM answers: for each draw its token ids and why it ended."""
    return SimpleNamespace(
        request_id=request_id, outputs=[SimpleNamespace(token_ids=tokens, finish_reason=reason) for tokens, reason in draws]
    )


def words(tokens: Any) -> str:
    return " ".join(map(str, tokens))


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vLLM is installed here")
def test_without_vllm_the_engine_says_what_to_install_or_to_take_instead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ENVIRONMENT:
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(UsageError, match=r"pip install '\.\[vllm\]'.*--engine transformers.*--engine openai"):
        VllmEngine(tmp_path)


def test_the_processes_of_an_engine_end_with_ours_even_if_it_is_killed() -> None:
    script = """
import os, signal, subprocess
from inference.engines.vllm import guard
process = subprocess.Popen(["sleep", "600"])
watching = guard([process.pid])
os.kill(os.getpid(), signal.SIGKILL)
"""
    # This returns when the last process that can write to the pipe is gone: `sleep` is one of them.
    ran = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, timeout=60)
    assert ran.returncode == -signal.SIGKILL


def test_an_engine_that_was_closed_leaves_others_alone() -> None:
    process = subprocess.Popen(["sleep", "600"])
    watching = guard([process.pid])
    watching.kill()
    watching.communicate()
    assert process.poll() is None
    process.kill()
    process.wait()


@pytest.mark.parametrize("reason", ["stop", "length"])
def test_a_finished_draw_is_read_with_its_tokens_and_cut_at_a_stop(reason: Literal["stop", "length"]) -> None:
    done = completion(REQUEST, [output("7", ([5, 6, 8], reason))], ["8", "6 "], words)
    assert done == Completion(7, (5, 6, 8), "5 ", reason)


@pytest.mark.parametrize(
    "outputs",
    [
        [],
        [output("8", ([5], "stop"))],
        [output("7")],
        [output("7", ([5], "stop"), ([6], "stop"))],
        [output("7", ([5], "stop")), output("7", ([6], "stop"))],
        [output("7", ([], "stop"))],
        [output("7", ([5], None))],
        [output("7", ([5], "abort"))],
        [output("7", ([5], "repetition"))],
    ],
    ids=["nothing", "another", "no draw", "two draws", "two outputs", "no tokens", "unfinished", "aborted", "another end"],
)
def test_anything_else_that_vllm_says_is_a_remote_error(outputs: Any) -> None:
    with pytest.raises(RemoteError, match="answered draw 7 with"):
        completion(REQUEST, outputs, [], words)


def test_an_engine_that_hangs_is_given_up_after_what_it_finished() -> None:
    async def answer(request: Request) -> Any:
        if request.place:
            await asyncio.sleep(600)
        return Completion(request.place, (5,), "5", "stop")

    loop = Loop()
    drawn = loop.completions([Request(n, (1, n), n) for n in range(3)], answer, window=3, patience=1.0)
    assert [completion.place for completion in next(drawn)] == [0]
    with pytest.raises(RemoteError, match="it hangs"):
        next(drawn)
    loop.close()


def test_the_draws_of_a_prompt_are_asked_for_together() -> None:
    requests = [Request(place, ((1,), (2,), (1, 2))[place % 3], place) for place in range(9)]
    assert [request.place for request in by_prompt(requests)] == [0, 3, 6, 1, 4, 7, 2, 5, 8]


def test_a_text_is_cut_at_the_stop_that_comes_first() -> None:
    assert before("so 12.\n\nQ: what", ("Q:", "\n\n")) == "so 12."
    assert before("so 12.", ("Q:", "\n\n")) == "so 12."
    assert before("so 12.", ()) == "so 12."

"""What these tests share: a tiny model, vLLM with it in this process, and a server of it; each start takes half a minute.

They run where vLLM is installed: .venv-vllm/bin/python -m pytest tests/real_vllm
"""

import importlib.util
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from inference.engines import Request
from tests.tiny_models import tiny_model
from tests.workspace import SIX

collect_ignore_glob = [] if importlib.util.find_spec("vllm") else ["*"]
os.environ["VLLM_CPU_KVCACHE_SPACE"] = "1"
START = 300  # seconds that a server may take to start on a busy machine
PROMPTS, DRAWS = 12, 16


def pytest_configure(config: Any) -> Any:
    config.addinivalue_line("filterwarnings", "ignore:Unclosed context:ResourceWarning")  # vLLM's own, when it is collected


def pytest_collection_modifyitems(items: Any) -> Any:
    for item in items:
        if item.path.parent == Path(__file__).parent:
            for warnings in ("DeprecationWarning", "FutureWarning"):  # vLLM's and torch's own, when they are imported
                item.add_marker(pytest.mark.filterwarnings(f"ignore::{warnings}"))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A model whose generation_config.json has sampling settings, which no engine may follow."""
    made = tiny_model(tmp_path_factory.mktemp("tiny"))
    file = made / "generation_config.json"
    settings = {"do_sample": True, "temperature": 0.3, "top_k": 2, "top_p": 0.5, "repetition_penalty": 1.7}
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))
    return made


@pytest.fixture(scope="session")
def tokenizer(folder: Any) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="session")
def requests(tokenizer: Any) -> Any:
    """Sixteen draws of each of twelve prompts, numbered by (draw, question), with seeds all over the range."""
    texts = [row["question"] for row in SIX] + [row["question"][::-1] for row in SIX]
    prompts = [tuple(tokenizer(text).input_ids) for text in texts]
    return [Request(place, prompts[place % PROMPTS], (2**63 - 1) // (1 + place * place)) for place in range(PROMPTS * DRAWS)]


@pytest.fixture(scope="session")
def offline(folder: Any) -> Any:
    from inference.engines.vllm import VllmEngine

    engine = VllmEngine(folder)
    yield engine
    engine.close()
    wait_until(lambda: not multiprocessing.active_children(), 30)


def wait_until(true: Any, seconds: Any) -> Any:
    """Wait until `true()`; fail after so many seconds."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not so after {seconds} s"
        time.sleep(0.05)


class Server:
    """A vLLM server of the model, named tiny, in processes of its own."""

    def __init__(self, folder: Any, log: Any) -> Any:  # type: ignore[misc]
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder, self.log, self.process = folder, log, None
        self.url = f"http://127.0.0.1:{self.port}/v1"

    def start(self) -> Any:
        words = f"--served-model-name tiny --dtype float32 --enforce-eager --no-enable-chunked-prefill --port {self.port}"
        command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(self.folder), *words.split()]
        environment = os.environ | {"VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # type: ignore[assignment]
                [*command, "--host", "127.0.0.1"], env=environment, stdout=log, stderr=log, start_new_session=True
            )
        wait_until(self.answers, START)

    def answers(self) -> Any:
        assert self.process.poll() is None, self.log.read_text(errors="replace")[-4000:]  # type: ignore[attr-defined]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5) as reply:
                return reply.status == 200
        except OSError:
            return False

    def kill(self) -> Any:
        """End all its processes at once, as a machine that is switched off."""
        os.killpg(self.process.pid, signal.SIGKILL)  # type: ignore[attr-defined]
        self.process.wait()  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def server(folder: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    running = Server(folder, tmp_path_factory.mktemp("server") / "log.txt")
    try:
        running.start()
        yield running
    finally:
        running.kill()

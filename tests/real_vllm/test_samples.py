"""The builder `samples` on real vLLM: offline, and by the command through a server that is killed midway."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from builders.samples import build
from inference.draws import DrawKey, DrawStore
from inference.engines.transformers import TransformersEngine
from registry.catalog.bind import location_hash
from registry.maker import Model, Options, Run
from registry.rows import question_id
from tests.real_vllm.conftest import wait_until
from tests.workspace import SIX, Workspace

K = 256
QUESTIONS = pl.DataFrame(
    [(question_id(row["question"]), row["question"], row["answer"].split()[-1]) for row in SIX],
    schema=["question_id", "question", "answer"],
    orient="row",
)


class Kept:
    """An engine that is not closed: starting vLLM takes half a minute."""

    def __init__(self, engine: Any) -> None:
        self.engine, self.name, self.version = engine, engine.name, engine.version

    def complete(self, requests: Any, sampling: Any) -> Any:
        return self.engine.complete(requests, sampling)

    def close(self) -> Any:
        pass


def test_greedy_samples_of_vllm_are_those_of_transformers(folder: Any, offline: Any, tmp_path: Path) -> None:
    model = Model("tiny@1", "0" * 64, folder)
    texts = []
    for name, engine in (("vllm", Kept(offline)), ("transformers", TransformersEngine(folder))):
        run = Run(tmp_path, tmp_path, tmp_path / name, Options())
        made = build(
            QUESTIONS, model, k=1, temperature=0.0, max_tokens=64, prompt="plain", run=run, _open=lambda *_, e=engine: e
        )
        assert made.facts["engines"] == [engine.version]
        texts.append(made.rows.select("question_id", "response", "tokens", "finish_reason"))
    assert texts[0].equals(texts[1])


@contextmanager
def a_catalog_of_samples(folder: Any, tmp_path: Path) -> Any:
    workspace = Workspace(tmp_path)
    workspace.write("six.jsonl", SIX)
    (tmp_path / "tiny").symlink_to(folder)
    workspace.add(
        "six@1: {builder: questions_file, params: {path: six.jsonl, sha256: ?}}",
        f'tiny@1: {{trainer: local, params: {{path: tiny, sha256: "{location_hash(folder)}"}}}}',
        f"drawn@1: {{builder: samples, inputs: [six@1, tiny@1], params: {{k: {K}, max_tokens: 100, prompt: plain}}}}",
    )
    yield workspace


def acknowledged(home: Path) -> set[tuple[str, int]]:
    """Return every draw that is in a store."""
    keys = [DrawKey(**json.loads(record.read_text())) for record in home.glob("draws/*/key.json")]
    return {draw for key in keys for draw in DrawStore(home, key).read(columns=["prompt", "draw"]).iter_rows()}


def bytes_of_draws(home: Path) -> int:
    return sum(segment.stat().st_size for segment in home.glob("draws/*/*.seg"))


def test_a_server_that_is_killed_loses_no_draw_that_was_acknowledged(folder: Any, server: Any, tmp_path: Path) -> None:
    with a_catalog_of_samples(folder, tmp_path) as workspace:
        rft = Path(sys.executable).with_name("rft")
        command = [rft, "build", "drawn", "--engine", "openai", "--base-url", server.url]
        environment = os.environ | {"HF_HUB_OFFLINE": "1", "RFT_CONCURRENCY": "32"}
        slowly = environment | {"RFT_CONCURRENCY": "2"}  # it must not be done before this process gets its turn to kill
        running = subprocess.Popen(command, cwd=tmp_path, env=slowly, stderr=subprocess.PIPE, text=True)
        wait_until(lambda: running.poll() is not None or bytes_of_draws(workspace.store.home) > 10_000, 120)
        server.kill()
        try:
            said = running.communicate(timeout=300)[1]
            assert running.returncode == 5, said
            assert server.url in said
            before = acknowledged(workspace.store.home)
            assert 0 < len(before) < 6 * K
        finally:
            server.start()
        again = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert again.returncode == 0, again.stderr
        made = workspace.made("drawn@1")
        assert made.rows.height == made.rows.select("question_id", "draw").n_unique() == 6 * K
        facts = made.record.facts
        assert (facts["draws_reused"], facts["draws_made"]) == (len(before), 6 * K - len(before))
        assert made.rows["engine"].unique().to_list() == facts["engines"]
        assert before <= acknowledged(workspace.store.home)
        third = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert "0 built" in third.stderr

"""A CPU without instructions for a narrow type says how slow it will be. The libraries are told to use AVX2 alone."""

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from registry.catalog.bind import location_hash
from tests.tiny_models import tiny_model
from tests.workspace import Workspace

AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
RFT = Path(sys.executable).with_name("rft")
ENGINE = """
import sys
from pathlib import Path
import logging
logging.basicConfig(format="%(message)s")
from inference.engines.transformers import TransformersEngine
for _ in range(2):
    TransformersEngine(Path(sys.argv[1]), dtype=sys.argv[2]).close()
"""

pytestmark = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="only on x86 can the libraries be told to leave instructions out"
)


@pytest.fixture
def on_avx2(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in AVX2.items():
        monkeypatch.setenv(name, value)


def said(printed: str, act: str, name: str) -> list[str]:
    sentence = rf"this CPU has no {name} instructions: {act} will be about \d+ times slower than with dtype: fp32"
    return re.findall(sentence, printed)


def test_a_build_in_bf16_says_once_how_slow_it_will_be(workspace: Workspace, on_avx2: None) -> None:
    folder = tiny_model(workspace.folder / "tiny", spread=0.02)
    train = "trainer: sft, inputs: [tiny@1, six@1], params: {epochs: 1, batch: 2, prompt: plain, dtype"
    workspace.add(
        f'tiny@1: {{trainer: local, params: {{path: tiny, sha256: "{location_hash(folder)}"}}}}',
        f"narrow@1: {{{train}: bf16}}}}",
        f"again@1: {{{train}: bf16, seed: 1}}}}",
        f"wide@1: {{{train}: fp32}}}}",
    )

    def built(*names: str) -> str:
        done = subprocess.run([RFT, "build", *names], cwd=workspace.folder, capture_output=True, text=True, env=os.environ)
        assert done.returncode == 0, done.stderr
        return done.stderr

    printed = built("narrow", "again")
    assert len(said(printed, "training", "bf16")) == 1, printed
    log = (workspace.folder / ".rft" / "build.log").read_text()
    assert len(said(log, "training", "bf16")) == 1
    assert "instructions" not in built("wide")


@pytest.mark.parametrize(("dtype", "name"), [("bfloat16", "bf16"), ("float16", "fp16")])
def test_sampling_in_a_narrow_type_says_once_how_slow_it_will_be(tmp_path: Path, on_avx2: None, dtype: str, name: str) -> None:
    folder = tiny_model(tmp_path / "tiny")
    done = subprocess.run([sys.executable, "-c", ENGINE, folder, dtype], capture_output=True, text=True, check=True)
    assert len(said(done.stderr, "sampling", name)) == 1, done.stderr

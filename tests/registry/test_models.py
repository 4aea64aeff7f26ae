"""Models as artifacts: from a folder, from the Hub, and what the engine does for a trainer."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import stamina

from registry.build.build import build_one
from registry.catalog.bind import location_hash
from registry.errors import CatalogError, Conflict, Corrupt, InputError, NotFound, RemoteError
from registry.hub_client import snapshot
from registry.maker import Model
from registry.names import parse_id
from registry.store.models import files_hash, open_model
from registry.store.record import files_in
from tests.fakehub import serving
from tests.tiny_models import tiny_model
from tests.workspace import Workspace

REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def local(workspace: Workspace, tiny: Path) -> Workspace:
    """A workspace with the line of a model in the folder `tiny`."""
    (workspace.folder / "tiny").symlink_to(tiny)
    workspace.add(f'tiny@1: {{trainer: local, params: {{path: tiny, sha256: "{location_hash(tiny)}", loss: 1.5}}}}')
    return workspace


def test_a_folder_becomes_a_model_that_plain_transformers_loads(local: Workspace, tiny: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    (built,) = local.build("tiny")
    stored = local.stored("tiny@1")
    assert built.record.kind == "model"
    assert built.record.content == files_hash(files_in(tiny)) == location_hash(tiny)
    assert built.record.facts == {"loss": 1.5}
    assert AutoModelForCausalLM.from_pretrained(stored.folder).config.hidden_size == 32
    assert AutoTokenizer.from_pretrained(stored.folder).eos_token == "</s>"
    assert open_model(stored, local.store) == Model("tiny@1", built.record.content, stored.folder, {"loss": 1.5})


def test_a_folder_that_is_not_the_lines_is_refused(local: Workspace) -> None:
    local.add('tiny@1: {trainer: local, params: {path: tiny, sha256: "00"}}')
    with pytest.raises(InputError, match=r"the folder has sha256: [0-9a-f]{64}"):
        local.build("tiny")


def test_a_line_without_the_hash_of_its_folder_is_told_it(local: Workspace, tiny: Path) -> None:
    local.add("tiny@1: {trainer: local, params: {path: tiny}}")
    with pytest.raises(CatalogError, match=location_hash(tiny)):
        local.plan()


def test_a_file_in_the_place_of_a_folder_is_refused(local: Workspace) -> None:
    local.write("one.txt", "x")
    local.add("tiny@1: {trainer: local, params: {path: one.txt, sha256: ?}}")
    with pytest.raises(NotFound, match="is not a folder"):
        local.build("tiny")


def test_a_folder_without_a_config_is_no_model(local: Workspace) -> None:
    (local.folder / "empty").mkdir()
    local.add(f'tiny@1: {{trainer: local, params: {{path: empty, sha256: "{files_hash([])}"}}}}')
    with pytest.raises(InputError, match=r"no config\.json"):
        local.build("tiny")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("bad@1: {builder: fraction, inputs: [tiny@1], params: {denominator: 2, seed: 1}}", "tiny@1"),
        ("bad@1: {builder: rejection, inputs: [six@1, tiny@1]}", "must be SAMPLES rows; tiny@1 is a model"),
        ("bad@1: {trainer: sft, inputs: [six@1, six@1]}", "input 1 must be a model; six@1 is a dataset"),
        ("bad@1: {trainer: sft, inputs: [tiny@1, tiny@1]}", "must be TRAINING or QUESTIONS rows; tiny@1 is a model"),
        ("bad@1: {trainer: sft, inputs: [tiny@1, fix@1]}", "its input fix@1 is not in the catalog. Did you mean six@1"),
    ],
)
def test_models_and_rows_do_not_take_each_others_place(local: Workspace, line: str, says: str) -> None:
    local.add(line)
    with pytest.raises((CatalogError, InputError), match=says):
        local.build("bad")


def test_a_model_of_the_hub_stays_in_its_cache_and_is_fetched_again_when_it_is_gone(
    local: Workspace, tiny: Path, tmp_path: Path
) -> None:
    repo = tmp_path / "repo"
    tiny_model(repo, seed=3)
    for name in ("pytorch_model.bin", "README.md", "flax_model.msgpack", "onnx/model.onnx"):
        (repo / name).parent.mkdir(exist_ok=True)
        (repo / name).write_text("not wanted")
    local.add(f'far@1: {{trainer: hub, params: {{repo: someone/tiny, revision: "{REVISION}", loss: 1.75}}}}')
    script = (
        "import sys; from registry.store.store import Store; from registry.store.models import open_model; from registry.names import parse_id\n"
        "from pathlib import Path; s = Store(Path(sys.argv[1]))\n"
        "m = open_model(s.require(parse_id('far@1')), s)\n"
        "from transformers import AutoModelForCausalLM; AutoModelForCausalLM.from_pretrained(m.folder); print(m.folder)"
    )
    rft = Path(sys.executable).with_name("rft")

    def run(*command: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run([str(c) for c in command], env=env, cwd=local.folder, capture_output=True, text=True)

    with serving("someone/tiny", REVISION, repo, "model") as hub:
        env = os.environ | {
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(tmp_path / "hf"),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }
        built = run(rft, "build", "far", "--quiet")
        assert built.returncode == 0, built.stderr
        there = run(sys.executable, "-c", script, local.store.home)
        assert there.returncode == 0, there.stderr
        record = local.stored("far@1")
        wanted = [file for file in files_in(tiny_model(tmp_path / "again", seed=3)) if file.name != "chat_template.jinja"]
        assert record.record.content == files_hash(wanted)
        assert sorted(p.name for p in record.folder.iterdir()) == ["artifact.json", "hub.json"]
        for file in (tmp_path / "hf" / "hub").rglob("model.safetensors"):
            file.unlink()  # the cache was cleaned
        assert run(sys.executable, "-c", script, local.store.home).returncode == 0
    # The Hub is gone: the cache serves. Then the cache is damaged.
    assert run(sys.executable, "-c", script, local.store.home).returncode == 0
    (blob,) = {file.resolve() for file in (tmp_path / "hf" / "hub").rglob("model.safetensors")}
    blob.write_bytes(blob.read_bytes()[:-1] + b"!")
    broken = run(sys.executable, "-c", script, local.store.home)
    assert "Corrupt" in broken.stderr
    assert "model.safetensors has other bytes than were written" in broken.stderr


def test_a_download_that_breaks_off_in_the_clients_own_words_is_tried_again_and_then_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried = []

    def broken(*words: Any, local_files_only: bool = False, **more: Any) -> Any:
        if local_files_only:
            raise FileNotFoundError
        tried.append(words)
        raise RuntimeError("Task error: File reconstruction error")  # as with xet, which no server here speaks

    monkeypatch.setattr("huggingface_hub.snapshot_download", broken)
    with stamina.set_testing(True, attempts=3), pytest.raises(RemoteError, match="could not be loaded: Task error"):
        snapshot("someone/model", "c" * 40, ["*.json"], kind="model")
    assert len(tried) == 3


def test_a_hub_that_does_not_answer_is_an_error_of_the_network(local: Workspace, tmp_path: Path) -> None:
    local.add(f'far@1: {{trainer: hub, params: {{repo: someone/tiny, revision: "{REVISION}"}}}}')
    env = os.environ | {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path / "hf")}
    rft = Path(sys.executable).with_name("rft")
    failed = subprocess.run([rft, "build", "far"], env=env, cwd=local.folder, capture_output=True, text=True)
    assert failed.returncode == 5
    assert "someone/tiny at 0123456789ab could not be listed" in failed.stderr


def test_two_processes_do_not_train_one_model_at_once(local: Workspace, tiny: Path) -> None:
    from registry.build.processes import work_folder_of

    step = local.step("tiny@1")
    with work_folder_of(step.recipe, local.store, []), pytest.raises(Conflict, match="being trained by another process"):
        build_one(step.recipe, local.store, local.folder)
    assert build_one(step.recipe, local.store, local.folder).new


def test_a_damaged_model_is_not_opened(local: Workspace) -> None:
    local.build("tiny")
    file = local.stored("tiny@1").folder / "model.safetensors"
    file.chmod(0o644)
    file.write_bytes(b"?" * file.stat().st_size)
    assert local.state("tiny@1") == "corrupt"
    with pytest.raises(Corrupt):
        local.store.check(local.store.require(parse_id("tiny@1")))

"""What trainers share: which rows a step trains on, how they are padded, and trainings that are killed and go on.

python -m tests.trainers.test_fitting CALM WILD      train tuned@1 of the catalogs in two folders, the second in processes that are killed
"""

import logging
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.build.build import build_one
from registry.catalog import read as catalog
from registry.catalog.bind import location_hash
from registry.catalog.plan import plan
from registry.errors import InputError, OutOfResources
from registry.maker import Options, Run
from registry.names import parse_id
from registry.store.store import Store
from tests.tiny_models import tiny_model
from tests.workspace import ROOT, SIX, Workspace

KILLS = 10
SEED = 20
WEIGHTS = "model.safetensors"


@pytest.fixture(scope="session")
def fitting() -> Any:
    """The module under test, imported late: with it comes torch."""
    from trainers._fitting import fit

    return fit


@pytest.fixture(scope="session")
def batches() -> Any:
    from trainers._fitting import batches

    return batches


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("base"), spread=0.02)


@pytest.fixture
def fit(tmp_path: Path, fitting: Any, batches: Any, base: Any) -> Any:
    """Train the tiny model on rows of random tokens, in a work folder that outlives a training that fails."""
    dice = random.Random(1)
    rows = [batches.Row([dice.randrange(3, 320) for _ in range(dice.randrange(4, 40))], 2) for _ in range(30)]

    def fitted(hook: Any = None, name: str = "model", options: Options | None = None, **recipe: Any) -> Any:
        """`hook` is called before each piece of a batch with what the model is given."""
        usual = {"epochs": 2.0, "batch": 8, "lr": 1e-3, "schedule": "cosine", "warmup": 0.1, "weight_decay": 0.0}
        run = Run(tmp_path / name, tmp_path / "work", tmp_path, options or Options(checkpoint=0))
        for folder in (run.folder, run.work):
            folder.mkdir(exist_ok=True)
        model = fitting.load(base)
        if hook:
            model.register_forward_pre_hook(lambda _, args, piece: hook(piece), with_kwargs=True)
        return fitting.fit(model, rows, fitting.Recipe(**usual | {"dtype": "fp32", "seed": 0} | recipe), run)

    return fitted


# -- which rows, and how they lie ------------------------------------------------------------------------------------


@given(
    lengths=st.lists(st.integers(1, 50), min_size=1, max_size=40),
    epochs=st.integers(1, 4),
    batch=st.integers(1, 16),
    seed=st.integers(0, 5),
)
def test_every_row_comes_once_an_epoch(batches: Any, lengths: Any, epochs: float, batch: int, seed: int) -> None:
    order = batches.arrange(np.array(lengths), float(epochs), batch, seed)
    rows = order[order >= 0]
    assert order.shape == (-(-len(lengths) * epochs // batch), batch)
    assert np.bincount(rows).tolist() == [epochs] * len(lengths)
    assert (order[:-1] >= 0).all()  # only the last step is filled up


def test_epochs_may_end_in_the_middle(batches: Any) -> None:
    lengths = np.full(10, 5)
    assert (batches.arrange(lengths, 1.5, 1, 0) >= 0).sum() == 15
    assert (batches.arrange(lengths, 0.01, 4, 0) >= 0).sum() == 1


def test_which_rows_a_step_gets_does_not_depend_on_how_long_they_are(batches: Any) -> None:
    dice = np.random.default_rng(0)
    one, other = (batches.arrange(dice.integers(1, 99, 100), 2.0, 16, 3) for _ in range(2))
    assert np.sort(one, axis=1).tolist() == np.sort(other, axis=1).tolist()
    assert one.tolist() != other.tolist()


def test_padding_tokens_and_labels_are_counted_as_the_model_sees_them(fitting: Any, fit: Any) -> None:
    seen: list[tuple[int, int, int]] = []

    def note(piece: dict[str, Any]) -> None:
        ids, labels = piece["input_ids"], piece["labels"]
        assert ids.shape == labels.shape
        assert (labels[labels != -100] == ids[labels != -100]).all()
        seen.append((ids.numel(), int((labels != -100).sum()), len(ids)))

    facts = fit(note).facts
    positions, labels, rows = np.array(seen).sum(axis=0)
    assert rows == 64  # 60 of them are rows, the others fill up
    assert facts["tokens"] == labels + 2 * 60
    assert 0 < facts["padding"] < 0.1
    assert facts["padding"] == pytest.approx(1 - facts["tokens"] / positions, abs=1e-4)


@given(documents=st.lists(st.lists(st.integers(3, 9), max_size=7), max_size=8), length=st.integers(2, 10))
def test_blocks_ask_for_every_token_of_the_documents_once(batches: Any, documents: Any, length: Any) -> None:
    packed = batches.blocks(documents, length, 1)
    assert [token for block in packed for token in block[1:]] == [token for d in documents for token in [*d, 1]]
    assert all(len(block) == length for block in packed[:-1])
    assert all(2 <= len(block) <= length for block in packed)


def test_a_long_loss_curve_is_thinned_by_means(fitting: Any, fit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = fit(name="whole", batch=2, epochs=2.5, options=Options(batch=2)).loss
    monkeypatch.setattr(fitting, "POINTS", 10)
    thin = fit(name="thin", batch=2, epochs=2.5, options=Options(batch=2)).loss
    assert whole["step"].to_list() == list(range(1, 39))
    assert thin["step"].to_list() == [*range(4, 37, 4), 38]
    assert thin["epoch"][-1] == 2.5
    assert thin["loss"].to_list() == pytest.approx([whole["loss"][n : n + 4].mean() for n in range(0, 38, 4)])


# -- what goes wrong -------------------------------------------------------------------------------------------------


def test_a_training_that_diverges_is_an_error_and_no_model(tmp_path: Path, fit: Any) -> None:
    with pytest.raises(InputError, match=r"the loss is nan at step \d of 8: the training has diverged. Lower lr"):
        fit(lr=1e30, warmup=0.0, schedule="constant")
    assert list((tmp_path / "model").iterdir()) == []


def test_too_little_memory_is_told_with_what_to_do(fit: Any) -> None:
    import torch

    def full(piece: dict[str, Any]) -> None:
        raise torch.OutOfMemoryError

    with pytest.raises(OutOfResources, match=r"too little memory to train on 8 rows at once.* RFT_BATCH=4"):
        fit(full, options=Options(batch=8))


# -- checkpoints -----------------------------------------------------------------------------------------------------


class Stopped(BaseException):
    """What a signal raises in the command."""


def stop_at(step: int) -> Any:
    """Return a hook that interrupts a training, cut into pieces of a whole batch, in this step."""
    calls = iter(range(1, 1000))

    def hook(piece: dict[str, Any]) -> None:
        if next(calls) == step:
            raise Stopped

    return hook


@pytest.mark.parametrize("damage", ["none", "mark", "missing", "short", "all"])
def test_a_training_goes_on_from_its_last_whole_checkpoint(
    tmp_path: Path, fit: Any, caplog: pytest.LogCaptureFixture, damage: Any
) -> None:
    whole = Options(checkpoint=0, batch=8)
    undisturbed = fit(name="undisturbed", options=Options(batch=8))
    with pytest.raises(Stopped):
        fit(stop_at(6), options=whole)
    work = tmp_path / "work"
    assert sorted(path.name for path in work.iterdir()) == ["checkpoint-4", "checkpoint-5"]
    last = work / "checkpoint-5"
    if damage in ("mark", "all"):
        (last / "complete.json").unlink()
    if damage == "all":
        (work / "checkpoint-4" / "complete.json").unlink()
    if damage == "missing":
        (last / "optimizer.pt").unlink()
    if damage == "short":
        os.truncate(last / WEIGHTS, 1000)
    steps = []
    with caplog.at_level(logging.INFO, logger="rft"):
        fitted = fit(lambda piece: steps.append(1), options=whole)
    whole_ones = {"none": 5, "all": 0}.get(damage, 4)
    assert len(steps) == 8 - whole_ones
    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warned) == {"none": 0, "all": 2}.get(damage, 1)
    assert all("is not complete" in line for line in warned)
    assert fitted.loss.equals(undisturbed.loss)
    assert (tmp_path / "model" / WEIGHTS).read_bytes() == (tmp_path / "undisturbed" / WEIGHTS).read_bytes()


def test_a_training_that_had_ended_trains_no_more(tmp_path: Path, fit: Any) -> None:
    first = fit(name="first")

    def hook(piece: dict[str, Any]) -> None:
        raise AssertionError("there is nothing left to train")

    again = fit(hook, name="again")
    assert (tmp_path / "again" / WEIGHTS).read_bytes() == (tmp_path / "first" / WEIGHTS).read_bytes()
    assert again.loss.equals(first.loss)
    assert again.facts["tokens"] == first.facts["tokens"]


def test_checkpoints_come_by_the_clock(tmp_path: Path, fit: Any) -> None:
    fit(options=Options(checkpoint=3600))
    assert list((tmp_path / "work").iterdir()) == []


def tuning(folder: Path, base: Path, line: str) -> Workspace:
    """Return a workspace with the tiny model and the six questions built, and one line more."""
    folder.mkdir()
    workspace = Workspace(folder)
    workspace.write("six.jsonl", SIX)
    (folder / "tiny").symlink_to(base)
    workspace.add(
        "six@1: {builder: questions_file, params: {path: six.jsonl, sha256: ?}}",
        f'tiny@1: {{trainer: local, params: {{path: tiny, sha256: "{location_hash(base)}"}}}}',
        line,
    )
    workspace.build("six", "tiny")
    return workspace


def test_a_training_killed_again_and_again_gives_the_model_of_an_undisturbed_one(tmp_path: Path, base: Any) -> None:
    line = "tuned@1: {trainer: sft, inputs: [tiny@1, six@1], params: {epochs: 100, batch: 6, prompt: plain, lr: 1.0e-3, dtype: fp32}}"
    calm, wild = (tuning(tmp_path / name, base, line) for name in ("calm", "wild"))
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    child = subprocess.run(
        [sys.executable, "-m", __name__, calm.folder, wild.folder], cwd=ROOT, env=env, capture_output=True, text=True
    )
    assert child.returncode == 0, child.stderr
    killed, checkpoints = child.stdout.splitlines()
    assert killed == f"{KILLS} killed"
    assert KILLS <= int(checkpoints) < 100
    one, other = (workspace.stored("tuned@1") for workspace in (calm, wild))
    assert one.record.content == other.record.content
    assert pl.read_parquet(one.folder / "loss.parquet").equals(pl.read_parquet(other.folder / "loss.parquet"))


def train(folder: Path, checkpoint: int) -> None:
    """Build tuned@1 with a checkpoint every so many seconds."""
    store = Store(folder / ".rft")
    step = plan(catalog.read(folder / "catalog.yaml"), store)[parse_id("tuned@1")]
    build_one(step.recipe, store, folder, options=Options(checkpoint=checkpoint))


def kill_again_and_again(calm: Path, wild: Path) -> None:
    """Build tuned@1 undisturbed, then in processes that are killed at random moments, at last in one that is left alone."""
    import trainers._fitting.fit  # noqa: F401  it brings torch: forked from here, a process has it at once

    dice = random.Random(SEED)
    fork = multiprocessing.get_context("fork")

    def start(folder: Path, checkpoint: int) -> BaseProcess:
        process = fork.Process(target=train, args=(folder, checkpoint))
        process.start()
        return process

    def newest(mark: str = "") -> int:
        found = [path.relative_to(wild).parts[3] for path in wild.glob(f".rft/work/*/checkpoint-*{mark}")]
        return max((int(name.rpartition("-")[2]) for name in found), default=0)

    undisturbed = start(calm, 3600)
    undisturbed.join()
    killed = 0
    for life in range(KILLS):
        before, process = newest(), start(wild, 0)
        if life % 4:
            # When the second new checkpoint begins or is whole: so each life gets a little further, on any machine.
            mark = dice.choice(["", "/complete.json"])
            while newest(mark) < before + 2 and process.is_alive():
                time.sleep(0.001)
        time.sleep(dice.uniform(0, 0.03 if life % 4 else 0.5))
        process.kill()
        process.join()
        killed += process.exitcode == -signal.SIGKILL
    print(f"{killed} killed\n{newest()}")
    last = start(wild, 3600)
    last.join()
    sys.exit(undisturbed.exitcode or last.exitcode)


# -- several processes -----------------------------------------------------------------------------------------------


def test_two_processes_of_a_launcher_train_one_model(tmp_path: Path, base: Any) -> None:
    from safetensors.torch import load_file

    line = "tuned@1: {trainer: sft, inputs: [tiny@1, six@1], params: {epochs: 4, batch: 4, prompt: plain, lr: 1.0e-3, dtype: fp32}}"
    single, double = (tuning(tmp_path / name, base, line) for name in ("single", "double"))
    single.build("tuned", options=Options(batch=4))
    rft = Path(sys.executable).with_name("rft")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--no-python"]
    env = os.environ | {"OMP_NUM_THREADS": "1", "RFT_CHECKPOINT": "0"}  # all processes save after every step
    ran = subprocess.run([*launcher, rft, "build", "tuned"], cwd=double.folder, env=env, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    one, two = (workspace.stored("tuned@1") for workspace in (single, double))
    assert two.record.facts["device"].startswith("2 x cpu")
    weights, others, start = (load_file(folder / WEIGHTS) for folder in (one.folder, two.folder, base))
    for name, part in weights.items():
        assert (part - others[name]).abs().mean() < 0.02 * (part - start[name]).abs().mean()
    curve, other = (pl.read_parquet(stored.folder / "loss.parquet") for stored in (one, two))
    assert other["loss"].to_list() == pytest.approx(curve["loss"].to_list(), rel=1e-4)
    assert other.drop("loss").equals(curve.drop("loss"))
    assert list(double.store.temporary.iterdir()) == []
    assert list(double.store.work.glob("*/*")) == []


def test_a_batch_that_the_processes_cannot_share_is_an_error(fitting: Any) -> None:
    recipe = fitting.Recipe(1.0, 9, 1e-3, "cosine", 0.0, 0.0, "fp32", 0)
    with pytest.raises(InputError, match="a batch of 9 rows cannot be shared by 2 processes"):
        fitting._cut(np.zeros((1, 9), int), np.ones(1), recipe, 0, SimpleNamespace(world_size=2), None)


if __name__ == "__main__":
    kill_again_and_again(Path(sys.argv[1]), Path(sys.argv[2]))

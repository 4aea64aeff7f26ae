"""The paper's loop with a tiny real model, by catalog lines alone: SFT, sampling, rejection set, RFT from the base, scores."""

import fcntl
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from registry.catalog.bind import location_hash
from registry.errors import InputError
from registry.maker import Options
from registry.names import parse_id
from rft.removal import garbage
from rft.reports.figures.catalogue import draw
from rft.reports.figures.scores import points
from rft.reports.models import scaling
from tests.openai_server import Body, reply, serving
from tests.tiny_models import tiny_model, tiny_tokenizer
from tests.workspace import SIX, Workspace

TRAIN = "epochs: 30, batch: 6, lr: 3.0e-3, prompt: plain, dtype: fp32"
LINES = (
    f"sft@1: {{trainer: sft, inputs: [tiny@1, six@1], params: {{{TRAIN}, seed: 0}}}}",
    f"sft-again@1: {{trainer: sft, inputs: [tiny@1, six@1], params: {{{TRAIN}, seed: 1}}}}",
    f"rft@1: {{trainer: sft, inputs: [tiny@1, set@1], params: {{{TRAIN}}}}}",
    "drawn@1: {builder: samples, inputs: [six@1, sft@1], params: {k: 4, temperature: 1.0, max_tokens: 60}}",
    "set@1: {builder: rejection, inputs: [six@1, drawn@1]}",
    *(
        line
        for model in ("sft", "sft-again", "rft")
        for line in (
            f"greedy-{model}@1: {{builder: samples, inputs: [six@1, {model}@1], params: {{k: 1, temperature: 0.0, max_tokens: 60}}}}",
            f"score-{model}@1: {{eval: gsm8k, inputs: [six@1, greedy-{model}@1]}}",
        )
    ),
)


@pytest.fixture
def loop(workspace: Workspace) -> Workspace:
    """A workspace with a base model, its SFT on the six questions, and all that follows from it."""
    texts = [f"{row['question']}\n{row['answer']}" for row in SIX]
    tiny_model(workspace.folder / "tiny", spread=0.02, vocab=400, texts=texts)
    digest = location_hash(workspace.folder / "tiny")
    workspace.add(f'tiny@1: {{trainer: local, params: {{path: tiny, sha256: "{digest}", loss: 5.5}}}}', *LINES)
    return workspace


def rft(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = Path(sys.executable).with_name("rft")
    return subprocess.run([command, *words], cwd=cwd, capture_output=True, text=True, check=True)


def test_the_loop_closes_and_gives_the_same_again(loop: Workspace) -> None:
    rft("build", "--all", cwd=loop.folder)
    contents = {id: loop.store.require(id).record.content for id in loop.store.stamps()}
    assert {parse_id(name) for name in ("sft@1", "set@1", "rft@1", "score-rft@1")} <= contents.keys()

    drawn = pl.read_parquet(loop.stored("drawn@1").folder / "rows.parquet")
    assert drawn.height == 24
    assert drawn["model"].unique().to_list() == ["sft@1"]
    assert drawn["seed"].n_unique() == 24
    assert drawn["tokens"].is_between(1, 60).all()
    kept = loop.stored("set@1").record
    assert kept.rows >= 6  # the human solutions, and what the model got right
    assert loop.registry.sql('select count(*) as n from "rft@1/loss"')["n"].item() > 0

    again = rft("build", "--all", cwd=loop.folder)
    assert "0 built" in again.stderr
    lineage = rft("lineage", "score-rft", cwd=loop.folder).stdout
    for word in ("greedy-rft@1  samples", "rft@1  sft", "set@1  rejection", "drawn@1  samples", "tiny@1  local"):
        assert word in lineage

    told = loop.registry.sql(
        "select name, base, setting, data, k, share, seed, loss, dataset, n from settings where metric = 'maj1@1' order by name"
    )
    assert told.rows() == [
        ("rft", "tiny", "rft", "set@1", 4, 1.0, 0, 5.5, "six@1", 6),
        ("sft", "tiny", "sft", "six@1", None, 1.0, 0, 5.5, "six@1", 6),
        ("sft-again", "tiny", "sft", "six@1", None, 1.0, 1, 5.5, "six@1", 6),
    ]
    of_two_seeds = [point for point in points(loop.registry, []) if point.setting == "sft"]
    assert [(point.base, point.seeds) for point in of_two_seeds] == [("tiny", 2)]
    shown = draw("curves", loop.registry)
    labels = [str(line.get_label()) for line in shown.figure.axes[0].lines]
    assert [label for label in labels if not label.startswith("_")] == [
        "rft@1",
        "sft@1",
        "sft-again@1",
    ]

    rows = scaling(loop.registry, sorted(loop.store.stamps()))
    assert [row.models for row in rows] == [("rft@1",), ("sft@1", "sft-again@1"), ("tiny@1",)]
    by_model = {row.models[0]: row for row in rows}
    assert by_model["sft@1"].loss == by_model["rft@1"].loss == 5.5
    assert len(by_model["sft@1"].each) == 2
    assert by_model["sft@1"].maj1 == pytest.approx(sum(by_model["sft@1"].each) / 2)
    assert by_model["rft@1"].rows == kept.rows
    assert by_model["tiny@1"].maj1 is None
    table = rft("models", cwd=loop.folder).stdout
    assert "sft@1 and 1 more" in table
    assert json.loads(rft("models", "rft", "--json", cwd=loop.folder).stdout)[0]["dataset"] == "set@1"

    shutil.rmtree(loop.store.home)
    rft("build", "--all", cwd=loop.folder)
    assert {id: loop.store.require(id).record.content for id in loop.store.stamps()} == contents


def test_a_dry_run_shows_the_first_prompt_and_what_is_to_come(loop: Workspace) -> None:
    loop.build("sft")
    shown = rft("build", "drawn", "--dry-run", cwd=loop.folder)
    assert shown.stdout.split() == ["drawn@1"]
    assert SIX[0]["question"] in shown.stderr
    assert "24 to come" in shown.stderr
    assert not (loop.store.home / "draws").exists()


def test_training_on_a_set_that_came_out_empty_is_refused(loop: Workspace) -> None:
    loop.write("bare.jsonl", [{"question": "How much is 1+1?", "answer": "2"}])
    loop.write("wrong.jsonl", [{"question": "How much is 1+1?", "completion": "1+1=<<1+1=3>>3\n#### 3"}])
    loop.add(
        "bare@1: {builder: questions_file, params: {path: bare.jsonl, sha256: ?}}",
        "wrong@1: {builder: samples_file, inputs: [bare@1], params: {path: wrong.jsonl, sha256: ?}}",
        "none@1: {builder: rejection, inputs: [bare@1, wrong@1]}",
        f"sft@2: {{trainer: sft, inputs: [tiny@1, none@1], params: {{{TRAIN}}}}}",
    )
    with pytest.raises(InputError, match="none@1: none of 0 rows"):
        loop.build("sft@2")


def test_a_model_without_a_tokenizer_is_refused(loop: Workspace) -> None:
    bare = loop.folder / "bare"
    shutil.copytree(loop.folder / "tiny", bare)
    for file in bare.glob("tokenizer*"):
        file.unlink()
    loop.add(f'bare@1: {{trainer: local, params: {{path: bare, sha256: "{location_hash(bare)}"}}}}')
    loop.add(f"sft@2: {{trainer: sft, inputs: [bare@1, six@1], params: {{{TRAIN}}}}}")
    with pytest.raises(InputError, match="bare@1 has no tokenizer"):
        loop.build("sft@2")


def test_draws_of_models_that_are_gone_can_be_collected(loop: Workspace) -> None:
    loop.build("drawn")
    assert "draws of" not in rft("gc", "--unlisted", cwd=loop.folder).stdout
    shutil.rmtree(loop.store.folder(parse_id("drawn@1")))
    shutil.rmtree(loop.store.folder(parse_id("sft@1")))
    assert "24 draws of sft@1" in rft("gc", "--unlisted", cwd=loop.folder).stdout
    rft("gc", "--unlisted", "--yes", cwd=loop.folder)
    assert list((loop.store.home / "draws").iterdir()) == []


def test_two_ways_of_asking_one_model_are_two_rows_and_old_scores_are_none(loop: Workspace) -> None:
    tokenizer = tiny_tokenizer()

    def answer(body: Body) -> Any:
        text = "#### 15" if len(body["prompt"]) > 90 else "#### 36 or 15"
        return reply(body, tokenizer, ids=False) | {"choices": [{"text": text, "finish_reason": "stop"}]}

    for prompt in ("alpaca", "plain"):
        params = f"k: 1, temperature: 0.0, max_tokens: 20, prompt: {prompt}"
        loop.add(
            f"g-{prompt}@1: {{builder: samples, inputs: [six@1, tiny@1], params: {{{params}}}}}",
            f"score-{prompt}@1: {{eval: gsm8k, inputs: [six@1, g-{prompt}@1]}}",
        )
    with serving(answer, "tiny@1") as server:
        options = Options(engine="openai", base_url=server.url)
        loop.build("score-alpaca@1", "score-plain@1", options=options)
    rows = scaling(loop.registry, [parse_id("tiny@1")])
    assert [row.how.partition(",")[0] for row in rows] == ["prompt alpaca", "prompt plain"]  # type: ignore[union-attr]
    values = [
        loop.made(f"score-{row.how.split()[1].strip(',')}@1").rows.filter(metric="maj1@1")["value"].item()  # type: ignore[union-attr]
        for row in rows
    ]
    assert [row.maj1 for row in rows] == values
    assert "prompt plain" in rft("models", cwd=loop.folder).stdout


def test_a_training_that_runs_keeps_its_folder(loop: Workspace) -> None:
    loop.build("sft")
    folder = loop.store.work / "sft@1.0123456789ab"
    folder.mkdir(parents=True)
    with open(f"{folder}.lock", "w") as lock:
        assert garbage(loop.store, None).work == [folder]
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert garbage(loop.store, None).work == []


def test_a_folder_that_was_an_artifact_becomes_a_plain_model(loop: Workspace) -> None:
    copied = loop.folder / "copied"
    shutil.copytree(loop.folder / "tiny", copied)
    for name in ("artifact.json", "hub.json"):
        (copied / name).write_text("{}")
    loop.add(f'copied@1: {{trainer: local, params: {{path: copied, sha256: "{location_hash(copied)}"}}}}')
    loop.build("copied@1")
    assert loop.store.damage(loop.stored("copied@1"), thorough=True) is None
    assert not (loop.stored("copied@1").folder / "hub.json").exists()

"""Exports for trainers: what a row is, which samples are right and wrong, what a file says of itself, and what is refused."""

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest
import yaml

from inference.prompts import TEMPLATES
from registry.errors import Drifted, InputError, NotFound, OutOfResources, RftError, UsageError
from registry.files import sha256_file
from registry.names import parse_id
from rft.export.export import AS_STORED, FORMATS, SOLVED, Exported, export, trl_config
from tests.workspace import IDS, SIX, Workspace, samples_of

RIGHT = "6*4=<<6*4=24>>24 baked\n24-9=<<24-9=15>>15\n#### 15"
RIGHT_TOO = "4*6-9=<<4*6-9=15>>15\n#### 15"
AGAIN = "First 6*4=<<6*4=24>>24, then 24-9=<<24-9=15>>15\n#### 15"  # the path of RIGHT
UNSOUND = "6*4=<<6*4=25>>25\n25-10=<<25-10=15>>15\n#### 15"
TEXTS = {
    0: [RIGHT, "6+4=<<6+4=10>>10\n#### 10", AGAIN, RIGHT_TOO, UNSOUND, "no idea", "6+4=<<6+4=10>>10\n#### 10"],
    1: ["12+24=<<12+24=36>>36 “pencils”\n#### 36", "12-3=<<12-3=9>>9\n#### 9", "12*3=<<12*3=36>>36, 8\n#### 8", "I give up"],
    2: ["#### 99", "#### 98"],
    3: ["1200-300=<<1200-300=900>>900\n#### 900"],
}
UNSOLVED = {"question": "How many\u2028legs have 3 ants, “all” in all?", "answer": "18"}  # it has no solution to train on
ALPACA = TEMPLATES["alpaca"].render


def listed(folder: Path) -> Workspace:
    """Return a workspace that lists the questions some@1, samples red@1 and blue@1, sets of either, the union all@1, and more."""
    workspace = Workspace(folder)
    workspace.write("some.jsonl", [*SIX, UNSOLVED])
    workspace.write("red.jsonl", samples_of(TEXTS) + json.dumps({"question": UNSOLVED["question"], "completion": "#### 3"}))
    workspace.write("blue.jsonl", samples_of({0: ["6+4=<<6+4=10>>10\n#### 10"], 5: ["30/2=<<30/2=15>>15\n#### 15"]}))
    made_of = "{builder: samples_file, inputs: [some@1], params:"
    workspace.add(
        "some@1: {builder: questions_file, params: {path: some.jsonl, sha256: ?}}",
        f"red@1: {made_of} {{path: red.jsonl, sha256: ?}}}}",
        f"blue@1: {made_of} {{path: blue.jsonl, sha256: ?}}}}",
        "red-set@1: {builder: rejection, inputs: [some@1, red@1], params: {same_as_human: keep}}",
        "blue-set@1: {builder: rejection, inputs: [some@1, blue@1], params: {same_as_human: keep}}",
        "all@1: {builder: union, inputs: [red-set@1, blue-set@1]}",
        "half@1: {builder: fraction, inputs: [all@1], params: {denominator: 2, seed: 1}}",
        "scores@1: {eval: gsm8k, inputs: [some@1, red@1], params: {k: 1}}",
        "text@1: {builder: story_text, params: {lines: 60000, seed: 1}}",
    )
    return workspace


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """That workspace, built: to read from."""
    workspace = listed(tmp_path_factory.mktemp("built"))
    workspace.build("*")
    return workspace


@pytest.fixture
def own(built: Any, tmp_path: Path) -> Any:
    """A copy of it, to change."""
    shutil.copytree(built.store.home, tmp_path / ".rft")
    return listed(tmp_path)


@pytest.fixture
def out(built: Any, tmp_path: Path) -> Any:
    """Export an artifact with the paper's prompt; return what was said and the rows that were written."""

    def exported(
        name: Any, format: Any, file: Any, *, of: Any = built, **options: Any
    ) -> tuple[Exported, list[dict[str, Any]]]:
        said = export(of.registry, name, format, tmp_path / file, **{"render": ALPACA} | options)
        if said.file.suffix == ".parquet":
            return said, pl.read_parquet(said.file).to_dicts()
        return said, [json.loads(line) for line in said.file.read_text(encoding="utf-8").split("\n")[:-1]]

    return exported


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".") and path.name != ".rft"]


# -- solved questions -------------------------------------------------------------------------------------------------

SHAPES = {
    "prompt-completion": lambda q, r: {"prompt": ALPACA(q), "completion": r},
    "messages": lambda q, r: {"messages": [{"role": "user", "content": q}, {"role": "assistant", "content": r}]},
    "alpaca": lambda q, r: {"instruction": q, "input": "", "output": r},
    "query-response": lambda q, r: {"query": q, "response": r},
}


@pytest.mark.parametrize("file", ["rows.jsonl", "rows.parquet"])
@pytest.mark.parametrize("format", SOLVED)
def test_a_set_becomes_solved_questions_in_its_own_order(built: Any, out: Any, format: Any, file: Any) -> None:
    said, rows = out("all", format, file)
    wanted = built.made("all@1").rows
    assert rows == [SHAPES[format](*row) for row in wanted.select("question", "response").iter_rows()]  # type: ignore[no-untyped-call]
    assert said.rows == len(rows) == 10
    assert said.columns == list(rows[0])
    assert rows[0] == SHAPES[format](SIX[0]["question"], SIX[0]["answer"])  # type: ignore[no-untyped-call]  # the human solution comes first


@pytest.mark.parametrize("format", SOLVED)
def test_questions_without_a_solution_are_left_out_and_counted(out: Any, format: Any) -> None:
    said, rows = out("some", format, "rows.jsonl")
    assert rows == [SHAPES[format](row["question"], row["answer"]) for row in SIX]  # type: ignore[no-untyped-call]
    assert said.skipped == said.record["skipped"] == {"no_response": 1}


def test_questions_that_nobody_solved_are_no_export(own: Any, out: Any, tmp_path: Path) -> None:
    own.write("none.jsonl", [UNSOLVED])
    own.add("none@1: {builder: questions_file, params: {path: none.jsonl, sha256: ?}}")
    own.build("none")
    with pytest.raises(InputError, match=r"none@1 has nothing to export as alpaca: 1 no_response"):
        out("none", "alpaca", "rows.jsonl", of=own)
    assert not (tmp_path / "rows.jsonl").exists()


# -- right and wrong samples ------------------------------------------------------------------------------------------


def test_kto_has_kept_samples_as_right_wrong_and_missing_answers_as_wrong_and_no_others(built: Any, out: Any) -> None:
    said, rows = out("all", "kto", "rows.jsonl")
    texts = {(row["prompt"], row["completion"]): row["label"] for row in rows}
    assert len(texts) == len(rows)  # each text once, whoever wrote it
    asked = ALPACA(SIX[0]["question"])
    of_first = {text: label for (prompt, text), label in texts.items() if prompt == asked}
    kept = built.made("all@1").rows.filter(pl.col("question_id") == IDS[0], pl.col("origin") != "human")["response"]
    assert {text for text, label in of_first.items() if label} == set(kept)
    assert {text for text, label in of_first.items() if not label} == {TEXTS[0][1], "no idea"}
    assert UNSOUND not in of_first  # the right answer by a bad calculation is neither
    assert said.columns == ["prompt", "completion", "label"]
    assert said.skipped == {"no_right_or_wrong_sample": 1}  # nobody was asked the fifth question


def test_wrong_samples_of_a_question_without_any_row_find_its_text_in_the_lineage(own: Any, out: Any) -> None:
    assert UNSOLVED["question"] not in own.made("all@1").rows["question"]
    _, rows = out("all", "kto", "rows.jsonl", of=own)
    assert {"prompt": ALPACA(UNSOLVED["question"]), "completion": "#### 3", "label": False} in rows
    own.store.remove(parse_id("half@1"))
    own.store.remove(parse_id("some@1"))
    said, rows = out("all", "kto", "again.jsonl", of=own)
    assert ALPACA(UNSOLVED["question"]) not in [row["prompt"] for row in rows]
    assert said.skipped == {"no_question_text": 1, "no_right_or_wrong_sample": 1}


def test_kept_samples_with_bad_calculations_are_not_right(own: Any, out: Any) -> None:
    own.add("every@1: {builder: rejection, inputs: [some@1, red@1], params: {mode: paper, select: all}}")
    own.build("every")
    assert UNSOUND in own.made("every@1").rows["response"]
    assert UNSOUND not in [row["completion"] for row in out("every", "kto", "rows.jsonl", of=own)[1]]


def test_dpo_sets_right_against_wrong_of_the_same_question(built: Any, out: Any) -> None:
    said, pairs = out("all", "dpo", "rows.jsonl")
    labels = {(row["prompt"], row["completion"]): row["label"] for row in out("all", "kto", "kto.jsonl")[1]}
    assert all(labels[pair["prompt"], pair["chosen"]] and not labels[pair["prompt"], pair["rejected"]] for pair in pairs)
    for prompt in {prompt for prompt, _ in labels}:
        own = [label for (asked, _), label in labels.items() if asked == prompt]
        mine = [pair for pair in pairs if pair["prompt"] == prompt]
        assert len(mine) == min(sum(own), len(own) - sum(own))
        assert len({pair["chosen"] for pair in mine}) == len({pair["rejected"] for pair in mine}) == len(mine)
    assert said.columns == ["prompt", "chosen", "rejected"]
    assert said.skipped == {"no_right_sample": 4, "no_wrong_sample": 1}


def test_the_pairs_of_a_question_depend_on_the_seed_and_on_no_other_question(own: Any, out: Any) -> None:
    wrong = [f"{n}+1=<<{n}+1={n + 1}>>{n + 1}\n#### {n + 1}" for n in range(50, 90)]
    right = [f"{n}+{36 - n}=<<{n}+{36 - n}=36>>36\n#### 36" for n in range(1, 8)]
    for name, texts in (("one", {1: right + wrong}), ("two", {0: TEXTS[0], 1: wrong + right})):
        own.write(f"{name}.jsonl", samples_of(texts))
        own.add(
            f"{name}@1: {{builder: samples_file, inputs: [some@1], params: {{path: {name}.jsonl, sha256: ?}}}}",
            f"{name}-set@1: {{builder: rejection, inputs: [some@1, {name}@1], params: {{select: first}}}}",
        )
    own.build("one-set", "two-set")
    said, pairs = out("one-set", "dpo", "pairs.jsonl", of=own)
    others = [pair for pair in out("two-set", "dpo", "others.jsonl", of=own)[1] if pair["prompt"] == pairs[0]["prompt"]]
    assert len(pairs) > 1
    assert others == pairs
    assert out("one-set", "dpo", "again.jsonl", of=own)[1] == pairs
    assert out("one-set", "dpo", "seeded.jsonl", of=own, seed=1)[1] != pairs
    assert said.record["seed"] == 0


def test_samples_that_are_not_in_the_store_are_named_with_what_to_do(own: Any, out: Any) -> None:
    before = out("all", "kto", "before.jsonl", of=own)[1]
    for name in ("red-set@1", "blue-set@1", "red@1", "blue@1", "scores@1"):
        own.store.keep_record(own.stored(name).record)  # so a set is pulled: with the records of what made it
        own.store.remove(parse_id(name))
    for format in ("kto", "dpo"):
        with pytest.raises(NotFound, match=r"all@1 cannot be exported as .* Missing are blue@1, red@1\. `rft pull`"):
            out("all", format, "rows.jsonl", of=own)
    assert out("all", "alpaca", "rows.jsonl", of=own)[0].rows == 10  # its own rows hold their texts
    own.build("red", "blue")
    assert out("all", "kto", "after.jsonl", of=own)[1] == before


def test_samples_that_changed_since_they_were_graded_are_refused(own: Any, out: Any) -> None:
    own.store.remove(parse_id("red@1"))
    own.write("red.jsonl", samples_of({0: ["other"]}))
    own.add("red@1: {builder: samples_file, inputs: [some@1], params: {path: red.jsonl, sha256: ?}}")
    own.build("red")
    with pytest.raises(Drifted, match="red@1 is changed since all@1 graded it"):
        out("all", "kto", "rows.jsonl", of=own)


# -- the artifact's own columns -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["some", "red", "all", "scores", "text"])
@pytest.mark.parametrize("format", AS_STORED)
def test_any_rows_are_exported_as_they_are(built: Any, tmp_path: Path, name: Any, format: Any) -> None:
    said = export(built.registry, name, format, tmp_path / f"rows.{format}")
    rows = built.made(f"{name}@1").rows
    if format == "csv":
        again = pl.read_csv(said.file, schema=rows.schema)
    else:
        again = pl.read_parquet(said.file) if format == "parquet" else pl.read_ndjson(said.file, schema=rows.schema)
    assert again.equals(rows)
    assert said.columns == rows.columns


# -- what a file says of itself --------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", [format for format in FORMATS if format != "parquet"])
def test_a_sidecar_pins_name_version_content_and_bytes(built: Any, tmp_path: Path, format: Any) -> None:
    file = tmp_path / ("rows.csv" if format == "csv" else "rows.jsonl")
    said = export(built.registry, "all", format, file, seed=7, render=ALPACA)
    record = json.loads((tmp_path / f"{file.name}.rft.json").read_text())
    assert record == said.record
    assert record["artifact"] == "all@1"
    assert record["content"] == built.made("all@1").record.content
    assert record["format"] == format
    assert record["sha256"] == sha256_file(file)
    assert record.get("seed") == (7 if format == "dpo" else None)
    assert record.get("prompt") == (ALPACA("{question}") if format in ("prompt-completion", "kto", "dpo") else None)
    assert "file" not in record
    assert hidden(tmp_path) == []


@pytest.mark.parametrize("format", [format for format in FORMATS if format not in ("jsonl", "csv")])
def test_parquet_has_it_in_the_schema_and_no_sidecar(built: Any, tmp_path: Path, format: Any) -> None:
    said = export(built.registry, "all", format, tmp_path / "rows.parquet", render=ALPACA)
    pins = {key.decode(): value.decode() for key, value in pq.read_schema(said.file).metadata.items()}
    assert pins["rft.artifact"] == "all@1"
    assert pins["rft.content"] == said.content
    assert pins["rft.format"] == format
    assert json.loads(pins["rft.skipped"]) == said.skipped
    assert pins.get("rft.seed") == ("0" if format == "dpo" else None)
    assert sorted(path.name for path in tmp_path.glob("rows.*")) == ["rows.parquet"]


@pytest.mark.parametrize("file", ["rows.jsonl", "rows.parquet"])
def test_the_same_export_has_the_same_bytes(built: Any, tmp_path: Path, file: Any) -> None:
    digests = {export(built.registry, "all", "dpo", tmp_path / file, overwrite=True).sha256 for _ in range(2)}
    assert len(digests) == 1


# -- files ------------------------------------------------------------------------------------------------------------


def test_a_file_that_is_there_is_kept_unless_overwrite_is_said(out: Any, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("mine")
    with pytest.raises(InputError, match=r"rows\.jsonl is there already; nothing was written\. --overwrite"):
        out("all", "alpaca", "rows.jsonl")
    (tmp_path / "sft.yaml").write_text("mine")
    with pytest.raises(InputError, match=r"sft\.yaml is there already"):
        out("all", "messages", "new.jsonl", config=tmp_path / "sft.yaml")
    assert (tmp_path / "rows.jsonl").read_text() == (tmp_path / "sft.yaml").read_text() == "mine"
    assert not (tmp_path / "new.jsonl").exists()
    assert len(out("all", "alpaca", "rows.jsonl", overwrite=True)[1]) == 10


@pytest.mark.parametrize("file", ["rows.jsonl", "rows.parquet"])
def test_a_full_disk_leaves_what_was_there_and_nothing_half_written(
    built: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: Any
) -> None:
    export(built.registry, "all", "alpaca", tmp_path / file)
    before = {path.name: path.read_bytes() for path in tmp_path.glob("rows.*")}

    def no_space(handle: Any) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", no_space)  # a disk may say so only when the bytes have to be there
    with pytest.raises(OutOfResources, match="disk is full"):
        export(built.registry, "all", "messages", tmp_path / file, overwrite=True)
    assert {path.name: path.read_bytes() for path in tmp_path.glob("rows.*")} == before
    assert hidden(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "format", "file", "error", "says"),
    [
        ("all", "dpo2", "rows.jsonl", UsageError, "there are prompt-completion, .* Did you mean dpo"),
        ("all", "csv", "rows.parquet", UsageError, r"would hold csv, .* Name it \*\.csv"),
        ("all", "alpaca", "rows.csv", UsageError, r"would hold jsonl, .* Name it \*\.jsonl"),
        ("all", "alpaca", "rows.jsonl.gz", UsageError, "not compressed"),
        ("all", "alpaca", "nowhere/rows.jsonl", UsageError, "its folder is not there"),
        ("all", "alpaca", ".", UsageError, "it is a folder"),
        ("nobody", "alpaca", "rows.jsonl", NotFound, "no version of nobody is built"),
        ("red", "alpaca", "rows.jsonl", InputError, "red@1 has SAMPLES rows; alpaca is made of questions, rejection sets and unions"),
        ("some", "kto", "rows.jsonl", InputError, "some@1 has QUESTIONS rows; kto is made of rejection sets and unions"),
        ("scores", "dpo", "rows.jsonl", InputError, "scores@1 has SCORES rows"),
        ("half", "dpo", "rows.jsonl", InputError, "half@1 .* graded no samples"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_name(
    built: Any, tmp_path: Path, name: Any, format: Any, file: Any, error: Any, says: Any
) -> None:
    before = sorted(tmp_path.iterdir())
    with pytest.raises(RftError, match=says) as raised:
        export(built.registry, name, format, tmp_path / file)
    assert raised.type is error
    assert sorted(tmp_path.iterdir()) == before


# -- TRL's configuration ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("format", "file", "learned"),
    [
        ("prompt-completion", "rows.jsonl", "completion_only_loss"),
        ("prompt-completion", "rows.parquet", "completion_only_loss"),
        ("messages", "rows.jsonl", "assistant_only_loss"),
    ],
)
def test_the_configuration_names_the_file_pins_it_and_has_the_papers_settings(
    built: Any, tmp_path: Path, format: Any, file: Any, learned: Any
) -> None:
    said = export(built.registry, "all", format, tmp_path / file, config=tmp_path / "sft.yaml")
    text = (tmp_path / "sft.yaml").read_text()
    assert text == trl_config(said)
    assert {said.artifact, said.content, said.sha256} <= set(text.replace(",", " ").split())
    config = yaml.safe_load(text)
    loader = "parquet" if file.endswith("parquet") else "json"
    assert config["datasets"] == [{"path": loader, "data_files": str(tmp_path / file), "split": "train"}]
    assert config["run_name"] == f"all@1 {said.content[:12]}"
    paper = {
        "num_train_epochs": 3,
        "learning_rate": 2e-5,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 0.03,
        "weight_decay": 0.0,
        "max_length": 512,
        learned: True,
    }
    assert config.items() >= paper.items()
    assert config["per_device_train_batch_size"] * config["gradient_accumulation_steps"] == 128
    eight = yaml.safe_load(trl_config(said, devices=8))
    assert 8 * eight["per_device_train_batch_size"] * eight["gradient_accumulation_steps"] == 128


def test_there_is_no_configuration_for_what_trl_does_not_fine_tune_on(built: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="reads prompt-completion and messages, not kto"):
        export(built.registry, "all", "kto", tmp_path / "rows.jsonl", config=tmp_path / "sft.yaml")
    assert not list(tmp_path.glob("rows*"))

"""What the pages of docs/consumers say is what happens: their commands and snippets are run, one after the other."""

import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from inference.prompts import TEMPLATES, load_tokenizer
from registry.catalog.bind import location_hash
from registry.query.api import open_registry
from tests.tiny_models import tiny_model
from tests.workspace import ROOT

PAGES = ROOT / "docs" / "consumers"
RFT = Path(sys.executable).with_name("rft")
TESTED = {"trl.md", "preferences.md", "datasets.md", "reference-code.md", "polars-duckdb.md"}
SET = "demo-rft-union@1"
CHAT = """\
{%- for m in messages -%}
{{- m.role + ': ' -}}
{%- if m.role == 'assistant' -%}{% generation %}{{- m.content + eos_token -}}{% endgeneration %}{%- else -%}{{- m.content -}}{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- 'assistant: ' -}}{%- endif -%}"""

# TRL's own defaults are deprecated in the newest transformers.
pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The catalog and the example data, with the demo's union built."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copy(ROOT / "catalog.yaml", folder)
    shutil.copytree(ROOT / "examples", folder / "examples")
    subprocess.run([RFT, "build", SET], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def run(checkout: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, Any]]:
    """Run the blocks of a page in a folder of its own (tmp_path), where that store is; return the names that its snippets set."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("PATH", f"{RFT.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(shutil.copytree(checkout, tmp_path / "page", symlinks=True))

    def ran(page: str) -> dict[str, Any]:
        names: dict[str, Any] = {}
        blocks = re.findall(r"^```(\w+)\n(.*?)^```", (PAGES / page).read_text(), flags=re.MULTILINE | re.DOTALL)
        for kind, body in blocks:
            if kind == "console":
                for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
                    command, _, shown = part.partition("\n")
                    printed = trl_sft(command) if command.startswith("trl ") else shell(command)
                    assert set(shown.splitlines()) - {"..."} <= set(printed.splitlines())
            elif kind == "python":
                Path("snippet.py").write_text(body)
                names |= runpy.run_path("snippet.py")
            else:
                assert kind == "yaml"
                Path("lines.yaml").write_text(body)
        return names

    return ran


def shell(command: str, code: int = 0) -> str:
    done = subprocess.run(command, shell=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == code, f"$ {command}\n{done.stdout}"
    return done.stdout


def trl_sft(command: str) -> str:
    """Do a step of what the command does after it has started a process for each device: TRL's own parser, then its script."""
    from trl.scripts.sft import main, make_parser

    words = command.removeprefix("trl sft ").split()
    *parsed, unknown = make_parser(prog="trl sft").parse_args_and_config(
        [*words, "--use_cpu", "--bf16", "false", "--max_steps", "1", "--gradient_accumulation_steps", "1"],
        return_remaining_strings=True,
    )
    assert unknown == []
    main(*parsed)  # type: ignore[no-untyped-call]
    return ""


def test_every_page_is_tested() -> None:
    assert {page.name for page in PAGES.iterdir()} == TESTED


def test_trl_learns_the_completions_alone_after_the_prompt_that_rft_asks_with(run: Any) -> None:
    tiny_model(Path("my-base"), bos=True, context=1024, spread=0.02)
    tokenizer = load_tokenizer(tiny_model(Path("my-chat-base"), context=1024, spread=0.02), "my-chat-base")
    tokenizer.chat_template = CHAT
    tokenizer.save_pretrained("my-chat-base")
    names = run("trl.md")
    rows = open_registry().load(SET).polars()

    trainer = names["trainer"]
    assert trainer.state.global_step == 3
    learned = trainer.train_dataset
    tokenizer = load_tokenizer(Path("my-base"), "my-base")
    ids, starts = TEMPLATES["alpaca"].encode_examples(tokenizer, rows["question"].to_list(), rows["response"].to_list())
    assert learned["input_ids"][:] == [row[:512] for row in ids]  # begin, prompt, response, end
    assert learned["labels"][:] == [[-100] * start + row[start:512] for row, start in zip(ids, starts, strict=True)]

    chats = names["chat_trainer"].train_dataset
    for said, labels in zip(chats["messages"][:20], chats["labels"][:20], strict=True):
        assert tokenizer.decode([label for label in labels if label != -100]) == said[1]["content"] + tokenizer.eos_token

    assert Path("my-rft-by-command/model.safetensors").exists()

    # What was trained is registered by the page's own lines, and asked in the prompt that was exported.
    lines = Path("lines.yaml").read_text()
    add_to_catalog(lines)
    assert location_hash(Path("my-rft")) in shell("rft build my-rft", code=1)
    add_to_catalog(lines.replace('"?"', f'"{location_hash(Path("my-rft"))}"'))
    shell("rft build my-rft demo-test")
    asked = shell("rft build my-scores --dry-run")
    first = open_registry().load("demo-test").polars()["question"][0]
    assert TEMPLATES["alpaca"].render(first) in asked


def test_trl_learns_to_prefer_right_samples(run: Any) -> None:
    tiny_model(Path("my-base"), context=1024, spread=0.02)
    names = run("preferences.md")
    for trainer, rows in (("kto", 2045), ("dpo", 191)):
        assert names[trainer].state.global_step == 1
        assert len(names[trainer].train_dataset) == rows == pl.read_ndjson(f"rft-union-{trainer}.jsonl").height


def add_to_catalog(lines: str) -> None:
    text = (ROOT / "catalog.yaml").read_text()
    for section, added in re.findall(r"^(\w+):\n((?: .*\n)+)", lines, flags=re.MULTILINE):
        text = re.sub(rf"^{section}:\n", rf"\g<0>{added}", text, count=1, flags=re.MULTILINE)
    Path("catalog.yaml").write_text(text)


def test_datasets_loads_every_export_and_the_pins_fit(run: Any) -> None:
    names = run("datasets.md")
    rows = open_registry().load(SET).polars()
    assert pl.DataFrame(names["rows"][:], schema=rows.schema).equals(rows)
    assert names["table"]["response"][:] == rows["response"].to_list()
    for chat, question, response in zip(names["chats"]["messages"], rows["question"], rows["response"], strict=True):
        assert chat == [{"role": "user", "content": question}, {"role": "assistant", "content": response}]
    assert names["record"]["content"] == open_registry().load(SET).record.content


def test_the_papers_code_reads_the_prompt_of_rft_and_the_response_with_its_end(run: Any) -> None:
    names = run("reference-code.md")
    rows = open_registry().load(SET).polars()
    assert names["sources"] == [TEMPLATES["alpaca"].render(question) for question in rows["question"]]
    assert names["targets"] == [f"{response}</s>" for response in rows["response"]]
    assert [list(row) for row in names["rows"]] == [["query", "response"]] * rows.height
    assert [(row["instruction"], row["output"]) for row in names["alpaca"]] == list(
        rows.select("question", "response").iter_rows()
    )


def test_polars_and_duckdb_read_the_rows_and_what_they_are(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    names = run("polars-duckdb.md")
    assert names["rows"].equals(open_registry().load(SET).polars())
    assert names["pins"]["rft.artifact"] == SET
    assert names["pins"]["rft.content"] == open_registry().load(SET).record.content
    assert "rft.format" in capsys.readouterr().out
    assert pl.read_parquet("samples.parquet").equals(open_registry().load("demo-samples-small@1").polars())

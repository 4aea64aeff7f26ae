"""What README and the docs say is what the command does: every block of README is run here."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from registry.rows import page
from rft.main import app  # type: ignore[attr-defined]
from tests.fakehub import Hub, environment, running
from tests.workspace import ROOT

README = (ROOT / "README.md").read_text()
RFT = Path(sys.executable).with_name("rft")
PAGES = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md")), ROOT / "examples/README.md"]
FOLDERS = ("registry", "eval", "inference", "builders", "trainers", "rft", "tests", "benchmarks", "docs", "examples")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
RECIPE = re.search(r"^demo:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
DEMO = [line.strip().replace("$(BIN)/", "") for line in RECIPE[1].splitlines()]  # type: ignore[index]


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with running() as hub:
        yield hub


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what README's commands work on: the catalog and the example data, with nothing built."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copy(ROOT / "catalog.yaml", folder)
    shutil.copytree(ROOT / "examples", folder / "examples")
    return folder


def plain(text: str) -> list[str]:
    """Return printed lines without what differs between runs: seconds, sizes, times and the Hub's address."""
    text = re.sub(r"http://127.0.0.1:\d+/", "https://huggingface.co/", text)
    text = re.sub(r"[\d.]+ kB", "0 kB", text)
    text = re.sub(r"\d+\.\d s\b", "0.0 s", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?", "DATE", text)
    return [re.sub(r"\s+", " ", line).strip() for line in text.splitlines() if line.strip()]


def test_every_console_block_of_readme_prints_what_it_shows(checkout: Path, hub: Hub, tmp_path: Path) -> None:
    commands = 0
    path = {"PATH": f"{RFT.parent}{os.pathsep}{os.environ['PATH']}"}
    for kind, body in BLOCKS:
        if kind != "console":
            continue
        for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            if command.startswith(("make ", "git ", "cd ")) or command in DEMO:
                continue  # these set the checkout up; the demo trains models for minutes: .ci/run makes it
            ran = subprocess.run(
                command,
                shell=True,
                cwd=checkout,
                env=os.environ | path | environment(hub, tmp_path / "hf"),
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            assert ran.returncode == 0, f"$ {command}\n{ran.stdout}"
            commands += 1
            printed = plain(ran.stdout)
            for line in plain(shown):
                if line != "...":
                    assert line in printed, f"$ {command}\nREADME shows: {line}\nprinted:\n{ran.stdout}"
    assert commands >= 8
    for kind, body in BLOCKS:
        if kind == "python":
            subprocess.run([sys.executable, "-c", body], cwd=checkout, check=True)


def test_every_yaml_block_of_readme_is_read_by_the_catalog(tmp_path: Path) -> None:
    from registry.catalog.read import read

    blocks = [body for kind, body in BLOCKS if kind == "yaml"]
    assert blocks
    for body in blocks:
        (tmp_path / "catalog.yaml").write_text(body)
        assert read(tmp_path / "catalog.yaml").entries


def test_the_demo_shown_is_the_demo_made() -> None:
    assert len(DEMO) == 4
    for command in DEMO:
        assert f"$ {command}" in README
    assert "make demo" in (ROOT / ".ci/run").read_text()


@pytest.mark.parametrize("command", sorted(get_command(app).commands))  # type: ignore[attr-defined]
def test_every_command_stands_in_readme(command: Any) -> None:
    assert f"`rft {command}" in README or f"$ rft {command}" in README


@pytest.mark.parametrize("file", sorted((ROOT / "builders").glob("*.py")), ids=lambda file: file.stem)
def test_every_builder_stands_in_readme(file: Any) -> None:
    if not file.name.startswith("_"):
        assert f"`{file.stem}" in README


@pytest.mark.parametrize("file", PAGES, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_path_of_ours_that_a_page_names_is_there(file: Path) -> None:
    quoted = re.findall(r"`([^`\s]+)`", file.read_text())
    ours = [name for name in quoted if re.match(rf"({'|'.join(FOLDERS)})/[\w./-]*$", name) and "NAME" not in name]
    assert [name for name in ours if not (ROOT / name).exists()] == []


def test_ci_runs_the_test_command_of_readme() -> None:
    assert "make test" in README
    assert "make test" in (ROOT / ".ci/run").read_text()


def test_the_catalog_has_the_fractions_of_the_paper() -> None:
    lines = yaml.safe_load((ROOT / "catalog.yaml").read_text())["datasets"]
    for denominator in (2, 4, 8, 16, 32):
        assert lines[f"gsm8k-train-1of{denominator}@1"]["params"]["denominator"] == denominator


def test_the_page_of_tables_says_what_the_shapes_say() -> None:
    assert (ROOT / "docs" / "tables.md").read_text() == page()

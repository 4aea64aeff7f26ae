"""Fixtures that all tests share, and which tests on real data there are."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import trainers
from registry.catalog.bind import find_maker
from registry.maker import Options
from tests.workspace import SIX, Made, Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A workspace whose catalog lists the six questions as six@1 (not yet built)."""
    made = Workspace(tmp_path)
    made.write("six.jsonl", SIX)
    made.add("six@1: {builder: questions_file, params: {path: six.jsonl, sha256: ?}}")
    return made


@pytest.fixture
def toy_trainer(tmp_path: Path) -> Iterator[str]:
    """A trainer in a file of its own: one input, one parameter."""
    folder = tmp_path / "toy_trainers"
    folder.mkdir()
    (folder / "toy.py").write_text("EDITION = 1\n\n\ndef train(rows, *, rates: list[float]):\n    return rows\n")
    trainers.__path__.append(str(folder))
    find_maker.cache_clear()
    yield "toy"
    trainers.__path__.remove(str(folder))
    sys.modules.pop("trainers.toy", None)
    find_maker.cache_clear()


@pytest.fixture
def make(workspace: Workspace) -> Callable[..., Made]:
    """Build one catalog line in tmp_path, beside six@1."""

    def built(line: str, **options: Any) -> Made:
        workspace.add(line)
        name = line.partition(":")[0]
        workspace.build(name, options=Options(**options))
        return workspace.made(name)

    return built


# -- tests on real data: collected where the data is, and counted in the summary ------------------------------------------

REAL = Path(__file__).parent / "real"
REAL_DATA = Path(os.environ.get("RFT_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data")


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    return True if collection_path.is_relative_to(REAL) and not REAL_DATA.is_dir() else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for found in terminalreporter.stats.values() for report in found if isinstance(report, pytest.TestReport)]
    ran = sum(report.when == "call" and "/real/" in report.nodeid for report in reports)
    terminalreporter.write_line(f"real data: {ran} tests" if REAL_DATA.is_dir() else "real data: absent")

"""What these tests share: a report with planted texts, and a browser. They run where playwright is installed: make test-browser"""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.chromium import MISSING, chromium

collect_ignore_glob = [] if importlib.util.find_spec("playwright") else ["*"]


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The pages of the report of a store."""
    from registry.catalog import read as catalog
    from rft.reports.site.write import write
    from tests.report_store import no_licences, planted

    made = planted(tmp_path_factory.mktemp("browser"))
    write(made.registry, catalog.read(made.file), None, made.folder / "site", no_licences)
    return sorted((made.folder / "site").glob("*.html"))


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    program = chromium()
    assert program, MISSING
    with sync_playwright() as started:
        # Without its sandbox, which needs rights that a container does not give: the pages are ours, and have no scripts.
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()

"""The pages of a report in a real browser: nothing fails or comes from elsewhere, nothing is cut off, everyone can read them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

WIDTHS = (360, 800, 1600)
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
# What is wider than its place, though no box above it scrolls.
CUT = """() => [...document.querySelectorAll('main *')].filter(e => {
  const box = e.getBoundingClientRect();
  return box.width > 1 && box.right > document.documentElement.clientWidth + 1 && !e.closest('.scroll, pre, .hidden')
}).map(e => e.outerHTML.slice(0, 120))"""


def opened(browser: Any, **options: Any) -> tuple[Any, list[str]]:
    """Return a page, and the list of what goes wrong on it from now on."""
    page = browser.new_context(**options).new_page()
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("requestfailed", lambda request: wrong.append(f"failed: {request.url}"))

    def asked(request: Any) -> None:
        if not request.url.startswith(("file:", "data:")):
            wrong.append(f"outside: {request.url}")

    page.on("request", asked)
    return page, wrong


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_every_page_is_whole_quiet_and_readable_to_all(browser: Any, pages: Sequence[Path], width: int, scheme: str) -> None:
    page, wrong = opened(browser, viewport={"width": width, "height": 900}, color_scheme=scheme)
    for file in pages:
        page.goto(file.as_uri())
        assert wrong == [], file.name
        assert page.title() != "taken", file.name
        assert page.evaluate(OVERFLOW) <= 0, file.name
        assert page.evaluate(CUT) == [], file.name
        page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
        assert page.evaluate(OVERFLOW) <= 0, f"{file.name}, with everything open"
        found = Axe().run(page, options={"preload": False}).response["violations"]
        serious = [(v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in ("serious", "critical")]
        assert serious == [], file.name
    page.context.close()


def test_the_sheet_is_there_and_follows_the_scheme(browser: Any, pages: Sequence[Path]) -> None:
    seen = set()
    for scheme in ("light", "dark"):
        page, _ = opened(browser, color_scheme=scheme)
        page.goto(pages[0].as_uri())
        seen.add(page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))
        page.emulate_media(media="print")
        assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
        page.context.close()
    assert len(seen) == 2


def test_the_keyboard_goes_to_the_content_and_opens_what_is_closed(browser: Any, pages: Sequence[Path]) -> None:
    page, _ = opened(browser)
    page.goto(next(file for file in pages if file.name == "rft-both@1.html").as_uri())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    page.locator("details > summary").first.focus()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    assert page.locator("details").first.get_attribute("open") is not None
    page.context.close()


def test_on_paper_nothing_is_wider_than_the_page(browser: Any, pages: Sequence[Path]) -> None:
    page, _ = opened(browser, viewport={"width": 718, "height": 1000})  # A4 without its margins
    page.emulate_media(media="print")
    for file in pages:
        page.goto(file.as_uri())
        assert page.evaluate(OVERFLOW) <= 0, file.name
    page.context.close()


def test_links_of_the_picture_lead_to_pages(browser: Any, pages: Sequence[Path]) -> None:
    page, _ = opened(browser)
    page.goto(next(file for file in pages if file.name == "index.html").as_uri())
    page.locator("svg.lineage a").first.click()
    assert "@" in page.locator("h1").inner_text()
    page.locator("header a").first.click()
    assert page.locator("h1").inner_text() == "Report of the store"
    page.context.close()

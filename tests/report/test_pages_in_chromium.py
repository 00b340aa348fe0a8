"""Pages with odd names in a real browser: no name is markup, nothing is loaded, nothing is wider than the window."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.report.check_page import write_check_page
from pipeline.report.report_page import write_report

from .chromium import Browser, find_chromium
from .comparison_folder import write_comparison

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_chromium() is None, reason="no Chromium: install it, such as with apt install chromium"),
]

# Markup, a name that has no place to break, quotes and entities, and Arabic.
NAMES = (
    "<img src=x onerror=alert(1)>",
    "n" * 200,
    "\"quoted\" & 'name' &amp;",
    "\u0645\u0631\u062d\u0628\u0627 <b>",
    "two words " * 20,
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    opened = Browser(tmp_path_factory.mktemp("browser"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("comparison")
    labels = {name: number for number, name in enumerate((*NAMES, *(f"label {n}" for n in range(55))), start=1)}
    write_report(write_comparison(folder, cases=NAMES, sets=NAMES[:3], labels=labels), folder / "page.html")
    return folder / "page.html"


@pytest.mark.parametrize("width", [1300, 400])
def test_a_comparison_of_odd_names_fits(browser: Browser, comparison: Path, width: int) -> None:
    check_page(browser, comparison, width)


@pytest.mark.parametrize("width", [1300, 400])
def test_a_check_of_odd_names_fits(browser: Browser, reports, tmp_path: Path, width: int) -> None:
    labels = {"background": 0, **{name: number for number, name in enumerate(NAMES, start=1)}}
    write_check_page(reports.report(8, [reports.finding("nan", NAMES[1])], labels=labels), {}, tmp_path / "page.html")
    check_page(browser, tmp_path / "page.html", width)


def check_page(browser: Browser, page: Path, width: int) -> None:
    browser.console.clear()
    browser.size(width, 900, mobile=width < 500)
    browser.open(page)
    browser.run("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert browser.console == []
    assert browser.requests == []
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.run("document.querySelectorAll('[onerror]').length") == 0
    assert browser.run("[...document.querySelectorAll('bdi')].some(one => one.textContent.startsWith('<img src=x'))")

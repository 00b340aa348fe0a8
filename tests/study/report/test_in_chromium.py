"""The page of a study in a real browser: nothing is loaded, nothing goes wrong, and the page fits into the window."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.study.report import write_study_report

from ...report.chromium import Browser, find_chromium
from .make_runs import make_run, make_study

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_chromium() is None, reason="no Chromium: install it, such as with apt install chromium"),
]

SKIPS = ("concat", "sat", "only the finest level of all <b>", "s" * 150)
PARTS = ("curve", "cost", "levels", "weight_changes", "robustness", "probes", "membranes")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = [make_run(skip, seed, cases=10, parts=PARTS) for skip in SKIPS for seed in range(2)]
    folder = tmp_path_factory.mktemp("study")
    write_study_report(folder, study=make_study(SKIPS), study_text="name: sat", study_sha256="ab" * 32, runs=runs)
    return folder / "study.html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    opened = Browser(tmp_path_factory.mktemp("browser"))
    yield opened
    opened.close()


@pytest.mark.parametrize("width", [1300, 380])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_loaded_and_the_page_fits(browser: Browser, page: Path, width: int, scheme: str) -> None:
    browser.size(width, 900)
    browser.prefer(scheme)
    browser.open(page)
    assert browser.console == []
    assert browser.requests == []
    assert browser.run("document.documentElement.scrollWidth") <= width
    # The style is applied, so that its hash is right, and pictures are allowed.
    dark = browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 26)"
    assert dark == (scheme == "dark")
    assert browser.run("[...document.images].every(image => image.naturalWidth > 0)")
    assert browser.run("document.images.length") == len(SKIPS) + 1
    colours = "[...document.querySelectorAll('.line')].map(line => getComputedStyle(line).stroke)"
    assert len(set(browser.run(colours))) == len(SKIPS)
    # Neither names in pictures nor the first column of a table, which does not scroll, take the width of the page.
    browser.run("document.querySelectorAll('details').forEach(one => one.open = true)")
    names = "[...document.querySelectorAll('.pareto .name')].map(name => name.getBoundingClientRect().right)"
    assert max(browser.run(names)) <= width
    columns = "[...document.querySelectorAll('.dense tbody th')].map(head => head.getBoundingClientRect().width)"
    assert max(browser.run(columns)) <= max(150, width / 2)

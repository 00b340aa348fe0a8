"""The report page in a real browser: nothing is loaded, no error, and everything that its script does."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.report.report_page import write_report
from pipeline.report.viewer import find_viewer

from .chromium import Browser, find_chromium
from .comparison_folder import write_comparison

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_chromium() is None, reason="no Chromium: install it, such as with apt install chromium"),
]

EVIL = "<script>document.title = 'broken'</script>"
STATE = "document.querySelector('#{} .mount').dataset.state"
CURRENT = "document.querySelector('.case.current')?.id"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page whose first case, set and label have markup in their names."""
    if find_viewer() is None:
        pytest.skip("NiiVue is not installed: make viewer gets it")
    folder = tmp_path_factory.mktemp("page")
    out = write_comparison(folder, cases=(EVIL, "b", "c", "d"), sets=(EVIL, "light"), labels={EVIL: 1, "tail": 2})
    write_report(out, folder / "report.html")
    return folder / "report.html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    opened = Browser(tmp_path_factory.mktemp("browser"))
    yield opened
    opened.close()


@pytest.fixture
def opened(browser: Browser, page: Path) -> Iterator[Browser]:
    """The browser with the page, at the size of a desk; after the test nothing was loaded and nothing went wrong."""
    browser.size(1200, 900)
    browser.prefer("light")
    browser.open(page)
    yield browser
    assert browser.console == []
    assert browser.requests == []
    assert browser.run("document.title") == f"Comparison report: {EVIL} against light"


def wait_for_viewer(browser: Browser, case: str) -> None:
    browser.wait_for(STATE.format(case) + " === 'ready'")
    # Two frames, so that it is drawn.
    browser.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def picture(browser: Browser, file: Path, selector: str) -> np.ndarray:
    """The pixels of an element as they are shown."""
    browser.run(f"document.querySelector('{selector}').scrollIntoView({{block: 'center'}})")
    browser.screenshot(file)
    box = browser.run(
        f"(b => [b.x, b.y, b.right, b.bottom])(document.querySelector('{selector}').getBoundingClientRect())"
    )
    with Image.open(io.BytesIO(file.read_bytes())) as whole:
        return np.asarray(whole.convert("RGB").crop([round(end) for end in box])).astype(int)


def coloured(pixels: np.ndarray) -> int:
    """The number of pixels that are no greys."""
    return int((np.ptp(pixels, axis=-1) > 30).sum())


def test_the_viewer_starts_with_a_case_and_draws_the_scan_and_the_switched_label_maps(
    opened: Browser, tmp_path: Path
) -> None:
    assert opened.run("typeof niivue") == "undefined"
    opened.click("#case-4 > summary")
    wait_for_viewer(opened, "case-4")
    pixels = picture(opened, tmp_path / "shot.png", "#case-4 canvas")
    assert len(np.unique(pixels)) > 20
    assert coloured(pixels) > 500
    # Without any label map the scan is left, in grey.
    names = opened.run("[...document.querySelectorAll('#case-4 .tools label bdi')].map(one => one.textContent)")
    assert names == ["reference", EVIL, "light", f"difference, {EVIL}", "difference, light"]
    opened.run("document.querySelectorAll('#case-4 .tools input:checked').forEach(one => one.click())")
    grey = picture(opened, tmp_path / "shot.png", "#case-4 canvas")
    assert len(np.unique(grey)) > 20
    assert coloured(grey) < coloured(pixels) / 20
    # The ball of this case was moved, and colours of the difference are explained.
    assert opened.run("document.querySelector('#case-4 .key-of-differences').hidden")
    opened.run("document.querySelectorAll('#case-4 .tools input[type=checkbox]')[4].click()")
    assert coloured(picture(opened, tmp_path / "shot.png", "#case-4 canvas")) > 500
    assert not opened.run("document.querySelector('#case-4 .key-of-differences').hidden")


def test_the_viewer_starts_in_the_slices_of_the_pictures_and_its_keys_move_by_a_voxel(opened: Browser) -> None:
    opened.click("#case-4 > summary")
    wait_for_viewer(opened, "case-4")
    opened.run("document.querySelector('#case-4 canvas').focus()")
    places = []
    for key in ("ArrowUp", "ArrowDown", "ArrowRight"):
        opened.press(key)
        text = opened.run("document.querySelector('#case-4 .where').textContent")
        places.append([float(number) for number in re.findall(r"-?[0-9]+\.[0-9]", text)[:3]])
    middle = opened.run("JSON.parse(document.querySelector('#case-4 .pack').dataset.pack).middle")
    up, start, right = np.array(places)
    np.testing.assert_allclose(start, middle, atol=0.06)
    np.testing.assert_allclose(up - start, [0, 0, 2], atol=0.11)
    # A voxel of 1 mm, in a grid that is turned.
    np.testing.assert_allclose(right - start, [np.cos(np.pi / 9), np.sin(np.pi / 9), 0], atol=0.11)


def test_one_viewer_moves_to_the_case_that_is_opened(opened: Browser) -> None:
    opened.click("#case-4 > summary")
    wait_for_viewer(opened, "case-4")
    opened.click("#case-2 .open-viewer button")
    wait_for_viewer(opened, "case-2")
    assert opened.run("document.querySelectorAll('canvas').length") == 1
    assert opened.run("document.querySelector('#case-4 .mount').hidden")


def test_a_click_on_a_point_opens_its_case(opened: Browser) -> None:
    point = "#panel-1 a.mark[href='#case-4'] circle"
    opened.click(point)
    assert opened.run(CURRENT) == "case-4"
    assert opened.run("document.getElementById('case-4').open")
    assert opened.run("location.hash") == "#case-4"
    wait_for_viewer(opened, "case-4")


def test_pointing_at_a_case_names_it(opened: Browser) -> None:
    opened.run("document.querySelector('#panel-1 a.mark[href=\"#case-4\"]').focus()")
    assert opened.run("document.getElementById('readout').textContent").startswith(f"d · {EVIL} · ")
    # The same case has a point for each label and set.
    assert opened.run("document.querySelectorAll('#panel-1 a.same').length") == 4


def test_keys_go_through_the_cases_and_the_points(opened: Browser) -> None:
    seen = []
    for key in ("j", "j", "ArrowRight", "k", "ArrowLeft"):
        opened.press(key)
        seen.append(opened.run(CURRENT))
    assert seen == ["case-1", "case-2", "case-3", "case-2", "case-1"]
    assert opened.run("document.activeElement.parentElement.id") == "case-1"
    assert opened.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    opened.press("ArrowDown")
    assert opened.run(CURRENT) == "case-2"
    opened.run("document.querySelector('#panel-1 a.mark').focus()")
    first = opened.run("document.activeElement.getAttribute('aria-label')")
    opened.press("ArrowRight")
    assert opened.run("document.activeElement.getAttribute('aria-label')") != first
    target = opened.run("document.activeElement.getAttribute('href')")
    opened.press("Enter")
    assert f"#{opened.run(CURRENT)}" == target


def test_the_metric_and_the_order_of_the_cases_are_chosen(opened: Browser) -> None:
    shown = "[...document.querySelectorAll('.panel')].map(one => !one.hidden)"
    assert opened.run(shown) == [True, False]
    opened.click("#metric-choices button:nth-child(2)")
    assert opened.run(shown) == [False, True]
    names = "[...document.querySelectorAll('.case .name')].map(one => one.textContent)"
    opened.click("#case-choices button[data-sort=name]")
    assert opened.run(names) == [EVIL, "b", "c", "d"]
    opened.click("#case-choices button[data-sort=gap]")
    gaps = opened.run("[...document.querySelectorAll('.case')].map(one => Number(one.dataset.gap))")
    assert gaps == sorted(gaps, reverse=True)


def test_each_set_has_its_outlines(opened: Browser, tmp_path: Path) -> None:
    shown = (
        "[...document.querySelectorAll('#case-3 .plane:first-child path')].map(one => getComputedStyle(one).display)"
    )
    before = opened.run(shown)
    opened.click("#case-3 label:last-of-type")
    after = opened.run(shown)
    assert "none" in before
    assert before != after
    assert coloured(picture(opened, tmp_path / "shot.png", "#case-3 .planes")) > 200


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_everything_within_its_width_in_both_schemes(
    opened: Browser, tmp_path: Path, scheme: str
) -> None:
    opened.size(360, 740, mobile=True)
    opened.prefer(scheme)
    assert opened.run("document.documentElement.scrollWidth") <= 360
    opened.press("j")
    wait_for_viewer(opened, "case-1")
    assert opened.run("document.documentElement.scrollWidth") <= 360
    assert opened.run("document.querySelector('#case-1 canvas').clientWidth") > 250
    dark = opened.run("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 26)"
    assert dark == (scheme == "dark")


def test_a_link_to_a_case_opens_it(browser: Browser, page: Path) -> None:
    browser.open(page, anchor="#case-3")
    browser.wait_for("document.querySelector('.case.current')?.id === 'case-3'")


def test_without_webgl_the_pictures_and_a_sentence_are_left(page: Path, tmp_path: Path) -> None:
    browser = Browser(tmp_path / "profile", words=("--disable-3d-apis",))
    try:
        browser.open(page)
        browser.press("j")
        browser.wait_for(STATE.format("case-1") + " === 'absent'")
        assert "has no WebGL 2" in browser.run("document.querySelector('#case-1 .mount').textContent")
        assert browser.run("document.querySelectorAll('#case-1 .plane').length") == 3
        assert browser.console == []
    finally:
        browser.close()

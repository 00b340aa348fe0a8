"""Figures of networks and skips are what docs/figures draws from built networks, and their texts do not overlap."""

import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from pipeline.networks import Networks, Skip

DOCS = Path(__file__).resolve().parents[1] / "docs"
sys.path.insert(0, str(DOCS / "figures"))

from network_figures import NETWORK_FIGURES, draw_network  # noqa: E402
from skip_figures import SKIP_SHEETS, draw_skips  # noqa: E402

NAMES = [*(f"network_{name}" for name in NETWORK_FIGURES), *SKIP_SHEETS]


@pytest.fixture(scope="module", params=NAMES)
def figure(request: pytest.FixtureRequest) -> tuple[str, Any]:
    name: str = request.param
    if name in SKIP_SHEETS:
        return name, draw_skips(SKIP_SHEETS[name])
    return name, draw_network(NETWORK_FIGURES[name.removeprefix("network_")])


@pytest.mark.slow
def test_the_file_is_what_is_drawn(figure: tuple[str, Any]) -> None:
    name, drawing = figure
    file = DOCS / "images" / f"{name}.svg"
    assert file.read_text(encoding="utf-8") == drawing.svg(), "run: python docs/figures"
    assert file.stat().st_size < 60_000


def test_texts_are_inside_and_apart(figure: tuple[str, Any]) -> None:
    _, drawing = figure
    for text, (left, top, right, bottom) in drawing.texts:
        assert left > 0, text
        assert top > 0, text
        assert right < drawing.width, text
        assert bottom < drawing.height, text
    for (text, a), (other, b) in combinations(drawing.texts, 2):
        apart = a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
        assert apart, f"{text!r} and {other!r}"


def test_every_network_and_skip_has_a_figure_in_the_document() -> None:
    own = {name.lower() for name in Networks.names if Networks[name].__module__.startswith("pipeline.")}
    assert set(NETWORK_FIGURES) == own
    skips = {name.lower() for name in Skip.names if Skip[name].__module__.startswith("pipeline.")}
    assert {one.name for sheet in SKIP_SHEETS.values() for one in sheet} == skips
    text = (DOCS / "networks.md").read_text(encoding="utf-8")
    assert [name for name in NAMES if f"(images/{name}.svg)" not in text] == []

"""Find places for the names of points, so that they do not cover each other or points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...report.text import shorten

__all__ = ["NamePlace", "place_names"]

_WIDTH, _HEIGHT = 400, 300  # of the picture on a desk, in CSS pixels
_LETTER, _LINE = 7.0, 14.0  # width and height of a letter
_GAP = 9.0  # from a point to its name
_LINES = 7  # how far a name may be above or below its point
_MARGIN = 40  # how far names may reach out of the picture to the left


@dataclass(frozen=True)
class NamePlace:
    """Where a name is, in CSS pixels from its point: its near end, its middle below, and its anchor in SVG."""

    across: float
    down: float
    anchor: str


Box = tuple[float, float, float]  # left, right, middle


def place_names(points: Mapping[str, tuple[float, float]]) -> dict[str, NamePlace]:
    """Return a place for each name, next to its point, or some lines above or below if that is taken.

    Args:
        points: places of the points in percent, from the left and from the top. Long names are shown shortened.
    """
    pixels = {name: (x * _WIDTH / 100, y * _HEIGHT / 100) for name, (x, y) in points.items()}
    taken: list[Box] = [(x - 6, x + 6, y) for x, y in pixels.values()]
    found = {}
    # From the top down, so that names above stay above.
    for name, (x, y) in sorted(pixels.items(), key=lambda item: item[1][1]):
        downs = sorted((line * _LINE for line in range(-_LINES, _LINES + 1)), key=abs)
        tries = [NamePlace(side * _GAP, down, anchor) for down in downs for side, anchor in ((1, "start"), (-1, "end"))]
        boxes = {place: _box(name, x, y, place) for place in tries}
        chosen = next((place for place, box in boxes.items() if _is_free(box, taken)), tries[0])
        taken.append(boxes[chosen])
        found[name] = chosen
    return found


def _box(name: str, x: float, y: float, place: NamePlace) -> Box:
    width = len(shorten(name)) * _LETTER
    start = x + place.across - (width if place.anchor == "end" else 0.0)
    return start, start + width, y + place.down


def _is_free(box: Box, taken: list[Box]) -> bool:
    left, right, middle = box
    inside = left > -_MARGIN and right < _WIDTH + 10 and -5 < middle < _HEIGHT
    return inside and all(right <= low or high <= left or abs(middle - at) >= _LINE - 1 for low, high, at in taken)

"""The table of labels that goes with a label map: value, name and colour of each."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping
from typing import NamedTuple

from ..report.thumbnail import OUTLINE_COLOURS

__all__ = ["Label", "label_table"]

_GOLDEN = 0.618034  # of the circle of hues: further colours stay apart from all before, however many there are


class Label(NamedTuple):
    """One foreground label.

    Attributes:
        value: in the label map, 1 or more.
        name: for people, such as "anterior".
        colour: red, green and blue, 0 to 255.
    """

    value: int
    name: str
    colour: tuple[int, int, int]


def label_table(labels: Mapping[str, int]) -> list[Label]:
    """Return the foreground labels of a bundle by their values, each with a colour that follows from its place alone.

    The first eight are those of the dataset check's outlines, which stand out on grey and for the colour-blind.

    Args:
        labels: value by name; 0 is the background and gets no row.
    """
    named = sorted((value, name) for name, value in labels.items() if value != 0)
    return [Label(value, name, _colour(place)) for place, (value, name) in enumerate(named)]


def _colour(place: int) -> tuple[int, int, int]:
    if place < len(OUTLINE_COLOURS):
        code = OUTLINE_COLOURS[place].lstrip("#")
        return int(code[:2], 16), int(code[2:4], 16), int(code[4:], 16)
    lightness = 0.45 + 0.25 * (place % 2)
    red, green, blue = colorsys.hls_to_rgb(place * _GOLDEN % 1.0, lightness, 0.65)
    return round(255 * red), round(255 * green), round(255 * blue)

"""The table of a label map's labels: value, name and colour of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from .palette import Colour, label_colour

__all__ = ["Label", "make_label_table"]


class Label(NamedTuple):
    """One foreground label.

    Attributes:
        value: its value in the label map, 1 or more.
        name: its name, such as "anterior".
        colour: red, green and blue, 0 to 255.
    """

    value: int
    name: str
    colour: Colour


def make_label_table(labels: Mapping[str, int]) -> list[Label]:
    """Return the foreground labels of a bundle, sorted by value, each with the colour of its value.

    Args:
        labels: value by name; 0 is the background and has no row.
    """
    named = sorted((value, name) for name, value in labels.items() if value != 0)
    return [Label(value, name, label_colour(value)) for value, name in named]

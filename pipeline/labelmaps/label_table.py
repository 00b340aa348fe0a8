"""The table of labels that goes with a label map: value, name and colour of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from .palette import Colour, label_colour

__all__ = ["Label", "label_table"]


class Label(NamedTuple):
    """One foreground label.

    Attributes:
        value: in the label map, 1 or more.
        name: for people, such as "anterior".
        colour: red, green and blue, 0 to 255.
    """

    value: int
    name: str
    colour: Colour


def label_table(labels: Mapping[str, int]) -> list[Label]:
    """Return the foreground labels of a bundle in the order of their values, each with the colour of its value.

    Args:
        labels: value by name; 0 is the background and gets no row.
    """
    named = sorted((value, name) for name, value in labels.items() if value != 0)
    return [Label(value, name, label_colour(value)) for value, name in named]

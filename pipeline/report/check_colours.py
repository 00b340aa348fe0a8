"""The colours of labels on a dataset check's page: those of the outlines in its pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..data.thumbnail import OUTLINE_COLOURS, UNDECLARED_COLOUR, outline_colour

__all__ = ["UNDECLARED", "list_structures", "swatch_class", "swatch_style"]

UNDECLARED = "undeclared"


def list_structures(report: Mapping[str, Any]) -> list[str]:
    """Return the names of the labels without the background, whatever value that has."""
    return [name for name in report["labels"] if name != "background"]


def swatch_class(report: Mapping[str, Any], name: str) -> str:
    """Return the class of a spot in the colour that outlines this label in the pictures."""
    order = list_structures(report)
    # The pictures' colours go by the labels' order.
    colour = outline_colour(order.index(name) + 1, range(1, len(order) + 1))
    return f"s{OUTLINE_COLOURS.index(colour)}"


def swatch_style() -> str:
    """Return the CSS of the spots: one rule per colour."""
    colours = {f"s{index}": colour for index, colour in enumerate(OUTLINE_COLOURS)} | {UNDECLARED: UNDECLARED_COLOUR}
    return "".join(f".swatch.{name}{{background:{colour}}}\n" for name, colour in colours.items())

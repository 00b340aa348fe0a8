"""Label colours on the check page, the same as those of the outlines in its pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..labelmaps.palette import UNDECLARED_COLOUR, hex_colour

__all__ = ["UNDECLARED", "list_structures", "swatch_class", "swatch_style"]

UNDECLARED = "undeclared"


def list_structures(report: Mapping[str, Any]) -> list[str]:
    """Return the names of the labels without the background."""
    return [name for name in report["labels"] if name != "background"]


def swatch_class(report: Mapping[str, Any], name: str) -> str:
    """Return the class of a spot in the colour that outlines this label in the pictures."""
    return f"s{int(report['labels'][name])}"


def swatch_style(report: Mapping[str, Any]) -> str:
    """Return the CSS of the spots: one rule per label, and one for undeclared values."""
    values = [int(report["labels"][name]) for name in list_structures(report)]
    colours = {f"s{value}": hex_colour(value) for value in values} | {UNDECLARED: UNDECLARED_COLOUR}
    return "".join(f".swatch.{name}{{background:{colour}}}\n" for name, colour in colours.items())

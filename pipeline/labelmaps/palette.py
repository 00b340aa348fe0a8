"""The palette: a label's colour depends only on its value, in every picture, page and file."""

from __future__ import annotations

import colorsys

__all__ = ["PALETTE", "UNDECLARED_COLOUR", "Colour", "hex_colour", "label_colour", "rgb"]

Colour = tuple[int, int, int]  # red, green and blue, 0 to 255

PALETTE = (
    *("#E69F00", "#56B4E9", "#00A048", "#F01818", "#00F0FF", "#C04890", "#D0F0A0", "#A0F0C0"),
    *("#F0E442", "#9060C0", "#4880F0", "#FF4848", "#90C080", "#F06090", "#488000", "#D070C0"),
)
"""Colours of the values 1 to 16.

Any two of them are at least 15 apart in CIELAB (CIE76: Euclidean distance, D65), and so is each from the colour of
value 0 and that of undeclared values. This holds for normal vision and for full protanopia, deuteranopia and
tritanopia. The first eight are at least 22 apart for normal vision and 18 with any of the deficiencies. All have a
lightness of 48 to 93 and a chroma of at least 36 (9 with a deficiency), so that they stand out on black and on grey.

A search found them by moving one colour of the closest pair at a time. #E69F00, #56B4E9 and #F0E442 are from Okabe and
Ito, "Color Universal Design" (2008). The deficiencies are simulated in linear RGB by the matrices of Machado, Oliveira
and Fernandes, "A physiologically-based model for simulation of color vision deficiency", IEEE TVCG 15(6), 2009, at
severity 1.0. `tests/labelmaps/test_palette.py` checks all of these numbers.
"""
UNDECLARED_COLOUR = "#FF00FF"
"""Magenta, for values that a dataset or a bundle does not declare."""

_ZERO = "#F0C060"  # a label may have the value 0 if the background has another
_GOLDEN = 0.618034  # share of the circle of hues: each further colour falls into the widest gap so far
_LIGHTNESS = (0.45, 0.7)


def label_colour(value: int) -> Colour:
    """Return the colour of a label.

    The values 1 to 16 have the colours of `PALETTE`. Further values get computed colours, which differ between nearby
    values: any 120 consecutive values have 120 colours.

    Args:
        value: the label's value in the file. It may be 0 if the background has another value.
    """
    if 1 <= value <= len(PALETTE):
        return rgb(PALETTE[value - 1])
    if value == 0:
        return rgb(_ZERO)
    place = value - 1
    red, green, blue = colorsys.hls_to_rgb(place * _GOLDEN % 1.0, _LIGHTNESS[place % 2], 0.65)
    return round(255 * red), round(255 * green), round(255 * blue)


def hex_colour(value: int) -> str:
    """Return the colour of a label in the format of CSS, such as ``#E69F00``."""
    return "#{:02X}{:02X}{:02X}".format(*label_colour(value))


def rgb(code: str) -> Colour:
    """Return red, green and blue, 0 to 255, of a code such as ``#E69F00``."""
    return int(code[1:3], 16), int(code[3:5], 16), int(code[5:7], 16)

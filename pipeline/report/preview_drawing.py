"""Draw the texts of a preview: the scale bar, the legend, and text in Pillow's built-in font."""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from PIL import ImageDraw, ImageFont

from ..labelmaps.palette import Colour
from .text import printable

__all__ = ["FAINT", "TEXT", "LabelRow", "draw_row", "draw_scale", "load_font", "make_legend", "shorten"]

LabelRow = tuple[int, str, Colour]

TEXT, FAINT = (235, 235, 235), (150, 153, 160)
_MAX_LETTERS = 250  # characters of a text on the page
_MAX_ROWS = 48  # labels in the legend
_FONT_SIZE = 14  # pixels


def draw_scale(
    draw: ImageDraw.ImageDraw, at: tuple[int, int], scale: float, room: int, *, in_pixels: bool, note: str
) -> None:
    """Draw a scale bar of 1, 2 or 5 times a power of ten mm, at most about half as long as the view above it."""
    longest = max(room, 100) / 2 / scale
    power = 10.0 ** np.floor(np.log10(longest))
    mm = max(step * power for step in (1, 2, 5) if step * power <= longest)
    left, upper = at
    right = left + round(mm * scale)
    draw.line([(left, upper), (right, upper)], fill=TEXT, width=3)
    for end in (left, right):
        draw.line([(end, upper - 5), (end, upper + 5)], fill=TEXT, width=1)
    text = f"{mm:g} px" if in_pixels else f"{mm / 10:g} cm" if mm >= 10 else f"{mm:g} mm"
    draw.text((right + 8, upper), text, font=load_font(15), fill=TEXT, anchor="lm")
    draw.text((right + 24 + load_font(15).getlength(text), upper), note, font=load_font(13), fill=FAINT, anchor="lm")


def make_legend(rows: Sequence[LabelRow], sizes: Sequence[str | None]) -> list[tuple[Colour | None, str, str]]:
    """Return colour, name and size of each row: present labels, then absent ones, then the number of further ones."""
    named = [(colour, f"{value}  {name}", size or "-") for (value, name, colour), size in zip(rows, sizes, strict=True)]
    legend: list[tuple[Colour | None, str, str]] = [] if any(sizes) else [(None, "no voxel is labelled", "")]
    legend += sorted(named, key=lambda row: row[2] == "-")
    if len(legend) > _MAX_ROWS:
        legend[_MAX_ROWS - 1 :] = [(None, f"and {len(legend) - _MAX_ROWS + 1} more", "")]
    return legend


def draw_row(draw: ImageDraw.ImageDraw, at: tuple[int, int], width: int, row: tuple[Colour | None, str, str]) -> None:
    """Draw a line of the legend, `width` pixels wide: a patch of colour, a name, and a size at the right."""
    left, upper = at
    colour, name, size = row
    if colour is not None:
        draw.rectangle([(left, upper + 3), (left + 14, upper + 16)], fill=colour)
    room = width - 24 - int(load_font(_FONT_SIZE).getlength(size)) - 10
    text = TEXT if size != "-" else FAINT
    draw.text(
        (left + 24, upper + 10), shorten(name, room, _FONT_SIZE), font=load_font(_FONT_SIZE), fill=text, anchor="lm"
    )
    draw.text((left + width, upper + 10), size, font=load_font(_FONT_SIZE), fill=text, anchor="rm")


def shorten(text: str, room: int, size: int) -> str:
    """Return the text in characters of the built-in font, with its middle cut out if it is wider than `room` pixels."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", printable(text)) if not unicodedata.combining(c))
    plain = plain.encode("ascii", "replace").decode()
    letters = load_font(size)
    if letters.getlength(plain[:_MAX_LETTERS]) <= room and len(plain) <= _MAX_LETTERS:
        return plain

    def cut_text(number: int) -> str:
        return f"{plain[: -(-number // 2)]}...{plain[len(plain) - number // 2 :]}"

    most = bisect_right(range(3, _MAX_LETTERS), room, key=lambda number: letters.getlength(cut_text(number)))
    return cut_text(2 + most)


@cache
def load_font(size: int) -> Any:
    """Return Pillow's built-in scalable font, since the machine may have no fonts."""
    return ImageFont.load_default(size=size)

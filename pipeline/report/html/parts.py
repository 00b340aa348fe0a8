"""The parts of pages, as plain data. ``macros.html`` has a macro for each."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["Badge", "Card", "Histogram", "Measure", "Page", "Picture", "Row", "Table", "Tile", "embed_picture"]

_SIGNATURES = ((b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpeg"), (b"RIFF", "webp"))


@dataclass(frozen=True)
class Page:
    """The head and the foot of a page.

    Attributes:
        kind: the kind of page, such as ``dataset check``.
        name: the heading.
        facts: short facts under the heading.
        provenance: sources of the page's content, by title, for the foot.
        note: the last sentence.
    """

    kind: str
    name: str
    facts: Sequence[str]
    provenance: Mapping[str, str]
    note: str


@dataclass(frozen=True)
class Tile:
    """A number at the top of a page.

    Attributes:
        number: the number as text.
        noun: noun for the counted things.
        style: the tile's class, such as ``problem``.
        anchor: the ``id`` that the tile links to; None for no link.
    """

    number: str
    noun: str
    style: str = ""
    anchor: str | None = None


@dataclass(frozen=True)
class Histogram:
    """Bars in the row of a table, in the units of its ``viewBox``.

    Attributes:
        text: description for screen readers.
        width: width of the axis.
        height: height of the highest bar.
        bars: x, y, width and height of each bar.
        median: x of the median.
        logarithmic: whether the axis is logarithmic.
    """

    text: str
    width: int
    height: int
    bars: Sequence[tuple[float, float, float, float]]
    median: float
    logarithmic: bool


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        name: the row's name.
        cells: the other cells.
        note: small print after the name, such as its unit.
        swatch: class of the spot of colour before the name; None for no spot.
        plot: the histogram in the last column.
    """

    name: str
    cells: Sequence[str]
    note: str = ""
    swatch: str | None = None
    plot: Histogram | None = None


@dataclass(frozen=True)
class Table:
    """A table of numbers; wide ones scroll by themselves.

    Attributes:
        title: the heading.
        heads: headings of the columns, starting with the column of row names.
        rows: the rows.
        plots: whether there is a last column for histograms.
    """

    title: str
    heads: Sequence[str]
    rows: Sequence[Row]
    plots: bool = False


@dataclass(frozen=True)
class Picture:
    """An embedded picture: its data URI, and a description of what it shows."""

    source: str
    text: str


@dataclass(frozen=True)
class Badge:
    """A short link on a card: its text, its class and the ``id`` that it links to."""

    text: str
    style: str
    anchor: str


@dataclass(frozen=True)
class Measure:
    """A measured value on a card: the class of its spot of colour, its name and the value with its unit."""

    swatch: str
    name: str
    value: str


@dataclass(frozen=True)
class Card:
    """A case on a page.

    Attributes:
        anchor: the ``id``.
        name: the heading.
        style: the class, such as ``problem``.
        picture: the picture, or None.
        badges: links to findings.
        facts: short facts.
        measures: measured values; None where nothing was measured.
        more: the line after them, such as ``and 98 more labels``.
        data: values for the page's script, by the attribute's name without ``data-``.
    """

    anchor: str
    name: str
    style: str
    picture: Picture | None = None
    badges: Sequence[Badge] = ()
    facts: Sequence[str] = ()
    measures: Sequence[Measure] | None = None
    more: str = ""
    data: Mapping[str, str] = field(default_factory=dict)


def embed_picture(picture: bytes | None, text: str) -> Picture | None:
    """Return a PNG, JPEG or WebP file for embedding, byte for byte; None if it is none of these.

    Args:
        picture: the content of the file.
        text: description of what it shows.
    """
    form = next((form for start, form in _SIGNATURES if (picture or b"").startswith(start)), None)
    if picture is None or form is None:
        return None
    return Picture(f"data:image/{form};base64,{base64.b64encode(picture).decode()}", text)

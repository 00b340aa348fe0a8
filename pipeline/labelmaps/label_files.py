"""The label table as files for viewers: 3D Slicer's colour table and ITK-SNAP's label descriptions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..files import write_text
from .label_table import Label

__all__ = ["one_line", "write_label_files"]


def write_label_files(folder: str | Path, table: Sequence[Label]) -> None:
    """Write `labels.ctbl` for 3D Slicer and `labels.txt` for ITK-SNAP; both have a row for the background.

    A colour table ends a name at a space, so 3D Slicer reads spaces as underscores; they are written as such.

    Args:
        folder: made where it does not exist.
        table: the foreground labels.
    """
    colours = ["0 background 0 0 0 0"]
    descriptions = [_description(0, (0, 0, 0), 0, "Clear Label")]
    for value, name, colour in table:
        colours.append(f"{value} {one_line(name).replace(' ', '_')} {' '.join(map(str, colour))} 255")
        descriptions.append(_description(value, colour, 1, one_line(name)))
    write_text(Path(folder) / "labels.ctbl", _lines("# value name red green blue opacity", colours))
    write_text(
        Path(folder) / "labels.txt",
        _lines("# value red green blue opacity visible mesh name", descriptions),
    )


def one_line(name: str) -> str:
    """Return a label's name with every run of white space and control characters as one space."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in name).split())


def _description(value: int, colour: tuple[int, int, int], shown: int, name: str) -> str:
    red, green, blue = colour
    # The name ends at the next quotation mark.
    quoted = name.replace('"', "'")
    return f'{value:5d} {red:5d} {green:4d} {blue:4d} {shown:8d} {shown:2d} {shown:2d}    "{quoted}"'


def _lines(heading: str, rows: Sequence[str]) -> str:
    return "\n".join([heading, *rows, ""])

"""Write the label table for viewers: 3D Slicer's colour table and ITK-SNAP's label descriptions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..files import write_text
from .label_table import Label

__all__ = ["to_one_line", "write_label_files"]


def write_label_files(folder: str | Path, table: Sequence[Label]) -> None:
    """Write `labels.ctbl` for 3D Slicer and `labels.txt` for ITK-SNAP, both with a row for the background.

    Spaces in names become underscores in the colour table, where a space ends the name.

    Args:
        folder: folder for both files, created if missing.
        table: the foreground labels.
    """
    colours = ["0 background 0 0 0 0"]
    descriptions = [_format_description(0, (0, 0, 0), 0, "Clear Label")]
    for value, name, colour in table:
        colours.append(f"{value} {to_one_line(name).replace(' ', '_')} {' '.join(map(str, colour))} 255")
        descriptions.append(_format_description(value, colour, 1, to_one_line(name)))
    write_text(Path(folder) / "labels.ctbl", _join_lines("# value name red green blue opacity", colours))
    write_text(
        Path(folder) / "labels.txt",
        _join_lines("# value red green blue opacity visible mesh name", descriptions),
    )


def to_one_line(name: str) -> str:
    """Return a label's name with each run of white space and control characters replaced by one space."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in name).split())


def _format_description(value: int, colour: tuple[int, int, int], shown: int, name: str) -> str:
    red, green, blue = colour
    # A quotation mark would end the name.
    quoted = name.replace('"', "'")
    return f'{value:5d} {red:5d} {green:4d} {blue:4d} {shown:8d} {shown:2d} {shown:2d}    "{quoted}"'


def _join_lines(heading: str, rows: Sequence[str]) -> str:
    return "\n".join([heading, *rows, ""])

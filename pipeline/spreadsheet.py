"""Write and read CSV so that a spreadsheet takes no name for a formula. Imports nothing else of LightSkip.

A cell that begins with `=`, `+`, `-`, `@` or a tab can be a formula to Excel, LibreOffice and Google Sheets, and names
of cases and labels come from strangers' files. Such a text gets an apostrophe in front, which these programs take as
the sign of a text (OWASP, "CSV injection"). Numbers stay as they are.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

__all__ = ["escape_cell", "format_table", "read_rows", "refuse_nul", "restore_cell"]

_SIGN = "'"
_ENDS = "\r\n"
# Signs of a formula, also as wide as an ideograph; blanks before them, which some programs remove; what ends a cell.
_FORMULA = re.compile(r"'*(?:[\t\r\n]|\s*[=+\-@\uff1d\uff0b\uff0d\uff20])")
_NUMBER = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf|nan)", re.IGNORECASE | re.ASCII)


def escape_cell(value: Any) -> Any:
    """Return a cell's value; a text that a spreadsheet could take for a formula with an apostrophe in front."""
    return _SIGN + value if isinstance(value, str) and _needs_sign(value) else value


def restore_cell(text: str) -> str:
    """Return the text that `escape_cell` was given."""
    return text[1:] if text.startswith(_SIGN) and _needs_sign(text[1:]) else text


def format_table(columns: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    """Return a table as CSV, its lines ended by a line feed.

    Args:
        columns: names of the columns.
        rows: the cells of each row, in the order of the columns.
    """
    return "".join(_format_row(row) + "\n" for row in itertools.chain([columns], rows))


def read_rows(lines: Iterable[str]) -> tuple[list[str], list[dict[str, str]]]:
    """Return the columns of a table that `format_table` wrote, and its rows by column; a missing cell is empty.

    Args:
        lines: of a file that was opened with ``newline=""``.

    Raises:
        csv.Error: the table is damaged, or has a column twice.
    """
    reader = csv.DictReader(refuse_nul(lines), restkey="", strict=True)
    columns = [restore_cell(name) for name in reader.fieldnames or ()]
    twice = next((name for place, name in enumerate(columns) if name in columns[:place]), None)
    if twice is not None:
        raise csv.Error(f"the column {twice!r} twice")
    rows = [
        {restore_cell(name): restore_cell(cell or "") for name, cell in row.items() if not isinstance(cell, list)}
        for row in reader
    ]
    return columns, rows


def refuse_nul(lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines of a table; raise csv.Error at one with a NUL, as in UTF-16 or a damaged file."""
    for number, line in enumerate(lines, start=1):
        if "\0" in line:
            raise csv.Error(f"a NUL in line {number}")
        yield line


def _format_row(row: Iterable[Any]) -> str:
    stream = io.StringIO()
    # Cells are quoted if they hold a sign that ends a line: before Python 3.13 only those that are named here.
    csv.writer(stream, lineterminator=_ENDS).writerow([escape_cell(cell) for cell in row])
    return stream.getvalue().removesuffix(_ENDS)


def _needs_sign(text: str) -> bool:
    return _FORMULA.match(text) is not None and _NUMBER.fullmatch(text.lstrip(_SIGN)) is None

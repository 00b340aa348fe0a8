"""Read and write the rows of a training's ``history.csv``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .. import spreadsheet
from ..data.errors import InputError
from ..data.table_errors import explain_table
from ..files import write_text

__all__ = ["read_rows", "write_rows"]


def read_rows(path: Path, *, before_epoch: int) -> list[dict[str, Any]]:
    """Return the rows of the epochs before one, as text by column; none if there is no file."""
    if before_epoch <= 1 or not path.is_file():
        return []
    with explain_table(path), path.open(newline="", encoding="utf-8") as file:
        _, rows = spreadsheet.read_rows(file)
    try:
        return [row for row in rows if int(row["epoch"]) < before_epoch]
    except (KeyError, ValueError) as error:
        raise InputError(
            path,
            found="a line without the number of its epoch",
            expected="the history.csv that the training wrote",
            remedy="move it away to resume with a new one, or copy it again",
        ) from error


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write all rows, whole or not at all, with the columns of the last row first."""
    # An earlier part of a resumed training may have had no time limit, or this one has none.
    names = dict.fromkeys(name for row in (rows[-1], *rows) for name in row)
    write_text(path, spreadsheet.format_table(list(names), ([row.get(name, "") for name in names] for row in rows)))

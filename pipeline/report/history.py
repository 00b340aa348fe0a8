"""Read the history of a training, ``history.csv``: a line per epoch with loss, Dice and time."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..data.errors import InputError
from ..data.table_errors import explain_table
from ..spreadsheet import refuse_nul

__all__ = ["LABEL_COLUMN", "find_best", "is_unvalidated", "read_changes", "read_history"]

FilePath = str | os.PathLike[str]

LABEL_COLUMN = "val_dice_"
"""Start of the columns with the Dice of one label."""
_COLUMNS = ("epoch", "train_loss", "val_mean_dice", "elapsed_seconds")
_CASES = "val_cases"
_LONGER = "longer"


def read_history(history: FilePath) -> dict[str, NDArray[np.float64]]:
    """Return the columns of a history, (epochs,) each; an empty entry is NaN.

    Args:
        history: a CSV file with a line per epoch and the columns ``epoch``, ``train_loss``, ``val_mean_dice`` (empty on
            epochs without validation) and ``elapsed_seconds``. Columns ``val_dice_<label>`` and ``val_cases`` are read
            too; others are ignored.

    Raises:
        InputError: If the file or a column is missing, the file has no epoch, or an entry is not a number.
    """
    path = Path(history)
    if not path.is_file():
        raise InputError(
            path, found="no such file", expected="the history.csv that a training writes", remedy="check the path"
        )
    with explain_table(path), path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(refuse_nul(file), strict=True)
        known = (*_COLUMNS, _CASES)
        names = [name for name in reader.fieldnames or () if name in known or name.startswith(LABEL_COLUMN)]
        missing = [name for name in _COLUMNS if name not in names]
        lines = list(reader)
    if missing or not lines:
        found = f"no column {', '.join(missing)}" if missing else "no epoch"
        expected = f"columns {', '.join(_COLUMNS)} and a line per epoch"
        raise InputError(path, found=found, expected=expected, remedy="pass the history.csv that a training wrote")
    return {
        name: np.array([_parse_number(path, n, name, line[name]) for n, line in enumerate(lines, 2)]) for name in names
    }


def read_changes(history: FilePath) -> list[tuple[int, str]]:
    """Return the first epoch after each change of a training's length, and the way: ``stretch`` or ``restart``.

    Args:
        history: as for `read_history`, which must have read it.
    """
    with Path(history).open(newline="", encoding="utf-8") as file:
        return [(int(float(line["epoch"])), line[_LONGER]) for line in csv.DictReader(file) if line.get(_LONGER)]


def is_unvalidated(columns: dict[str, NDArray[np.float64]]) -> bool:
    """Return whether a history is of a training on all cases, which validates none."""
    return _CASES in columns and bool((columns[_CASES] == 0).all())


def find_best(columns: dict[str, NDArray[np.float64]]) -> int:
    """Return the row of the best validation, among those with the most cases: only these can be compared."""
    mean, cases = columns["val_mean_dice"], columns.get(_CASES)
    if cases is not None and np.isfinite(cases).any():
        mean = np.where(cases == np.nanmax(cases), mean, np.nan)
    return int(np.nanargmax(mean))


def _parse_number(path: Path, line: int, column: str, entry: str | None) -> float:
    """Return the entry as a number. An empty entry is NaN, and an error in the columns of epoch and time."""
    try:
        number = float(entry or "nan")
    except ValueError:
        number = None
    if number is None or (column in {"epoch", "elapsed_seconds"} and not np.isfinite(number)):
        where, remedy = f"{path}, line {line}, column {column}", "correct or delete the line"
        raise InputError(where, found=repr(entry or ""), expected="a number", remedy=remedy)
    return number

"""Draw the curve of a training, its loss and Dice over time, as PNG. It needs no display and no pyplot."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import NDArray

from ..data.errors import InputError
from ..files import whole_file
from ..labelmaps.palette import hex_colour

__all__ = ["draw_curve"]

FilePath = str | os.PathLike[str]

_COLUMNS = ("epoch", "train_loss", "val_mean_dice", "elapsed_seconds")
_CASES = "val_cases"


def draw_curve(history: FilePath, output: FilePath) -> Path:
    """Draw a training over time in minutes: the loss above, the Dice on the validation cases below.

    Args:
        history: A CSV file with a line per epoch and the columns ``epoch``, ``train_loss``, ``val_mean_dice`` (empty
            on epochs without validation) and ``elapsed_seconds``. Columns ``val_dice_<label>`` are drawn too, and the
            best validation is searched among those with the most ``val_cases``; others
            are ignored.
        output: The PNG to write.

    Returns:
        The path of the PNG.

    Raises:
        InputError: If the file or a column is missing, the file has no epoch, or an entry is not a number.
    """
    columns = _read_history(history)
    minutes, loss, mean = (columns[name] for name in ("elapsed_seconds", "train_loss", "val_mean_dice"))
    minutes = minutes / 60.0
    figure = Figure(figsize=(8.0, 6.0), dpi=110, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    upper.plot(minutes, loss, color="black", linewidth=1.2, marker=".", markersize=3)
    upper.set_ylabel("training loss")
    if (loss[np.isfinite(loss)] > 0).all():
        upper.set_yscale("log")
        upper.yaxis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 5.0, 7.0)))
        upper.yaxis.set_major_formatter("{x:g}")  # 0.2 instead of 2 x 10^-1
        upper.yaxis.set_minor_formatter(NullFormatter())

    validated = np.isfinite(mean)
    labels = [name for name in columns if name.startswith("val_dice_")]
    for value, name in enumerate(labels, start=1):
        shown = np.isfinite(columns[name])
        lower.plot(
            minutes[shown],
            columns[name][shown],
            color=hex_colour(value),
            label=name.removeprefix("val_dice_"),
            marker=".",
            # A grey edge makes light colours visible on white.
            path_effects=[withStroke(linewidth=2.5, foreground="#606060")],
        )
    lower.plot(minutes[validated], mean[validated], color="black", linewidth=2.2, label="mean", marker=".")
    summary = f"{len(minutes)} epochs in {minutes.max():.3g} min"
    if validated.any():
        best = _find_best(columns)
        epoch = f"{columns['epoch'][best]:.0f}"
        lower.plot(minutes[best], mean[best], "*", color="black", markersize=15, label=f"best: epoch {epoch}")
        summary += f"; best mean Dice {mean[best]:.3f} at epoch {epoch}"
    lower.set(xlabel="time (min)", ylabel="Dice on validation cases", ylim=(0.0, 1.0))
    lower.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    for panel in (upper, lower):
        panel.grid(alpha=0.3)
    upper.set_title(f"{Path(history).name}: {summary}", fontsize=10)
    with whole_file(output) as temporary:
        figure.savefig(temporary, format="png")
    return Path(output)


def _find_best(columns: dict[str, NDArray[np.float64]]) -> int:
    """Return the row of the best validation, among those with the most cases: only these can be compared."""
    mean, cases = columns["val_mean_dice"], columns.get(_CASES)
    if cases is not None and np.isfinite(cases).any():
        mean = np.where(cases == np.nanmax(cases), mean, np.nan)
    return int(np.nanargmax(mean))


def _read_history(history: FilePath) -> dict[str, NDArray[np.float64]]:
    """Return the columns of the CSV, (epochs,) each; an empty entry is NaN."""
    path = Path(history)
    if not path.is_file():
        raise InputError(
            path, found="no such file", expected="the history.csv that a training writes", remedy="check the path"
        )
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        known = (*_COLUMNS, _CASES)
        names = [name for name in reader.fieldnames or () if name in known or name.startswith("val_dice_")]
        missing = [name for name in _COLUMNS if name not in names]
        lines = list(reader)
    if missing or not lines:
        found = f"no column {', '.join(missing)}" if missing else "no epoch"
        expected = f"columns {', '.join(_COLUMNS)} and a line per epoch"
        raise InputError(path, found=found, expected=expected, remedy="pass the history.csv that a training wrote")
    return {
        name: np.array([_parse_number(path, n, name, line[name]) for n, line in enumerate(lines, 2)]) for name in names
    }


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

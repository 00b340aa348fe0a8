"""Draw the curve of a training, its loss and Dice over time, as PNG. It needs no display and no pyplot."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import LogLocator, NullFormatter

from ..files import whole_file
from ..labelmaps.palette import hex_colour
from .history import LABEL_COLUMN, find_best, is_unvalidated, read_changes, read_history
from .text import drawable

__all__ = ["draw_curve"]

FilePath = str | os.PathLike[str]


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
    columns = read_history(history)
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
    labels = [name for name in columns if name.startswith(LABEL_COLUMN)]
    for value, name in enumerate(labels, start=1):
        shown = np.isfinite(columns[name])
        lower.plot(
            minutes[shown],
            columns[name][shown],
            color=hex_colour(value),
            label=drawable(name.removeprefix(LABEL_COLUMN)),
            marker=".",
            # A grey edge makes light colours visible on white.
            path_effects=[withStroke(linewidth=2.5, foreground="#606060")],
        )
    lower.plot(minutes[validated], mean[validated], color="black", linewidth=2.2, label="mean", marker=".")
    summary = f"{len(minutes)} epochs in {minutes.max():.3g} min"
    if validated.any():
        best = find_best(columns)
        epoch = f"{columns['epoch'][best]:.0f}"
        lower.plot(minutes[best], mean[best], "*", color="black", markersize=15, label=f"best: epoch {epoch}")
        summary += f"; best mean Dice {mean[best]:.3f} at epoch {epoch}"
    if is_unvalidated(columns):
        summary += "; trained on all cases, not validated"
    for first, way in read_changes(history):
        at = float(minutes[columns["epoch"] < first].max(initial=0.0))
        for panel in (upper, lower):
            panel.axvline(at, color="grey", linestyle="--", linewidth=1.0)
        upper.annotate(way, (at, 1.0), xycoords=("data", "axes fraction"), va="top", fontsize=8)
    lower.set(xlabel="time (min)", ylabel="Dice on validation cases", ylim=(0.0, 1.0))
    lower.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    for panel in (upper, lower):
        panel.grid(alpha=0.3)
    upper.set_title(f"{drawable(Path(history).name)}: {summary}", fontsize=10)
    with whole_file(output) as temporary:
        figure.savefig(temporary, format="png")
    return Path(output)

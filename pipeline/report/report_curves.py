"""Lay out the curves of trainings: the loss, and the Dice on the validation cases, by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .history import LABEL_COLUMN, find_best
from .html.parts import Row, Table
from .report_axis import Axis, format_value, make_axis
from .report_content import Content, History
from .text import amount

__all__ = ["Chart", "Curve", "make_charts", "make_values"]

_MAX_MARKS = 60  # values that a curve names
_MEAN = "mean"


@dataclass(frozen=True)
class Curve:
    """A line.

    Attributes:
        name: for the legend.
        style: class of its colour; empty for the text's colour.
        path: the ``d`` of an SVG path in percent of the chart's width and height.
        marks: x and y in percent, and the text of single values.
    """

    name: str
    style: str
    path: str
    marks: Sequence[tuple[float, float, str]]


@dataclass(frozen=True)
class Chart:
    """A chart of one quantity over the epochs.

    Attributes:
        title: the quantity.
        text: the chart in words.
        across: axis of the epochs.
        up: axis of the values.
        curves: the lines.
    """

    title: str
    text: str
    across: Axis
    up: Axis
    curves: Sequence[Curve]


def make_charts(content: Content, history: History) -> list[Chart]:
    """Return the charts of a training: loss, and Dice if there was a validation."""
    columns = history.columns
    epochs, minutes = columns["epoch"], columns["elapsed_seconds"] / 60
    charts = []
    changes = history.changes
    loss = columns["train_loss"]
    if np.isfinite(loss).any():
        last = f"{loss[np.isfinite(loss)][-1]:.4g}"
        text = f"training loss of {history.name} over {len(epochs)} epochs, at the end {last}"
        lines: dict[str, tuple[str, NDArray[np.float64]]] = {"loss": ("", loss)}
        charts.append(_make_chart("Training loss", text, epochs, minutes, lines, high=None, changes=changes))
    mean = columns["val_mean_dice"]
    if np.isfinite(mean).any():
        best = find_best(columns)
        text = f"Dice of {history.name} on the validation cases, best {mean[best]:.3f} at epoch {epochs[best]:.0f}"
        lines = {}
        names = [name.removeprefix(LABEL_COLUMN) for name in columns if name.startswith(LABEL_COLUMN)]
        for number, name in enumerate(names, start=1):
            lines[name] = (content.find_style(name, number), columns[LABEL_COLUMN + name])
        lines[_MEAN] = ("", mean)
        charts.append(_make_chart("Dice on validation cases", text, epochs, minutes, lines, high=1.0, changes=changes))
    return charts


def make_values(history: History) -> Table:
    """Return a row per validation, or per epoch if there was none: epoch, minutes, loss and the Dice of each label."""
    columns = history.columns
    names = [name for name in columns if name.startswith(LABEL_COLUMN)]
    shown = np.flatnonzero(np.isfinite(columns["val_mean_dice"]))
    shown = shown if shown.size else np.arange(len(columns["epoch"]))
    heads = ["epoch", "minutes", "training loss", "mean Dice", *(name.removeprefix(LABEL_COLUMN) for name in names)]
    rows = [
        Row(
            f"{columns['epoch'][at]:.0f}",
            [
                f"{columns['elapsed_seconds'][at] / 60:.1f}",
                amount(columns["train_loss"][at]),
                *(format_value(columns[name][at]) for name in ("val_mean_dice", *names)),
            ],
        )
        for at in shown
    ]
    return Table(f"Values of {history.name}", heads, rows)


def _make_chart(
    title: str,
    text: str,
    epochs: NDArray[np.float64],
    minutes: NDArray[np.float64],
    lines: dict[str, tuple[str, NDArray[np.float64]]],
    *,
    high: float | None,
    changes: Sequence[tuple[int, str]] = (),
) -> Chart:
    everything = np.concatenate([values[np.isfinite(values)] for _, values in lines.values()])
    across = make_axis([float(epochs.min()), float(epochs.max())], ticks=6)
    marked = [(f"{way} from epoch {epoch} on", across.place(epoch - 0.5)) for epoch, way in changes]
    up = make_axis([*everything.tolist(), *([high] if high else [])], low=0.0, high=high)
    curves = []
    for name, (style, values) in lines.items():
        known = np.flatnonzero(np.isfinite(values))
        places = [(across.place(float(epochs[at])), 100 - up.place(float(values[at]))) for at in known]
        path = "M" + "L".join(f"{x:g} {y:g}" for x, y in places)
        every = max(1, -(-len(known) // _MAX_MARKS))
        marks = [
            (x, y, f"{name}: {values[at]:.4g} at epoch {epochs[at]:.0f}, {minutes[at]:.3g} min")
            for number, (at, (x, y)) in enumerate(zip(known, places, strict=True))
            if number % every == 0 or number == len(known) - 1
        ]
        curves.append(Curve(name, style, path, marks))
    curves += [Curve(name, "change", f"M{x:g} 0L{x:g} 100", []) for name, x in marked]
    return Chart(title, text, across, up, curves)

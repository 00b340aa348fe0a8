"""Draw the changes of Dice under probes with their intervals, a panel per level, as PNG. It needs no display."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..evaluation.rows import name_overall
from ..labelmaps.palette import hex_colour
from .text import drawable

__all__ = ["draw_differences"]

_ROW = 0.13  # inches of a label's line
_MAX_LABELS = 8  # with more, only their mean is drawn
_OVERALL_COLOUR = "black"


def draw_differences(summary: Mapping[str, Any]) -> bytes:
    """Draw the mean change of Dice of each label under each probe, with its interval.

    All panels have the same scale, so that levels can be compared. Zero, the untouched network, is a line. Of more than
    eight labels only the mean is drawn.

    Args:
        summary: the summary of a run of ``lightskip probe``: ``probes``, with ``level``, ``skip``, ``probe`` and
            ``labels`` (``difference`` and ``interval``); ``untouched`` with the ``dice`` by label; ``cases``. The last
            label is the mean of the others.

    Returns:
        A PNG file.
    """
    *labels, overall = summary["untouched"]
    labels = [*labels, overall] if len(labels) <= _MAX_LABELS else [overall]
    panels: dict[int, list[Mapping[str, Any]]] = {}
    for entry in summary["probes"]:
        panels.setdefault(entry["level"], []).append(entry)
    heights = [len(entries) * (len(labels) + 1.5) for entries in panels.values()]
    size = (9.0, 1.5 + _ROW * sum(heights) + 0.35 * len(panels))
    figure = Figure(figsize=size, dpi=110, layout="constrained")
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for panel, (level, entries) in zip(axes, panels.items(), strict=True):
        _draw_level(panel, entries, labels)
        panel.set_title(f"level {level}, skip {drawable(entries[0]['skip'])}", fontsize=10, loc="left")
    axes[-1].set_xlabel("change of Dice against the untouched network, mean and 95 % interval over cases")
    whole = summary["untouched"][overall]["dice"]
    mean = name_overall(summary.get("regions"))
    figure.suptitle(f"{summary['cases']} cases, untouched Dice {whole:.3f} ({mean})", fontsize=11)
    handles, names = axes[0].get_legend_handles_labels()
    names = [mean if name == overall else name for name in names]
    figure.legend(handles, names, loc="outside lower center", ncols=min(len(labels), 5), frameon=False)
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return stream.getvalue()


def _draw_level(panel: Axes, entries: list[Mapping[str, Any]], labels: list[str]) -> None:
    step = len(labels) + 1.5
    for number, label in enumerate(labels):
        colour = _OVERALL_COLOUR if number == len(labels) - 1 else hex_colour(number + 1)
        shown = [(row, entry["labels"][label]) for row, entry in enumerate(entries)]
        shown = [(row, entry) for row, entry in shown if entry["difference"] is not None]
        places = [row * step + number for row, _ in shown]
        means = [entry["difference"] for _, entry in shown]
        ends = [entry["interval"] or [entry["difference"]] * 2 for _, entry in shown]
        panel.hlines(places, [end[0] for end in ends], [end[1] for end in ends], color=colour, linewidth=2)
        panel.plot(means, places, "o", color=colour, markersize=5, label=drawable(label))
    for row in range(1, len(entries)):
        panel.axhline(row * step - 1.25, color="0.85", linewidth=0.8)
    panel.axvline(0, color="0.4", linewidth=1)
    middle = (len(labels) - 1) / 2
    panel.set_yticks(
        [row * step + middle for row in range(len(entries))], [drawable(entry["probe"]) for entry in entries]
    )
    panel.set_ylim(len(entries) * step - 1.25, -1.25)
    panel.grid(axis="x", alpha=0.3)

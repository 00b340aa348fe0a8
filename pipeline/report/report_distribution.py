"""Lay out the distribution of a metric: a row per label and set, with a point for every case."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from ..evaluation.metric_names import find_name
from .report_axis import Axis, format_value, make_axis
from .report_content import Content, Metric, Score

__all__ = ["Panel", "Point", "Strip", "make_panels"]

MAX_PANELS = 6
MAX_STRIPS = 60  # rows of a panel: labels times sets
_SHOWN = ("dice", "nsd", "hd95_mm", "assd_mm", "volume_difference", "cldice", "volume_ml", "area_mm2")
_HEIGHT, _RADIUS = 44, 5.0  # of a row, in CSS pixels
_WIDTH = 620  # of a row on a desk: points that would touch at this width are stacked
_OUTCOMES = {"missed": "missed", "false_positive": "invented"}


@dataclass(frozen=True)
class Point:
    """A case: its place in percent and pixels, its anchor, the text that names it, and the class of its mark."""

    x: float
    y: float
    anchor: str
    text: str
    style: str


@dataclass(frozen=True)
class Strip:
    """The points of one label in one set.

    Attributes:
        label: name of the label.
        set: name of the set; empty if there is only one.
        swatch: class of the label's colour.
        points: the cases, from left to right.
        mean: place of the mean; None if it is not on the axis.
        interval: places of the ends of its interval; None without one, or if it is not whole on the axis.
        text: the numbers in words.
    """

    label: str
    set: str
    swatch: str
    points: Sequence[Point]
    mean: float | None
    interval: tuple[float, float] | None
    text: str


@dataclass(frozen=True)
class Panel:
    """The distribution of one metric.

    Attributes:
        metric: the metric.
        axis: its axis.
        strips: the rows.
        hint: the meaning of the axis in words.
        more: number of rows that are left out.
    """

    metric: Metric
    axis: Axis
    strips: Sequence[Strip]
    hint: str
    more: int = 0


def make_panels(content: Content, anchors: Mapping[str, str]) -> list[Panel]:
    """Return the distributions of the main metrics.

    Args:
        content: the content of the page.
        anchors: the ``id`` of each case by its name.
    """
    chosen = [metric for name in _SHOWN for metric in content.metrics if metric.name == find_name([metric.name], name)]
    return [_make_panel(content, metric, anchors) for metric in (chosen or content.metrics)[:MAX_PANELS]]


def _make_panel(content: Content, metric: Metric, anchors: Mapping[str, str]) -> Panel:
    groups: dict[tuple[str, str], list[Score]] = {}
    for score in content.scores:
        if metric.name in score.values:
            groups.setdefault((score.label, score.set), []).append(score)
    labels = list(dict.fromkeys([*content.rows, *(label for label, _ in groups)]))
    order = [(label, name) for label in labels for name in content.sets if (label, name) in groups]
    ratio = not metric.unit and metric.better == "higher"
    values = [one.values[metric.name] for key in order for one in groups[key]]
    # A structure that one side lacks has the volume's diagonal as its distance: such values stand at the axis's end.
    found = [one.values[metric.name] for key in order for one in groups[key] if one.outcome not in _OUTCOMES]
    inside = found if found and not ratio else values
    ends = [1.0] if ratio else [0.0]
    axis = make_axis([*inside, *ends], low=0.0, high=1.0 if ratio else None)
    strips = [_make_strip(content, metric, key, groups[key], axis, anchors) for key in order[:MAX_STRIPS]]
    words = {"higher": "Higher is better", "lower": "Lower is better", "zero": "Zero is best"}.get(metric.better, "")
    unit = f"in {metric.unit}" if metric.unit else ""
    beyond = "missed and invented structures at the end" if any(not _is_on(axis, one) for one in values) else ""
    hint = ", ".join(part for part in (words, unit, beyond) if part)
    return Panel(metric, axis, strips, hint[:1].upper() + hint[1:], max(0, len(order) - MAX_STRIPS))


def _make_strip(
    content: Content,
    metric: Metric,
    key: tuple[str, str],
    scores: Sequence[Score],
    axis: Axis,
    anchors: Mapping[str, str],
) -> Strip:
    label, name = key
    several = len(content.sets) > 1
    placed = sorted(scores, key=lambda one: one.values[metric.name])
    points = []
    heights = _stack([axis.place(one.values[metric.name]) for one in placed])
    for one, height in zip(placed, heights, strict=True):
        outcome = _OUTCOMES.get(one.outcome, "")
        words = [one.case, label, *([name] if several else []), format_value(one.values[metric.name], metric.unit)]
        text = " · ".join([*words, *([outcome] if outcome else [])])
        points.append(Point(axis.place(one.values[metric.name]), height, anchors.get(one.case, ""), text, outcome))
    known = _find_statistics(content, key, metric)
    mean = fmean(one.values[metric.name] for one in scores)
    # Statistics of a difference are those of its size, while points show its sign.
    signed = metric.better == "zero"
    ends = None if signed else known.get("interval")
    if known.get("mean") is not None and not signed:
        mean = known["mean"]
    text = f"mean {format_value(mean, metric.unit)}"
    if ends:
        low, high = (format_value(end, metric.unit).removesuffix(f" {metric.unit}") for end in ends)
        text += f" [{low}, {high}]"
    text += f", {len(scores)} case{'s' if len(scores) != 1 else ''}"
    return Strip(
        label=label,
        set=name if several else "",
        swatch=content.find_style(label),
        points=points,
        # A mark at the axis's end would show another number.
        mean=axis.place(mean) if _is_on(axis, mean) else None,
        interval=(axis.place(ends[0]), axis.place(ends[1])) if ends and _is_on(axis, *ends) else None,
        text=text,
    )


def _is_on(axis: Axis, *values: float) -> bool:
    slack = 1e-9 * (axis.high - axis.low)
    return all(axis.low - slack <= value <= axis.high + slack for value in values)


def _find_statistics(content: Content, key: tuple[str, str], metric: Metric) -> Mapping[str, Any]:
    label, name = key
    entry = ((content.summary.get("statistics") or {}).get(name) or {}).get(label) or {}
    return entry.get(metric.name) or {}


def _stack(places: Sequence[float]) -> list[float]:
    """Return the height of each point, in pixels: points that would cover each other alternate about the middle.

    Args:
        places: of the points, in percent of the row's width, in ascending order.
    """
    heights: list[float] = []
    # The place of the last point at each height: earlier ones there are further away.
    last: dict[float, float] = {}
    step = _RADIUS * 1.5
    offsets = [0.0]
    while offsets[-1] + step <= _HEIGHT / 2 - _RADIUS:
        offsets += [offsets[-1] + step]
    tries = [sign * offset for offset in offsets for sign in ((1, -1) if offset else (1,))]
    for place in places:
        x = place / 100 * _WIDTH
        free = [
            one for one in tries if all(math.hypot(x - left, one - up) >= 1.4 * _RADIUS for up, left in last.items())
        ]
        chosen = free[0] if free else tries[len(heights) % len(tries)]
        last[chosen] = x
        heights.append(round(_HEIGHT / 2 + chosen, 1))
    return heights

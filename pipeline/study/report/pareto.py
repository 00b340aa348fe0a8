"""Lay out the picture of Dice by cost: points with their intervals, and the front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...report.report_axis import Axis, make_axis
from ...report.text import shorten
from .arms import Group
from .cost_scale import CostScale, make_cost_scale
from .costs import COSTS, average_costs
from .fronts import AXES, CostAxis, find_fronts, list_known
from .name_places import NamePlace, place_names
from .numbers import format_interval, format_value
from .results import OVERALL, GroupResult
from .styles import style_arms

__all__ = ["Panel", "Point", "make_panels"]


@dataclass(frozen=True)
class Point:
    """An arm.

    Attributes:
        x: place on the axis of the cost in percent.
        y: place from the top in percent.
        low: place of the lower end of the interval from the top; None without one.
        high: place of the upper end.
        style: class of the colour.
        name: label of the skip, shortened.
        text: the numbers in words.
        front: whether it is on the front.
        label: place of its name.
    """

    x: float
    y: float
    low: float | None
    high: float | None
    style: str
    name: str
    text: str
    front: bool
    label: NamePlace


@dataclass(frozen=True)
class Panel:
    """Dice by one cost: title, axes, points, and the front as the ``d`` of an SVG path in percent."""

    title: str
    across: CostScale
    up: Axis
    points: Sequence[Point]
    front: str


def make_panels(group: Group, result: GroupResult, baseline: str) -> list[Panel]:
    """Return a panel per cost that at least two arms have."""
    costs = {skip: average_costs(arm) for skip, arm in group.arms.items()}
    fronts = find_fronts(result, costs)
    styles = style_arms(group, baseline)
    return [
        _make_panel(axis, list_known(result, costs, axis), fronts[axis.name], result, styles)
        for axis in AXES
        if axis.name in fronts
    ]


def _make_panel(
    axis: CostAxis,
    known: Mapping[str, tuple[float, float]],
    front: Sequence[str],
    result: GroupResult,
    styles: Mapping[str, str],
) -> Panel:
    intervals = {skip: found.estimates[OVERALL, "dice"].interval.ends for skip, found in result.arms.items() if found}
    write = next(cost.write for cost in COSTS if cost.name == axis.name)
    across = make_cost_scale(axis.name, [cost for cost, _ in known.values()])
    ends = [end for skip in known for end in (intervals[skip] or ())]
    up = make_axis([*ends, *(dice for _, dice in known.values())], high=1.0)
    heights = {skip: _turn(up, dice) for skip, (_, dice) in known.items()}
    places = {skip: (x, heights[skip]) for skip, x in zip(known, across.places, strict=True)}
    names = place_names(places)
    points = []
    for skip, (x, y) in places.items():
        interval = intervals[skip]
        low, high = (None, None) if interval is None else (_turn(up, end) for end in interval)
        cost, dice = known[skip]
        text = f"{skip}: Dice {format_value(dice)} {format_interval(interval)}".rstrip() + f", {write(cost)}"
        points.append(Point(x, y, low, high, styles[skip], shorten(skip), text, skip in front, names[skip]))
    steps = sorted((places[skip][0], -places[skip][1]) for skip in front)
    path = "".join(f"M{x:g} {-y:g}" if at == 0 else f"H{x:g}V{-y:g}" for at, (x, y) in enumerate(steps))
    return Panel(f"{axis.title}, {across.unit}".removesuffix(", "), across, up, points, path)


def _turn(axis: Axis, value: float) -> float:
    """Return the place of a value from the top."""
    return round(100 - axis.place(value), 2)

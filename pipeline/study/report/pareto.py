"""Find the arms that no other arm beats in both Dice and a cost, and lay out the picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...report.report_axis import Axis, make_axis
from .arms import Group
from .costs import average_costs
from .numbers import format_bytes, format_count, format_interval, format_seconds, format_value
from .statistics import OVERALL, GroupResult
from .styles import style_arms

__all__ = ["AXES", "CostAxis", "Panel", "Point", "find_fronts", "make_panels"]

_WIDTH, _HEIGHT = 330, 250  # of a panel on a desk, in CSS pixels: names are placed for this size
_LETTER, _LINE = 7.0, 15.0  # width and height of a letter, in CSS pixels


@dataclass(frozen=True)
class CostAxis:
    """A cost to set against Dice: its key, its title, its word in a table, the unit's size and name."""

    name: str
    title: str
    short: str


AXES = (
    CostAxis("skip_bytes_kept", "Memory: kept by the skips", "memory kept"),
    CostAxis("skip_bytes_handed", "Bytes handed over by the skips", "bytes handed"),
    CostAxis("step_seconds", "Time: a training step", "step time"),
    CostAxis("parameters", "Parameters", "parameters"),
)
"""The costs that the pictures show."""

_WRITERS = {
    "skip_bytes_kept": format_bytes,
    "skip_bytes_handed": format_bytes,
    "step_seconds": format_seconds,
    "parameters": format_count,
}


@dataclass(frozen=True)
class Point:
    """An arm: its place and the ends of its interval in percent, class, name, text, and the place of its name.

    Attributes:
        x: place on the axis of the cost.
        y: place from the top.
        low: place of the lower end of the interval, from the top; None without one.
        high: place of the upper end.
        style: class of the colour.
        name: label of the skip.
        text: the numbers in words.
        front: whether it is on the front.
        across: pixels from the point to its name.
        down: pixels from the point down to the middle of its name.
        anchor: ``start`` or ``end`` of the name is next to the point.
    """

    x: float
    y: float
    low: float | None
    high: float | None
    style: str
    name: str
    text: str
    front: bool
    across: float
    down: float
    anchor: str


@dataclass(frozen=True)
class Panel:
    """Dice by one cost: title, axes, points, and the front as the ``d`` of an SVG path in percent."""

    title: str
    across: Axis
    up: Axis
    points: Sequence[Point]
    front: str


def find_fronts(result: GroupResult, costs: Mapping[str, Mapping[str, float]]) -> dict[str, list[str]]:
    """Return for each cost the skips that no other skip beats: higher Dice at no more cost, or lower cost at no less.

    Costs that no arm has are left out. With fewer than two arms there is no front.
    """
    fronts = {}
    for axis in AXES:
        known = _list_known(result, costs, axis)
        if len(known) > 1:
            fronts[axis.name] = [
                skip
                for skip, (cost, dice) in known.items()
                if not any(
                    other_cost <= cost and other_dice >= dice and (other_cost, other_dice) != (cost, dice)
                    for other_cost, other_dice in known.values()
                )
            ]
    return fronts


def make_panels(group: Group, result: GroupResult, baseline: str) -> list[Panel]:
    """Return a panel per cost that at least two arms have."""
    costs = {skip: average_costs(arm) for skip, arm in group.arms.items()}
    fronts = find_fronts(result, costs)
    styles = style_arms(group, baseline)
    panels = []
    for axis in AXES:
        if axis.name in fronts:
            known = _list_known(result, costs, axis)
            panels.append(_make_panel(axis, known, fronts[axis.name], result, styles))
    return panels


def _list_known(
    result: GroupResult, costs: Mapping[str, Mapping[str, float]], axis: CostAxis
) -> dict[str, tuple[float, float]]:
    """Return cost and Dice of the arms that have both."""
    known = {}
    for skip, found in result.arms.items():
        if found is not None and axis.name in costs[skip]:
            dice = found.estimates[OVERALL, "dice"].mean
            if math.isfinite(dice):
                known[skip] = costs[skip][axis.name], dice
    return known


def _make_panel(
    axis: CostAxis,
    known: Mapping[str, tuple[float, float]],
    front: Sequence[str],
    result: GroupResult,
    styles: Mapping[str, str],
) -> Panel:
    intervals = {skip: found.estimates[OVERALL, "dice"].interval.ends for skip, found in result.arms.items() if found}
    write = _WRITERS[axis.name]
    scale = _find_scale(axis.name, max(cost for cost, _ in known.values()))
    ends = [end for skip in known for end in (intervals[skip] or ())]
    across = make_axis([0.0, *(cost / scale[0] for cost, _ in known.values())], low=0.0, ticks=4)
    up = make_axis([*ends, *(dice for _, dice in known.values())], high=1.0)
    places = {skip: (across.place(cost / scale[0]), 100 - up.place(dice)) for skip, (cost, dice) in known.items()}
    names = _place_names(places)
    points = []
    for skip, (x, y) in places.items():
        interval = intervals[skip]
        low, high = (None, None) if interval is None else (100 - up.place(end) for end in interval)
        cost, dice = known[skip]
        text = f"{skip}: Dice {format_value(dice)} {format_interval(interval)}, {write(cost)}"
        points.append(Point(x, y, low, high, styles[skip], skip, text, skip in front, *names[skip]))
    steps = sorted(places[skip] for skip in front)
    path = "M" + "".join(f"{x:g} {y:g}" if at == 0 else f"H{x:g}V{y:g}" for at, (x, y) in enumerate(steps))
    return Panel(axis.title + scale[1], across, up, points, path)


def _find_scale(name: str, most: float) -> tuple[float, str]:
    """Return the size of the axis's unit, and its name for the title."""
    if name == "step_seconds":
        return 1.0, ", seconds"
    base, units = (
        (1024.0, ("bytes", "KiB", "MiB", "GiB")) if "bytes" in name else (1000.0, ("", "thousands", "millions"))
    )
    place = min(max(0, math.floor(math.log(max(most, 1.0), base))), len(units) - 1)
    return base**place, f", {units[place]}" if units[place] else ""


def _place_names(places: Mapping[str, tuple[float, float]]) -> dict[str, tuple[float, float, str]]:
    """Return for each point where its name stands, so that names do not cover each other or points."""
    taken = [(x * _WIDTH / 100 - 6, x * _WIDTH / 100 + 6, y * _HEIGHT / 100) for x, y in places.values()]
    found = {}
    for skip, (left, top) in places.items():
        x, y = left * _WIDTH / 100, top * _HEIGHT / 100
        width = len(skip) * _LETTER
        sides = [(8.0, "start"), (-8.0, "end")] if x + 8 + width < _WIDTH else [(-8.0, "end"), (8.0, "start")]
        tries = [
            (side, down)
            for down in (0.0, -_LINE, _LINE, -2 * _LINE, 2 * _LINE, -3 * _LINE, 3 * _LINE)
            for side in sides
        ]

        def measure(side: tuple[float, str], down: float) -> tuple[float, float, float]:
            start = x + side[0] - (width if side[1] == "end" else 0.0)  # noqa: B023 - used in this turn only
            return start, start + width, y + down  # noqa: B023

        def is_free(box: tuple[float, float, float]) -> bool:
            apart = all(box[1] <= low or high <= box[0] or abs(box[2] - at) >= _LINE - 1 for low, high, at in taken)
            return apart and box[0] > -30 and -10 < box[2] < _HEIGHT + 5

        side, down = next((one for one in tries if is_free(measure(*one))), tries[0])
        taken.append(measure(side, down))
        found[skip] = (side[0], down, side[1])
    return found

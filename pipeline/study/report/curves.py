"""Lay out the training curves of a group: Dice and loss by epoch, the mean over trainings, a line per arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ...report.report_axis import Axis, make_axis
from ...report.report_curves import Chart, Curve
from .arms import Arm, Group
from .numbers import format_value
from .styles import style_arms

__all__ = ["average_curve", "make_curve_charts"]

_MAX_MARKS = 40  # values that a line names
_SCALES = {"dice": ("Dice on the validation cases", 1.0), "loss": ("Training loss", None)}


def average_curve(arm: Arm, key: str) -> dict[int, tuple[float, int]]:
    """Return the mean over trainings and their number, by epoch.

    Args:
        arm: the arm.
        key: ``dice`` or ``loss``.
    """
    values: dict[int, list[float]] = {}
    for run in arm.done:
        for one in run.get("curve") or ():
            value = one.get(key)
            if value is not None and np.isfinite(value):
                values.setdefault(int(one["epoch"]), []).append(float(value))
    return {epoch: (float(np.mean(found)), len(found)) for epoch, found in sorted(values.items())}


def make_curve_charts(group: Group, baseline: str) -> list[Chart]:
    """Return the charts of Dice, of its difference to the baseline, and of the loss, each if any training has it."""
    charts = []
    styles = style_arms(group, baseline)
    dice = {skip: curve for skip, arm in group.arms.items() if (curve := average_curve(arm, "dice"))}
    away = {skip: _subtract(curve, dice[baseline]) for skip, curve in dice.items()} if baseline in dice else {}
    for key, (title, most) in _SCALES.items():
        lines = {skip: curve for skip, arm in group.arms.items() if (curve := average_curve(arm, key))}
        if lines:
            charts.append(_make_chart(title, lines, styles, most))
        if key == "dice" and sum(map(bool, away.values())) > 1:
            charts.append(_make_chart(f"Dice minus that of {baseline}", away, styles, None))
    return charts


def _subtract(
    curve: Mapping[int, tuple[float, int]], base: Mapping[int, tuple[float, int]]
) -> dict[int, tuple[float, int]]:
    """Return a curve minus another in the epochs that both have."""
    return {epoch: (value - base[epoch][0], number) for epoch, (value, number) in curve.items() if epoch in base}


def _make_chart(
    title: str, lines: Mapping[str, Mapping[int, tuple[float, int]]], styles: Mapping[str, str], most: float | None
) -> Chart:
    every = [value for line in lines.values() for value, _ in line.values()]
    epochs = [epoch for line in lines.values() for epoch in line]
    across = make_axis([float(min(epochs)), float(max(epochs))], ticks=6, low=0.0)
    up = make_axis(every, low=0.0 if most is not None else None, high=most)
    curves = [_draw(skip, styles[skip], line, across, up) for skip, line in lines.items() if line]
    return Chart(title, f"{title} by epoch, mean over trainings", across, up, curves)


def _draw(skip: str, style: str, line: Mapping[int, tuple[float, int]], across: Axis, up: Axis) -> Curve:
    points = [(epoch, value, number) for epoch, (value, number) in line.items()]
    places = [(across.place(epoch), round(100 - up.place(value), 2)) for epoch, value, _ in points]
    every = max(1, -(-len(points) // _MAX_MARKS))
    marks = _name(skip, points, places, every)
    return Curve(skip, style, "M" + "L".join(f"{x:g} {y:g}" for x, y in places), marks)


def _name(
    skip: str, points: Sequence[tuple[int, float, int]], places: Sequence[tuple[float, float]], every: int
) -> list[tuple[float, float, str]]:
    return [
        (x, y, f"{skip}: {format_value(value)} at epoch {epoch}, mean of {number}")
        for at, ((epoch, value, number), (x, y)) in enumerate(zip(points, places, strict=True))
        if at % every == 0 or at == len(points) - 1
    ]

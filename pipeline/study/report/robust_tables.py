"""Make the table of the areas of robustness, and lay out Dice by level for every perturbation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...report.html.parts import Row, Table
from ...report.report_axis import Axis, make_axis
from ...report.report_curves import Chart, Curve
from .arms import Group
from .numbers import NOTHING, format_interval, format_signed, format_value
from .robustness import AREA, Robustness
from .styles import style_arms

__all__ = ["make_area_table", "make_robust_charts"]


def make_area_table(group: Group, robust: Robustness, baseline: str) -> Table:
    """Return a row per arm: Dice without perturbation, the area of all perturbations with its interval, and of each."""
    styles = style_arms(group, baseline)
    rows = []
    for skip, own in robust.arms.items():
        whole = own.areas.get(AREA)
        # The area contains the Dice without perturbation; the loss does not.
        cells = [format_value(own.dice), NOTHING if whole is None else format_signed(whole.mean - own.dice)]
        for name in (AREA, *robust.levels):
            area = own.areas.get(name)
            interval = "" if area is None or name != AREA else format_interval(area.interval.ends)
            cells.append(NOTHING if area is None else f"{format_value(area.mean)} {interval}".rstrip())
        rows.append(Row(skip, cells, "baseline" if skip == baseline else "", styles[skip]))
    return Table(
        f"Areas of robustness: {group.title}", ["skip", "untouched", "area minus untouched", AREA, *robust.levels], rows
    )


def make_robust_charts(group: Group, robust: Robustness, baseline: str) -> list[Chart]:
    """Return a chart per perturbation: Dice by level, from the untouched scan on, a line per arm."""
    styles = style_arms(group, baseline)
    every = [value for own in robust.arms.values() for curve in own.curves.values() for value in curve]
    every += [own.dice for own in robust.arms.values()]
    up = make_axis([value for value in every if np.isfinite(value)], low=0.0, high=1.0)
    charts = []
    for name, levels in robust.levels.items():
        ticks = ["none", *(f"{level:g}" for level in levels)]
        across = Axis(0.0, float(len(levels)), tuple((100 * at / len(levels), text) for at, text in enumerate(ticks)))
        curves = [
            _draw(skip, styles[skip], [own.dice, *own.curves[name]], ticks, across, up)
            for skip, own in robust.arms.items()
        ]
        unit = robust.units[name]
        charts.append(
            Chart(name, f"level{f' ({unit})' if unit else ''}, {len(robust.cases.names)} cases", across, up, curves)
        )
    return charts


def _draw(skip: str, style: str, dice: Sequence[float], ticks: Sequence[str], across: Axis, up: Axis) -> Curve:
    known = [at for at, value in enumerate(dice) if np.isfinite(value)]
    places = [(across.place(float(at)), round(100 - up.place(float(dice[at])), 2)) for at in known]
    path = "M" + "L".join(f"{x:g} {y:g}" for x, y in places) if places else ""
    marks = [
        (x, y, f"{skip}: Dice {format_value(dice[at])} at {ticks[at]}")
        for at, (x, y) in zip(known, places, strict=True)
    ]
    return Curve(skip, style, path, marks)

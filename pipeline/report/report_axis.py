"""An axis of a chart: its range, its ticks, and places on it in percent."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Axis", "format_value", "make_axis"]

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_MAX_DECIMALS = 300


@dataclass(frozen=True)
class Axis:
    """An axis.

    Attributes:
        low: value at the start.
        high: value at the end.
        ticks: place in percent and text of each tick.
    """

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]

    def place(self, value: float) -> float:
        """Return the place of a value in percent, at most at the ends."""
        return round(100 * min(max((value - self.low) / (self.high - self.low), 0.0), 1.0), 2)


def make_axis(values: Iterable[float], *, ticks: int = 5, low: float | None = None, high: float | None = None) -> Axis:
    """Return an axis that contains all values and ends at ticks.

    Args:
        values: finite numbers; without any the axis runs from 0 to 1.
        ticks: about how many ticks there are.
        low: a value that the axis must not start below, such as 0 of a distance.
        high: a value that it must not end above, such as 1 of a Dice.
    """
    known = list(values) or [0.0, 1.0]
    least, most = min(known), max(known)
    if least == most:
        least, most = least - 0.5 * (abs(least) or 1.0), most + 0.5 * (abs(most) or 1.0)
        least = least if low is None else max(least, min(low, known[0]))
        most = most if high is None else min(most, max(high, known[0]))
        if least == most:
            least, most = least - 1.0, most + 1.0
    step = _nice_step((most - least) / max(ticks - 1, 1))
    start, end = math.floor(least / step + 1e-9) * step, math.ceil(most / step - 1e-9) * step
    decimals = next(number for number in range(_MAX_DECIMALS) if abs(round(step, number) - step) < 1e-6 * step)
    places = [start + number * step for number in range(round((end - start) / step) + 1)]
    axis = Axis(start, end, ())
    # Adding 0.0 makes the zero positive.
    return Axis(start, end, tuple((axis.place(one), f"{round(one, decimals) + 0.0:.{decimals}f}") for one in places))


def format_value(value: float | None, unit: str = "") -> str:
    """Return a value with three decimals if it is a ratio, with two if it has a unit; a dash for no number."""
    if value is None or not math.isfinite(value):
        return "-"
    if not unit:
        return f"{value:.3f}"
    return f"{value:.2f} {unit}" if abs(value) < 1000 else f"{value:,.0f} {unit}"


def _nice_step(least: float) -> float:
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in _STEPS if step * power >= least * (1 - 1e-9))

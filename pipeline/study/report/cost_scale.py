"""Place costs on an axis: linear, or logarithmic with a place for zero where bytes differ by orders of magnitude."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ...report.report_axis import make_axis
from .numbers import format_bytes

__all__ = ["CostScale", "make_cost_scale"]

_WIDE = 8  # largest by smallest number of bytes from which the axis is logarithmic
_ZERO = 12.0  # where the logarithmic part starts if there is a zero, in percent
_MAX_TICKS = 6


@dataclass(frozen=True)
class CostScale:
    """An axis.

    Attributes:
        unit: unit of the ticks, to follow the title; empty if ticks have their own.
        ticks: place in percent and text of each tick.
        places: place of each cost in percent, in the order of the costs.
    """

    unit: str
    ticks: Sequence[tuple[float, str]]
    places: Sequence[float]


def make_cost_scale(name: str, costs: Sequence[float]) -> CostScale:
    """Return the axis of a cost.

    Args:
        name: key of the cost in a run.
        costs: costs of the arms, at least one.
    """
    positive = [cost for cost in costs if cost > 0]
    if "bytes" in name and positive and max(positive) > _WIDE * min(positive):
        return _make_logarithmic(costs, min(positive), max(positive))
    size, unit = _choose_unit(name, max(costs))
    low = 0.0 if len(positive) < len(costs) else None
    axis = make_axis([cost / size for cost in costs], low=low, ticks=4)
    return CostScale(unit, axis.ticks, [axis.place(cost / size) for cost in costs])


def _make_logarithmic(costs: Sequence[float], least: float, most: float) -> CostScale:
    start = _ZERO if min(costs) <= 0 else 0.0
    low, high = math.log2(least) - 0.5, math.log2(most) + 0.5

    def place(power: float) -> float:
        return round(start + (100 - start) * (power - low) / (high - low), 2)

    powers = list(range(math.ceil(low), math.floor(high) + 1))
    powers = powers[:: -(-len(powers) // _MAX_TICKS)]
    ticks = [(place(power), format_bytes(2.0**power).replace(".00", "").replace(".0", "")) for power in powers]
    places = [place(math.log2(cost)) if cost > 0 else 0.0 for cost in costs]
    return CostScale("", [*([(0.0, "0")] if start else []), *ticks], places)


def _choose_unit(name: str, most: float) -> tuple[float, str]:
    """Return the size of the axis's unit, and its name."""
    if name.endswith("seconds"):
        return 1.0, "seconds"
    base, units = (1024.0, ("bytes", "KiB", "MiB", "GiB"))
    if "bytes" not in name:
        base, units = 1000.0, ("", "thousands", "millions", "billions")
    place = min(max(0, math.floor(math.log(max(most, 1.0), base))), len(units) - 1)
    return base**place, units[place]

"""Compute the spread of numbers: smallest, median and largest, and a histogram that fits a table row."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from .html.parts import Histogram
from .text import amount, count_of

__all__ = ["Spread", "make_histogram"]

_BINS = 24
_WIDTH, _HEIGHT, _GAP = 192, 32, 1  # of the viewBox; bars stand on its lower edge
_MIN_BAR = 1.5  # height of a bar that is still visible
_LOGARITHMIC_FROM = 50.0  # ratio of largest to smallest value


@dataclass(frozen=True)
class Spread:
    """Smallest, median and largest of some numbers."""

    low: float
    middle: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Spread | None:
        """Return the spread of the finite numbers; None if there are none."""
        finite = [value for value in values if value is not None and math.isfinite(value)]
        return cls(min(finite), median(finite), max(finite)) if finite else None


def make_histogram(values: Sequence[float], *, title: str, unit: str) -> Histogram | None:
    """Return a histogram of the cases' values.

    The axis runs from the smallest to the largest value. It is logarithmic if they are positive and far apart. A mark
    below it shows the median.

    Args:
        values: finite numbers, one per case.
        title: name of the values, for screen readers.
        unit: unit of the values; may be empty.

    Returns:
        The histogram, or None if all values are equal.
    """
    spread = Spread.of(values)
    if spread is None or spread.low == spread.high:
        return None
    logarithmic = spread.low > 0 and spread.high / spread.low > _LOGARITHMIC_FROM
    low, high = (math.log(end) if logarithmic else end / 2 for end in (spread.low, spread.high))

    def place(value: float) -> float:
        # Halves, because the difference of two finite numbers can overflow.
        return ((math.log(value) if logarithmic else value / 2) - low) / (high - low)

    counts = [0] * _BINS
    for value in values:
        counts[min(int(place(value) * _BINS), _BINS - 1)] += 1
    suffix = f" {unit}" if unit else ""
    text = (
        f"{title}: {count_of(len(values), 'case')} from {amount(spread.low)} to {amount(spread.high)}{suffix}, "
        f"median {amount(spread.middle)}{suffix}{', logarithmic axis' if logarithmic else ''}"
    )
    step = _WIDTH / _BINS
    heights = [max(_HEIGHT * count / max(counts), _MIN_BAR) if count else 0.0 for count in counts]
    bars = [(index * step, _HEIGHT - height, step - _GAP, height) for index, height in enumerate(heights) if height > 0]
    return Histogram(text, _WIDTH, _HEIGHT, bars, place(spread.middle) * _WIDTH, logarithmic)

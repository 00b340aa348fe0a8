"""Histograms as inline SVG, small enough for the row of a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from .check_summary import Spread
from .check_words import amount, count_of, printable

__all__ = ["histogram"]

_BINS = 24
_WIDTH, _HEIGHT, _GAP = 192, 32, 1  # of the viewBox; bars stand on its lower edge
_LOGARITHMIC = '<text y="8">log</text>'
_LOGARITHMIC_FROM = 50.0  # largest over smallest


def histogram(values: Sequence[float], *, title: str, unit: str) -> str:
    """Draw how many cases have which value.

    The axis runs from the smallest to the largest value, logarithmic where they are positive and far apart; a mark
    below it shows the median.

    Args:
        values: finite numbers, one per case.
        title: what they are, for those who hear the page instead of seeing it.
        unit: of the values; may be empty.

    Returns:
        An ``<svg>`` element, or nothing where fewer than two values differ.
    """
    spread = Spread.of(values)
    if spread is None or spread.low == spread.high:
        return ""
    logarithmic = spread.low > 0 and spread.high / spread.low > _LOGARITHMIC_FROM
    low, high = (math.log(end) if logarithmic else end / 2 for end in (spread.low, spread.high))

    def place(value: float) -> float:
        # Halves, because the distance of two finite numbers need not be finite.
        return ((math.log(value) if logarithmic else value / 2) - low) / (high - low)

    counts = [0] * _BINS
    for value in values:
        counts[min(int(place(value) * _BINS), _BINS - 1)] += 1
    suffix = f" {printable(unit)}" if unit else ""
    told = (
        f"{printable(title)}: {count_of(len(values), 'case')} from {amount(spread.low)} to {amount(spread.high)}"
        f"{suffix}, median {amount(spread.middle)}{suffix}{', logarithmic axis' if logarithmic else ''}"
    )
    step = _WIDTH / _BINS
    bars = []
    for index, count in enumerate(counts):
        if count:
            height = max(_HEIGHT * count / max(counts), 1.5)
            bars.append(
                f'<rect x="{index * step:.1f}" y="{_HEIGHT - height:.1f}" width="{step - _GAP:.1f}" '
                f'height="{height:.1f}"/>'
            )
    middle = place(spread.middle) * _WIDTH
    return (
        f'<svg class="histogram" viewBox="-4 0 {_WIDTH + 8} {_HEIGHT + 8}" role="img" aria-label="{escape(told)}">'
        f"<title>{escape(told)}</title>{''.join(bars)}"
        f'<path class="axis" d="M0 {_HEIGHT + 0.5}H{_WIDTH}"/>'
        f"{_LOGARITHMIC if logarithmic else ''}"
        f'<path class="median" d="M{middle:.1f} {_HEIGHT + 2}l3.5 5h-7z"/></svg>'
    )

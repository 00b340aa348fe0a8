"""Lay out comparisons with the baseline: a row per skip with its difference and interval on a common axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...report.report_axis import make_axis
from .numbers import NOTHING, format_interval, format_shown, format_signed, shorten_p
from .results import OVERALL, Contrast
from .robustness import AREA

__all__ = ["FOREST_HEADS", "Forest", "ForestRow", "describe_contrast", "make_forest"]

FOREST_HEADS = ("difference", "95 % interval", "p, Holm", "could have shown", "effect size", "seeds", "cases")
"""The columns of a comparison."""


@dataclass(frozen=True)
class ForestRow:
    """A comparison.

    Attributes:
        name: label of the skip.
        note: name of the label or the perturbation; empty if there is no choice.
        place: place of the difference on the axis in percent; None without one.
        interval: places of the ends of its interval; None without one.
        shown: whether a difference is shown.
        cells: difference, interval, p after Holm, detectable difference, effect size, seeds and cases.
    """

    name: str
    note: str
    place: float | None
    interval: tuple[float, float] | None
    shown: bool
    cells: Sequence[str]


@dataclass(frozen=True)
class Forest:
    """The comparisons of one metric, and the place of zero on their axis in percent."""

    title: str
    zero: float
    rows: Sequence[ForestRow]


def make_forest(title: str, contrasts: Sequence[Contrast], unit: str) -> Forest | None:
    """Return the comparisons of one metric; None if there is none.

    Args:
        title: name of the metric.
        contrasts: every skip against the baseline.
        unit: unit of the metric; empty for a ratio.
    """
    if not contrasts:
        return None
    known = [one.comparison.difference for one in contrasts if np.isfinite(one.comparison.difference)]
    ends = [end for one in contrasts for end in (one.comparison.interval.ends or ())]
    axis = make_axis([0.0, *known, *ends])
    rows = []
    for one in contrasts:
        found = one.comparison
        interval = found.interval.ends
        rows.append(
            ForestRow(
                one.skip,
                "" if one.label in (OVERALL, AREA) else one.label,
                axis.place(found.difference) if np.isfinite(found.difference) else None,
                None if interval is None else (axis.place(interval[0]), axis.place(interval[1])),
                found.shown,
                describe_contrast(one, unit),
            )
        )
    return Forest(title, axis.place(0.0), rows)


def describe_contrast(one: Contrast, unit: str) -> list[str]:
    """Return the numbers of a comparison for the columns `FOREST_HEADS`."""
    found = one.comparison
    p = found.p if found.p_holm is None else found.p_holm
    return [
        format_signed(found.difference, unit),
        format_interval(found.interval.ends, unit) or NOTHING,
        shorten_p(p),
        NOTHING if found.detectable is None else format_shown(found.detectable, unit),
        f"{found.effect_size:+.2f}" if found.pairs else NOTHING,
        f"{found.seeds[1]}, {found.seeds[0]}",
        str(one.cases),
    ]

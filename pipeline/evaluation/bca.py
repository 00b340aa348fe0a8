"""The bias-corrected and accelerated bootstrap interval (BCa) of a statistic, from its draws and its jackknives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri

from .subject_draws import CONFIDENCE, Array

__all__ = ["Interval", "IntervalMethod", "add_reason", "find_interval", "find_p"]

IntervalMethod = Literal["bca", "percentile", "constant", "none"]

_ROUNDING = 1e-12  # draws that differ by less, relative to the largest, are equal


@dataclass(frozen=True)
class Interval:
    """An interval of a mean.

    Attributes:
        ends: the lower and the upper end; None if there is no interval.
        method: ``bca``; ``percentile`` where BCa is undefined; ``constant`` if all draws are equal; ``none``.
        reason: why the method is not ``bca``, or what the interval does not cover; empty otherwise.
        subjects: number of subjects that count.
        confidence: probability that the interval aims at.
    """

    ends: tuple[float, float] | None
    method: IntervalMethod
    reason: str
    subjects: int
    confidence: float


def add_reason(interval: Interval, reason: str) -> Interval:
    """Return an interval with a reason in front of its own."""
    return replace(interval, reason=f"{reason}; {interval.reason}".removesuffix("; "))


def find_interval(
    estimate: float,
    drawn: Array,
    jackknives: Sequence[Array],
    *,
    subjects: int,
    confidence: float = CONFIDENCE,
    scale: float = 0.0,
) -> Interval:
    """Return the BCa interval of a statistic from its draws and its jackknives.

    Args:
        estimate: the statistic of all values.
        drawn: the statistic of each draw, (resamples,). NaN is not counted.
        jackknives: for each sample (subjects; trainings), the statistic without each of its members in turn.
        subjects: number of subjects that count.
        confidence: probability that the interval aims at, between 0 and 1.
        scale: size of the numbers that the statistic is a difference of: what is smaller by twelve digits is rounding.

    Raises:
        ValueError: If the confidence is out of range.
    """
    if not 0 < confidence < 1:
        msg = f"confidence {confidence}: expected a number between 0 and 1"
        raise ValueError(msg)
    if subjects < 2 or np.isnan(estimate):
        reason = "one subject only: no interval" if subjects == 1 else "no value counts: no interval"
        return Interval(None, "none", reason, subjects, confidence)
    drawn = _clean_draws(estimate, drawn, scale)
    if not drawn.size:
        return Interval(None, "none", "no draw has a value: no interval", subjects, confidence)
    if np.ptp(drawn) == 0:
        value = float(drawn[0])
        return Interval((value, value), "constant", "all draws have the same mean", subjects, confidence)
    tails = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    found = _find_correction(estimate, drawn, jackknives)
    if isinstance(found, _Correction):
        moved = found.bias + ndtri(tails)
        stretch = 1 - found.acceleration * moved
        if (stretch > 0).all():
            low, high = np.percentile(drawn, 100 * ndtr(found.bias + moved / stretch))
            return Interval((float(low), float(high)), "bca", "", subjects, confidence)
        found = f"the acceleration {found.acceleration:.3f} is too large"
    low, high = np.percentile(drawn, 100 * tails)
    return Interval((float(low), float(high)), "percentile", f"BCa is undefined: {found}", subjects, confidence)


def find_p(estimate: float, drawn: Array, jackknives: Sequence[Array], *, scale: float = 0.0) -> float:
    """Return the two-sided p-value of the statistic being zero, at which the BCa interval just reaches zero.

    This is the interval turned round (Efron and Tibshirani, 1993, section 15.4), so p is below 0.05 where the 95 %
    interval excludes zero. It cannot be smaller than 1 / draws. Where BCa is undefined, it is of the percentile
    interval.

    Args:
        estimate: the statistic of all values.
        drawn: the statistic of each draw, (resamples,). NaN is not counted.
        jackknives: as in `find_interval`.
        scale: as in `find_interval`.
    """
    drawn = _clean_draws(estimate, drawn, scale)
    if not drawn.size or (np.ptp(drawn) == 0 and drawn[0] == 0):
        return 1.0
    smallest = 1 / drawn.size
    below = np.clip(((drawn < 0).mean() + (drawn <= 0).mean()) / 2, smallest / 2, 1 - smallest / 2)
    found = _find_correction(estimate, drawn, jackknives) if np.ptp(drawn) else "all draws are equal"
    tail = float(below)
    if isinstance(found, _Correction):
        moved = ndtri(below) - found.bias
        stretch = 1 + found.acceleration * moved
        if stretch > 0:
            tail = float(ndtr(moved / stretch - found.bias))
    return float(np.clip(2 * min(tail, 1 - tail), smallest, 1.0))


class _Correction(NamedTuple):
    """The bias and the acceleration of Efron (1987)."""

    bias: float
    acceleration: float


def _find_correction(estimate: float, drawn: Array, jackknives: Sequence[Array]) -> _Correction | str:
    """Return the correction, or the reason why it is undefined."""
    # Draws equal to the estimate count half, as in scipy.stats.bootstrap.
    below = ((drawn < estimate).mean() + (drawn <= estimate).mean()) / 2
    if not 0 < below < 1:
        return "all draws are on one side of the mean"
    if any(np.isnan(without).any() for without in jackknives):
        return "without one subject or training nothing counts"
    cubes = squares = 0.0
    for without in jackknives:
        size = len(without)
        influence = (size - 1) / size * (without.mean() - without)
        cubes += float((influence**3).sum())
        squares += float((influence**2).sum())
    if squares <= (_ROUNDING * max(abs(estimate), float(np.abs(drawn).max()))) ** 2:
        return "no single subject changes the mean"
    return _Correction(float(ndtri(below)), cubes / (6 * squares**1.5))


def _clean_draws(estimate: float, drawn: Array, scale: float) -> Array:
    """Return the draws that count; those that equal the estimate but for rounding are made equal."""
    drawn = drawn[np.isfinite(drawn)]
    scale = max(scale, abs(estimate), float(np.abs(drawn).max(initial=0.0)))
    return np.where(np.abs(drawn - estimate) <= _ROUNDING * scale, estimate, drawn)

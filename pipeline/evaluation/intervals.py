"""Intervals of a mean over subjects: bias-corrected and accelerated bootstrap (BCa), for one or several trainings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from .arm_draws import ArmDraws, check_arm, choose_draws, draw_arm
from .subject_draws import CONFIDENCE, RESAMPLES, Array, SubjectDraws, check_values

__all__ = [
    "Interval",
    "IntervalMethod",
    "add_reason",
    "bca_interval",
    "compute_hierarchical_interval",
    "compute_interval",
    "find_arm_interval",
    "find_interval",
    "find_p",
    "hierarchical_interval",
]

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


def bca_interval(
    values: ArrayLike,
    subjects: Sequence[str] | Sequence[int],
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
    draws: SubjectDraws | None = None,
) -> tuple[float, float] | None:
    """Return the ends of `compute_interval`, which also returns the method and the reason for another one."""
    return compute_interval(values, subjects, confidence=confidence, resamples=resamples, seed=seed, draws=draws).ends


def compute_interval(
    values: ArrayLike,
    subjects: Sequence[str] | Sequence[int],
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
    draws: SubjectDraws | None = None,
) -> Interval:
    """Return the BCa interval of a mean over subjects (Efron, 1987; DiCiccio and Efron, 1996, section 2).

    Subjects are drawn with replacement, all cases and labels of a subject together, because they are not independent.
    The mean of a draw is the mean over labels of their means over cases, as in `summarise`. The acceleration is from
    the jackknife by subject. The interval shows how far the mean depends on which subjects were measured. It does not
    cover the chance of another training.

    Args:
        values: one number per case, (n,), or per case and label, (n, labels). NaN and None are not counted.
        subjects: name of each case's subject, (n,).
        confidence: probability that the interval aims at, between 0 and 1.
        resamples: number of draws.
        seed: seed of the draws.
        draws: draws of these subjects, from `draw_subjects`, instead of `resamples` and `seed`: many metrics of the
            same cases share them.

    Returns:
        The interval: without ends if fewer than two subjects count, both ends the mean if all draws are equal, and the
        percentile interval, with the reason, if BCa is undefined.

    Raises:
        ValueError: If the values do not fit the subjects, one is infinite, or an option is out of range.
    """
    drawn = choose_draws(subjects, draws, resamples=resamples, seed=seed)
    arm = draw_arm(check_values(values, len(subjects))[None], drawn)
    return find_interval(arm.mean, arm.drawn, arm.jackknives, subjects=int(arm.counted.sum()), confidence=confidence)


def hierarchical_interval(
    values_by_seed: ArrayLike,
    subjects: Sequence[str] | Sequence[int],
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
    draws: SubjectDraws | None = None,
) -> tuple[float, float] | None:
    """Return the ends of `compute_hierarchical_interval`."""
    return compute_hierarchical_interval(
        values_by_seed, subjects, confidence=confidence, resamples=resamples, seed=seed, draws=draws
    ).ends


def compute_hierarchical_interval(
    values_by_seed: ArrayLike,
    subjects: Sequence[str] | Sequence[int],
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
    draws: SubjectDraws | None = None,
) -> Interval:
    """Return the interval of the mean of an arm with several trainings (seeds), for other subjects and trainings.

    Trainings are drawn, then subjects, the same for all drawn trainings (`draw_arm`). Trainings and subjects are two
    samples of one statistic, so the acceleration is that of several samples: from the jackknife by subject and the
    jackknife by training together.

    Args:
        values_by_seed: (seeds, n) or (seeds, n, labels): the values of each training. NaN is not counted.
        subjects: name of each case's subject, (n,).
        confidence: as in `compute_interval`.
        resamples: as in `compute_interval`.
        seed: as in `compute_interval`, also of the draws of trainings.
        draws: as in `compute_interval`.

    Returns:
        The interval. With one training it is that of `compute_interval`, and the reason says so.

    Raises:
        ValueError: As `compute_interval`.
    """
    chosen = choose_draws(subjects, draws, resamples=resamples, seed=seed)
    arm = draw_arm(check_arm(values_by_seed, len(subjects)), chosen)
    return find_arm_interval(arm, confidence=confidence)


def find_arm_interval(arm: ArmDraws, *, confidence: float = CONFIDENCE) -> Interval:
    """Return the interval of an arm's mean."""
    found = find_interval(arm.mean, arm.drawn, arm.jackknives, subjects=int(arm.counted.sum()), confidence=confidence)
    if arm.without_seed.size or found.ends is None:
        return found
    return add_reason(found, "one seed: the interval does not cover the chance of another training")


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

"""Intervals of a mean over subjects, for one training or several."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.typing import ArrayLike

from .arm_draws import ArmDraws, check_arm, choose_draws, draw_arm
from .bca import Interval, add_reason, find_interval
from .subject_draws import CONFIDENCE, RESAMPLES, SubjectDraws, check_values

__all__ = ["bca_interval", "compute_hierarchical_interval", "compute_interval", "hierarchical_interval"]


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
    return _find_arm_interval(arm, confidence=confidence)


def _find_arm_interval(arm: ArmDraws, *, confidence: float = CONFIDENCE) -> Interval:
    """Return the interval of an arm's mean."""
    found = find_interval(arm.mean, arm.drawn, arm.jackknives, subjects=int(arm.counted.sum()), confidence=confidence)
    if arm.without_seed.size or found.ends is None:
        return found
    return add_reason(found, "one seed: the interval does not cover the chance of another training")

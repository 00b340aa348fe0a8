"""Test whether the trainings of two arms differ by more than chance, with Student's t-test of their means."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr
from scipy.stats import chi2, t

from .subject_draws import Array

__all__ = ["SeedTest", "compare_seeds", "find_detectable_by_seeds"]

_POINTS = 2000  # of the distribution of the estimated deviation
_ROUNDING = 1e-12  # relative to the numbers


class SeedTest(NamedTuple):
    """The p-value of a t-test of trainings, the standard error of the difference, and the degrees of freedom."""

    p: float
    error: float
    freedom: int


def compare_seeds(first: Sequence[float] | Array, second: Sequence[float] | Array) -> SeedTest | None:
    """Return Student's t-test of one number per training; None if an arm has fewer than two, or none of them differ.

    Trainings are the sample (Student, 1908; equal variances, trainings - 2 degrees of freedom). `compare_arms` needs it
    because a bootstrap of three trainings has few different draws: see "Several trainings" in ``docs/evaluation.md``.

    Args:
        first: a number of each training of the first arm; NaN is not counted.
        second: the same of the second arm.
    """
    arms = [np.asarray([value for value in arm if math.isfinite(value)]) for arm in (first, second)]
    if min(arm.size for arm in arms) < 2:
        return None
    squares = sum(float(((arm - arm.mean()) ** 2).sum()) for arm in arms)
    freedom = arms[0].size + arms[1].size - 2
    error = math.sqrt(squares / freedom * (1 / arms[0].size + 1 / arms[1].size))
    # Trainings that agree to the last digits are copies of each other, which no test can use.
    if error <= _ROUNDING * max(abs(float(arm.mean())) for arm in arms):
        return None
    # By hand: SciPy's own test warns of lost precision where the trainings of one arm agree, in words of its source.
    shift = abs(float(arms[0].mean() - arms[1].mean())) / error
    return SeedTest(2 * float(t.sf(shift, freedom)), error, freedom)


def find_detectable_by_seeds(error: float, freedom: int, *, level: float, power: float) -> float:
    """Return the difference that the two-sided t-test shows with a probability of `power`.

    Args:
        error: standard error of the difference, above 0.
        freedom: degrees of freedom, at least 1.
        level: level of significance.
        power: probability to show the difference, above the level.
    """
    critical = float(t.ppf(1 - level / 2, freedom))
    # SciPy's noncentral t is NaN for large shifts. Given the estimated deviation it is a normal distribution.
    middles = (np.arange(_POINTS) + 0.5) / _POINTS
    limits = critical * np.sqrt(chi2.ppf(middles, freedom) / freedom)

    def miss(shift: float) -> float:
        return power - float((ndtr(shift - limits) + ndtr(-shift - limits)).mean())

    return error * float(brentq(miss, 0.0, limits[-1] + 10))

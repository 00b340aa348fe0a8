"""The mean difference of each subject between two sets, and its effect sizes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from .paired_test import paired_differences, round_differences
from .subject_draws import Array

__all__ = ["average_gains", "correlate_ranks", "standardise"]


def average_gains(before: Array, after: Array, members: NDArray[np.intp]) -> Array:
    """Return each subject's mean difference, (subjects that count,).

    The values of an arm's trainings are averaged first, then the differences of a case's labels (by the rule of
    `paired_differences`), then those of a subject's cases.

    Args:
        before: values of the first arm, (seeds, n, labels). NaN is not counted.
        after: values of the second arm; its number of seeds can differ.
        members: index of each case's subject, (n,).
    """
    by_label = [
        paired_differences(_mean_of_counted(before[:, :, label]), _mean_of_counted(after[:, :, label]))
        for label in range(before.shape[2])
    ]
    by_case = _mean_of_counted(np.stack(by_label))
    has = ~np.isnan(by_case)
    number = np.bincount(members[has])
    total = np.bincount(members[has], weights=by_case[has])
    return total[number > 0] / number[number > 0]


def _mean_of_counted(values: Array) -> Array:
    """Return the mean over the first axis; NaN where no value counts."""
    number = (~np.isnan(values)).sum(axis=0)
    total = np.nansum(values, axis=0)
    mean: Array = np.divide(total, number, out=np.full(number.shape, np.nan), where=number > 0)
    return mean


def correlate_ranks(gains: Array) -> float:
    """Return the matched-pairs rank-biserial correlation of differences, (n,), -1 to 1 (Kerby, 2014).

    It is the share of the rank sum of those above zero minus the share of those below; 0 if none differs from zero, NaN
    without differences.
    """
    changed = round_differences(gains)
    changed = changed[changed != 0]
    if not changed.size:
        return 0.0 if gains.size else float("nan")
    ranks = rankdata(np.abs(changed))
    return float((ranks * np.sign(changed)).sum() / ranks.sum())


def standardise(gains: Array) -> float:
    """Return the mean of differences, (n,), in their standard deviations (Cohen's d_z); NaN if that is 0."""
    if gains.size < 2 or np.ptp(round_differences(gains)) == 0:
        return float("nan")
    return float(gains.mean() / gains.std(ddof=1))

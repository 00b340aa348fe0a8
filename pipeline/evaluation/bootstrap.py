"""Percentile bootstrap interval of a mean over cases."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .subject_draws import CONFIDENCE, RESAMPLES, draw_means, draw_subjects, total_subjects

__all__ = ["CONFIDENCE", "RESAMPLES", "bootstrap_interval"]


def bootstrap_interval(
    values: ArrayLike, *, seed: int = 0, confidence: float = CONFIDENCE, resamples: int = RESAMPLES
) -> tuple[float, float] | None:
    """Return the percentile bootstrap interval of a mean over cases (Efron and Tibshirani, 1993, chapter 13).

    Cases are drawn with replacement, all labels of a case together, because they are not independent. The mean of a
    draw is the mean over the labels of their means over the drawn cases, as in `summarise`. The interval shows how far
    the mean depends on which cases were measured. It does not cover the chance of another training.

    New numbers use `bca_interval`, from the same draws. ``lightskip probe`` and ``lightskip quantize`` keep this one,
    because their documents have numbers of runs whose values per case were not kept.

    Args:
        values: one number per case, (n,), or per case and label, (n, labels). NaN is not counted.
        seed: seed of the draws.
        confidence: share of the draws inside the interval, between 0 and 1.
        resamples: number of draws.

    Returns:
        The lower and the upper end; None if fewer than two cases count.

    Raises:
        ValueError: If the values have another shape, or the confidence or number of draws is out of range.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim not in (1, 2):
        msg = f"values of shape {array.shape}: expected one number per case, or per case and label"
        raise ValueError(msg)
    if not 0 < confidence < 1 or resamples < 1:
        msg = f"confidence {confidence}, {resamples} resamples: expected a share between 0 and 1, and at least one draw"
        raise ValueError(msg)
    array = array.reshape(len(array), -1)
    array = array[~np.isnan(array).all(axis=1)]
    if len(array) < 2:
        return None
    draws = draw_subjects(range(len(array)), resamples=resamples, seed=seed)
    means = draw_means(total_subjects(array, draws), draws)
    tail = 100 * (1 - confidence) / 2
    low, high = np.nanpercentile(means, (tail, 100 - tail))
    return float(low), float(high)

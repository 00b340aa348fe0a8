"""Correct p-values of several tests, with Holm's method."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["holm"]


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Return p-values adjusted so that the chance of any false one among them stays at the level (Holm, 1979).

    The k-th smallest of m is multiplied by m - k + 1, but is at least the one before it and at most 1.

    Args:
        p_values: (m,). NaN is not counted and stays NaN.

    Raises:
        ValueError: If a value is not between 0 and 1.
    """
    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(p.shape, np.nan)
    counted = p[~np.isnan(p)]
    if p.ndim != 1 or ((counted < 0) | (counted > 1)).any():
        msg = f"p-values {p.tolist()}: expected a list of numbers between 0 and 1"
        raise ValueError(msg)
    order = np.argsort(counted, kind="stable")
    raised = np.minimum(np.maximum.accumulate(counted[order] * np.arange(counted.size, 0, -1)), 1.0)
    result = np.empty(counted.size)
    result[order] = raised
    adjusted[~np.isnan(p)] = result
    return adjusted

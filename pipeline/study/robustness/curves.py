"""Summarise Dice by perturbation and level: curves, and the areas under them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .perturbations import Perturbation

__all__ = ["describe_curves", "measure_area"]


def describe_curves(
    cases: Sequence[str], perturbations: Sequence[Perturbation], dice: Sequence[NDArray[np.float64]], **facts: Any
) -> dict[str, Any]:
    """Return the curves of a network, ready for JSON; undefined numbers are None, others have 6 significant digits.

    Args:
        cases: names of the cases.
        perturbations: the perturbations.
        dice: for each case the Dice, (1 + 5 x perturbations, labels): the untouched scan, then level by level; NaN for
            a label that is not counted.
        **facts: further facts of the measurement, such as the seed, which are copied.

    Returns:
        ``cases``; the facts; ``dice``: the mean over the labels of their means over the untouched cases, as in
        ``lightskip evaluate``; ``case_dice``: each untouched case's mean over its labels; ``perturbations``: for each
        its ``name``, ``unit``, ``levels``, the ``dice`` and ``case_dice`` of each level, and the ``area`` of
        `measure_area`; and ``area``: the mean of these areas.
    """
    every = np.stack(dice)  # (cases, 1 + 5 x perturbations, labels)
    means = _mean(_mean(every, axis=0), axis=-1)
    case_means = _mean(every, axis=-1)
    curves, areas, start = [], [], 1
    for one in perturbations:
        places = slice(start, start + len(one.levels))
        start = places.stop
        areas.append(measure_area([means[0], *means[places]]))
        curves.append(
            {
                "name": one.name,
                "unit": one.unit,
                "levels": list(one.levels),
                "dice": [_shorten(value) for value in means[places]],
                "case_dice": [[_shorten(value) for value in row] for row in case_means[:, places].T],
                "area": _shorten(areas[-1]),
            }
        )
    return {
        "cases": list(cases),
        **facts,
        "dice": _shorten(means[0]),
        "case_dice": [_shorten(value) for value in case_means[:, 0]],
        "perturbations": curves,
        "area": _shorten(float(np.mean(areas))),
    }


def measure_area(dice: Sequence[float]) -> float:
    """Return the area under a curve of Dice over equally spaced levels, by the trapezoidal rule.

    Its width is 1, so that a network which loses nothing has its own Dice as area: with levels 0 to 5 it is
    ``(d0 / 2 + d1 + d2 + d3 + d4 + d5 / 2) / 5``.

    Args:
        dice: Dice of level 0, 1, ...
    """
    return float(sum(dice) - (dice[0] + dice[-1]) / 2) / (len(dice) - 1)


def _mean(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Return the mean over the numbers that count; NaN where none does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(np.nanmean(values, axis=axis))


def _shorten(value: float) -> float | None:
    return None if math.isnan(value) else float(f"{value:.6g}")

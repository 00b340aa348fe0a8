"""Test whether paired values differ by more than chance, with Wilcoxon's signed-rank test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata, wilcoxon

__all__ = [
    "MAX_EXACT_PAIRS",
    "Alternative",
    "Method",
    "PairedTest",
    "paired_differences",
    "paired_test",
    "round_differences",
]

Alternative = Literal["greater", "less", "two-sided"]
Method = Literal["exact", "approximate", "none"]

MAX_EXACT_PAIRS = 50  # with more pairs the normal approximation is as good, unless differences are equal
MAX_EXACT_TIED_PAIRS = 300  # with more it is as good even so, and the exact p takes more than some 30 ms
_DECIMALS = 9  # differences that agree to this digit are equal: further digits are rounding errors


@dataclass(frozen=True)
class PairedTest:
    """The result of a test of paired values.

    Attributes:
        p: the p-value; 1 if no pair differs.
        alternative: the tested alternative: the second values are ``greater``, ``less``, or either (``two-sided``).
        method: ``exact``, up to `MAX_EXACT_PAIRS` pairs that differ, and up to `MAX_EXACT_TIED_PAIRS` if some of them
            differ by the same size; ``approximate``, by the normal distribution with its correction for equal
            differences; ``none`` if no pair differs.
        pairs: number of pairs in which at least one value counts.
        greater: number of pairs whose second value is greater.
        less: number of pairs whose second value is less.
        means: means of the first and of the second values that count; NaN if none does.
    """

    p: float
    alternative: Alternative
    method: Method
    pairs: int
    greater: int
    less: int
    means: tuple[float, float]


def paired_test(first: ArrayLike, second: ArrayLike, *, alternative: Alternative = "two-sided") -> PairedTest:
    """Test whether the second values of pairs differ from the first by more than chance.

    This is Wilcoxon's signed-rank test (Wilcoxon, 1945), which assumes no normal distribution. Pairs that differ are
    ranked by the size of their difference; others are left out. The sum of the ranks of those that rose is compared
    with its distribution if each sign were random. The smallest p that n pairs can reach is 2⁻ⁿ, two-sided 2¹⁻ⁿ: fewer
    than six pairs never have a two-sided p below 0.05.

    NaN stands for a value that does not count, like the Dice of an absent label (see `decide_outcome`). If only one
    value of a pair counts, the mean of its side replaces the other, which does not change that mean. If neither counts,
    the pair is left out.

    Args:
        first: values of the cases, (n,): before a change, or of one method.
        second: values of the same cases in the same order: after the change, or of the other method.
        alternative: the alternative to test: the second values are ``greater``, ``less``, or either (``two-sided``).

    Returns:
        The p-value, the method, and the counts and means of the pairs.

    Raises:
        ValueError: If the values are not two sequences of one length, one is infinite, or the alternative is unknown.
    """
    if alternative not in ("greater", "less", "two-sided"):
        msg = f"alternative is {alternative!r}: expected greater, less or two-sided"
        raise ValueError(msg)
    gains = paired_differences(first, second)
    before, after = _as_values(first, "first"), _as_values(second, "second")
    means = _mean(before), _mean(after)
    paired = ~(np.isnan(before) & np.isnan(after))
    changed = round_differences(gains[np.isfinite(gains)])
    changed = changed[changed != 0]
    tied = np.unique(np.abs(changed)).size < changed.size
    limit = MAX_EXACT_TIED_PAIRS if tied else MAX_EXACT_PAIRS
    method: Method = "none" if not changed.size else "exact" if changed.size <= limit else "approximate"
    p = 1.0
    if method == "exact":
        p = _exact_p(changed, alternative)
    elif method == "approximate":
        p = float(wilcoxon(changed, alternative=alternative, method="asymptotic").pvalue)
    greater = int((changed > 0).sum())
    return PairedTest(p, alternative, method, int(paired.sum()), greater, int(changed.size) - greater, means)


def paired_differences(first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
    """Return the second minus the first value of each pair, (n,), by the rule of `paired_test` for values that are NaN.

    If only one value of a pair counts, the mean of its side replaces the other. So the mean of the differences is the
    difference of both sides' means. NaN if neither value counts, or a side has no value at all.

    Raises:
        ValueError: If the values are not two sequences of one length, or one is infinite.
    """
    before, after = _as_values(first, "first"), _as_values(second, "second")
    if before.shape != after.shape:
        msg = f"{before.size} first and {after.size} second values: expected pairs"
        raise ValueError(msg)
    gains = np.where(np.isnan(after), _mean(after), after) - np.where(np.isnan(before), _mean(before), before)
    gains[np.isnan(before) & np.isnan(after)] = np.nan
    return gains


def round_differences(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return differences without the digits that are rounding errors, so that equal ones are equal."""
    return np.round(differences, _DECIMALS)


def _exact_p(changed: NDArray[np.float64], alternative: Alternative) -> float:
    """Return the share of all sign patterns whose sum of ranks is at least as extreme (Streitberg and Röhmel, 1986).

    SciPy's exact method assumes that all differences are unequal. For three equal differences, two of them gains, p is
    .5 and SciPy returns .375. For unequal differences both agree.
    """
    ranks = np.rint(2 * rankdata(np.abs(changed))).astype(np.int64)  # doubled, since equal differences have half ranks
    ways = np.zeros(int(ranks.sum()) + 1)  # number of sign patterns by the doubled sum of the gains' ranks
    ways[0] = 1.0
    for rank in ranks:
        ways[rank:] += ways[:-rank].copy()
    found, every = int(ranks[changed > 0].sum()), ways.sum()
    upper, lower = float(ways[found:].sum() / every), float(ways[: found + 1].sum() / every)
    if alternative == "two-sided":
        return min(2 * min(upper, lower), 1.0)
    return upper if alternative == "greater" else lower


def _as_values(values: ArrayLike, name: str) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or np.isinf(array).any():
        msg = f"{name} values of shape {array.shape}, or some infinite: expected one number or NaN for each case"
        raise ValueError(msg)
    return array


def _mean(values: NDArray[np.float64]) -> float:
    return float("nan") if np.isnan(values).all() else float(np.nanmean(values))

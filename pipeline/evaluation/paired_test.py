"""Whether paired values differ by more than chance: Wilcoxon's signed-rank test, with what it was done on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata, wilcoxon

__all__ = ["MAX_EXACT_PAIRS", "Alternative", "Method", "PairedTest", "paired_test"]

Alternative = Literal["greater", "less", "two-sided"]
Method = Literal["exact", "approximate", "none"]

MAX_EXACT_PAIRS = 50  # beyond, the normal approximation is as good
_DECIMALS = 9  # differences that agree so far are equal: further digits are rounding errors


@dataclass(frozen=True)
class PairedTest:
    """The result of a test of paired values.

    Attributes:
        p: the p-value; 1 where no pair differs.
        alternative: what was tested: that the second values are ``greater``, ``less``, or either (``two-sided``).
        method: ``exact``, up to `MAX_EXACT_PAIRS` pairs that differ; ``approximate``, by the normal distribution with
            its correction for equal differences; ``none`` where no pair differs.
        pairs: the number of pairs in which at least one value counts.
        greater: the number of pairs whose second value is greater.
        less: the number of pairs whose second value is less.
        means: the means of the first and of the second values that count; NaN where none does.
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

    Wilcoxon's signed-rank test (Wilcoxon, 1945). The pairs that differ are ranked by the size of their difference. The
    sum of the ranks of those that rose is compared with its distribution when every sign is a coin's. It needs no
    normal distribution. Pairs that do not differ are left out. The smallest p that n pairs can reach is 2⁻ⁿ, two-sided
    2¹⁻ⁿ: fewer than six pairs never have a two-sided p below 0.05.

    A value may be NaN: it does not count, as the Dice of a label that is absent (see `decide_outcome`). Where one value
    of a pair counts alone, the other one is taken to be the mean of its side, which leaves that mean as it is. Where
    neither counts, the pair is left out.

    Args:
        first: values of the cases, (n,): before a change, or of one method.
        second: values of the same cases in the same order: after the change, or of the other method.
        alternative: what to test: that the second values are ``greater``, ``less``, or either.

    Returns:
        The p-value, how it was computed and on what.

    Raises:
        ValueError: If the values are not two sequences of one length, one is infinite, or there is no such alternative.
    """
    if alternative not in ("greater", "less", "two-sided"):
        msg = f"alternative is {alternative!r}: expected greater, less or two-sided"
        raise ValueError(msg)
    before, after = _as_values(first, "first"), _as_values(second, "second")
    if before.shape != after.shape:
        msg = f"{before.size} first and {after.size} second values: expected pairs"
        raise ValueError(msg)
    means = _mean(before), _mean(after)
    paired = ~(np.isnan(before) & np.isnan(after))
    gains = np.where(np.isnan(after), means[1], after) - np.where(np.isnan(before), means[0], before)
    changed = np.round(gains[np.isfinite(gains) & paired], _DECIMALS)
    changed = changed[changed != 0]
    method: Method = "none" if not changed.size else "exact" if changed.size <= MAX_EXACT_PAIRS else "approximate"
    p = 1.0
    if method == "exact":
        p = _exact_p(changed, alternative)
    elif method == "approximate":
        p = float(wilcoxon(changed, alternative=alternative, method="asymptotic").pvalue)
    greater = int((changed > 0).sum())
    return PairedTest(p, alternative, method, int(paired.sum()), greater, int(changed.size) - greater, means)


def _exact_p(changed: NDArray[np.float64], alternative: Alternative) -> float:
    """Count the signs that give a sum of ranks as far out (Streitberg and Röhmel, 1986).

    SciPy's exact method takes all differences for unequal: three that are equal, two of them gains, have p .5 and get
    .375. Where they are unequal, both give the same.
    """
    ranks = np.rint(2 * rankdata(np.abs(changed))).astype(np.int64)  # doubled: ranks of equal differences are halves
    ways = np.zeros(int(ranks.sum()) + 1)  # of signs, by the doubled sum of the gains' ranks
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

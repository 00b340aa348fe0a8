"""Compute the smallest difference that the signed-rank test would have detected with these pairs."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from .paired_test import round_differences
from .subject_draws import Array

__all__ = ["LEVEL", "POWER", "find_detectable", "min_pairs"]

POWER = 0.8
LEVEL = 0.05
_MAX_SIMULATED_PAIRS = 25  # with more, the normal approximation reaches the power to within two per cent
_DATASETS = 4000


def find_detectable(
    differences: ArrayLike, *, power: float = POWER, level: float = LEVEL, seed: int = 0
) -> float | None:
    """Return the smallest mean difference that the two-sided signed-rank test shows with a probability of `power`.

    It answers what this many pairs with this spread could have shown, whatever they did show. The distribution of the
    pairs that differ is taken from the data, moved to a mean of zero, widened by √(m / (m - 1)) as a variance is, and
    made symmetric, so that the test keeps its level. All of them are then shifted by one amount. Pairs that do not
    differ stay as they are: the mean difference is the shift times the share of pairs that differ.

    - Up to 25 pairs that differ: by simulation of 4000 data sets. The test rejects as soon as
      the shift exceeds the k-th largest mean of two differences of the data set (Walsh average), where k follows from
      the critical rank sum (Hollander and Wolfe, 1999, section 3.3). The result is a quantile of these.
    - More: by the normal approximation of the rank sum, with its mean and variance under the shift (Lehmann, 1975,
      section 4.2).

    Args:
        differences: one per subject, (n,). NaN is not counted.
        power: probability to detect the difference, between `level` and 1.
        level: level of significance of the two-sided test.
        seed: seed of the simulation.

    Returns:
        The difference, without sign; None if the pairs that differ are too few for any p at the level, or differ all by
        the same amount.

    Raises:
        ValueError: If level or power is out of range.
    """
    if not 0 < level < power < 1:
        msg = f"power {power} and level {level}: expected 0 < level < power < 1"
        raise ValueError(msg)
    gains = np.asarray(differences, dtype=np.float64)
    gains = round_differences(gains[np.isfinite(gains)])
    changed = gains[gains != 0]
    if changed.size < min_pairs(level) or np.ptp(changed) == 0:
        return None
    spread = np.abs(changed - changed.mean()) * np.sqrt(changed.size / (changed.size - 1))
    shift = (
        _simulate_shift(spread, power, level, np.random.default_rng(seed))
        if changed.size <= _MAX_SIMULATED_PAIRS
        else _approximate_shift(spread, power, level)
    )
    return float(shift * changed.size / gains.size)


def min_pairs(level: float = LEVEL) -> int:
    """Return the smallest number of pairs that can reach a two-sided p of `level`: 2¹⁻ⁿ is at most the level."""
    return int(np.ceil(1 - np.log2(level)))


def _simulate_shift(spread: Array, power: float, level: float, rng: np.random.Generator) -> float:
    pairs = spread.size
    data = rng.choice(spread, size=(_DATASETS, pairs)) * rng.choice((-1.0, 1.0), size=(_DATASETS, pairs))
    first, second = np.triu_indices(pairs)
    walsh = (data[:, first] + data[:, second]) / 2
    # The rank sum of the gains is the number of Walsh averages above zero: it is critical if all but `others` are.
    others = first.size - _find_critical_sum(pairs, level)
    limits = -np.partition(walsh, others, axis=1)[:, others]
    return float(np.quantile(limits, power, method="higher"))


def _find_critical_sum(pairs: int, level: float) -> int:
    """Return the smallest rank sum whose two-sided p is at most the level, of pairs without equal differences."""
    ways = np.zeros(pairs * (pairs + 1) // 2 + 1)
    ways[0] = 1.0
    for rank in range(1, pairs + 1):
        ways[rank:] += ways[:-rank].copy()
    upper = np.cumsum(ways[::-1])[::-1] / ways.sum()
    return int(np.argmax(2 * upper <= level))


def _approximate_shift(spread: Array, power: float, level: float) -> float:
    pairs = spread.size
    values = np.sort(np.concatenate([-spread, spread]))
    null_mean, null_sd = pairs * (pairs + 1) / 4, np.sqrt(pairs * (pairs + 1) * (2 * pairs + 1) / 24)
    critical = null_mean + ndtri(1 - level / 2) * null_sd

    def miss(shift: float) -> float:
        """Return the required power minus that at the shift."""
        one = float(_exceed(values, np.array([-shift]))[0])
        above = _exceed(values, -2 * shift - values)
        two, three = float(above.mean()), float((above**2).mean())
        mean = pairs * one + pairs * (pairs - 1) / 2 * two
        variance = (
            pairs * one * (1 - one)
            + pairs * (pairs - 1) / 2 * (2 * (one - two) ** 2 + 3 * two * (1 - two))
            + pairs * (pairs - 1) * (pairs - 2) * (three - two**2)
        )
        return power - float(ndtr((mean - critical) / np.sqrt(max(variance, 1e-12))))

    return float(brentq(miss, 0.0, 2 * spread.max(), xtol=1e-6 * spread.max()))


def _exceed(values: Array, limits: Array) -> Array:
    """Return the share of sorted values above each limit; equal ones count half."""
    below = np.searchsorted(values, limits, side="left") + np.searchsorted(values, limits, side="right")
    return 1 - below / (2 * values.size)

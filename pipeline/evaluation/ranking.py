"""Rank sets of predictions by a metric, and how stable the ranks are under other subjects and trainings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arm_draws import check_arm, choose_draws, draw_arm
from .paired_comparison import Better
from .subject_draws import CONFIDENCE, RESAMPLES, Array, SubjectDraws

__all__ = ["Ranking", "rank_arms", "rank_sets"]

_EQUAL = 1e-9  # means that differ by less are equal, as in `paired_test`


@dataclass(frozen=True)
class Ranking:
    """The ranks of sets by one metric, all in the order of the sets.

    Attributes:
        means: mean of each set, (sets,), without sign where nearness to zero is better; NaN if nothing counts.
        ranks: rank of each set's mean, (sets,), 1 is the best. Equal means share the smaller rank: 1, 1, 3.
        first: share of the draws in which each set is first, (sets,); a shared first place is divided.
        intervals: lower and upper end of each rank over the draws, (sets, 2).
        shares: share of the draws in which each set has each rank, (sets, sets).
        subjects: number of subjects that count.
    """

    means: Array
    ranks: NDArray[np.int64]
    first: Array
    intervals: NDArray[np.int64]
    shares: Array
    subjects: int


def rank_sets(
    values: ArrayLike,
    subjects: Sequence[str] | Sequence[int],
    *,
    better: Better,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
    draws: SubjectDraws | None = None,
) -> Ranking:
    """Rank sets by their mean over labels of means over cases, and again in each draw of subjects.

    All sets have the same draws, so a rank changes only where sets differ on some subjects. With one subject, each
    draw is that subject, and every share is 0 or 1: `subjects` says so.

    Args:
        values: (sets, n) or (sets, n, labels), of the same cases. NaN is not counted.
        subjects: name of each case's subject, (n,).
        better: which values are better: ``higher``, ``lower``, or those nearer to ``zero``, whose sign is left out.
        confidence: share of the draws inside a rank's interval.
        resamples: number of draws.
        seed: seed of the draws.
        draws: draws of these subjects, from `draw_subjects`, instead of `resamples` and `seed`.

    Raises:
        ValueError: If the values do not fit the subjects, one is infinite, or an option is out of range.
    """
    arms = [one[None] for one in check_arm(values, len(subjects))]
    return rank_arms(arms, subjects, better=better, confidence=confidence, resamples=resamples, seed=seed, draws=draws)


def rank_arms(
    values_by_arm: Sequence[ArrayLike],
    subjects: Sequence[str] | Sequence[int],
    *,
    better: Better,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
    draws: SubjectDraws | None = None,
) -> Ranking:
    """Rank arms of one or several trainings, whose trainings are drawn as well (`draw_arm`).

    Args:
        values_by_arm: for each arm (seeds, n) or (seeds, n, labels).
        subjects: name of each case's subject, (n,).
        better: as in `rank_sets`.
        confidence: as in `rank_sets`.
        resamples: as in `rank_sets`.
        seed: as in `rank_sets`, also of the draws of trainings.
        draws: as in `rank_sets`.

    Raises:
        ValueError: As `rank_sets`.
    """
    if better not in ("higher", "lower", "zero") or not 0 < confidence < 1 or not values_by_arm:
        msg = (
            f"{len(values_by_arm)} sets, better {better!r}, confidence {confidence}: "
            "expected at least one set; higher, lower or zero; a number between 0 and 1"
        )
        raise ValueError(msg)
    chosen = choose_draws(subjects, draws, resamples=resamples, seed=seed)
    arms = [check_arm(values, len(subjects)) for values in values_by_arm]
    arms = [np.abs(values) for values in arms] if better == "zero" else arms
    found = [draw_arm(values, chosen, place=place) for place, values in enumerate(arms)]
    means = np.array([arm.mean for arm in found])
    drawn = _rank(np.stack([arm.drawn for arm in found], axis=1), better)
    winners = drawn == 1
    places = np.arange(1, len(arms) + 1)
    tails = (1 - confidence) / 2, (1 + confidence) / 2
    return Ranking(
        means=means,
        ranks=_rank(means[None], better)[0],
        first=(winners / winners.sum(axis=1, keepdims=True)).mean(axis=0),
        intervals=np.quantile(drawn, tails, axis=0, method="inverted_cdf").T.astype(np.int64),
        shares=(drawn[:, :, None] == places).mean(axis=0),
        subjects=int(np.any([arm.counted for arm in found], axis=0).sum()),
    )


def _rank(means: Array, better: Better) -> NDArray[np.int64]:
    """Return the ranks of each row, (rows, sets): 1 plus the number of better sets. A set without value is last."""
    losses = np.nan_to_num(-means if better == "higher" else means, nan=np.inf)
    ranks: NDArray[np.int64] = 1 + (losses[:, None, :] < losses[:, :, None] - _EQUAL).sum(axis=2)
    return ranks

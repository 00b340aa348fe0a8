"""Draw the trainings of an arm and its subjects, and average the values of each draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .subject_draws import (
    RESAMPLES,
    Array,
    SubjectDraws,
    average_subjects,
    average_without_each,
    check_values,
    draw_means,
    draw_subjects,
    total_subjects,
)

__all__ = ["ArmDraws", "check_arm", "choose_draws", "draw_arm"]


@dataclass(frozen=True)
class ArmDraws:
    """The mean of an arm, and how it varies. An arm is one set of predictions, or one per training (seed).

    Attributes:
        mean: mean over trainings of the mean over labels of the means over cases; NaN if nothing counts.
        drawn: the mean of each draw, (resamples,); NaN if a draw has no value.
        by_seed: the mean of each training, (seeds,); NaN if nothing counts.
        without_subject: the mean without each subject in turn, (subjects,).
        without_seed: the mean without each training in turn, (seeds,); empty with one training.
        counted: whether each subject has a value, (subjects,).
    """

    mean: float
    drawn: Array
    by_seed: Array
    without_subject: Array
    without_seed: Array
    counted: np.typing.NDArray[np.bool_]

    @property
    def jackknives(self) -> list[Array]:
        """The means without each subject, and with several trainings those without each training."""
        return [self.without_subject, *([self.without_seed] if self.without_seed.size else [])]


def choose_draws(
    subjects: Sequence[str] | Sequence[int], draws: SubjectDraws | None, *, resamples: int = RESAMPLES, seed: int = 0
) -> SubjectDraws:
    """Return `draws`, after checking that they are of these subjects; new ones if they are None.

    Raises:
        ValueError: If the draws are of another number of cases or subjects.
    """
    if draws is None:
        return draw_subjects(subjects, resamples=resamples, seed=seed)
    members = np.unique(np.asarray(subjects), return_inverse=True)[1]
    if not np.array_equal(members, draws.members):
        msg = f"draws of {draws.subjects} subjects for {len(subjects)} cases: expected the draws of these subjects"
        raise ValueError(msg)
    return draws


def check_arm(values_by_seed: ArrayLike, cases: int) -> Array:
    """Return an arm's values as (seeds, n, labels).

    Args:
        values_by_seed: (seeds, n) or (seeds, n, labels). NaN and None are not counted.
        cases: the expected n.

    Raises:
        ValueError: If the shape is another, or a value is infinite.
    """
    array = np.asarray(values_by_seed, dtype=np.float64)
    if array.ndim not in (2, 3) or not len(array):
        msg = f"values of shape {array.shape}: expected (seeds, cases) or (seeds, cases, labels)"
        raise ValueError(msg)
    return np.stack([check_values(one, cases) for one in array])


def draw_arm(values_by_seed: Array, draws: SubjectDraws, *, place: int = 0) -> ArmDraws:
    """Draw trainings, and for all of them the same subjects: the pigeonhole bootstrap (Owen, 2007, section 4).

    All trainings are measured on the same subjects. If each had its own draw of subjects, a difficult subject would
    count as the chance of one training, and the interval would be too short. Of K trainings K - 1 are drawn, which
    makes the variance of their mean right however few they are (Rao and Wu, 1988); drawing K makes it (K - 1) / K.

    Args:
        values_by_seed: (seeds, n, labels).
        draws: draws of the n cases' subjects.
        place: number of the arm. Arms with other numbers have other draws of their trainings.
    """
    totals = [total_subjects(values, draws) for values in values_by_seed]
    means = np.array([average_subjects(one) for one in totals])
    without_subject = np.stack([average_without_each(one) for one in totals])
    drawn = np.stack([draw_means(one, draws) for one in totals])
    counted = np.any([one.counts.sum(axis=1) > 0 for one in totals], axis=0)
    seeds = len(totals)
    if seeds == 1:
        return ArmDraws(float(means[0]), drawn[0], means, without_subject[0], np.empty(0), counted)
    rng = np.random.default_rng([draws.seed, 1 + place])
    times = rng.multinomial(seeds - 1, np.full(seeds, 1 / seeds), size=drawn.shape[1]).T.astype(np.float64)
    others = 1.0 - np.eye(seeds)
    return ArmDraws(
        mean=float(_weigh(means, np.ones(seeds))),
        drawn=_weigh(drawn, times),
        by_seed=means,
        without_subject=_weigh(without_subject, np.ones_like(without_subject)),
        without_seed=_weigh(np.broadcast_to(means[:, None], others.shape), others),
        counted=counted,
    )


def _weigh(values: Array, weights: Array) -> Array:
    """Return the weighted mean over the first axis of the values that are not NaN; NaN if there is none."""
    weights = np.where(np.isnan(values), 0.0, weights)
    total = weights.sum(axis=0)
    mean: Array = np.divide(
        (np.nan_to_num(values) * weights).sum(axis=0), total, out=np.full(np.shape(total), np.nan), where=total > 0
    )
    return mean

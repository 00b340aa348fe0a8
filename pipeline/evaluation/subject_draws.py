"""Draw whole subjects with replacement, once for many metrics, and average the values of each draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "CONFIDENCE",
    "RESAMPLES",
    "SubjectDraws",
    "SubjectTotals",
    "average_labels",
    "average_subjects",
    "average_without_each",
    "check_values",
    "draw_means",
    "draw_subjects",
    "total_subjects",
]

CONFIDENCE = 0.95
RESAMPLES = 10_000

Array = NDArray[np.float64]

_BLOCK = 1000  # draws that are multiplied at a time: the counts are stored in two bytes


@dataclass(frozen=True)
class SubjectDraws:
    """Draws of subjects with replacement. Several metrics and sets of the same cases share them.

    Attributes:
        members: index of each case's subject, (n,).
        times: how often each draw has each subject, (resamples, subjects).
        seed: seed of the draws.
    """

    members: NDArray[np.intp]
    times: NDArray[np.uint16]
    seed: int

    @property
    def subjects(self) -> int:
        """Number of subjects."""
        return int(self.times.shape[1])


class SubjectTotals(NamedTuple):
    """The sums of each subject's values by label and the numbers of those that count, each (subjects, labels)."""

    sums: Array
    counts: Array


def draw_subjects(
    subjects: Sequence[str] | Sequence[int], *, resamples: int = RESAMPLES, seed: int = 0
) -> SubjectDraws:
    """Draw as many subjects as there are, with replacement, many times (Efron and Tibshirani, 1993, chapter 6).

    The draws do not depend on the order of the cases, because subjects are sorted by name.

    Args:
        subjects: name of each case's subject, (n,). Cases of one subject are always drawn together.
        resamples: number of draws, at least 1.
        seed: seed of the draws.

    Raises:
        ValueError: If there is no case or no draw, or more than 65535 subjects.
    """
    names, members = np.unique(np.asarray(subjects), return_inverse=True)
    if members.ndim != 1 or not members.size or resamples < 1 or names.size > np.iinfo(np.uint16).max:
        msg = f"{names.size} subjects, {resamples} resamples: expected 1 to 65535 subjects, and at least one draw"
        raise ValueError(msg)
    # How often each draw has each subject: sums over cases are then one product of matrices.
    rng = np.random.default_rng(seed)
    times = np.empty((resamples, names.size), dtype=np.uint16)
    for start in range(0, resamples, _BLOCK):
        size = min(_BLOCK, resamples - start)
        times[start : start + size] = rng.multinomial(names.size, np.full(names.size, 1 / names.size), size=size)
    return SubjectDraws(members, times, seed)


def check_values(values: ArrayLike, cases: int) -> Array:
    """Return values as (n, labels).

    Args:
        values: one number per case, (n,), or per case and label, (n, labels). NaN and None are not counted.
        cases: the expected number of cases.

    Raises:
        ValueError: If the shape is another, or a value is infinite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim not in (1, 2) or len(array) != cases or not array.size or np.isinf(array).any():
        msg = (
            f"values of shape {array.shape}, or some infinite, for {cases} cases: "
            "expected one finite number or NaN per case, or per case and label"
        )
        raise ValueError(msg)
    return array.reshape(cases, -1)


def total_subjects(values: Array, draws: SubjectDraws) -> SubjectTotals:
    """Return the totals of each subject, from values (n, labels)."""
    shape = draws.subjects, values.shape[1]
    sums, counts = np.zeros(shape), np.zeros(shape)
    np.add.at(sums, draws.members, np.nan_to_num(values))
    np.add.at(counts, draws.members, (~np.isnan(values)).astype(np.float64))
    return SubjectTotals(sums, counts)


def average_labels(sums: Array, counts: Array) -> Array:
    """Return the mean over labels of their means over cases, (...), as in `summarise`; NaN if nothing counts.

    Args:
        sums: sum of each label's values, (..., labels).
        counts: number of each label's values, (..., labels). A label without any is left out.
    """
    has = counts > 0
    by_label = np.divide(sums, counts, out=np.zeros_like(sums), where=has)
    labels = has.sum(axis=-1)
    means: Array = np.divide(by_label.sum(axis=-1), labels, out=np.full(labels.shape, np.nan), where=labels > 0)
    return means


def average_subjects(totals: SubjectTotals) -> float:
    """Return the mean over labels of their means over all cases; NaN if nothing counts."""
    return float(average_labels(totals.sums.sum(axis=0), totals.counts.sum(axis=0)))


def average_without_each(totals: SubjectTotals) -> Array:
    """Return the mean without each subject in turn, (subjects,): the jackknife by subject."""
    return average_labels(totals.sums.sum(axis=0) - totals.sums, totals.counts.sum(axis=0) - totals.counts)


def draw_means(totals: SubjectTotals, draws: SubjectDraws) -> Array:
    """Return the mean of each draw, (resamples,); NaN if a draw has no value at all."""
    labels = totals.sums.shape[1]
    both = np.concatenate([totals.sums, totals.counts], axis=1)
    means = np.empty(len(draws.times))
    for start in range(0, len(means), _BLOCK):
        drawn = draws.times[start : start + _BLOCK].astype(np.float64) @ both
        means[start : start + _BLOCK] = average_labels(drawn[:, :labels], drawn[:, labels:])
    return means

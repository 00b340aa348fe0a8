"""The numbers of a group, as plain data: means with intervals, and comparisons with the baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...evaluation.bca import Interval
from ...evaluation.paired import OVERALL
from ...evaluation.paired_comparison import PairedComparison
from .values import ArmValues, Cases

__all__ = ["OVERALL", "ArmResult", "Contrast", "Estimate", "GroupResult"]


@dataclass(frozen=True)
class Estimate:
    """The mean of an arm.

    Attributes:
        mean: mean over trainings of the mean over labels of the means over cases; NaN if nothing counts.
        interval: its interval over trainings and subjects.
        by_seed: the mean of each training.
    """

    mean: float
    interval: Interval
    by_seed: tuple[float, ...]

    @property
    def sd_seeds(self) -> float:
        """Standard deviation over trainings; NaN with fewer than two."""
        known = [value for value in self.by_seed if np.isfinite(value)]
        return float(np.std(known, ddof=1)) if len(known) > 1 else float("nan")


@dataclass(frozen=True)
class ArmResult:
    """The numbers of an arm.

    Attributes:
        seeds: seed of each training that counts.
        cases: number of cases that all trainings measured, of which the numbers are.
        estimates: by label (``mean of labels`` is one) and metric.
        sd_cases: standard deviation over cases of a training's Dice, mean over trainings; NaN with fewer than two.
    """

    seeds: tuple[Any, ...]
    cases: int
    estimates: Mapping[tuple[str, str], Estimate]
    sd_cases: float


@dataclass(frozen=True)
class Contrast:
    """A skip against the baseline.

    Attributes:
        skip: label of the skip.
        metric: name of the metric.
        label: name of the label, or ``mean of labels``.
        comparison: the skip minus the baseline; its p is corrected over the family.
        cases: number of cases that all trainings of both arms measured, of which the comparison is.
    """

    skip: str
    metric: str
    label: str
    comparison: PairedComparison
    cases: int


@dataclass(frozen=True)
class GroupResult:
    """The numbers of a group.

    Attributes:
        labels: names of the labels.
        cases: the cases of all runs.
        values: values of each arm; None without any.
        arms: numbers of each arm; None without values.
        contrasts: every skip against the baseline: each metric's mean of labels, and the Dice of each label.
    """

    labels: Sequence[str]
    cases: Cases
    values: Mapping[str, ArmValues | None]
    arms: Mapping[str, ArmResult | None]
    contrasts: Sequence[Contrast]

    def find(self, skip: str, metric: str = "dice", label: str = OVERALL) -> Contrast | None:
        """Return the comparison of a skip, or None."""
        for one in self.contrasts:
            if (one.skip, one.metric, one.label) == (skip, metric, label):
                return one
        return None

    def select(self, metric: str, label: str = OVERALL) -> list[Contrast]:
        """Return the comparisons of one metric and label."""
        return [one for one in self.contrasts if (one.metric, one.label) == (metric, label)]

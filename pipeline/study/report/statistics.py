"""Compute what a group of arms shows: means with intervals, and each skip compared with the baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ...evaluation.holm import holm
from ...evaluation.intervals import compute_hierarchical_interval
from ...evaluation.metric_names import ALL_METRICS, Better
from ...evaluation.paired import compare_arms
from .arms import Group
from .results import OVERALL, ArmResult, Contrast, Estimate, GroupResult
from .values import METRICS, ArmValues, Array, Cases, Choice, collect_arm, collect_cases, list_labels, mean_known

__all__ = ["compare_family", "estimate", "evaluate_group"]


def evaluate_group(group: Group, baseline: str) -> GroupResult:
    """Return the numbers of a group, on the cases that all trainings of an arm, or of a pair of arms, measured.

    Args:
        group: the group.
        baseline: label of the skip that others are compared with. It may be missing.
    """
    labels = list_labels(group)
    cases = collect_cases(group.done)
    values = {skip: collect_arm(arm, cases, labels) for skip, arm in group.arms.items()}
    choices = [Choice(OVERALL, slice(None))]
    if len(labels) > 1:
        choices += [Choice(label, slice(place, place + 1)) for place, label in enumerate(labels)]
    arms = {skip: None if own is None else _evaluate_arm(own, cases, choices) for skip, own in values.items()}
    base = values.get(baseline)
    contrasts: list[Contrast] = []
    others = {skip: own for skip, own in values.items() if skip != baseline and own is not None}
    if base is not None:
        for metric in METRICS:
            # The mean of labels is one question, the labels are others: see `compare_labels`.
            for family in (choices[:1], choices[1:]) if metric == "dice" else (choices[:1],):
                better = ALL_METRICS[metric].better
                contrasts += compare_family(base, others, cases, metric, family, better=better)
    return GroupResult(labels, cases, values, arms, contrasts)


def compare_family(
    base: ArmValues,
    others: Mapping[str, ArmValues],
    cases: Cases,
    metric: str,
    family: Sequence[Choice],
    *,
    better: Better,
) -> list[Contrast]:
    """Compare skips with the baseline, with Holm's correction over all skips and labels of the family.

    Args:
        base: values of the baseline.
        others: values of the skips.
        cases: their cases.
        metric: the metric.
        family: the labels.
        better: which values are better.
    """
    shared = {skip: base.shared & own.shared for skip, own in others.items()}
    pairs = [
        (skip, choice) for choice in family for skip in others if _counts(base, others[skip], shared[skip], metric)
    ]
    found = []
    for skip, choice in pairs:
        chosen = shared[skip]
        arms = [arm.values[metric][:, chosen][:, :, choice.columns] for arm in (base, others[skip])]
        comparison = compare_arms(
            arms[0],
            arms[1],
            cases.choose_subjects(chosen),
            better=better,
            family=len(pairs),
            draws=cases.draw(chosen),
        )
        found.append(Contrast(skip, metric, choice.name, comparison, int(chosen.sum())))
    corrected = holm([np.nan if np.isnan(one.comparison.difference) else one.comparison.p for one in found])
    return [
        one if np.isnan(p) else replace(one, comparison=replace(one.comparison, p_holm=float(p)))
        for one, p in zip(found, corrected, strict=True)
    ]


def estimate(values: Array, cases: Cases, chosen: NDArray[np.bool_]) -> Estimate:
    """Return the mean of an arm with its interval.

    Args:
        values: (seeds, chosen cases, labels).
        cases: all cases.
        chosen: which of them the values are of.
    """
    subjects = cases.choose_subjects(chosen)
    interval = compute_hierarchical_interval(values, subjects, draws=cases.draw(chosen))
    by_seed = tuple(_mean_of_labels(one) for one in values)
    known = [value for value in by_seed if np.isfinite(value)]
    return Estimate(float(np.mean(known)) if known else float("nan"), interval, by_seed)


def _evaluate_arm(own: ArmValues, cases: Cases, choices: Sequence[Choice]) -> ArmResult | None:
    chosen = own.shared
    if not chosen.any():
        return None
    estimates = {
        (choice.name, metric): estimate(own.values[metric][:, chosen][:, :, choice.columns], cases, chosen)
        for choice in choices
        for metric in METRICS
    }
    dice = own.values["dice"][:, chosen]
    spreads = [_spread(mean_known(one, axis=1)) for one in dice]
    sd_cases = float(np.mean(spreads)) if np.isfinite(spreads).all() else float("nan")
    return ArmResult(own.seeds, int(chosen.sum()), estimates, sd_cases)


def _counts(base: ArmValues, other: ArmValues, chosen: NDArray[np.bool_], metric: str) -> bool:
    """Return whether both arms have a value of the metric."""
    return bool(chosen.any()) and all(np.isfinite(arm.values[metric][:, chosen]).any() for arm in (base, other))


def _mean_of_labels(values: Array) -> float:
    """Return the mean over labels of their means over cases, of (cases, labels); NaN if nothing counts."""
    return float(mean_known(mean_known(values, axis=0), axis=0))


def _spread(values: Array) -> float:
    known = values[np.isfinite(values)]
    return float(np.std(known, ddof=1)) if known.size > 1 else float("nan")

"""The statistics of a comparison: means with intervals of every set, pairs of sets, and their ranking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..evaluation.intervals import bca_interval, hierarchical_interval
from ..evaluation.metric_names import CALIBRATION_METRICS, Metric, list_metrics
from ..evaluation.paired import OVERALL, compare_labels
from ..evaluation.ranking import rank_arms
from ..evaluation.subject_draws import RESAMPLES, SubjectDraws, draw_subjects
from ..evaluation.summary import summarise
from ..evaluation.summary_intervals import add_intervals, case_values, list_subjects
from .named_sets import NamedSet

__all__ = ["ALL_LABELS", "Statistics", "compute_statistics"]

ALL_LABELS = OVERALL
"""The entry of the mean over labels."""

MIN_RANKED = 3

Rows = Sequence[Mapping[str, Any]]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Statistics:
    """The statistics of a comparison, as in ``summary.json``.

    Attributes:
        statistics: by set, then label or `ALL_LABELS`, then metric.
        arms: mean and interval of arms with several seeds, by arm, label and metric.
        paired: one entry for each pair of arms, metric and label. A set without a seed is an arm of its own.
        ranking: of the arms, by metric; None for fewer than three.
        calibration: by set, then metric.
    """

    statistics: dict[str, Any]
    arms: dict[str, Any] = field(default_factory=dict)
    paired: list[dict[str, Any]] = field(default_factory=list)
    ranking: dict[str, Any] | None = None
    calibration: dict[str, Any] = field(default_factory=dict)

    def as_content(self) -> dict[str, Any]:
        """Return the entries of ``summary.json``."""
        content: dict[str, Any] = {"statistics": self.statistics}
        if self.arms:
            content["arms"] = self.arms
        if self.calibration:
            content["calibration"] = self.calibration
        return content | {"paired": self.paired, "ranking": self.ranking}


def compute_statistics(
    rows: Rows,
    named: Sequence[NamedSet],
    *,
    labels: Sequence[str],
    spatial_dims: int = 3,
    calibration: Rows = (),
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Statistics:
    """Return the statistics of all sets. All intervals, tests and ranks share the draws of subjects.

    Args:
        rows: rows of all sets, each with ``set``, ``case``, ``subject`` and ``label``; the same cases in every set.
        named: the sets.
        labels: names of the labels.
        spatial_dims: 2 or 3, for the units in sentences.
        calibration: a row for each case and set with probabilities.
        resamples: draws of the bootstrap.
        seed: seed of the draws.
    """
    of_set = {one.name: [row for row in rows if row["set"] == one.name] for one in named}
    subjects = list_subjects(of_set[named[0].name])
    draws = draw_subjects(subjects, resamples=resamples, seed=seed)
    arms: dict[str, list[str]] = {}
    for one in named:
        arms.setdefault(one.arm, []).append(one.name)
    metrics = list_metrics(rows)
    values = {metric.name: _values_by_arm(of_set, arms, metric, labels) for metric in metrics}
    return Statistics(
        {name: _summarise(own, draws) for name, own in of_set.items()},
        _describe_arms(metrics, values, arms, labels, subjects, draws),
        _compare_arms(metrics, values, labels, subjects, draws, spatial_dims),
        _rank(metrics, values, subjects, draws) if len(arms) >= MIN_RANKED else None,
        _summarise_calibration(calibration, resamples=resamples, seed=seed),
    )


def _summarise(rows: Rows, draws: SubjectDraws) -> dict[str, Any]:
    summary = add_intervals(summarise(rows), rows, draws=draws)
    return {**summary["labels"], ALL_LABELS: summary["overall"]}


def _values_by_arm(
    of_set: Mapping[str, Rows], arms: Mapping[str, Sequence[str]], metric: Metric, labels: Sequence[str]
) -> dict[str, Values]:
    """Return a metric's values of each arm, (seeds, cases, labels); labels without any row, as of lesions, are NaN."""
    return {arm: np.stack([case_values(of_set[name], metric, labels) for name in names]) for arm, names in arms.items()}


def _describe_arms(
    metrics: Sequence[Metric],
    values: Mapping[str, Mapping[str, Values]],
    arms: Mapping[str, Sequence[str]],
    labels: Sequence[str],
    subjects: Sequence[str],
    draws: SubjectDraws,
) -> dict[str, Any]:
    """Return mean and hierarchical interval of each arm with several seeds."""
    found: dict[str, Any] = {}
    for arm, names in arms.items():
        if len(names) < 2:
            continue
        entries: dict[str, Any] = {label: {} for label in (*labels, ALL_LABELS)}
        for metric in metrics:
            own = values[metric.name][arm]
            for label, part in [*((one, own[:, :, [n]]) for n, one in enumerate(labels)), (ALL_LABELS, own)]:
                if np.isnan(part).all():
                    continue
                ends = hierarchical_interval(part, subjects, draws=draws)
                by_seed = [_mean_of_labels(one) for one in part]
                entries[label][metric.name] = {
                    "mean": float(np.mean(by_seed)),
                    "by_seed": by_seed,
                    "interval": None if ends is None else [float(end) for end in ends],
                }
        found[arm] = {"sets": list(names), **entries}
    return found


def _mean_of_labels(values: Values) -> float:
    """Return the mean over labels of their means over cases, from values (cases, labels)."""
    has = ~np.isnan(values).all(axis=0)
    return float(np.nanmean(values[:, has], axis=0).mean())


def _compare_arms(
    metrics: Sequence[Metric],
    values: Mapping[str, Mapping[str, Values]],
    labels: Sequence[str],
    subjects: Sequence[str],
    draws: SubjectDraws,
    spatial_dims: int,
) -> list[dict[str, Any]]:
    """Return the comparison of each pair of arms, in every metric and label."""
    found: list[dict[str, Any]] = []
    for metric in metrics:
        for first, second in combinations(values[metric.name], 2):
            both = [values[metric.name][name] for name in (first, second)]
            # Lesions are measured in some labels only.
            kept = [n for n in range(len(labels)) if not all(np.isnan(one[:, :, n]).all() for one in both)]
            if not kept:
                continue
            names = [labels[n] for n in kept]
            compared = compare_labels(
                both[0][:, :, kept], both[1][:, :, kept], subjects, names, better=metric.better, draws=draws
            )
            unit = metric.find_unit(spatial_dims)
            title = metric.title.removesuffix(f" ({unit})")
            for label, one in compared.items():
                sentence = one.sentence(first, second, title, unit=unit, label=None if label == ALL_LABELS else label)
                place = {"first": first, "second": second, "label": label, "metric": metric.name}
                found.append({**place, **one.as_row(), "sentence": sentence})
    return found


def _rank(
    metrics: Sequence[Metric], values: Mapping[str, Mapping[str, Values]], subjects: Sequence[str], draws: SubjectDraws
) -> dict[str, Any]:
    """Return the ranks of the arms by each metric, the best first."""
    found: dict[str, Any] = {}
    for metric in metrics:
        of_arm = values[metric.name]
        if all(np.isnan(one).all() for one in of_arm.values()):
            continue
        ranking = rank_arms(list(of_arm.values()), subjects, better=metric.better, draws=draws)
        entries = [
            {
                "set": arm,
                "rank": int(ranking.ranks[n]),
                "mean": float(ranking.means[n]),
                "first": float(ranking.first[n]),
                "rank_interval": [int(end) for end in ranking.intervals[n]],
                "rank_shares": [float(share) for share in ranking.shares[n]],
            }
            for n, arm in enumerate(of_arm)
        ]
        found[metric.name] = sorted(entries, key=lambda entry: entry["rank"])
    return found


def _summarise_calibration(rows: Rows, *, resamples: int, seed: int) -> dict[str, Any]:
    """Return mean and interval of each calibration metric, by set."""
    found: dict[str, Any] = {}
    for name in dict.fromkeys(row["set"] for row in rows):
        own = [row for row in rows if row["set"] == name]
        subjects = [str(row["subject"]) for row in own]
        entry: dict[str, Any] = {"cases": len(own)}
        for metric in CALIBRATION_METRICS:
            values = np.array([row[metric] for row in own], dtype=np.float64)
            ends = bca_interval(values, subjects, resamples=resamples, seed=seed)
            mean = float(np.nanmean(values)) if not np.isnan(values).all() else float("nan")
            entry[metric] = {"mean": mean, "interval": None if ends is None else [float(end) for end in ends]}
        found[name] = entry
    return found

"""Add intervals over subjects to a summary of cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .intervals import bca_interval
from .metric_names import Metric, list_metrics
from .subject_draws import RESAMPLES, SubjectDraws, draw_subjects

__all__ = ["add_intervals", "case_values", "list_subjects"]

Row = Mapping[str, Any]


def add_intervals(
    summary: Mapping[str, Any],
    rows: Sequence[Row],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    draws: SubjectDraws | None = None,
) -> dict[str, Any]:
    """Return a summary with the 95 % BCa interval of each mean, under ``interval``.

    Args:
        summary: from `summarise`, of the same rows.
        rows: rows of `measure_case`, each with its ``case``, and its ``subject`` unless every case is of another one.
        resamples: draws of the bootstrap.
        seed: seed of the draws.
        draws: draws of these cases' subjects, instead of `resamples` and `seed`.

    Returns:
        The summary; an interval is ``[low, high]``, or None if there is none (see `compute_interval`), as with one
        subject.
    """
    labels = list(summary["labels"])
    if not rows or not labels:
        return dict(summary)
    subjects = list_subjects(rows)
    draws = draws or draw_subjects(subjects, resamples=resamples, seed=seed)
    entries = {name: dict(summary["labels"][name]) for name in labels}
    overall = dict(summary["overall"])
    for metric in list_metrics(rows):
        if metric.name not in overall:
            continue
        values = case_values(rows, metric, labels)
        for column, name in enumerate(labels):
            ends = _find_ends(values[:, column], subjects, draws)
            entries[name][metric.name] = {**entries[name][metric.name], "interval": ends}
        overall[metric.name] = {**overall[metric.name], "interval": _find_ends(values, subjects, draws)}
    return {**summary, "labels": entries, "overall": overall}


def case_values(rows: Sequence[Row], metric: Metric, labels: Sequence[str]) -> NDArray[np.float64]:
    """Return a metric's values as they count (`Metric.score`), (cases, labels); NaN for a value that does not count.

    Args:
        rows: rows of all cases; cases are in the order of their first row.
        metric: the metric.
        labels: names of the labels.
    """
    cases = {case: number for number, case in enumerate(dict.fromkeys(row["case"] for row in rows))}
    columns = {name: column for column, name in enumerate(labels)}
    values = np.full((len(cases), len(labels)), np.nan)
    for row in rows:
        value = row.get(metric.name)
        if value is not None and row["label"] in columns:
            values[cases[row["case"]], columns[row["label"]]] = metric.score(float(value))
    return values


def list_subjects(rows: Sequence[Row]) -> list[str]:
    """Return the subject of each case, in the order of the cases' first rows; the case itself if a row has none."""
    return list({row["case"]: str(row.get("subject") or row["case"]) for row in rows}.values())


def _find_ends(values: NDArray[np.float64], subjects: Sequence[str], draws: SubjectDraws) -> list[float] | None:
    ends = bca_interval(values, subjects, draws=draws)
    return None if ends is None else [float(ends[0]), float(ends[1])]

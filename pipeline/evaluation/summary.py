"""Summarise an evaluation: statistics per label and over all labels, and their table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .metric_names import ALL_METRICS, METRICS, Metric, find_name, list_metrics
from .rows import name_overall

__all__ = ["format_summary", "summarise"]


def summarise(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the statistics of many cases' rows, per label and overall.

    Args:
        rows: rows of `measure_case`, or others with a ``label``, an ``outcome`` and metrics. Other keys do not matter.

    Returns:
        ``{"labels": {name: entry}, "overall": entry}``, ready for JSON (undefined numbers are None). An entry has one
        dictionary per metric that the rows have (without rows those of `METRICS`), with ``mean``, ``std`` (of the
        sample, n - 1), ``median``, ``min``, ``max``, and the numbers of cases: ``counted`` (in the mean), ``missed``,
        ``false_positives`` (both counted, with the worst value) and ``absent`` (not counted). The overall statistics
        are taken over the labels' means, so a rare label weighs as much as a frequent one. Its numbers of cases are
        sums.

        Of a metric whose best value is 0, such as a volume difference, the statistics are of the absolute values:
        otherwise errors in both directions would cancel. Its ``bias`` is the mean with the sign over the cases where
        both sides have the label.
    """
    rows = list(rows)
    metrics = list_metrics(rows) or [ALL_METRICS[name] for name in METRICS]
    by_label: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_label.setdefault(row["label"], []).append(row)
    entries: dict[str, dict[str, Any]] = {
        name: {
            **{metric.name: _summarise_metric(metric, group) for metric in metrics},
            **_count_outcomes([row["outcome"] for row in group]),
        }
        for name, group in by_label.items()
    }
    everything = [row["outcome"] for group in by_label.values() for row in group]
    overall = {
        **{metric.name: _summarise_labels(metric, list(entries.values())) for metric in metrics},
        **_count_outcomes(everything),
    }
    return {"labels": entries, "overall": overall}


def format_summary(summary: Mapping[str, Any]) -> str:
    """Return a summary as aligned columns: label, Dice, its 95 % interval if there is one, HD95, NSD, missed.

    Args:
        summary: from `summarise`, perhaps with intervals from `add_intervals`, and ``regions`` if its rows are of them.

    Returns:
        A header line, one line per label or region, and one with their means; ``-`` is an undefined number.
    """
    regions = summary.get("regions")
    entries = [*summary["labels"].items(), (name_overall(regions), summary["overall"])]
    has_intervals = any(entry["dice"].get("interval") for _, entry in entries)
    distance = find_name(summary["overall"], "hd95_mm")
    unit = distance.rpartition("_")[2].replace("um", "µm")
    header = (
        "region" if regions else "label",
        "Dice (mean ± std)",
        *(["95 % interval"] * has_intervals),
        f"HD95 ({unit})",
        "NSD",
        "missed",
    )
    lines = [header]
    for name, entry in entries:
        dice = _format_number(entry["dice"]["mean"], 3)
        if entry["dice"]["std"] is not None and name in summary["labels"]:
            dice += f" ± {entry['dice']['std']:.3f}"
        hd95, nsd = _format_number(entry[distance]["mean"], 2), _format_number(entry["nsd"]["mean"], 3)
        interval = [_format_interval(entry["dice"].get("interval"))] * has_intervals
        lines.append((name, dice, *interval, hd95, nsd, str(entry["missed"])))
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=True))])
        for line in lines
    )


def _summarise_metric(metric: Metric, rows: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Return the statistics of a label's cases."""
    statistics = _compute_statistics([metric.score(row.get(metric.name, math.nan)) for row in rows])
    if metric.better == "zero":
        found = [row.get(metric.name, math.nan) for row in rows if row["outcome"] == "found"]
        statistics["bias"] = _compute_statistics(found)["mean"]
    return statistics


def _summarise_labels(metric: Metric, entries: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Return the statistics of the labels' means."""
    statistics = _compute_statistics([entry[metric.name]["mean"] for entry in entries])
    if metric.better == "zero":
        statistics["bias"] = _compute_statistics([entry[metric.name]["bias"] for entry in entries])["mean"]
    return statistics


def _compute_statistics(values: Sequence[float | None]) -> dict[str, float | None]:
    counted = np.array([value for value in values if value is not None and not math.isnan(value)], dtype=np.float64)
    if not counted.size:
        return dict.fromkeys(("mean", "std", "median", "min", "max"))
    return {
        "mean": float(counted.mean()),
        "std": float(counted.std(ddof=1)) if counted.size > 1 else None,
        "median": float(np.median(counted)),
        "min": float(counted.min()),
        "max": float(counted.max()),
    }


def _count_outcomes(outcomes: Sequence[str]) -> dict[str, int]:
    absent = outcomes.count("absent")
    return {
        "counted": len(outcomes) - absent,
        "missed": outcomes.count("missed"),
        "false_positives": outcomes.count("false_positive"),
        "absent": absent,
    }


def _format_number(value: float | None, decimals: int) -> str:
    return "-" if value is None else f"{value:.{decimals}f}"


def _format_interval(interval: Sequence[float] | None) -> str:
    return "-" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"

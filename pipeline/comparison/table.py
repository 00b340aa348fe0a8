"""The tables and sentences of a comparison for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..evaluation.metric_names import METRICS
from .statistics import ALL_LABELS

__all__ = ["format_comparison"]

_MAX_COLUMNS = 3
_MAX_LABELS = 8

Summary = Mapping[str, Any]


def format_comparison(summary: Summary) -> str:
    """Return what a terminal shows of a comparison: means with intervals, pairs, ranking, notes.

    Args:
        summary: the content of ``summary.json``.
    """
    shown = _choose_metrics(summary)
    parts = ["\n".join(_format_means(summary, shown)), "\n".join(_format_pairs(summary, shown))]
    parts += ["\n".join(_format_ranking(summary, shown))]
    parts += ["\n".join(f"note: {note}" for note in summary["notes"])]
    return "\n\n".join(part for part in parts if part)


def _choose_metrics(summary: Summary) -> list[Mapping[str, Any]]:
    """Return the metrics that fit into the table: Dice, HD95 and NSD if they were measured, else the first three."""
    known = {metric["name"]: metric for metric in summary["metrics"]}
    usual = [known[name] for name in METRICS if name in known]
    return (usual or list(known.values()))[:_MAX_COLUMNS]


def _format_means(summary: Summary, shown: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    subjects = len({case["subject"] for case in summary["cases"]})
    yield f"{len(summary['cases'])} cases of {subjects} subjects; mean [95 % interval over subjects]"
    header = ["label", "set", *(_title(metric) for metric in shown), "missed", "invented"]
    lines = [header]
    labels = [*(name for name, value in summary["labels"].items() if value != 0), ALL_LABELS]
    for label in labels:
        for number, (name, entries) in enumerate(summary["statistics"].items()):
            entry = entries.get(label)
            if entry is None:
                continue
            cells = [_format_mean(entry.get(metric["name"]), metric) for metric in shown]
            counts = [str(entry["missed"]), str(entry["false_positives"])]
            lines.append([label if number == 0 else "", name, *cells, *counts])
    yield from _align(lines, left=2)


def _format_pairs(summary: Summary, shown: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    names = [metric["name"] for metric in shown]
    for pair in summary["paired"]:
        # One metric label by label, the others over all labels: every sentence is in the summary.
        if pair["metric"] in names and (pair["label"] == ALL_LABELS or pair["metric"] == names[0]):
            yield pair["sentence"]


def _format_ranking(summary: Summary, shown: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not summary["ranking"]:
        return
    for metric in shown:
        ranks = summary["ranking"].get(metric["name"])
        if ranks:
            yield f"ranking by {metric['title']}, and how often each set is first when subjects are drawn anew"
            lines = [["rank", "set", "mean", "first"]]
            for one in ranks:
                lines.append(
                    [f"{one['rank']:g}", one["set"], _format_number(one["mean"], metric), f"{one['first']:.0%}"]
                )
            yield from _align(lines, left=2)


def _title(metric: Mapping[str, Any]) -> str:
    unit = metric["unit"]
    return metric["title"] if unit == "1" or f"({unit})" in metric["title"] else f"{metric['title']} ({unit})"


def _format_mean(values: Mapping[str, Any] | None, metric: Mapping[str, Any]) -> str:
    if values is None or values["mean"] is None:
        return "-"
    text = _format_number(values["mean"], metric)
    if values.get("interval") is None:
        return text
    low, high = (_format_number(end, metric) for end in values["interval"])
    return f"{text} [{low}, {high}]"


def _format_number(value: float | None, metric: Mapping[str, Any]) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if metric["unit"] in ("1", "ml") else f"{value:.2f}"


def _align(lines: Sequence[Sequence[str]], *, left: int) -> Iterator[str]:
    """Yield lines with aligned columns, the first ones to the left."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        cells = [
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()

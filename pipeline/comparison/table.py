"""The tables and sentences of a comparison for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..evaluation.metric_names import CALIBRATION_METRICS, METRICS, find_name
from ..evaluation.rows import name_overall
from .statistics import ALL_LABELS

__all__ = ["format_comparison"]

_MAX_COLUMNS = 3  # of metrics with intervals, which fit into the width of a terminal
_MAX_SENTENCES = 24

Summary = Mapping[str, Any]


def format_comparison(summary: Summary) -> str:
    """Return what a terminal shows of a comparison: means with intervals, arms, pairs, ranking, notes.

    It shows every metric that was asked for, else three; a line names the others.

    Args:
        summary: the content of ``summary.json``.
    """
    shown = _choose_metrics(summary)
    sections = (_format_means, _list_others, _format_arms, _format_calibration, _format_pairs, _format_ranking)
    parts = ["\n".join(section(summary, shown)) for section in sections]
    parts.append("\n".join(f"note: {note}" for note in summary["notes"]))
    return "\n\n".join(part for part in parts if part)


def _choose_metrics(summary: Summary) -> list[Mapping[str, Any]]:
    """Return the metrics of the tables: Dice, HD95 and NSD, or others instead; and all that were asked for."""
    known = {metric["name"]: metric for metric in summary["metrics"]}
    names = [find_name(known, name) for name in METRICS]
    ordered = [known[name] for name in names if name in known]
    ordered += [metric for name, metric in known.items() if name not in names]
    # With `--metrics` all are asked for; without it those of other options, such as `--cldice`.
    usual = [metric for metric in ordered if not metric.get("asked")][:_MAX_COLUMNS]
    return [metric for metric in ordered if metric in usual or metric.get("asked")]


def _list_others(summary: Summary, shown: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    others = [metric["name"] for metric in summary["metrics"] if metric not in shown]
    if others:
        yield f"also measured, in summary.json and cases.csv: {', '.join(others)}; --metrics chooses those of the table"


def _blocks(shown: Sequence[Mapping[str, Any]]) -> Iterator[Sequence[Mapping[str, Any]]]:
    """Yield the metrics of each table: further ones are below, not outside the terminal."""
    for start in range(0, len(shown), _MAX_COLUMNS):
        yield shown[start : start + _MAX_COLUMNS]


def _format_means(summary: Summary, shown: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    subjects = len({case["subject"] for case in summary["cases"]})
    cases = _count(len(summary["cases"]), "case")
    yield f"{cases} of {_count(subjects, 'subject')}; mean [95 % interval over subjects]"
    regions = summary.get("regions")
    labels = list(regions or [name for name, value in summary["labels"].items() if value != 0])
    for place, block in enumerate(_blocks(shown)):
        if place:
            yield ""
        # Structures are counted once, whatever the metric.
        counted = ("missed", "invented") if place == 0 else ()
        lines = [["region" if regions else "label", "set", *(_title(metric) for metric in block), *counted]]
        for label in [*labels, *([ALL_LABELS] if len(labels) > 1 else [])]:
            for number, (name, entries) in enumerate(summary["statistics"].items()):
                entry = entries.get(label)
                if entry is None:
                    continue
                cells = [_format_mean(entry.get(metric["name"]), metric) for metric in block]
                counts = [str(entry["missed"]), str(entry["false_positives"])] if counted else []
                shown_name = name_overall(regions) if label == ALL_LABELS else label
                lines.append([shown_name if number == 0 else "", name, *cells, *counts])
        yield from _align(lines, left=2)


def _format_arms(summary: Summary, shown: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    arms = summary.get("arms") or {}
    if not arms:
        return
    rows = "regions" if summary.get("regions") else "labels"
    yield f"arms of several seeds: mean over {rows} and seeds [95 % interval over subjects and trainings]"
    for place, block in enumerate(_blocks(shown)):
        if place:
            yield ""
        lines = [["arm", "seeds", *(_title(metric) for metric in block)]]
        for arm, entries in arms.items():
            cells = [_format_mean(entries[ALL_LABELS].get(metric["name"]), metric) for metric in block]
            lines.append([arm, str(len(entries["sets"])), *cells])
        yield from _align(lines, left=1)


def _format_calibration(summary: Summary, shown: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    del shown
    found = summary.get("calibration") or {}
    if not found:
        return
    yield "calibration of the probabilities [95 % interval over subjects]"
    lines = [["set", "cases", *(metric.title for metric in CALIBRATION_METRICS.values())]]
    for name, entries in found.items():
        cells = [_format_mean(entries.get(key), {"unit": metric.unit}) for key, metric in CALIBRATION_METRICS.items()]
        lines.append([name, str(entries["cases"]), *cells])
    yield from _align(lines, left=1)


def _format_pairs(summary: Summary, shown: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    names = [metric["name"] for metric in shown]
    pairs = [pair for pair in summary["paired"] if pair["metric"] in names]
    over_labels = {pair["label"] for pair in pairs} & {ALL_LABELS} or {pair["label"] for pair in pairs}
    # The first metric label by label, the others over all labels.
    kept = [pair for pair in pairs if pair["label"] in over_labels or pair["metric"] == names[0]]
    if len(kept) > _MAX_SENTENCES:
        kept = [pair for pair in kept if pair["label"] in over_labels]
    yield from (pair["sentence"] for pair in kept[:_MAX_SENTENCES])
    if len(kept) < len(summary["paired"]):
        yield f"summary.json has all {len(summary['paired'])} sentences, of every metric and label."


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


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


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

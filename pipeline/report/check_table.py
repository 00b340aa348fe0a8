"""Format the report of a dataset check for a terminal: the dataset in a few lines, the findings, the verdict."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..data.length_units import shown_unit
from .check_summary import (
    annotated_words,
    count_annotating,
    count_orientations,
    count_parts,
    find_axis_spreads,
    ignored_words,
    length_unit,
    list_class_sizes,
    list_intensities,
    regions_words,
    sample_word,
    size_unit,
)
from .check_words import SEVERITIES, Group, dataset_name, group_findings, verdict
from .spread import Spread
from .text import amount, count_of, printable

__all__ = ["format_check"]

_WIDTH = 120
_TITLE_WIDTH = 14
_MAX_FINDINGS = 10  # shown per kind; the page shows all
_MAX_CLASSES = 12


def format_check(report: Mapping[str, Any]) -> str:
    """Return the report of a dataset check (the content of ``check.json``) as text for a terminal.

    Returns:
        The dataset, the findings by severity and kind, worst first and at most ten of a kind, and the verdict. Lines
        have at most 120 characters, except for longer file names.
    """
    groups = group_findings(report["findings"])
    blocks = [
        _format_dataset(report),
        *(_format_severity(groups, severity) for severity in SEVERITIES),
        [verdict(report)],
    ]
    return "\n\n".join("\n".join(lines) for block in blocks if (lines := list(block)))


def _format_dataset(report: Mapping[str, Any]) -> Iterator[str]:
    cases = len(report["cases"])
    yield from _format_row(
        "dataset", f"{dataset_name(report)}, {report['spatial_dims']}D ({printable(report['datalist'])})"
    )
    yield from _format_row("cases", _format_parts(report))
    yield from _format_row("channels", ", ".join(map(printable, report["channels"])) or "-")
    yield from _format_row(
        "labels", ", ".join(f"{value} {printable(name)}" for name, value in report["labels"].items())
    )
    for title, words in (
        ("regions", regions_words(report)),
        ("ignored", ignored_words(report)),
        ("annotated", annotated_words(report)),
    ):
        if words:
            yield from _format_row(title, printable(words))
    if codes := count_orientations(report):
        unread = cases - sum(number for _, number in codes)
        counts = [f"{printable(code)} {number}" for code, number in codes] + [f"not read {unread}"] * bool(unread)
        yield from _format_row("orientation", ", ".join(counts))
    for title, key, unit in (("spacing", "spacing", length_unit(report)), ("shape", "shape", sample_word(report))):
        if spreads := find_axis_spreads(report, key):
            yield from _format_row(title, _format_axes(spreads, unit))
    for name, values in zip(report["channels"], list_intensities(report), strict=True):
        low, high = Spread.of(values["min"]), Spread.of(values["max"])
        if low and high:
            usual, all_cases = (
                f"{amount(low.middle)} to {amount(high.middle)}",
                f"{amount(low.low)} to {amount(high.high)}",
            )
            yield from _format_row("intensity", f"{printable(name)}: median {usual}, over all cases {all_cases}")
    yield from _format_classes(report)


def _format_parts(report: Mapping[str, Any]) -> str:
    texts = []
    for part, folds in count_parts(report).items():
        numbers = [number for fold, number in folds.items() if fold is not None]
        split = f" in {count_of(len(numbers), 'fold')} ({' + '.join(map(str, numbers))})" if numbers else ""
        texts.append(f"{sum(folds.values()):,} {printable(part)}{split}")
    listed = sum(report["summary"].get(part, 0) for part in ("training", "test"))
    checked = report["summary"].get("checked", listed)
    return ", ".join(texts or ["none"]) + (f"; {checked:,} of {listed:,} checked" if checked < listed else "")


def _format_classes(report: Mapping[str, Any]) -> Iterator[str]:
    # Without label maps, as of scans to predict, no label was looked for.
    sizes = list_class_sizes(report) if any(case.get("label") for case in report["cases"]) else {}
    unit = shown_unit(size_unit(report))
    partial = bool(annotated_words(report))
    for name, values in list(sizes.items())[:_MAX_CLASSES]:
        spread = Spread.of(values)
        size = "in no case" + " that annotates it" * partial
        if spread:
            size = f"median {amount(spread.middle)} {unit}, from {amount(spread.low)} to {amount(spread.high)}"
            number = count_annotating(report, name)
            where = f"{number:,} that annotate it" if partial else count_of(number, "labelled case")
            size += f", in {len(values):,} of {where}"
        yield from _format_row("label size", f"{printable(name)}: {size}")
    if len(sizes) > _MAX_CLASSES:
        yield from _format_row("", f"and {count_of(len(sizes) - _MAX_CLASSES, 'more label')}")


def _format_axes(spreads: Sequence[Spread], unit: str) -> str:
    low, middle, high = (" x ".join(amount(getattr(s, part)) for s in spreads) for part in ("low", "middle", "high"))
    if low == high:
        return f"{middle} {unit}, the same in all cases"
    return f"median {middle} {unit}, from {low} to {high}"


def _format_severity(groups: Sequence[Group], severity: str) -> Iterator[str]:
    chosen = [group for group in groups if group.severity == severity]
    if chosen:
        yield f"{severity.upper()}S: {sum(len(group.findings) for group in chosen):,}"
    for group in chosen:
        yield f"  {group.title} [{printable(group.kind)}]: {len(group.findings):,}"
        said = {key: group.common(key) for key in ("expected", "remedy")}
        for finding in group.findings[:_MAX_FINDINGS]:
            # Leave out the case's name if the file's name contains it.
            case, file = finding.get("case"), finding.get("file")
            named = [case] if case is not None and str(case) not in str(file or "") else []
            where = " ".join(printable(name) for name in (*named, *([file] if file else []))) or "whole dataset"
            own = [f"expected {finding['expected']}"] * (said["expected"] is None)
            own += [f"to do: {finding['remedy']}"] * (said["remedy"] is None)
            yield from _wrap(f"    {where}: {printable('; '.join([finding['found'], *own]))}", "        ")
        if len(group.findings) > _MAX_FINDINGS:
            yield f"    and {len(group.findings) - _MAX_FINDINGS:,} more"
        if said["expected"] is not None:
            yield from _wrap(f"    expected: {printable(said['expected'])}", "        ")
        if said["remedy"] is not None:
            yield from _wrap(f"    to do: {printable(said['remedy'])}", "        ")


def _format_row(title: str, text: str) -> list[str]:
    return _wrap(f"{title:<{_TITLE_WIDTH}}{text}", " " * _TITLE_WIDTH)


def _wrap(text: str, indent: str) -> list[str]:
    """Return the text in lines of `_WIDTH`, with all but the first indented. File names are never broken."""
    return textwrap.wrap(
        text, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False, drop_whitespace=True
    )

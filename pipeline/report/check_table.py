"""The report of a dataset check as text for a terminal: the dataset in a few lines, the findings, the verdict."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .check_summary import (
    axis_spreads,
    class_sizes,
    intensity_values,
    orientations,
    part_counts,
    sample_word,
    size_unit,
)
from .check_words import SEVERITIES, Group, dataset_name, group_findings, verdict
from .spread import Spread
from .text import amount, count_of, printable

__all__ = ["as_table"]

_WIDTH = 120
_TITLE_WIDTH = 14
_MAX_FINDINGS = 10  # of a kind; the page has all
_MAX_CLASSES = 12


def as_table(report: Mapping[str, Any]) -> str:
    """Return the report of a dataset check (the content of ``check.json``) as text for a terminal.

    Returns:
        Lines of at most 120 characters, but for names of files that are longer: the dataset, the findings by severity
        and kind, worst first and ten of a kind at most, and last the verdict.
    """
    groups = group_findings(report["findings"])
    blocks = [_dataset(report), *(_severity(groups, severity) for severity in SEVERITIES), [verdict(report)]]
    return "\n\n".join("\n".join(lines) for block in blocks if (lines := list(block)))


def _dataset(report: Mapping[str, Any]) -> Iterator[str]:
    cases = len(report["cases"])
    yield from _row("dataset", f"{dataset_name(report)}, {report['spatial_dims']}D ({printable(report['datalist'])})")
    yield from _row("cases", _parts(report))
    yield from _row("channels", ", ".join(map(printable, report["channels"])) or "-")
    yield from _row("labels", ", ".join(f"{value} {printable(name)}" for name, value in report["labels"].items()))
    if codes := orientations(report):
        unread = cases - sum(number for _, number in codes)
        counts = [f"{printable(code)} {number}" for code, number in codes] + [f"not read {unread}"] * bool(unread)
        yield from _row("orientation", ", ".join(counts))
    for title, key, unit in (("spacing", "spacing", "mm"), ("shape", "shape", sample_word(report))):
        if spreads := axis_spreads(report, key):
            yield from _row(title, _axes(spreads, unit))
    for name, values in zip(report["channels"], intensity_values(report), strict=True):
        low, high = Spread.of(values["min"]), Spread.of(values["max"])
        if low and high:
            usual, all_cases = (
                f"{amount(low.middle)} to {amount(high.middle)}",
                f"{amount(low.low)} to {amount(high.high)}",
            )
            yield from _row("intensity", f"{printable(name)}: median {usual}, over all cases {all_cases}")
    yield from _classes(report)


def _parts(report: Mapping[str, Any]) -> str:
    texts = []
    for part, folds in part_counts(report).items():
        numbers = [number for fold, number in folds.items() if fold is not None]
        split = f" in {count_of(len(numbers), 'fold')} ({' + '.join(map(str, numbers))})" if numbers else ""
        texts.append(f"{sum(folds.values()):,} {printable(part)}{split}")
    listed = sum(report["summary"].get(part, 0) for part in ("training", "test"))
    checked = report["summary"].get("checked", listed)
    return ", ".join(texts or ["none"]) + (f"; {checked:,} of {listed:,} checked" if checked < listed else "")


def _classes(report: Mapping[str, Any]) -> Iterator[str]:
    sizes = class_sizes(report)
    unit = size_unit(report).replace("2", "²")
    labelled = sum(bool(case.get("classes")) for case in report["cases"])
    for name, values in list(sizes.items())[:_MAX_CLASSES]:
        spread = Spread.of(values)
        size = "in no case"
        if spread:
            size = f"median {amount(spread.middle)} {unit}, from {amount(spread.low)} to {amount(spread.high)}"
            size += f", in {len(values):,} of {count_of(labelled, 'labelled case')}"
        yield from _row("label size", f"{printable(name)}: {size}")
    if len(sizes) > _MAX_CLASSES:
        yield from _row("", f"and {count_of(len(sizes) - _MAX_CLASSES, 'more label')}")


def _axes(spreads: Sequence[Spread], unit: str) -> str:
    low, middle, high = (" x ".join(amount(getattr(s, part)) for s in spreads) for part in ("low", "middle", "high"))
    if low == high:
        return f"{middle} {unit}, the same in all cases"
    return f"median {middle} {unit}, from {low} to {high}"


def _severity(groups: Sequence[Group], severity: str) -> Iterator[str]:
    chosen = [group for group in groups if group.severity == severity]
    if chosen:
        yield f"{severity.upper()}S: {sum(len(group.findings) for group in chosen):,}"
    for group in chosen:
        yield f"  {group.title} [{printable(group.kind)}]: {len(group.findings):,}"
        said = {key: group.common(key) for key in ("expected", "remedy")}
        for finding in group.findings[:_MAX_FINDINGS]:
            # A case whose name is in the file's says nothing more.
            case, file = finding.get("case"), finding.get("file")
            named = [case] if case is not None and str(case) not in str(file or "") else []
            where = " ".join(printable(name) for name in (*named, *([file] if file else []))) or "whole dataset"
            own = [f"expected {finding['expected']}"] * (said["expected"] is None)
            own += [f"to do: {finding['remedy']}"] * (said["remedy"] is None)
            yield from _wrapped(f"    {where}: {printable('; '.join([finding['found'], *own]))}", "        ")
        if len(group.findings) > _MAX_FINDINGS:
            yield f"    and {len(group.findings) - _MAX_FINDINGS:,} more"
        if said["expected"] is not None:
            yield from _wrapped(f"    expected: {printable(said['expected'])}", "        ")
        if said["remedy"] is not None:
            yield from _wrapped(f"    to do: {printable(said['remedy'])}", "        ")


def _row(title: str, text: str) -> list[str]:
    return _wrapped(f"{title:<{_TITLE_WIDTH}}{text}", " " * _TITLE_WIDTH)


def _wrapped(text: str, indent: str) -> list[str]:
    """Return the text in lines of `_WIDTH`, those after the first indented; names of files are never broken."""
    return textwrap.wrap(
        text, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False, drop_whitespace=True
    )

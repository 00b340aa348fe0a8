"""Prepare the findings of a dataset check for its page: by severity and kind, with advice and a row for each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .check_cards import card_anchor, group_anchor
from .check_words import SEVERITIES, Group

__all__ = ["Cell", "Findings", "Section", "list_sections"]

_MEANINGS = {
    "problem": "Cannot be trained on, or the numbers would be wrong.",
    "warning": "Look at these: each may be an error or a rare case.",
    "note": "Harmless, but good to know.",
}
_MAX_OPEN = 20  # findings of a kind that are shown at once if the rest is folded
_MAX_MORE = 5  # so few more are not folded
_NAMES = {"case": "Case", "file": "File", "found": "Found", "expected": "Expected", "remedy": "What to do"}


@dataclass(frozen=True)
class Cell:
    """A cell of a finding's row: column, text, whether the text is a file name, and the ``id`` that it links to."""

    title: str
    text: str
    code: bool = False
    anchor: str | None = None


@dataclass(frozen=True)
class Findings:
    """The findings of one kind.

    Attributes:
        anchor: the group's ``id``.
        severity: ``problem``, ``warning`` or ``note``.
        title: the kind in words.
        kind: the kind as in ``check.json``.
        number: the number of findings.
        advice: texts that apply to all of them, by title.
        columns: the titles of the rows' cells, by their key.
        shown: rows that are shown at once.
        folded: rows that are shown on request.
    """

    anchor: str
    severity: str
    title: str
    kind: str
    number: int
    advice: Mapping[str, str]
    columns: Mapping[str, str]
    shown: Sequence[Sequence[Cell]]
    folded: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class Section:
    """All findings of a severity, and its meaning."""

    severity: str
    meaning: str
    groups: Sequence[Findings]


def list_sections(report: Mapping[str, Any], groups: Sequence[Group]) -> list[Section]:
    """Return the findings by severity, worst first, without severities that have none.

    Args:
        report: the content of ``check.json``.
        groups: its findings.
    """
    anchors: dict[str, str] = {}
    for index, case in enumerate(report["cases"]):
        anchors.setdefault(case["name"], card_anchor(index))
    sections = []
    for severity in SEVERITIES:
        chosen = [_make_findings(group, anchors) for group in groups if group.severity == severity]
        if chosen:
            sections.append(Section(severity, _MEANINGS[severity], chosen))
    return sections


def _make_findings(group: Group, anchors: Mapping[str, str]) -> Findings:
    number = len(group.findings)
    # Texts that all findings share are shown once, above the rows.
    common = {key: group.common(key) for key in ("remedy", "expected")}
    keys = ["case", "file", "found", *(key for key in ("expected", "remedy") if common[key] is None)]
    if all(finding.get("file") is None for finding in group.findings):
        keys.remove("file")
    shown = number if number <= _MAX_OPEN + _MAX_MORE else _MAX_OPEN
    return Findings(
        anchor=group_anchor(group),
        severity=group.severity,
        title=group.title,
        kind=group.kind,
        number=number,
        advice={_NAMES[key]: text for key, text in common.items() if text is not None} | _describe_fixable(group),
        columns={key: _NAMES[key] for key in keys},
        shown=_make_rows(group.findings[:shown], keys, anchors),
        folded=_make_rows(group.findings[shown:], keys, anchors),
    )


def _describe_fixable(group: Group) -> dict[str, str]:
    number = len(group.findings)
    fixable = sum(bool(finding.get("fixable")) for finding in group.findings)
    if not fixable:
        return {}
    fixables = "this" if number == 1 else "all of these" if fixable == number else f"{fixable:,} of these"
    return {"Fixable": f"{fixables} can be repaired automatically with lightskip check --fix"}


def _make_rows(
    findings: Iterable[Mapping[str, Any]], keys: Sequence[str], anchors: Mapping[str, str]
) -> list[list[Cell]]:
    return [[_make_cell(finding, key, anchors) for key in keys] for finding in findings]


def _make_cell(finding: Mapping[str, Any], key: str, anchors: Mapping[str, str]) -> Cell:
    value = finding.get(key)
    if value is None:
        return Cell(_NAMES[key], "whole dataset" if key == "case" else "")
    return Cell(_NAMES[key], str(value), code=key == "file", anchor=anchors.get(value) if key == "case" else None)

"""What the table and the page of a dataset check share: the names of the findings, their order, and the verdict."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = [
    "SEVERITIES",
    "Group",
    "amount",
    "case_severities",
    "count_of",
    "dataset_name",
    "grouped",
    "printable",
    "verdict",
]

# Worst first: the order of everything that is shown.
SEVERITIES = ("problem", "warning", "note")

# In the order in which they are shown, from the file to the dataset.
_TITLES = {
    "missing": "File missing",
    "unreadable": "File that cannot be opened",
    "empty-file": "Empty file",
    "lfs-pointer": "Git LFS pointer in place of the file",
    "misnamed": "Ending and content disagree on compression",
    "truncated": "Truncated or corrupt file",
    "not-an-image": "Not an image",
    "voxel-type": "Voxels that are not single real numbers",
    "unit": "Spacing not in millimetres",
    "spacing": "Impossible spacing",
    "affine": "Unusable affine",
    "sheared": "Axes not at right angles",
    "dimensions": "Wrong number of dimensions",
    "channels": "Wrong number of channels",
    "nan": "Voxels that are not a number",
    "infinite": "Infinite voxels",
    "constant": "Constant image",
    "range": "Intensities beyond all bounds",
    "shape-differs": "Shape differs within the case",
    "spacing-differs": "Spacing differs within the case",
    "origin-differs": "Origin differs within the case",
    "direction-differs": "Direction differs within the case",
    "same-file": "The same file twice in one case",
    "checksum": "Another file than when the datalist was made",
    "label-not-integer": "Labels that are not whole numbers",
    "label-undeclared": "Undeclared label",
    "leakage": "Leakage between folds or parts",
    "check-failed": "Case that could not be checked",
    "form-conflict": "Header says two places for one scan (qform, sform)",
    "form-missing": "Header without a place in the patient (qform, sform)",
    "grid-rounding": "Grids differ by a rounding error",
    "label-empty": "Empty label map",
    "label-volume": "Unusual volume of a label",
    "label-islands": "Tiny islands in a label map",
    "label-missing": "Label missing that nearly all cases have",
    "label-unused": "Declared label that no case has",
    "duplicate": "Identical images in two cases",
    "label-rounding": "Labels off by a rounding error",
    "label-float": "Label map stored as floating point",
    "labels-unknown": "Labels without names",
    "labels-not-consecutive": "Label values that are not consecutive",
    "orientation-mixed": "Orientations differ between cases",
    "spacing-outlier": "Unusual spacing",
}
_RANKS = {kind: rank for rank, kind in enumerate(_TITLES)}


@dataclass(frozen=True)
class Group:
    """All findings of one kind and severity, in the report's order."""

    severity: str
    kind: str
    findings: tuple[Mapping[str, Any], ...]

    @property
    def title(self) -> str:
        """The kind in words."""
        return _TITLES.get(self.kind) or printable(self.kind).replace("-", " ").capitalize()

    def common(self, key: str) -> str | None:
        """What all its findings say under this key, or None where they differ."""
        said = {str(finding[key]) for finding in self.findings}
        return said.pop() if len(said) == 1 else None


def grouped(findings: Iterable[Mapping[str, Any]]) -> list[Group]:
    """Findings of a check report by severity, worst first, and kind; a severity that is not known counts as worst."""
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for finding in findings:
        severity = finding["severity"] if finding["severity"] in SEVERITIES else SEVERITIES[0]
        groups.setdefault((severity, str(finding["kind"])), []).append(finding)
    order = sorted(groups, key=lambda key: (SEVERITIES.index(key[0]), _RANKS.get(key[1], len(_RANKS)), key[1]))
    return [Group(*key, findings=tuple(groups[key])) for key in order]


def case_severities(groups: Sequence[Group]) -> dict[str, str]:
    """The worst severity of each case that has a finding, by the case's name."""
    worst: dict[str, str] = {}
    for group in groups:
        for finding in group.findings:
            if finding.get("case") is not None:
                worst.setdefault(finding["case"], group.severity)  # groups come worst first
    return worst


def verdict(report: Mapping[str, Any]) -> str:
    """One sentence for a person: whether to train on this dataset, and the count of what was found."""
    groups = grouped(report["findings"])
    counts = {severity: sum(len(g.findings) for g in groups if g.severity == severity) for severity in SEVERITIES}
    told = [count_of(number, severity) for severity, number in counts.items() if number]
    if not report["cases"]:
        return f"Nothing was checked: the datalist has no case{'; ' * bool(told)}{', '.join(told)}."
    if not told:
        return "Fit for training: nothing was found."
    if not (counts["problem"] or counts["warning"]):
        return f"Fit for training: nothing was found but {told[0]}, harmless."
    worst = SEVERITIES[0] if counts["problem"] else SEVERITIES[1]
    named = sum(severity == worst for severity in case_severities(groups).values())
    where = f" in {count_of(named, 'case')}" if named else " in the dataset as a whole"
    advice = "Do not train on it yet" if worst == SEVERITIES[0] else "Look before training"
    return f"{advice}: {told[0]}{where}{'; ' * (len(told) > 1)}{', '.join(told[1:])}."


def dataset_name(report: Mapping[str, Any]) -> str:
    """What to call the dataset: the name that the report has, otherwise that of the datalist's file."""
    file = str(report.get("datalist") or "dataset").replace("\\", "/").rpartition("/")[2]
    return printable(report.get("name") or file.removesuffix(".json"))


def printable(value: object) -> str:
    r"""One line of text that is safe to show: names of files are whatever somebody called them.

    Runs of white space become one space; what would steer a terminal, turn the direction of writing or not encode as
    UTF-8 is shown as its escape, such as ``\x1b``.
    """
    line = " ".join(str(value).split())
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def amount(value: float | None) -> str:
    """A number with three digits that matter, in full up to ten millions; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "-"
    size = abs(value)
    if 100 <= size < 1e7:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def count_of(number: int, noun: str) -> str:
    """The number with its noun, such as ``1,208 cases``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"

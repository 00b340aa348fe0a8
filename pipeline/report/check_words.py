"""Texts that the table and the page of a dataset check share: the findings' titles, their order, and the verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .text import count_of, printable

__all__ = ["SEVERITIES", "Group", "case_severities", "dataset_name", "group_findings", "verdict"]

# Worst first. Everything is shown in this order.
SEVERITIES = ("problem", "warning", "note")

# In the order in which they are shown: first kinds about files, last kinds about the dataset.
_TITLES = {
    "missing": "File missing",
    "path-outside": "Absolute path out of the dataset's folder",
    "link-outside": "Link out of the dataset's folder",
    "unreadable": "File that cannot be opened",
    "empty-file": "Empty file",
    "lfs-pointer": "Git LFS pointer in place of the file",
    "annex-pointer": "git-annex pointer in place of the file",
    "misnamed": "Ending and content disagree on compression",
    "truncated": "Truncated or corrupt file",
    "not-an-image": "Not an image",
    "other-format": "Format whose place is not known",
    "other-content": "DICOM that is no scan of anatomy",
    "several-series": "Several DICOM series in one folder",
    "several-volumes": "Several volumes in one DICOM series",
    "voxel-offset": "Header with an impossible start of the voxels",
    "scaling": "Header with a scaling by no number",
    "voxel-type": "Voxels that are not single real numbers",
    "unit": "Spacing not in millimetres",
    "spacing": "Impossible spacing",
    "unit-mixed": "Pictures with and without a spacing",
    "affine": "Unusable affine",
    "sform-singular": "Header with an sform that places nothing",
    "sheared": "Axes not at right angles",
    "dimensions": "Wrong number of dimensions",
    "channels": "Wrong number of channels",
    "nan": "Voxels that are not a number",
    "infinite": "Infinite voxels",
    "constant": "Constant image",
    "range": "Intensities beyond all bounds",
    "label-lossy": "Label map in a format that changes its values",
    "shape-differs": "Shape differs within the case",
    "spacing-differs": "Spacing differs within the case",
    "origin-differs": "Origin differs within the case",
    "direction-differs": "Direction differs within the case",
    "same-file": "The same file twice in one case",
    "checksum": "Another file than when the datalist was made",
    "label-not-integer": "Labels that are not whole numbers",
    "label-undeclared": "Undeclared label",
    "leakage": "Leakage between folds or parts",
    "image-is-label": "Image that is a copy of its label map",
    "check-failed": "Case that could not be checked",
    "form-conflict": "Header with two positions for one scan (qform, sform)",
    "form-missing": "Header without a position in the patient",
    "scaling-ignored": "Header with a scaling that readers treat differently",
    "grid-rounding": "Grids differ by a rounding error",
    "intensity-units": "Scan in other units than the others",
    "ct-units": "CT without Hounsfield units",
    "image-few-values": "Image with few values, as a label map has",
    "label-misplaced": "Label map that does not fit its image",
    "channel-misplaced": "Channel that does not fit the label map",
    "label-place": "Labels in unusual places",
    "labels-are-objects": "Labels that count objects",
    "label-partial": "Label that a minority of the cases has",
    "label-unannotated": "Label that the case does not name as annotated",
    "region-order": "No order for overlapping regions",
    "labels-absent": "No label in any case",
    "label-empty": "Empty label map",
    "label-volume": "Unusual volume of a label",
    "label-islands": "Tiny islands in a label map",
    "label-missing": "Label missing that nearly all cases have",
    "label-unused": "Declared label that no case has",
    "duplicate": "Identical images in two cases",
    "other-series": "Other DICOM objects next to the scan",
    "voxel-offset-uneven": "Voxels that do not start at a multiple of 16 bytes",
    "trailing-data": "Data after the end of the voxels",
    "label-rounding": "Labels off by a rounding error",
    "label-float": "Label map stored as floating point",
    "labels-unknown": "Labels without names",
    "labels-not-consecutive": "Label values that are not consecutive",
    "orientation-mixed": "Orientations differ between cases",
    "spacing-outlier": "Unusual spacing",
    "spacing-conflict": "Two spacings for one picture",
    "spacing-incomplete": "Stack of pictures without a spacing between slices",
    "stack-axis": "Pages of a TIFF read as slices",
    "palette": "Numbers of colours in a palette as an image",
    "colour-depth": "Colours read with fewer bits than stored",
    "equal-channels": "Three equal channels read as one",
    "alpha-channel": "Alpha channel left out",
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
        """Return the kind in words."""
        return _TITLES.get(self.kind) or printable(self.kind).replace("-", " ").capitalize()

    def common(self, key: str) -> str | None:
        """Return the text that all findings have under this key, or None if they differ."""
        said = {str(finding[key]) for finding in self.findings}
        return said.pop() if len(said) == 1 else None


def group_findings(findings: Iterable[Mapping[str, Any]]) -> list[Group]:
    """Return the findings grouped by severity, worst first, and kind. An unknown severity counts as worst."""
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for finding in findings:
        severity = finding["severity"] if finding["severity"] in SEVERITIES else SEVERITIES[0]
        groups.setdefault((severity, str(finding["kind"])), []).append(finding)
    order = sorted(groups, key=lambda key: (SEVERITIES.index(key[0]), _RANKS.get(key[1], len(_RANKS)), key[1]))
    return [Group(*key, findings=tuple(groups[key])) for key in order]


def case_severities(groups: Sequence[Group]) -> dict[str, str]:
    """Return the worst severity of each case that has a finding, by the case's name."""
    worst: dict[str, str] = {}
    for group in groups:
        for finding in group.findings:
            if finding.get("case") is not None:
                worst.setdefault(finding["case"], group.severity)  # groups come worst first
    return worst


def verdict(report: Mapping[str, Any]) -> str:
    """Return one sentence: whether to train on this dataset, and the number of findings."""
    groups = group_findings(report["findings"])
    counts = {severity: sum(len(g.findings) for g in groups if g.severity == severity) for severity in SEVERITIES}
    counted = [count_of(number, severity) for severity, number in counts.items() if number]
    if not report["cases"]:
        return f"Nothing was checked: the datalist has no case{'; ' * bool(counted)}{', '.join(counted)}."
    only_test = all(case["part"] == "test" for case in report["cases"])
    fit = "Fit to be segmented or measured" if only_test else "Fit for training"
    if not counted:
        return f"{fit}: no findings."
    if not (counts["problem"] or counts["warning"]):
        return f"{fit}: only {counted[0]}, harmless."
    worst = SEVERITIES[0] if counts["problem"] else SEVERITIES[1]
    named = sum(severity == worst for severity in case_severities(groups).values())
    where = f" in {count_of(named, 'case')}" if named else " in the dataset as a whole"
    advice = ("Do not use these cases yet", "Look before you use these cases")
    if not only_test:
        advice = ("Do not train on it yet", "Look before training")
    return f"{advice[worst != SEVERITIES[0]]}: {counted[0]}{where}{'; ' * (len(counted) > 1)}{', '.join(counted[1:])}."


def dataset_name(report: Mapping[str, Any]) -> str:
    """Return the dataset's name from the report, otherwise from the datalist's file name."""
    file = str(report.get("datalist") or "dataset").replace("\\", "/").rpartition("/")[2]
    return printable(report.get("name") or file.removesuffix(".json"))

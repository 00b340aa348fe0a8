"""The result of one case's check: its findings, and its entry in the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .dataset import Case, report_name
from .errors import InputError
from .findings import Finding

__all__ = ["Inspection", "blank_record", "failed_case", "refused_case"]


@dataclass
class Inspection:
    """The result of one case's check.

    Args:
        findings: the case's own findings, without those from comparing cases.
        record: its entry in the report, ready for JSON; classes by their value in the files, as text.
        voxels: hash of the images' values: of all if the case was measured, otherwise of a sample; None if an image
            cannot be read.
        thumbnail: a JPEG; None if the first image cannot be read, or nothing was measured.
    """

    findings: list[Finding]
    record: dict[str, Any]
    voxels: str | None = None
    thumbnail: bytes | None = None


def blank_record(case: Case) -> dict[str, Any]:
    """Return a case's entry in the report, without measurements."""
    return {
        "name": case.name,
        "part": case.part,
        "fold": case.fold,
        "subject": case.subject,
        "annotated": None if case.annotated is None else list(case.annotated),
        "images": [report_name(path) for path in case.images],
        "label": None if case.label is None else report_name(case.label),
        **dict.fromkeys(("shape", "spacing", "unit", "orientation"), None),
        "dtypes": [],
        "intensity": [],
        "foreground": [],
        "fit": [],
        "classes": {},
        "ignored": 0,
    }


def refused_case(case: Case, error: InputError) -> Inspection:
    """Return the inspection of a case that was not read, with the reason as its only finding."""
    finding = Finding.from_error(error, case=case.name, file=report_name(case.images[0]))
    return Inspection([finding], blank_record(case))


def failed_case(case: Case, error: Exception) -> Inspection:
    """Return the inspection of a case whose check ended in an unexpected error."""
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    if isinstance(error, MemoryError):
        found, remedy = "too little memory", "use --workers 1, or a machine with more memory"
    else:
        found = "an error in the check itself"
        remedy = "report it to the maintainers of LightSkip, with the file if possible; the other cases were checked"
    finding = Finding(
        "check-failed",
        found=f"{found} ({reason})",
        expected="a case that can be read and measured",
        remedy=remedy,
        case=case.name,
        file=report_name(case.images[0]),
    )
    return Inspection([finding], blank_record(case))

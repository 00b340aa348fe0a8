"""What the check of one case returns: its findings, and its entry in the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .dataset import Case, report_name
from .findings import Finding

__all__ = ["Inspection", "blank_record", "failed_case"]


@dataclass
class Inspection:
    """What was found in a case.

    Args:
        findings: what is wrong with it, as far as the case alone shows.
        record: its entry in the report, JSON-ready; classes by their value in the files, as text.
        voxels: hash of the images' values, of all of them where the case was measured and of a sample otherwise; None
            where an image cannot be read.
        thumbnail: a JPEG; None where the first image cannot be read, and where nothing was measured.
    """

    findings: list[Finding]
    record: dict[str, Any]
    voxels: str | None = None
    thumbnail: bytes | None = None


def blank_record(case: Case) -> dict[str, Any]:
    """Return a case's entry in the report, with nothing measured yet."""
    return {
        "name": case.name,
        "part": case.part,
        "fold": case.fold,
        "subject": case.subject,
        "images": [report_name(path) for path in case.images],
        "label": None if case.label is None else report_name(case.label),
        **dict.fromkeys(("shape", "spacing", "orientation"), None),
        "dtypes": [],
        "intensity": [],
        "foreground": [],
        "classes": {},
    }


def failed_case(case: Case, error: Exception) -> Inspection:
    """Return the inspection of a case whose check ended in an error that nobody foresaw."""
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    if isinstance(error, MemoryError):
        found, remedy = "too little memory", "use --workers 1, or a machine with more memory"
    else:
        found = "an error in the check itself"
        remedy = "report it to the maintainers of LightSkip, best with the file; the other cases were checked"
    finding = Finding(
        "check-failed",
        found=f"{found} ({reason})",
        expected="a case that can be read and measured",
        remedy=remedy,
        case=case.name,
        file=report_name(case.images[0]),
    )
    return Inspection([finding], blank_record(case))

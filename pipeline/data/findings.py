"""What the dataset check can find: the kinds, how grave each is, and one finding as a record."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from .errors import InputError

__all__ = ["FIXABLE", "SEVERITIES", "Finding", "Severity"]

Severity = Literal["problem", "warning", "note"]

# problem: the case cannot be trained on, or a number from it would be wrong. warning: a person should look. note: said,
# and harmless.
SEVERITIES: dict[str, Severity] = {
    # what reading a file tells
    "missing": "problem",
    "unreadable": "problem",
    "empty-file": "problem",
    "lfs-pointer": "problem",
    "misnamed": "problem",
    "truncated": "problem",
    "not-an-image": "problem",
    "voxel-type": "problem",
    "unit": "problem",
    "spacing": "problem",
    "affine": "problem",
    "sheared": "problem",
    "form-conflict": "warning",
    "form-missing": "warning",
    # what the datalist itself says
    "same-file": "problem",
    "checksum": "problem",
    # axes and values
    "dimensions": "problem",
    "channels": "problem",
    "nan": "problem",
    "infinite": "problem",
    "constant": "problem",
    "range": "problem",
    # one file of a case against its first image
    "shape-differs": "problem",
    "spacing-differs": "problem",
    "origin-differs": "problem",
    "direction-differs": "problem",
    "grid-rounding": "warning",
    # label maps
    "label-not-integer": "problem",
    "label-undeclared": "problem",
    "label-empty": "warning",
    "label-volume": "warning",
    "label-islands": "warning",
    "label-unused": "warning",
    "label-missing": "warning",
    "label-rounding": "note",
    "label-float": "note",
    "labels-not-consecutive": "note",
    "labels-unknown": "note",
    # the check itself: a mistake of ours, or too little memory
    "check-failed": "problem",
    # one case against the others
    "duplicate": "warning",
    "leakage": "problem",
    "orientation-mixed": "note",
    "spacing-outlier": "note",
}
# What `fix_dataset` repairs.
FIXABLE = frozenset({"grid-rounding", "label-rounding", "label-float"})


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, odd or worth saying.

    Args:
        kind: a key of `SEVERITIES`.
        found: what is there.
        expected: what should be there.
        remedy: what to do about it.
        case: name of the case; None where it concerns the dataset.
        file: the file, as the datalist names it; None where it concerns no single one.
        severity: how grave it is; by default the kind's.
    """

    kind: str
    found: str
    expected: str
    remedy: str
    case: str | None = None
    file: str | None = None
    severity: Severity | None = None

    @classmethod
    def of(cls, problem: InputError, *, case: str, file: str) -> Finding:
        """Make a finding of an error that the check of a file raised."""
        return cls(problem.kind, problem.found, problem.expected, problem.remedy, case, file)

    def record(self) -> dict[str, Any]:
        """Give the finding as it stands in the report, JSON-ready."""
        severity = self.severity or SEVERITIES[self.kind]
        return asdict(self) | {"severity": severity, "fixable": self.kind in FIXABLE}

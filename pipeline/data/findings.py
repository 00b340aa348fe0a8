"""What the dataset check can find: the kinds, how grave each is, and one finding as a record."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from .errors import InputError

__all__ = ["FIXABLE", "SEVERITIES", "Finding", "Severity"]

Severity = Literal["problem", "warning", "note"]

# problem: the case cannot be trained on, or a number from it would be wrong; training refuses it. warning: a person
# should look. note: worth a line, and harmless. One table serves `lightskip check` and the gate of training, evaluation
# and prediction (`check.py`), so what one calls a problem the others refuse, and nothing else.
SEVERITIES: dict[str, Severity] = {
    # Reading a file. What stops the reading is a problem, whatever its kind (`Finding.unusable`).
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
    # Resampling takes the shear out exactly, and label maps return to the sheared grid. Other tools refuse the file.
    "sheared": "warning",
    # Training follows the sform, as MONAI and nibabel do. Whether the sform is right only a person can tell.
    "form-conflict": "warning",
    "form-missing": "warning",
    # The datalist itself.
    "same-file": "problem",
    # The file passes every other check, and may have been corrected on purpose. Training reads no file a second time.
    "checksum": "warning",
    # Axes and values.
    "dimensions": "problem",
    "channels": "problem",
    "nan": "problem",
    "infinite": "problem",
    "constant": "problem",
    "range": "problem",
    # One file of a case against its first image.
    "shape-differs": "problem",
    "spacing-differs": "problem",
    "origin-differs": "problem",
    "direction-differs": "problem",
    # Image and label map are resampled apart: a rounding error can give them two shapes.
    "grid-rounding": "problem",
    # Label maps.
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
    # The check itself: a bug, or too little memory.
    "check-failed": "problem",
    # One case against the others. A copy in the same fold only counts twice; on both sides of a split it is leakage.
    "duplicate": "warning",
    "leakage": "problem",
    "orientation-mixed": "note",
    "spacing-outlier": "note",
}
# What `fix_dataset` repairs.
FIXABLE = frozenset({"grid-rounding", "label-rounding", "label-float"})


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, odd or worth a line.

    Args:
        kind: a key of `SEVERITIES`.
        found: what is there.
        expected: what should be there.
        remedy: what to do about it.
        case: name of the case; None where it concerns the dataset.
        file: the file, as the datalist names it; None where it concerns no single one.
        severity: how grave it is; by default the kind's.
        where: the path at fault, where that is another than `file`: one slice of a series.
    """

    kind: str
    found: str
    expected: str
    remedy: str
    case: str | None = None
    file: str | None = None
    severity: Severity | None = None
    where: str | None = field(default=None, compare=False)

    @classmethod
    def of(cls, problem: InputError, *, case: str, file: str) -> Finding:
        """Make a finding of an error that the check of a file raised."""
        return cls(problem.kind, problem.found, problem.expected, problem.remedy, case, file, where=str(problem.where))

    @classmethod
    def unusable(cls, problem: InputError, *, case: str, file: str) -> Finding:
        """Make a finding of an error that ended the reading of a file: a problem, whatever its kind."""
        where = str(problem.where)
        return cls(problem.kind, problem.found, problem.expected, problem.remedy, case, file, "problem", where)

    @property
    def is_problem(self) -> bool:
        """Whether training refuses the case for it."""
        return (self.severity or SEVERITIES[self.kind]) == "problem"

    def error(self) -> InputError:
        """Return the finding as the error that refuses its file."""
        return InputError(
            self.where or self.file or "the dataset",
            found=self.found,
            expected=self.expected,
            remedy=self.remedy,
            kind=self.kind,
        )

    def record(self) -> dict[str, Any]:
        """Return the finding as it stands in the report, JSON-ready."""
        record = asdict(self) | {"severity": self.severity or SEVERITIES[self.kind], "fixable": self.kind in FIXABLE}
        del record["where"]
        return record

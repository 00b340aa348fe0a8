"""Findings of the dataset check: the kinds, the severity of each kind, and a finding as a record."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from .errors import InputError

__all__ = ["FIXABLE", "RESAMPLED", "SEVERITIES", "Finding", "Severity"]

Severity = Literal["problem", "warning", "note"]

# problem: the case cannot be trained on, or a number from it would be wrong. warning: a person should look.
# note: harmless. `lightskip check` and the check before training, evaluation and prediction (`check.py`) share this
# table, so that they refuse exactly what is called a problem here.
SEVERITIES: dict[str, Severity] = {
    # Reading a file. An error that ends the reading is a problem, whatever its kind (`Finding.from_read_error`).
    "missing": "problem",
    "unreadable": "problem",
    "empty-file": "problem",
    "lfs-pointer": "problem",
    "annex-pointer": "problem",
    "misnamed": "problem",
    "truncated": "problem",
    "not-an-image": "problem",
    # ITK would read the voxels and guess their place.
    "other-format": "problem",
    # DICOM: what no reader should guess.
    "other-content": "problem",
    "several-series": "problem",
    "several-volumes": "problem",
    # The folder has one scan. What archives send along with it does not change its voxels.
    "other-series": "note",
    "voxel-offset": "problem",
    "voxel-type": "problem",
    "unit": "problem",
    "spacing": "problem",
    "affine": "problem",
    # Resampling removes the shear exactly, and label maps return to the sheared grid. Other tools refuse the file.
    "sheared": "warning",
    # Training uses the sform, as MONAI and nibabel do. Only a person can say whether the sform is correct.
    "form-conflict": "warning",
    "form-missing": "warning",
    # Readers use different forms; `--fix` copies the sound one.
    "sform-singular": "problem",
    "scaling": "problem",
    # Values differ between readers; only a person can say which are correct.
    "scaling-ignored": "warning",
    # Some writers pad their files. A wrong shape in the header is another reason.
    "trailing-data": "note",
    # Only SPM minds.
    "voxel-offset-uneven": "note",
    # The datalist itself. Whose files these are, and whether they were meant, only a person can say.
    "path-outside": "warning",
    "link-outside": "warning",
    "same-file": "problem",
    # The file passes all other checks, and may have been corrected on purpose. Training reads no file twice.
    "checksum": "warning",
    # Axes and values.
    "dimensions": "problem",
    "channels": "problem",
    "nan": "problem",
    "infinite": "problem",
    "constant": "problem",
    "range": "problem",
    # Pictures. Opacity and colours that say nothing are left out, the rest is right.
    "alpha-channel": "note",
    "equal-channels": "note",
    # The numbers of colours are the labels of a label map, and say nothing in an image.
    "palette": "warning",
    # The values are right but coarser than in the file.
    "colour-depth": "warning",
    # TIFF. Pages are read as slices, whatever the file calls them.
    "stack-axis": "note",
    # Lengths are in pixels then, and say so.
    "spacing-incomplete": "note",
    # The file is used as documented; only a person can say which of the two is right.
    "spacing-conflict": "warning",
    # Distances and areas in pixels and in mm have no common mean.
    "unit-mixed": "problem",
    # One file of a case against its first image.
    "shape-differs": "problem",
    "spacing-differs": "problem",
    "origin-differs": "problem",
    "direction-differs": "problem",
    # Image and label map are resampled separately: a rounding error can make their shapes differ.
    "grid-rounding": "problem",
    # The image is its own label map: a network would learn nothing else.
    "image-is-label": "problem",
    # Label maps.
    "label-not-integer": "problem",
    # JPEG smears the border between two labels into values of neither.
    "label-lossy": "problem",
    "label-undeclared": "problem",
    # A network would learn to give the background everywhere.
    "labels-absent": "problem",
    "label-empty": "warning",
    "label-volume": "warning",
    "label-islands": "warning",
    "label-unused": "warning",
    "label-missing": "warning",
    # What values and shapes say about a case next to the others, or about all cases. Only a person can tell an error
    # from a rare scan.
    "intensity-units": "warning",
    "ct-units": "warning",
    "image-few-values": "warning",
    "label-misplaced": "warning",
    "channel-misplaced": "warning",
    "label-place": "warning",
    "labels-are-objects": "warning",
    "label-partial": "warning",
    # Either the label was annotated after all, or the voxels are a mistake.
    "label-unannotated": "warning",
    # A voxel in several regions has one value in a label map, and only a person can say which.
    "region-order": "problem",
    "label-rounding": "note",
    "label-float": "note",
    "labels-not-consecutive": "note",
    "labels-unknown": "note",
    # The check itself failed: a bug, or too little memory.
    "check-failed": "problem",
    # One case against the others. A copy in the same fold only counts twice; across a split it is leakage.
    "duplicate": "warning",
    "leakage": "problem",
    "orientation-mixed": "note",
    "spacing-outlier": "note",
}
# The kinds that `fix_dataset` repairs.
FIXABLE = frozenset({"grid-rounding", "label-rounding", "label-float", "sform-singular"})
# Those that it repairs by resampling, only in cases of several channels.
RESAMPLED = frozenset({"shape-differs", "spacing-differs", "origin-differs", "direction-differs"})


@dataclass(frozen=True)
class Finding:
    """One problem, warning or note.

    Args:
        kind: a key of `SEVERITIES`.
        found: what is there.
        expected: what should be there.
        remedy: what to do about it.
        case: name of the case; None if it concerns the dataset.
        file: the file, as the datalist names it; None if it concerns no single file.
        severity: its severity; by default that of the kind.
        where: the path at fault, if it is not `file`: one slice of a series.
        fixable: whether `fix_dataset` repairs it; by default what `FIXABLE` says of the kind.
    """

    kind: str
    found: str
    expected: str
    remedy: str
    case: str | None = None
    file: str | None = None
    severity: Severity | None = None
    where: str | None = field(default=None, compare=False)
    fixable: bool | None = None

    @classmethod
    def from_error(cls, problem: InputError, *, case: str, file: str, fixable: bool | None = None) -> Finding:
        """Return an error that the check of a file raised as a finding."""
        words = (problem.kind, problem.found, problem.expected, problem.remedy)
        return cls(*words, case, file, where=str(problem.where), fixable=fixable)

    @classmethod
    def from_read_error(cls, problem: InputError, *, case: str, file: str) -> Finding:
        """Return an error that ended the reading of a file as a finding: a problem, whatever its kind."""
        where = str(problem.where)
        return cls(problem.kind, problem.found, problem.expected, problem.remedy, case, file, "problem", where)

    @property
    def is_problem(self) -> bool:
        """Whether training refuses the case because of it."""
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
        """Return the finding as an entry of the report, ready for JSON."""
        record = asdict(self) | {"severity": self.severity or SEVERITIES[self.kind]}
        record["fixable"] = self.kind in FIXABLE if self.fixable is None else self.fixable
        del record["where"]
        return record

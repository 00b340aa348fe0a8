"""The check of a case's label map."""

from __future__ import annotations

import numpy as np

from .case_check import CaseCheck
from .check_file import (
    WHOLE_NUMBER_TOLERANCE,
    Grid,
    find_label_problems,
    find_lossy_label,
    find_not_finite,
    label_values,
)
from .check_grid import find_header_problems
from .dataset import locate, report_name
from .images.header import Volume
from .intensities import sample_voxels

__all__ = ["read_label"]


def read_label(check: CaseCheck, path: str) -> Grid | None:
    """Check the label map, measure its structures, and return its grid; None if it cannot be read."""
    read = check.read(path, channels=1)
    if read is None:
        return None
    (volume, shape), name = read, report_name(path)
    file = str(locate(check.folder, path))
    for each in find_header_problems(file, volume, shape):
        if each.kind != "palette":
            check.add(each, name)
    if volume.header.is_lossy:
        # Its values, often dozens, need no further finding.
        for each in find_lossy_label(volume.header):
            check.add(each, name)
        return Grid(name, shape, volume.affine)
    bad = list(find_not_finite(file, volume.voxels))
    values = None if bad else label_values(volume.voxels)
    if values is not None:
        bad = list(find_label_problems(file, values, check.wanted.declared, check.wanted.ignored))
        if not any(each.kind == "label-not-integer" for each in bad):
            _check_storage(check, name, volume, values)
    for each in bad:
        check.add(each, name)
    sound = all(each.kind == "label-undeclared" for each in bad)
    if values is not None and sound:
        _check_structures(check, name, set(np.rint(values).astype(int).tolist()))
    check.label_sample = sample_voxels(volume.voxels.reshape(shape))
    if check.measures is not None:
        check.require_time()
        check.measures.add_label(volume, shape, sound=sound)
    return Grid(name, shape, volume.affine)


def _check_structures(check: CaseCheck, name: str, values: set[int]) -> None:
    """Add a finding if a label map has neither a structure nor, among ignored voxels, the background."""
    background, ignored = check.wanted.background, values.intersection(check.wanted.ignored)
    if values <= ignored:
        check.add_new(
            "label-empty",
            name,
            found=f"a label map without any annotation: {_join(ignored)}, which is ignored, in every voxel",
            expected="at least one annotated voxel",
            remedy="check that it is the right file, or remove the case: nothing of it counts",
        )
    elif values <= ignored | {background}:
        more = f" or {_join(ignored)}, which is ignored," if ignored else ""
        check.add_new(
            "label-empty",
            name,
            found=f"a label map without any structure: {background}{more} in every voxel",
            expected="at least one labelled voxel",
            remedy="check that it is the right file; if the scan shows none of the structures, do nothing",
        )


def _join(values: set[int]) -> str:
    return " or ".join(map(str, sorted(values)))


def _check_storage(check: CaseCheck, name: str, volume: Volume, values: np.ndarray) -> None:
    off = np.abs(values - np.rint(values)).max(initial=0)
    if off > 0:
        odd = values[np.abs(values - np.rint(values)) > 0][0]
        check.add_new(
            "label-rounding",
            name,
            found=f"label values such as {odd:.9g}, which count as {np.rint(odd):g}",
            expected=f"whole numbers; a value up to {WHOLE_NUMBER_TOLERANCE:g} away counts as one",
            remedy="do nothing, or run `lightskip check --fix FOLDER`, which writes a copy with whole numbers",
        )
    elif volume.stored.startswith("float"):
        check.add_new(
            "label-float",
            name,
            found=f"whole numbers, stored as {volume.stored}",
            expected="an integer type",
            remedy="do nothing, or run `lightskip check --fix FOLDER`, which writes a copy with integers",
        )

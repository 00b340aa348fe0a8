"""Changes to where the header says that the voxels lie."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.random import Generator

from .files import Change, File


def header_fields(**fields: Any) -> Change:
    return lambda file, _rng: file.with_header(**fields)


def affine_changed(change: Callable[[np.ndarray], np.ndarray], **codes: int) -> Change:
    return lambda file, _rng: file.with_affine(change(file.affine), **codes)


def in_voxels(matrix: np.ndarray, **codes: int) -> Change:
    """Multiply with a 4x4 matrix of voxels."""
    return affine_changed(lambda affine: affine @ matrix, **codes)


def in_mm(matrix: np.ndarray, **codes: int) -> Change:
    """Multiply with a 4x4 matrix of mm."""
    return affine_changed(lambda affine: matrix @ affine, **codes)


def shift(*offset: float) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, 3] = offset
    return matrix


def turn(radians: float) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(radians), -np.sin(radians)], [np.sin(radians), np.cos(radians)]]
    return matrix


def shear(by: float) -> np.ndarray:
    matrix = np.eye(4)
    matrix[0, 1] = by
    return matrix


def turned_about_centre(file: File, rng: Generator) -> File:
    centre = shift(*((np.array(file.voxels.shape) - 1) / 2))
    return file.with_affine(file.affine @ centre @ turn(np.deg2rad(5)) @ np.linalg.inv(centre))


def axis_flipped(file: File, rng: Generator) -> File:
    """The header says that the first axis runs the other way through the same box; the voxels do not."""
    return file.with_affine(file.affine @ shift(file.voxels.shape[0] - 1, 0, 0) @ np.diag([-1.0, 1, 1, 1]))


def spacing_in_mm(*mm: float) -> Change:
    def changed(file: File, rng: Generator) -> File:
        axes = file.affine[:3, :3]
        affine = file.affine.copy()
        affine[:3, :3] = axes / np.linalg.norm(axes, axis=0) * mm
        return file.with_affine(affine)

    return changed


def srow_entry(row: str, **entries: float) -> Change:
    """Change entries of the sform (by their index, as `_2`), which is the only form in use."""

    def changed(file: File, rng: Generator) -> File:
        new = file.with_affine(file.affine, qform=0)
        for index, value in entries.items():
            new.header[row][int(index[1:])] = value
        return new

    return changed


def singular(file: File, rng: Generator) -> File:
    affine = file.affine.copy()
    affine[:3, 1] = affine[:3, 0]
    return file.with_affine(affine, qform=0)


def form_only(form: str, matrix: np.ndarray) -> Change:
    """Move the qform, or the sform, alone; both stay coded."""

    def changed(file: File, rng: Generator) -> File:
        header = file.header.copy()
        getattr(header, f"set_{form}")(file.affine @ matrix, code=1)
        header["qform_code"] = header["sform_code"] = 1
        return replace(file, header=header)

    return changed


def grown(file: File, rng: Generator) -> File:
    """Twice as many voxels along each axis in the same box."""
    voxels = file.voxels.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    return file.with_affine(file.affine @ shift(-0.25, -0.25, -0.25) @ np.diag([0.5, 0.5, 0.5, 1])).with_voxels(voxels)


def padded(file: File, rng: Generator) -> File:
    voxels = np.pad(file.voxels, ((0, 0), (0, 0), (1, 0)))
    return file.with_affine(file.affine @ shift(0, 0, -1)).with_voxels(voxels)


def pixdim_set(size: float) -> Change:
    """Spoil the spacing of the second axis; the sform, alone in use, is right."""

    def changed(file: File, rng: Generator) -> File:
        new = file.with_affine(file.affine, qform=0)
        new.header["pixdim"][2] = size
        return new

    return changed


def pixdim_times(factor: float) -> Change:
    """Make pixdim, and with it the qform, contradict the sform: ITK takes the spacing from the one, nibabel not."""

    def changed(file: File, rng: Generator) -> File:
        new = file.with_affine(file.affine)
        new.header["pixdim"][1:4] *= factor
        return new

    return changed


def no_column(file: File, rng: Generator) -> File:
    return file.with_affine(file.affine @ np.diag([1.0, 1, 0, 1]), qform=0)


def no_origin(file: File, rng: Generator) -> File:
    """The origin in the middle of the volume, where a tool puts it that was told none."""
    affine = file.affine
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(file.voxels.shape) - 1) / 2)
    return file.with_affine(affine)

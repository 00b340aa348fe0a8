"""The dataset check: every file is read whole before a training starts, and all that is wrong is told at once."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from .datalist import as_list
from .errors import InputError
from .volumes import read_volume

# Tools round affines in different ways: a thousandth of a voxel is above what rounding does and far below any harm.
_SAME_PLACE_MM = 1e-3
_SAME_PLACE_VOXELS = 1e-3
_WHOLE_NUMBER_TOLERANCE = 1e-3
_MOST_LISTED_VALUES = 10
_FEWEST_CASES_WITH_PROGRESS = 50


def check_cases(
    cases: Sequence[Mapping[str, Any]],
    *,
    labels: Mapping[str, int] | Sequence[int] | None,
    channels: int = 1,
    image_key: str = "image",
    label_key: str = "label",
    workers: int | None = None,
    progress: bool = True,
) -> None:
    """Read every image and label map of the cases whole, and return only if nothing is wrong with them.

    Looked for: files that are missing, empty, Git LFS pointers, truncated, corrupt or no image; complex or RGB voxels;
    a number of axes or channels other than meant (trailing axes of length 1 are no matter); NaN and infinite voxels;
    spacing or affine that is zero or not finite; files of one case that differ in shape or place; label values that
    are not whole numbers (to 0.001) or not declared. Two files lie in the same place when their affines move no corner
    of the volume apart by more than 0.001 mm or 0.001 of the smallest spacing, whichever is larger.

    Args:
        cases: items with the paths of an image (a list of paths where each channel has its own file) and a label map.
        labels: the declared label values, by name or alone; 0, the background, is always allowed. With None any
            whole number is.
        channels: channels of an image: as many files, or the length of the last axis of its only file.
        image_key: key of the image in a case.
        label_key: key of the label map in a case.
        workers: cases read at the same time, each held in memory; by default the number of CPUs, 4 at most.
        progress: whether to show a progress bar on stderr (from 50 cases on).

    Raises:
        InputError: the first problem in full, and a line for each of up to ten more files. A file is named once, with
            the first of its problems.
    """
    declared = None if labels is None else _declared(labels)
    check = partial(_check_case, image_key=image_key, label_key=label_key, channels=channels, declared=declared)
    _check_all(check, cases, workers=workers, progress=progress)


def check_scans(
    scans: Sequence[Mapping[str, Any]],
    *,
    channels: int = 1,
    image_key: str = "image",
    workers: int | None = None,
    progress: bool = True,
) -> None:
    """Do for scans without label maps what `check_cases` does for cases; arguments and error are the same."""
    check = partial(_check_case, image_key=image_key, label_key=None, channels=channels, declared=None)
    _check_all(check, scans, workers=workers, progress=progress)


class _Grid(NamedTuple):
    """Where a file's voxels lie: spatial shape (voxels) and voxel-to-world affine, 4x4 (mm)."""

    path: str
    shape: tuple[int, ...]
    affine: np.ndarray


def _check_all(
    check: Callable[[Mapping[str, Any]], list[InputError]],
    cases: Sequence[Mapping[str, Any]],
    *,
    workers: int | None,
    progress: bool,
) -> None:
    problems: dict[str, InputError] = {}
    silent = not progress or len(cases) < _FEWEST_CASES_WITH_PROGRESS
    executor = ThreadPoolExecutor(workers or min(4, os.cpu_count() or 1))
    try:
        results = executor.map(check, cases)
        for found in tqdm(results, total=len(cases), desc="Checking", unit="case", disable=silent):
            for problem in found:
                problems.setdefault(str(problem.where), problem)
    finally:
        # After Ctrl-C the cases not begun are not read any more.
        executor.shutdown(cancel_futures=True)
    if problems:
        first, *others = problems.values()
        raise InputError(first.where, found=first.found, expected=first.expected, remedy=first.remedy, others=others)


def _check_case(
    case: Mapping[str, Any],
    *,
    image_key: str,
    label_key: str | None,
    channels: int,
    declared: Mapping[int, str] | None,
) -> list[InputError]:
    """Return the first problem of each file of the case. At most one file's voxels are in memory at a time."""
    images = [str(path) for path in as_list(case[image_key])]
    if len(images) not in {1, channels}:
        found, expected = (
            f"{len(images)} image files in one case",
            f"{channels} files, one per channel, or one with all",
        )
        return [InputError(images[0], found=found, expected=expected, remedy="correct the datalist or the channels")]
    per_file = channels if len(images) == 1 else 1
    steps = [partial(_check_image, path, channels=per_file) for path in images]
    if label_key is not None:
        steps.append(partial(_check_label, str(case[label_key]), declared=declared))
    reference: _Grid | None = None
    problems = []
    for step in steps:
        try:
            grid = step()
            if reference is not None:
                _check_same_grid(grid, reference)
            reference = reference or grid
        except InputError as problem:
            # The copy has no traceback, whose frames would keep the voxels in memory.
            problems.append(copy.copy(problem))
    return problems


def _check_image(path: str, *, channels: int) -> _Grid:
    voxels, affine = read_volume(path)
    shape = _spatial_shape(path, voxels.shape, channels)
    _check_finite(path, voxels)
    return _Grid(path, shape, affine)


def _check_label(path: str, *, declared: Mapping[int, str] | None) -> _Grid:
    voxels, affine = read_volume(path)
    shape = _spatial_shape(path, voxels.shape, channels=1)
    _check_finite(path, voxels)
    _check_label_values(path, _values_beside_zero(voxels), declared)
    return _Grid(path, shape, affine)


def _spatial_shape(path: str, shape: tuple[int, ...], channels: int) -> tuple[int, ...]:
    """Return the shape without trailing axes of length 1 (beyond three) and without the channel axis."""
    spatial = shape
    while len(spatial) > 3 and spatial[-1] == 1:
        spatial = spatial[:-1]
    if channels > 1:
        found_channels, spatial = (spatial[-1], spatial[:-1]) if len(spatial) > 2 else (1, spatial)
    else:
        found_channels = 1
    if found_channels != channels or len(spatial) not in {2, 3} or 0 in spatial:
        meant = "one volume (x, y, z)" if channels == 1 else f"a volume with {channels} channels (x, y, z, {channels})"
        raise InputError(
            path,
            found=f"a file with {len(shape)} axes, shape {shape}",
            expected=meant,
            remedy="split or select the volumes, or correct the number of channels",
        )
    return spatial


def _check_finite(path: str, voxels: np.ndarray) -> None:
    if voxels.dtype.kind != "f":
        return
    with np.errstate(all="ignore"):
        # A sum needs no second array, and nothing but finite summands makes it finite.
        if np.isfinite(voxels.sum(dtype=np.float64)):
            return
    bad = voxels.size - np.count_nonzero(np.isfinite(voxels))
    if bad:
        raise InputError(
            path,
            found=f"{bad} of {voxels.size} voxels NaN or infinite",
            expected="a finite number in every voxel",
            remedy="replace these voxels (for an image, by its background), or make the file again",
        )


def _values_beside_zero(voxels: np.ndarray) -> np.ndarray:
    """Return the distinct values, sorted, without 0: sorting the few labelled voxels of a slice is cheap."""
    slices = np.moveaxis(voxels, -1, 0)
    return np.unique(np.concatenate([np.unique(part[part != 0]) for part in slices]))


def _check_label_values(path: str, values: np.ndarray, declared: Mapping[int, str] | None) -> None:
    whole = np.rint(values)
    broken = values[np.abs(values - whole) > _WHOLE_NUMBER_TOLERANCE]
    if broken.size:
        raise InputError(
            path,
            found=f"label values that are not whole numbers: {_listed(broken)}",
            expected="one whole number per structure",
            remedy="make the label map again with nearest-neighbour interpolation",
        )
    undeclared = sorted(set(whole.astype(np.int64).tolist()) - {0, *(declared or {})})
    if declared is not None and undeclared:
        raise InputError(
            path,
            found=f"undeclared label values: {_listed(np.array(undeclared))}",
            expected=f"only the declared ones: {', '.join(declared.values())}",
            remedy="declare these labels, or correct the label map",
        )


def _check_same_grid(grid: _Grid, reference: _Grid) -> None:
    if grid.shape != reference.shape:
        raise InputError(
            grid.path,
            found=f"shape {grid.shape}",
            expected=f"shape {reference.shape}, that of {reference.path}",
            remedy="check that both files belong to the same scan, and resample one to the other's grid",
        )
    smallest = np.linalg.norm(reference.affine[:3, :3], axis=0).min()
    apart = _largest_distance(grid, reference)
    if apart > max(_SAME_PLACE_MM, _SAME_PLACE_VOXELS * smallest):
        raise InputError(
            grid.path,
            found=f"an affine that moves the volume by up to {apart:.3g} mm",
            expected=f"the affine of {reference.path}",
            remedy="copy the header of the right file if the voxels correspond, otherwise resample one to the other",
        )


def _largest_distance(grid: _Grid, reference: _Grid) -> float:
    """Return how far (mm) the two affines put the same corner of the volume apart, at most."""
    ends = [(0, size - 1) for size in (*grid.shape, 1)[:3]]
    corners = np.array([(*corner, 1) for corner in product(*ends)], dtype=float)
    return float(np.linalg.norm((corners @ (grid.affine - reference.affine).T)[:, :3], axis=1).max())


def _declared(labels: Mapping[str, int] | Sequence[int]) -> dict[int, str]:
    """Return how to show each declared value, such as `{1: "1 (anterior)"}`, sorted, always with 0."""
    if isinstance(labels, Mapping):
        shown = {int(value): f"{value} ({name})" for name, value in labels.items()}
    else:
        shown = {int(value): str(value) for value in labels}
    return dict(sorted(({0: "0"} | shown).items()))


def _listed(values: np.ndarray) -> str:
    shown = ", ".join(f"{value:.6g}" for value in values[:_MOST_LISTED_VALUES])
    more = len(values) - _MOST_LISTED_VALUES
    return f"{shown} and {more} more" if more > 0 else shown

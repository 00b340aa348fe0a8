"""The dataset check: every file is read whole before a training starts, and all that is wrong is told at once."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from tqdm import tqdm

from .check_file import Grid, check_image, check_label, raise_first
from .check_grid import grid_problems
from .datalist import as_list
from .errors import InputError

_FEWEST_CASES_WITH_PROGRESS = 50


def check_cases(
    cases: Sequence[Mapping[str, Any]],
    *,
    labels: Mapping[str, int] | Sequence[int] | None,
    channels: int = 1,
    spatial_dims: int = 3,
    workers: int | None = None,
    progress: bool = True,
) -> None:
    """Read every image and label map of the cases whole, and return only if nothing is wrong with them.

    Looked for: files that are missing, empty, Git LFS pointers, truncated, corrupt or no image; complex or RGB voxels;
    axes or channels that MONAI would read as others than meant; NaN and infinite voxels; images with one value in
    every voxel, or with values beyond ±1e18; a spacing in metres or micrometres, one outside 0.01 to 100 mm, an affine
    that is zero or not finite; files of one case that differ in shape or place; label values that are not whole
    numbers (to 0.001) or not declared. Two files lie in the same place when their affines move no corner of the volume
    apart by more than 0.001 mm or 0.001 of the smallest spacing, whichever is larger.

    Args:
        cases: items `{"image": path, "label": path}`; a list of paths where each channel of an image has its own file.
        labels: the declared label values, by name or alone; 0, the background, is always allowed, unless another
            value is named "background". With None any whole number is.
        channels: channels of an image: as many files, or the length of the last axis of its only file.
        spatial_dims: axes in space, 2 or 3, of every file.
        workers: cases read at the same time, each held in memory; by default the number of CPUs, 4 at most.
        progress: whether to show a progress bar on stderr (from 50 cases on).

    Raises:
        InputError: the first problem in full, and a line for each of up to ten more files. A file is named once, with
            the first of its problems.
    """
    declared = None if labels is None else declared_values(labels)
    check_the_label = partial(check_label, spatial_dims=spatial_dims, declared=declared)
    check = partial(_check_case, channels=channels, spatial_dims=spatial_dims, check_the_label=check_the_label)
    _check_all(check, cases, workers=workers, progress=progress)


def check_scans(
    scans: Sequence[Mapping[str, Any]],
    *,
    channels: int = 1,
    spatial_dims: int = 3,
    workers: int | None = None,
    progress: bool = True,
) -> None:
    """Do for scans without label maps what `check_cases` does for cases; arguments and error are the same."""
    check = partial(_check_case, channels=channels, spatial_dims=spatial_dims, check_the_label=None)
    _check_all(check, scans, workers=workers, progress=progress)


def _check_all(
    check: Callable[[Mapping[str, Any]], list[InputError]],
    cases: Sequence[Mapping[str, Any]],
    *,
    workers: int | None,
    progress: bool,
) -> None:
    problems: dict[str, InputError] = {}
    # None: nothing is drawn into a log file.
    silent = None if progress and len(cases) >= _FEWEST_CASES_WITH_PROGRESS else True
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
    channels: int,
    spatial_dims: int,
    check_the_label: Callable[[str], Grid] | None,
) -> list[InputError]:
    """Return the first problem of each file of the case. At most one file's voxels are in memory at a time."""
    images = [str(path) for path in as_list(case["image"])]
    if len(images) not in {1, channels}:
        found, expected = (
            f"{len(images)} image files in one case",
            f"{channels} files, one per channel, or one with all",
        )
        return [InputError(images[0], found=found, expected=expected, remedy="correct the datalist or the channels")]
    per_file = channels if len(images) == 1 else 1
    steps = [partial(check_image, path, channels=per_file, spatial_dims=spatial_dims) for path in images]
    if check_the_label is not None:
        steps.append(partial(check_the_label, str(case["label"])))
    reference: Grid | None = None
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


def _check_same_grid(grid: Grid, reference: Grid) -> None:
    raise_first(grid_problems(grid, reference))


def declared_values(labels: Mapping[str, int] | Sequence[int]) -> dict[int, str]:
    """Return how to show each declared value, such as `{1: "1 (anterior)"}`, sorted.

    0 is among them, unless another value is named "background".
    """
    if isinstance(labels, Mapping):
        shown = {int(value): f"{value} ({name})" for name, value in labels.items()}
    else:
        shown = {int(value): str(value) for value in labels}
    background = {} if isinstance(labels, Mapping) and "background" in labels else {0: "0"}
    return dict(sorted((background | shown).items()))

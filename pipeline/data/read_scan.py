"""Reading the files of one scan and checking them, each decoded once."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from .check_file import Grid, check_volume, raise_first
from .check_grid import grid_problems
from .errors import InputError
from .images.door import read_volume
from .images.header import Volume

__all__ = ["read_scan"]


def read_scan(files: Sequence[str], *, channels: int, spatial_dims: int) -> list[Volume]:
    """Read every file of a scan whole, and return the volumes if nothing is wrong with them.

    Args:
        files: one file with all channels, or one per channel.
        channels: of the scan.
        spatial_dims: axes in space, 2 or 3.

    Raises:
        InputError: what `check_scans` raises for these files: the first problem in full, a line for each other file.
    """
    if len(files) not in {1, channels}:
        found, expected = f"{len(files)} image files in one case", f"{channels} files, one per channel, or one with all"
        raise InputError(files[0], found=found, expected=expected, remedy="correct the datalist or the channels")
    per_file = channels if len(files) == 1 else 1
    volumes: list[Volume] = []
    problems: list[InputError] = []
    reference: Grid | None = None
    for file in files:
        try:
            volume = read_volume(file)
            grid = check_volume(volume, channels=per_file, spatial_dims=spatial_dims)
            if reference is not None:
                raise_first(grid_problems(grid, reference))
            reference = reference or grid
            volumes.append(volume)
        except InputError as problem:
            # The copy has no traceback, whose frames would keep the voxels in memory.
            problems.append(copy.copy(problem))
    if problems:
        first, *others = problems
        raise InputError(first.where, found=first.found, expected=first.expected, remedy=first.remedy, others=others)
    return volumes

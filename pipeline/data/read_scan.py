"""Read and check the files of one scan; each is decoded once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .check import raise_problems
from .dataset import Case
from .images.header import Volume
from .inspect_case import inspect_case
from .wanted import Wanted

__all__ = ["read_scan"]


def read_scan(files: Sequence[str], *, channels: int, spatial_dims: int, as_float: bool = False) -> list[Volume]:
    """Return the volumes of a scan's files, which are read whole and checked.

    Args:
        files: one file with all channels, or one per channel.
        channels: of the scan.
        spatial_dims: axes in space, 2 or 3.
        as_float: whether the voxels of a single file may be float32, as in `read_volume`. Several files become one
            array later, next to which smaller types take less memory.

    Raises:
        InputError: there are problems, as in `check_scans`: the first in full, a line for each other file.
    """
    volumes: list[Volume] = []
    case = Case(files[0], "training", tuple(files), None, None, None)
    wanted = Wanted(channels, spatial_dims, None)
    as_float = as_float and len(files) == 1
    raise_problems([inspect_case(case, Path(), wanted, measure=False, keep=volumes.append, as_float=as_float)])
    return volumes

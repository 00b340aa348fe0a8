"""The memory of a check: how much a case will take, from its headers, and how many cases may be read at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path

from ..memory import free_bytes
from .dataset import Case, locate
from .errors import InputError
from .images.claimed_size import human_bytes
from .images.door import read_header
from .images.header import Header
from .images.nifti_header import is_scaled

__all__ = ["FREE_SHARE", "MemoryGate", "default_limit", "estimate_case", "estimate_file", "too_large_error"]

FREE_SHARE = 0.8  # of the free memory, as in prediction
_SCALED = 8  # bytes of a scaled value: float64
# Bytes per voxel in space besides the files' values: parts of structures (int32), differences of neighbours (float32).
# Measured with structures that fill the scan, or that are noise, with estimates 1.1 to 1.4 times the peak.
_WORK = 9
_DECODED = 2  # copies of a file's values while they are decoded, in formats that are not read in strips


class MemoryGate:
    """Lets as many cases in at a time as fit into a limit together. A case that alone is too large is refused.

    Args:
        limit: bytes.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def enter(self, needed: int, file: str) -> Iterator[None]:
        """Wait until there is room for a case, and take it until the block ends.

        Args:
            needed: bytes.
            file: of the case, for the message.

        Raises:
            InputError: more is needed than the limit.
        """
        if needed > self.limit:
            what = "a case whose check takes about {} of memory"
            raise too_large_error(file, found=what, needed=needed, limit=self.limit, verb="check")
        with self._changed:
            self._changed.wait_for(lambda: self._taken + needed <= self.limit)
            self._taken += needed
        try:
            yield
        finally:
            with self._changed:
                self._taken -= needed
                self._changed.notify_all()


def default_limit() -> int:
    """Return the bytes that a check may take by default: a share of the memory that is free now."""
    return int(FREE_SHARE * free_bytes())


def too_large_error(file: str, *, found: str, needed: int, limit: int, verb: str) -> InputError:
    """Return the error for a file that would take more memory than it may.

    Args:
        file: the file.
        found: what takes it, with braces for its size.
        needed: bytes.
        limit: bytes.
        verb: the verb whose ``--memory`` set the limit.
    """
    return InputError(
        file,
        found=found.format(human_bytes(needed)),
        expected=f"at most {human_bytes(limit)}",
        remedy=f"allow more memory: lightskip {verb} --memory SIZE; or end other programs, or crop the scan",
        kind="check-failed",
    )


def estimate_file(path: str | Path) -> tuple[int, int]:
    """Return how many bytes the values of an image take while it is read, and its number of voxels in all channels.

    Both are 0 of a file that cannot be opened, or whose header promises more than it holds: reading it ends before
    memory is taken.
    """
    header = _header(Path(path))
    return _file_bytes(header), 0 if header is None else prod(header.shape)


def estimate_case(case: Case, folder: Path, *, measure: bool = True) -> int:
    """Return an upper estimate of the memory (bytes) that the check of a case takes.

    Files that cannot be opened, or whose header promises more than they hold, count as nothing: reading them ends
    before memory is taken.

    Args:
        case: of a datalist.
        folder: where its relative paths start.
        measure: whether the case is measured as well.
    """
    label = 0 if case.label is None else _file_bytes(_header(locate(folder, case.label)))
    images = [_header(locate(folder, path)) for path in case.images]
    image = max((_file_bytes(header) for header in images), default=0)
    voxels = max((prod(header.spatial_shape) for header in images if header is not None), default=0)
    return label + image + (_WORK * voxels if measure else voxels)


def _file_bytes(header: Header | None) -> int:
    if header is None:
        return 0
    values, stored = prod(header.shape), header.dtype.itemsize
    if header.format in ("nifti", "pair"):
        return values * (stored + _SCALED if is_scaled(header) else stored)
    return values * stored * _DECODED


def _header(path: Path) -> Header | None:
    try:
        return read_header(path, sized=True)
    except (InputError, OSError):
        return None

"""The place in a NIfTI file where its voxels start, `vox_offset`, checked before nibabel uses it.

nibabel reports an impossible place in its own words, and logs others without the file's name.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..errors import InputError

__all__ = ["IMPOSSIBLE", "UNEVEN", "check_offset", "find_uneven_offset", "quiet_nibabel", "require_offset_inside"]

# Kinds of findings.
IMPOSSIBLE, UNEVEN = "voxel-offset", "voxel-offset-uneven"
_EVEN = 16  # bytes
_MAX_AXES = 7
_USUAL = (352, 544)  # of NIfTI-1 and NIfTI-2
_REMEDY = "copy or download the file again, or write it again from the original scan"


class _Reading(threading.local):
    """Whether this thread reads a header that LightSkip checks itself."""

    now = False


_reading = _Reading()


def check_offset(path: str, fields: Any) -> None:
    """Raise InputError if no file can have its voxels there: before the header's end, or at no whole number of bytes.

    Args:
        path: the image.
        fields: nibabel's header, unchecked. 0 is refused in a single file, where nibabel would take the header itself
            for voxels, and ITK its last four bytes (``findings/nifti_offset_zero.sh``).
    """
    if not 1 <= int(fields["dim"][0]) <= _MAX_AXES:
        # The order of its bytes is unknown, so no number in it can be reported. nibabel reports the number of axes.
        return
    offset, minimum = float(fields["vox_offset"]), _minimum(fields)
    if math.isfinite(offset) and offset >= minimum and offset.is_integer():
        return
    raise InputError(
        path,
        found=f"voxels that start at byte {offset:.15g} (vox_offset in its header)",
        expected=f"a whole number of bytes, {minimum} or more",
        remedy=_REMEDY,
        kind=IMPOSSIBLE,
    )


def require_offset_inside(path: str, offset: int, size: int) -> None:
    """Raise InputError if voxels start after the end of their file, and not at the usual place of a truncated one.

    Args:
        path: the image.
        offset: byte where its voxels start.
        size: bytes of the file with the voxels; of a compressed one, of its content.
    """
    if offset > max(size, *_USUAL):
        raise InputError(
            path,
            found=f"voxels that start at byte {offset} (vox_offset in its header) of {size} bytes",
            expected="a start inside the file",
            remedy=_REMEDY,
            kind=IMPOSSIBLE,
        )


def find_uneven_offset(path: str, fields: Any) -> InputError | None:
    """Return an error if voxels of a single file start at another place than a multiple of 16 bytes; None if not.

    Only SPM minds: it maps the file into memory. NIfTI asks for it, and all other programs read such a file.

    Args:
        path: the image.
        fields: nibabel's header, unchecked.
    """
    offset = float(fields["vox_offset"])
    if fields["magic"].item() != fields.single_magic or offset % _EVEN == 0:
        return None
    return InputError(
        path,
        found=f"voxels that start at byte {offset:.15g} (vox_offset in its header)",
        expected=f"a multiple of {_EVEN} bytes, as NIfTI asks for in a single file",
        remedy="do nothing, or write the file again if SPM has to read it",
        kind=UNEVEN,
    )


@contextmanager
def quiet_nibabel() -> Iterator[None]:
    """Hide what nibabel logs in this thread about headers: it has no file name, and LightSkip checks them itself."""
    _reading.now = True
    try:
        yield
    finally:
        _reading.now = False


def _minimum(fields: Any) -> int:
    return int(fields.single_vox_offset) if fields["magic"].item() == fields.single_magic else 0


def _is_heard(_: logging.LogRecord) -> bool:
    return not _reading.now


logging.getLogger("nibabel.global").addFilter(_is_heard)

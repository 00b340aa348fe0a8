"""The lines of an NRRD header, unchanged."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from .endings import format_name

__all__ = ["NRRD_START", "nrrd_header", "read_nrrd_header"]

NRRD_START = b"NRRD"
_MAX_HEADER = 1 << 20  # bytes: far more than any header has, so that voxels are not read


def nrrd_header(stream: BinaryIO) -> bytes:
    """Return the header of an NRRD file that is open at its start; no bytes for other files."""
    start = stream.read(len(NRRD_START))
    if start != NRRD_START:
        return b""
    content = start + stream.read(_MAX_HEADER)
    # A blank line ends the header of a file with voxels; a detached header has none.
    ends = [place for blank in (b"\n\n", b"\n\r\n") if (place := content.find(blank)) >= 0]
    return content[: min(ends)] if ends else content


def read_nrrd_header(path: str | Path) -> bytes:
    """Return the header of a file if ending and content are NRRD's; no bytes for other files."""
    if format_name(path) != "itk":
        return b""
    with Path(path).open("rb") as stream:
        return nrrd_header(stream)

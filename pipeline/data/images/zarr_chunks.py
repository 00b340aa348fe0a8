"""The lengths of a Zarr array's chunks that Blosc compressed: it reads past the end of one that is too short."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["check_chunks"]

_HEADER = 16  # bytes of a Blosc chunk's header; its last four are the chunk's length, little-endian
_METADATA = ("zarr.json", ".zarray", ".zattrs")


def check_chunks(array: Any) -> None:
    """Raise EOFError for a chunk that is shorter than it states; other compressors notice this themselves.

    Args:
        array: zarr's; only one whose chunks are files of their own is checked.
    """
    if not any(type(codec).__name__.startswith("Blosc") for codec in array.compressors) or array.shards is not None:
        return
    for file in _chunk_files(array):
        with file.open("rb") as stream:
            start = stream.read(_HEADER)
        stated, held = int.from_bytes(start[12:16], "little"), file.stat().st_size
        if len(start) < _HEADER or held < stated:
            msg = f"Expected {max(stated, _HEADER)} bytes of the chunk {file.name}, got {held}"
            raise EOFError(msg)


def _chunk_files(array: Any) -> Iterator[Path]:
    root = getattr(array.store, "root", None)
    if root is None:
        return
    for file in sorted(Path(root, array.path).rglob("*")):
        if file.name not in _METADATA and file.is_file():
            yield file

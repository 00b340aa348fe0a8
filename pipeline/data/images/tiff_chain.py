"""The chain of a TIFF's pages: each names the place of the next one. Readers stop without a word where it is broken."""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

__all__ = ["check_chain"]

_CLASSIC, _BIG = 42, 43


def check_chain(stream: BinaryIO) -> None:
    """Follow a TIFF's pages from the first to the last.

    Args:
        stream: the file; its position changes.

    Raises:
        EOFError: a page begins or ends beyond the end of the file, or the pages go round in a circle.
        ValueError: it is no TIFF.
    """
    stream.seek(0, os.SEEK_END)
    size = stream.tell()
    stream.seek(0)
    start = stream.read(16)
    order = {b"II": "<", b"MM": ">"}.get(start[:2])
    if order is None or len(start) < 8:
        raise ValueError("no TIFF: it does not begin with II or MM")
    version = struct.unpack(order + "H", start[2:4])[0]
    if version not in (_CLASSIC, _BIG):
        raise ValueError(f"no TIFF: its version is {version}")
    big = version == _BIG
    count_code, place_code, entry = ("Q", "Q", 20) if big else ("H", "I", 12)
    place = struct.unpack_from(order + place_code, start, 8 if big else 4)[0]
    seen: set[int] = set()
    while place:
        if place in seen:
            raise EOFError("truncated: its pages go round in a circle")
        seen.add(place)
        count = _read(stream, place, order + count_code, size)
        place = _read(stream, place + struct.calcsize(order + count_code) + count * entry, order + place_code, size)
    if not seen:
        raise EOFError("truncated: no page")


def _read(stream: BinaryIO, place: int, code: str, size: int) -> int:
    length = struct.calcsize(code)
    if place + length > size:
        raise EOFError(f"truncated: a page at byte {place} of {size}")
    stream.seek(place)
    return int(struct.unpack(code, stream.read(length))[0])

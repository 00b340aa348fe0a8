"""The size that a header promises against what its file can hold, compared before memory is asked for.

A file of 100 bytes may promise 10^13 voxels. Each coding has a largest number of bytes that it packs into one.
"""

from __future__ import annotations

from math import prod
from typing import Protocol, runtime_checkable

from ..errors import InputError
from .header import Header

__all__ = ["DEFLATE", "LZW", "PACKBITS", "SizedImage", "human_bytes", "require_held"]

DEFLATE = 1032  # of gzip, zlib, PNG: 258 bytes for two bits
LZW = 2731  # a string of 4096 bytes for a code of 12 bits
PACKBITS = 64  # 128 bytes for two
_MIN_EXCESS = 2  # Below it a copy of the file has stopped early, and readers say at which byte.
_UNITS = ("bytes", "KB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")


@runtime_checkable
class SizedImage(Protocol):
    """An open image that knows how much its file can hold."""

    def held_bytes(self) -> tuple[int, int] | None:
        """Return the bytes of the file, and the most bytes of voxels that they can stand for; None if unknown."""


def require_held(header: Header, held: tuple[int, int] | None) -> None:
    """Raise an InputError if a header promises far more voxels than its file can hold.

    Args:
        header: of the image.
        held: as `SizedImage.held_bytes` returns it.
    """
    claimed = prod(header.shape) * header.dtype.itemsize
    if held is None or claimed <= _MIN_EXCESS * held[1]:
        return
    stored, most = held
    shape = " x ".join(map(str, header.shape))
    packed = f", which can stand for {human_bytes(most)} at most" if most > stored else ""
    raise InputError(
        header.path,
        found=f"a truncated or corrupt file: its header promises {shape} voxels of {header.dtype.name}, "
        f"{human_bytes(claimed)}, and it has {human_bytes(stored)}{packed}",
        expected="a file that holds the voxels of its header",
        remedy="copy or download the file again; if its header is damaged, convert the original scan again",
        kind="truncated",
    )


def human_bytes(count: float) -> str:
    """Return a number of bytes in a unit that gives at most three digits, such as "19.8 TB"."""
    place = 0
    while count >= 999.5 and place < len(_UNITS) - 1:
        count, place = count / 1000, place + 1
    return f"{count:.3g} {_UNITS[place]}"

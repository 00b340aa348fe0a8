"""The unit of lengths in a file: mm, or of pictures also pixels, µm and nm."""

from __future__ import annotations

from pathlib import Path

from ..errors import InputError
from .door import read_header
from .endings import is_picture, is_tiff

__all__ = ["length_unit", "require_unit"]


def length_unit(path: str | Path) -> str:
    """Return the unit of an image's spacing, ``Header.unit``.

    Only TIFF is read: other pictures have pixels ("px"), and files that are no pictures mm.
    """
    if is_tiff(path):
        return read_header(path).unit
    return "px" if is_picture(path) else "mm"


def require_unit(path: str | Path, unit: str, first: str) -> None:
    """Raise an InputError if a file has lengths in another unit than those before it: they have no common mean."""
    if unit != first:
        raise InputError(
            path,
            found=f"lengths in {unit}",
            expected=f"lengths in {first}, as in the files before it",
            remedy="give every picture a spacing, or none",
            kind="unit-mixed",
        )

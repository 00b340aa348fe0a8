"""The units of lengths and sizes, and how names of columns and keys have them."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["LENGTHS", "shown_unit", "size_in_unit", "size_key"]

LENGTHS = {"mm": "mm", "px": "px", "µm": "um", "nm": "nm"}
"""Units of ``Header.unit`` as names have them, which are plain letters."""


def size_in_unit(unit: str, spatial_dims: int) -> str:
    """Return the unit of sizes for a unit of length: ``ml`` or ``mm2`` for mm, otherwise such as ``px3`` or ``px2``."""
    return "ml" if unit == "mm" and spatial_dims == 3 else f"{LENGTHS[unit]}{spatial_dims}"


def size_key(keys: Iterable[str]) -> str:
    """Return the unit of sizes that is among the keys of a structure's measures; "ml" if none is."""
    return next((key for key in keys if key in _SIZES), "ml")


def shown_unit(unit: str) -> str:
    """Return a unit of sizes as people write it: ``mm²``, ``µm³``, ``px²``."""
    return unit.replace("um", "µm").replace("2", "²").replace("3", "³")


_SIZES = frozenset(size_in_unit(unit, dims) for unit in LENGTHS for dims in (2, 3))

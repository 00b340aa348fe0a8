"""Odd files that scanners, converters and people really write, made on the spot, each with the truth beside it."""

from importlib import import_module
from pathlib import Path

from .case import Made, Odd

__all__ = ["Made", "Odd", "odd_files"]


def odd_files() -> list[Odd]:
    """Return the odd files of all families: the lists `ODD` of this package's modules."""
    families = sorted(file.stem for file in Path(__file__).parent.glob("*.py") if file.stem not in ("__init__", "case"))
    return [case for family in families for case in import_module(f"{__name__}.{family}").ODD]

"""Odd files that scanners, converters and people really write, made on the spot, each with the truth beside it."""

from .case import Made, Odd

__all__ = ["Made", "Odd"]

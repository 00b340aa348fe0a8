"""The version of LightSkip, which `pyproject.toml` repeats. Imports nothing, so that every room can use it."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"

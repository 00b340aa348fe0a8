"""The version of LightSkip, which `pyproject.toml` repeats, and those of other packages. Every room can use it."""

from __future__ import annotations

from functools import cache

__all__ = ["__version__", "installed_version"]

__version__ = "0.1.0"


@cache
def installed_version(package: str) -> str:
    """Return the version of an installed package, read once: its description takes some ms to parse.

    Raises:
        PackageNotFoundError: it is not installed.
    """
    from importlib.metadata import version  # noqa: PLC0415 - slow to import

    return version(package)

"""The file or folder that a mistyped path may have meant."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

__all__ = ["nearest_path"]


def nearest_path(path: str | Path) -> Path | None:
    """Return the path in the same folder with the most similar name; None if no name is similar."""
    path = Path(path)
    try:
        names = [one.name for one in path.parent.iterdir() if not one.name.startswith(".")]
    except OSError:
        return None
    close = get_close_matches(path.name, names, n=1, cutoff=0.8)
    return path.with_name(close[0]) if close else None

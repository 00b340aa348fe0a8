"""Draw what there is to see of a training's folder: its curve, as far as matplotlib is installed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

__all__ = ["draw_training"]


def draw_training(folder: Path, output: Path) -> list[Path]:
    """Draw a training's curve.

    Args:
        folder: the training's folder, with ``history.csv``.
        output: folder to write ``curve.png`` to.

    Returns:
        The files that were written: none without matplotlib, or without a history.
    """
    history = folder / "history.csv"
    if find_spec("matplotlib") is None or not history.is_file():
        return []
    from .curve import draw_curve  # noqa: PLC0415 - imports matplotlib

    return [draw_curve(history, output / "curve.png")]

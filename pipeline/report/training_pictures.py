"""Draw what there is to see of a training's folder: its curve, if matplotlib is installed, and its page."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

__all__ = ["draw_training"]


def draw_training(folder: Path, output: Path) -> list[Path]:
    """Draw a training's curve and write its page.

    Args:
        folder: the training's folder, with ``history.csv``.
        output: folder to write ``curve.png`` and ``report.html`` to.

    Returns:
        The files that were written: no curve without matplotlib, nothing without a history.
    """
    history = folder / "history.csv"
    if not history.is_file():
        return []
    from .report_page import write_report  # noqa: PLC0415 - a training needs neither before its end

    page = output / "report.html"
    write_report(folder, page)
    if find_spec("matplotlib") is None:
        return [page]
    from .curve import draw_curve  # noqa: PLC0415 - imports matplotlib

    return [page, draw_curve(history, output / "curve.png")]

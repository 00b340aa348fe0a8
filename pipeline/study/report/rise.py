"""Measure how much Dice still rose at the end of the trainings: a rise says that the budget was short."""

from __future__ import annotations

from .arms import Arm, Run

__all__ = ["find_rise"]

_SHARE = 2 / 3


def find_rise(arm: Arm) -> float | None:
    """Return how much Dice rose in the last third of the training's epochs, the mean over the arm's trainings.

    It is the last validation's Dice minus that of the last validation in the first two thirds. None if no training has
    both.
    """
    rises = [rise for run in arm.done if (rise := _find_rise(run)) is not None]
    return sum(rises) / len(rises) if rises else None


def _find_rise(run: Run) -> float | None:
    points = [(one["epoch"], one["dice"]) for one in run.get("curve") or () if one.get("dice") is not None]
    if not points:
        return None
    last, end = points[-1]
    before = [dice for epoch, dice in points if epoch <= _SHARE * last + 1e-9]
    return float(end - before[-1]) if before else None

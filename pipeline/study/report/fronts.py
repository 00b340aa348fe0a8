"""Find the arms that no other arm beats in both Dice and a cost: the Pareto front."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from .results import OVERALL, GroupResult

__all__ = ["AXES", "FRONT", "CostAxis", "find_fronts", "list_known"]


@dataclass(frozen=True)
class CostAxis:
    """A cost to set against Dice: its key in a run, and its title."""

    name: str
    title: str


AXES = (
    CostAxis("skip_bytes_kept", "Memory that the skips keep"),
    CostAxis("step_seconds", "Time of a training step"),
    CostAxis("skip_bytes_handed", "Bytes that the skips hand over"),
    CostAxis("parameters", "Parameters"),
)
"""The costs that Dice is set against."""

FRONT = "◆"
"""The mark of a skip on a front."""


def find_fronts(result: GroupResult, costs: Mapping[str, Mapping[str, float]]) -> dict[str, list[str]]:
    """Return for each cost the skips that no other skip beats: higher Dice at no more cost, or lower cost at no less.

    Costs that no arm has are left out. With fewer than two arms there is no front.

    Args:
        result: the numbers of the group.
        costs: the mean of each cost by skip.
    """
    fronts = {}
    for axis in AXES:
        known = list_known(result, costs, axis)
        if len(known) > 1:
            fronts[axis.name] = [
                skip
                for skip, (cost, dice) in known.items()
                if not any(
                    other_cost <= cost and other_dice >= dice and (other_cost, other_dice) != (cost, dice)
                    for other_cost, other_dice in known.values()
                )
            ]
    return fronts


def list_known(
    result: GroupResult, costs: Mapping[str, Mapping[str, float]], axis: CostAxis
) -> dict[str, tuple[float, float]]:
    """Return cost and Dice of the arms that have both."""
    known = {}
    for skip, found in result.arms.items():
        if found is not None and axis.name in costs[skip]:
            dice = found.estimates[OVERALL, "dice"].mean
            if math.isfinite(dice):
                known[skip] = costs[skip][axis.name], dice
    return known

"""Compute the robustness of a group's arms: Dice by level of each perturbation, and the area of these curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .arms import Arm, Group
from .results import Contrast, Estimate
from .statistics import compare_family, estimate
from .values import ArmValues, Array, Cases, Choice, as_array, collect_cases, mean_known

__all__ = ["AREA", "RobustArm", "Robustness", "evaluate_robustness"]

AREA = "all perturbations"
_METRIC = "area"


@dataclass(frozen=True)
class RobustArm:
    """The robustness of an arm.

    Attributes:
        dice: Dice without perturbation, mean over trainings.
        curves: Dice at each level of each perturbation, mean over trainings and cases, (levels,).
        areas: area of each perturbation and of all together.
    """

    dice: float
    curves: Mapping[str, Array]
    areas: Mapping[str, Estimate]


@dataclass(frozen=True)
class Robustness:
    """The robustness of a group.

    Attributes:
        levels: the levels of each perturbation that all runs have.
        units: their units.
        arms: the arms that were measured.
        contrasts: areas of each skip against the baseline; the label is the perturbation.
        cases: the cases.
    """

    levels: Mapping[str, Sequence[float]]
    units: Mapping[str, str]
    arms: Mapping[str, RobustArm]
    contrasts: Sequence[Contrast]
    cases: Cases

    def find(self, skip: str, perturbation: str = AREA) -> Contrast | None:
        """Return the comparison of a skip's area, or None."""
        for one in self.contrasts:
            if (one.skip, one.label) == (skip, perturbation):
                return one
        return None


def evaluate_robustness(group: Group, baseline: str) -> Robustness | None:
    """Return the robustness of a group; None if no run measured it.

    The area of a case is that under its Dice over the levels of a perturbation, the untouched scan first, by the
    trapezoidal rule as in the runs; of all perturbations together it is the mean. Areas are compared as Dice is: the
    area of all perturbations with Holm's correction over skips, those of single ones over skips and perturbations.
    """
    runs = [run for run in group.done if run.get("robustness")]
    if not runs:
        return None
    shared = _share_perturbations(runs)
    cases = collect_cases(runs, "robustness")
    names = list(shared)
    values = {skip: own for skip, arm in group.arms.items() if (own := _collect(arm, cases, names)) is not None}
    choices = [Choice(AREA, slice(None)), *(Choice(name, slice(at, at + 1)) for at, name in enumerate(names))]
    arms = {skip: _describe(group.arms[skip], own, cases, names, choices) for skip, own in values.items()}
    others = {skip: own for skip, own in values.items() if skip != baseline}
    contrasts: list[Contrast] = []
    if baseline in values and names:
        for family in (choices[:1], choices[1:]):
            contrasts += compare_family(values[baseline], others, cases, _METRIC, family, better="higher")
    levels = {name: [float(level) for level in one["levels"]] for name, one in shared.items()}
    return Robustness(levels, {name: str(one.get("unit", "")) for name, one in shared.items()}, arms, contrasts, cases)


def _share_perturbations(runs: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return the perturbations, with their levels, that all runs have."""
    by_run = [{str(one["name"]): one for one in run["robustness"]["perturbations"]} for run in runs]
    return {
        name: one
        for name, one in by_run[0].items()
        if all(name in other and list(other[name]["levels"]) == list(one["levels"]) for other in by_run)
    }


def _collect(arm: Arm, cases: Cases, names: Sequence[str]) -> ArmValues | None:
    """Return the areas of an arm by case and perturbation, (seeds, cases, perturbations); None without any."""
    runs = [run for run in arm.done if run.get("robustness")]
    seeds = list(dict.fromkeys(run["settings"].get("seed") for run in runs))
    if not seeds or not names:
        return None
    places = {name: place for place, name in enumerate(cases.names)}
    values = np.full((len(seeds), len(cases.names), len(names)), np.nan)
    measured = np.zeros(values.shape[:2], dtype=bool)
    for run in runs:
        part, row = run["robustness"], seeds.index(run["settings"].get("seed"))
        rows = [places[str(name)] for name in part["cases"]]
        measured[row, rows] = True
        untouched = _find_untouched(run)
        for one in part["perturbations"]:
            if one["name"] in names:
                dice = as_array(one["case_dice"], (len(one["levels"]), len(rows)))
                values[row, rows, names.index(one["name"])] = _measure_areas(np.vstack([untouched, dice]))
    return ArmValues(tuple(seeds), {_METRIC: values}, measured)


def _find_untouched(run: Mapping[str, Any]) -> Array:
    """Return each case's mean Dice over labels without perturbation, (cases,); NaN where it is unknown."""
    part = run["robustness"]
    if part.get("case_dice"):
        return as_array(part["case_dice"], (len(part["cases"]),))
    own = run.get("cases") or {}
    dice = {}
    if own.get("dice"):
        rows = as_array(own["dice"], (len(own["names"]), len(own["labels"])))
        dice = dict(zip(map(str, own["names"]), mean_known(rows, axis=1), strict=True))
    return np.array([dice.get(str(name), np.nan) for name in part["cases"]], dtype=np.float64)


def _measure_areas(dice: Array) -> Array:
    """Return the area under each case's curve, from Dice (levels, cases), by the trapezoidal rule; its width is 1."""
    weights = np.ones(len(dice))
    weights[[0, -1]] = 0.5
    weighted = np.where(np.isnan(dice), 0.0, weights[:, None])
    total = weighted.sum(axis=0)
    areas: Array = np.divide(
        (np.nan_to_num(dice) * weighted).sum(axis=0), total, out=np.full(total.shape, np.nan), where=total > 0
    )
    return areas


def _describe(arm: Arm, own: ArmValues, cases: Cases, names: Sequence[str], choices: Sequence[Choice]) -> RobustArm:
    parts = [run["robustness"] for run in arm.done if run.get("robustness")]
    curves = {}
    for name in names:
        found = [one for part in parts for one in part["perturbations"] if one["name"] == name]
        dice = np.stack([as_array(one["dice"], (len(one["levels"]),)) for one in found])
        curves[name] = mean_known(dice, axis=0)
    known = [float(part["dice"]) for part in parts if part.get("dice") is not None]
    chosen = own.shared
    areas = {}
    if chosen.any():
        areas = {
            choice.name: estimate(own.values[_METRIC][:, chosen][:, :, choice.columns], cases, chosen)
            for choice in choices
        }
    return RobustArm(float(np.mean(known)) if known else float("nan"), curves, areas)

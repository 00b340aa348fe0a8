"""The result of choosing a cleaning: the kept steps and all trials, as JSON and as a table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["KEPT", "TOGETHER", "CleaningChoice", "Trial", "format_choice_json", "format_choice_table"]

KEPT = "kept"
TOGETHER = "all together"

_HEADER = ("label", "step", "Dice before", "after", "cases better", "worse", "p", "verdict")
_LEFT = (0, 1, 7)


@dataclass(frozen=True)
class Trial:
    """The effect of one step on one label.

    Attributes:
        label: the label's name.
        step: ``largest_component``, ``minimum``, ``fill_holes``, or ``all together``.
        minimum: minimum size of a component, in the choice's unit; None for other steps.
        dice_before: mean Dice without the step, over the cases that have the label in reference or prediction, [0, 1].
        dice_after: mean Dice with the step.
        better: number of cases whose Dice rose, or in which an absent label is no longer predicted.
        worse: number of cases whose Dice fell.
        p: p-value of the one-sided test that Dice rose; 1 if no case changed.
        verdict: ``kept``, or the reason why not.
    """

    label: str
    step: str
    minimum: float | None
    dice_before: float
    dice_after: float
    better: int
    worse: int
    p: float
    verdict: str


@dataclass(frozen=True)
class CleaningChoice:
    """The steps to keep, by the labels' names, and all trials.

    Attributes:
        cases: number of measured cases.
        unit: unit of sizes, ``ml``, in 2D ``mm2``.
        smallest_gain: steps with a smaller gain of the mean Dice are not kept.
        level: level of significance, divided by the number of a label's candidates.
        largest_component: labels that keep only their largest component.
        minimum: minimum size of a component, by label.
        fill_holes: labels whose holes are filled.
        trials: all trials in order, each on top of the steps kept before.
        together: trials of all kept steps together against none; empty if none is kept.
    """

    cases: int
    unit: str
    smallest_gain: float
    level: float
    largest_component: list[str]
    minimum: dict[str, float]
    fill_holes: list[str]
    trials: list[Trial]
    together: list[Trial]

    @property
    def steps(self) -> dict[str, Any]:
        """The kept steps in the form of a plan's ``postprocessing``; empty if none is kept."""
        steps = {
            "largest_component": self.largest_component,
            f"minimum_{self.unit}": self.minimum,
            "fill_holes": self.fill_holes,
        }
        return {key: value for key, value in steps.items() if value}


def format_choice_json(choice: CleaningChoice, provenance: Mapping[str, Any] | None = None) -> str:
    """Return a choice as JSON.

    Args:
        choice: the choice.
        provenance: what produced the predictions (JSON-safe), copied in.
    """
    content = asdict(choice)
    rows = {key: content.pop(key) for key in ("trials", "together")}
    kept = {"kept": choice.steps}
    for key in ("largest_component", "minimum", "fill_holes"):
        del content[key]
    return json.dumps({**content, **kept, "provenance": provenance, **rows}, indent=2, allow_nan=False) + "\n"


def format_choice_table(choice: CleaningChoice) -> str:
    """Return the trials as aligned columns, one line per label and step."""
    lines = [_HEADER, *(_format_cells(trial, choice.unit) for trial in (*choice.trials, *choice.together))]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADER))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column in _LEFT else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _format_cells(trial: Trial, unit: str) -> tuple[str, ...]:
    step = trial.step.replace("_", " ")
    size = "" if trial.minimum is None else f" {trial.minimum:g} {unit}"
    dice = [f"{value:.4f}" for value in (trial.dice_before, trial.dice_after)]
    return trial.label, step + size, *dice, str(trial.better), str(trial.worse), f"{trial.p:.2g}", trial.verdict

"""The result of choosing a cleaning: the steps kept and everything that was tried, as JSON and as a table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["KEPT", "TOGETHER", "CleaningChoice", "Trial", "cleaning_json", "cleaning_table"]

KEPT = "kept"
TOGETHER = "all together"

_HEADER = ("label", "step", "Dice before", "after", "cases better", "worse", "p", "verdict")
_LEFT = (0, 1, 7)


@dataclass(frozen=True)
class Trial:
    """The effect of one step on one label.

    Attributes:
        label: its name.
        step: ``largest_component``, ``minimum``, ``fill_holes``, or ``all together``.
        minimum: size of a component, in the choice's unit; None for other steps.
        dice_before: mean over the cases in which the label is or is predicted, [0, 1].
        dice_after: the same with the step.
        better: cases whose Dice rose, or in which a label that is not there is no longer predicted.
        worse: cases whose Dice fell.
        p: the p-value of the one-sided test that Dice rose; 1 where no case changed.
        verdict: ``kept``, or why not.
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
    """The steps to keep, by the labels' names, and everything that was tried.

    Attributes:
        cases: the number of cases that it was measured on.
        unit: the unit of sizes, ``ml`` or with two axes ``mm2``.
        smallest_gain: the gain of the mean Dice below which a step is not kept.
        level: the level of significance, which the candidates of a label share.
        largest_component: labels that keep their largest component alone.
        minimum: smallest size of a component, by label.
        fill_holes: labels whose holes are filled.
        trials: every step that was tried, in the order of trying, each on top of those kept before.
        together: the labels with all kept steps against none; empty where none is kept.
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
        """The kept steps as a plan has them under ``postprocessing``; empty where none is kept."""
        steps = {
            "largest_component": self.largest_component,
            f"minimum_{self.unit}": self.minimum,
            "fill_holes": self.fill_holes,
        }
        return {key: value for key, value in steps.items() if value}


def cleaning_json(choice: CleaningChoice, provenance: Mapping[str, Any] | None = None) -> str:
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


def cleaning_table(choice: CleaningChoice) -> str:
    """Return the trials as aligned columns, a line per label and step."""
    lines = [_HEADER, *(_cells(trial, choice.unit) for trial in (*choice.trials, *choice.together))]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADER))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column in _LEFT else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _cells(trial: Trial, unit: str) -> tuple[str, ...]:
    step = trial.step.replace("_", " ")
    size = "" if trial.minimum is None else f" {trial.minimum:g} {unit}"
    dice = [f"{value:.4f}" for value in (trial.dice_before, trial.dice_after)]
    return trial.label, step + size, *dice, str(trial.better), str(trial.worse), f"{trial.p:.2g}", trial.verdict

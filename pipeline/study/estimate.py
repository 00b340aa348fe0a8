"""Estimate how long the runs of a study take on this machine."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..bundle.launch_checks import read
from ..data.cases import read_cases
from ..data.errors import InputError
from .cost import time_step
from .datasets import allows_outside, datalist_of
from .expand import Run
from .measure import make_task

__all__ = ["Estimate", "estimate_hours"]

# What a run takes besides its steps: validations and evaluation, which grow with the network, and starts.
_SHARE_OF_STEPS = 1.4
_START_SECONDS = 60.0
_MAX_REASON = 300
_PERTURBED = 2.5  # with robustness


@dataclass(frozen=True)
class Estimate:
    """The time of a study's runs.

    Attributes:
        hours: of one processor, of all runs that are left.
        source: where the number comes from, in words.
    """

    hours: float
    source: str


def estimate_hours(runs: Sequence[Run], done: Mapping[str, Mapping[str, Any]], *, robustness: bool) -> Estimate:
    """Estimate the hours of runs that are left.

    A run with minutes takes them, and a share for its evaluation. One with epochs takes what runs of the same arm took
    that were done on a machine of the same processor; else the time of a step here, times its steps.

    Args:
        runs: the runs that are left.
        done: results of the study's finished runs, by their name.
        robustness: whether scans are perturbed.
    """
    took: dict[str, list[float]] = {}
    for result in done.values():
        seconds = result.get("cost", {}).get("training_seconds")
        if seconds is not None:
            took.setdefault(_key(result["settings"]), []).append(float(seconds))
    seconds, measured, timed = _START_SECONDS * len(runs), 0, dict[str, float]()
    more = _PERTURBED if robustness else 1.0
    for run in runs:
        budget, key = run.arm.budget, _key(run.settings)
        if budget.minutes is not None:
            seconds += 60 * budget.minutes * _SHARE_OF_STEPS * more
        elif key in took:
            measured += 1
            seconds += statistics.mean(took[key]) * _SHARE_OF_STEPS * more
        else:
            if key not in timed:
                timed[key] = _time_step(run) * _count_steps(run)
            seconds += timed[key] * _SHARE_OF_STEPS * more
    parts = [
        f"{measured} runs from earlier runs of their arm" * bool(measured),
        f"{len(timed)} arms from training steps timed on this machine" * bool(timed),
    ]
    return Estimate(seconds / 3600, "; ".join(part for part in parts if part) or "the minutes of the budget")


def _time_step(run: Run) -> float:
    """Return the seconds of a training step.

    Raises:
        InputError: this machine cannot compute one.
    """
    try:
        return time_step(make_task(run))
    except (RuntimeError, MemoryError, OverflowError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"{run.arm.network} with {run.arm.skip} on {run.arm.bundle.name}",
            found=f"a training step that cannot be computed here: {reason[:_MAX_REASON]}",
            expected="one that fits into the memory of this machine, on a device that it has",
            remedy="make batch, patch or the network smaller; or start the study with --yes, which estimates no hours",
        ) from error


def _key(settings: Mapping[str, Any]) -> str:
    """Return what trainings of one arm have in common."""
    return json.dumps({key: value for key, value in settings.items() if key not in ("seed", "fold")}, sort_keys=True)


def _count_steps(run: Run) -> int:
    config = read(run.arm.bundle / "configs" / "train.json")
    datalist, folder = datalist_of(run.arm.bundle, run.arm.dataset_dir)
    cases = len(read_cases(datalist, folder, fold=run.fold, part="training", outside=allows_outside(run.arm)))
    batch = int(run.arm.overrides.get("batch", config["batch"]))
    return (run.arm.budget.epochs or 1) * max(1, cases // batch)

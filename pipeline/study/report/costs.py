"""Average what an arm's trainings cost: parameters, multiply-adds, bytes of skips, memory, seconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from .arms import Arm
from .numbers import format_bytes, format_count, format_seconds

__all__ = ["COSTS", "Cost", "average_costs"]


@dataclass(frozen=True)
class Cost:
    """A cost of a training.

    Attributes:
        name: key in a run's ``cost`` and column in files.
        title: name for people.
        write: writes a number for people.
        meaning: what is counted.
    """

    name: str
    title: str
    write: Callable[[float | None], str]
    meaning: str


COSTS = (
    Cost("parameters", "parameters", format_count, "of the network"),
    Cost("step_multiply_adds", "multiply-adds, step", format_count, "of a training step"),
    Cost("window_multiply_adds", "multiply-adds, window", format_count, "of a window in inference"),
    Cost("skip_bytes_handed", "handed over", format_bytes, "by the skips to the decoder, one float32 window"),
    Cost("skip_bytes_kept", "kept", format_bytes, "by the skips until the decoder needs it, one float32 window"),
    Cost("training_peak_bytes", "memory, training", format_bytes, "peak"),
    Cost("inference_peak_bytes", "memory, inference", format_bytes, "peak"),
    Cost("step_seconds", "step", format_seconds, "seconds of the processor of a training step"),
    Cost("scan_seconds", "scan", format_seconds, "seconds of the processor to predict a scan"),
    Cost("training_seconds", "training", format_seconds, "seconds of the processor of the whole training"),
)
"""The costs, in the order of the tables."""


def average_costs(arm: Arm) -> Mapping[str, float]:
    """Return the mean of each cost over the trainings that ended; a cost that no training has is left out."""
    found = {}
    for cost in COSTS:
        values = [run["cost"][cost.name] for run in arm.done if (run.get("cost") or {}).get(cost.name) is not None]
        known = [float(value) for value in values if np.isfinite(value)]
        if known:
            found[cost.name] = float(np.mean(known))
    return found

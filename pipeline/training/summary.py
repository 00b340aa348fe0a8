"""What a training is, in one small file that is read without PyTorch: see `pipeline.bundle.trainings`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ignite.engine import Engine

from ..data.longer import Reached
from ..files import write_text

__all__ = ["SUMMARY", "write_summary"]

SUMMARY = "training.json"
_IDENTITY = ("fold", "seed", "skip")


def write_summary(
    folder: Path,
    *,
    trainer: Engine,
    validator: Engine | None,
    identity: Mapping[str, Any] | None,
    finished: bool,
    reached: Reached,
    started_from: Mapping[str, Any] | None = None,
) -> None:
    """Write ``training.json``: fold, seed, skip, epochs done and planned, the best validation, finished or not.

    The planned epochs are None as long as a time limit decides. ``length`` has the epochs and minutes of the settings,
    ``rate`` the learning rate of the last step, ``lengthened`` each change of the length. A training without
    validations, on all cases, has their number under ``trained_cases``.

    Args:
        folder: of the training.
        trainer: the engine of the training.
        validator: the evaluator whose key metric tells the best epoch; None without validations.
        identity: what makes this training another than others, JSON-ready; its fold, seed and skip are kept.
        finished: whether the training came to its end.
        reached: its length and its learning rate.
        started_from: what it took of other weights, from ``started_from.json``; None if it began with new ones.
    """
    best = -1 if validator is None else validator.state.best_metric_epoch
    whole = {"trained_cases": len(trainer.data_loader.dataset)} if validator is None else {}
    summary = {
        **{key: identity[key] for key in _IDENTITY if identity and key in identity},
        "epochs": trainer.state.epoch,
        "planned": None if _ends_by_clock(trainer) else trainer.state.max_epochs,
        "best_dice": float(validator.state.best_metric) if validator is not None and best > 0 else None,
        "best_epoch": best if best > 0 else None,
        "finished": finished,
        **whole,
        **reached.record(),
        **({} if started_from is None else {"started_from": _name_weights(started_from)}),
    }
    write_text(folder / SUMMARY, json.dumps(summary, indent=2) + "\n")


def _name_weights(started_from: Mapping[str, Any]) -> str:
    """Return the bundle that the weights are from, or else their file."""
    return str(started_from.get("bundle") or started_from.get("weights"))


def _ends_by_clock(trainer: Engine) -> bool:
    """Return whether the number of epochs is open: see `EndInTime`."""
    return getattr(trainer.state, "is_timed", False) and trainer.state.epoch < trainer.state.max_epochs

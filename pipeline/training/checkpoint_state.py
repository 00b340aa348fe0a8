"""The state of a training in ``last.pt``: written whole, and checked when it is read."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from ..data.errors import InputError
from ..data.finite_weights import require_finite
from ..files import whole_file
from .earlier_files import LAST

__all__ = ["advance_schedule", "best_so_far", "check_optimizer", "output_names", "read_state", "save_state"]

_STATE = {"network", "optimizer", "lr_scheduler", "epoch", "iteration", "best_metric", "best_epoch"}
_DIVERGED = "start a new training, with a smaller --learning_rate; or resume from a copy of an earlier file"


def read_state(path: Path, device: torch.device) -> dict[str, Any]:
    """Return the state in a ``last.pt``.

    Raises:
        InputError: the file cannot be loaded, is no state of a training, or has weights that are not finite.
    """
    try:
        state: Any = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:
        raise InputError(
            path,
            found=f"a file that PyTorch cannot load ({type(error).__name__})",
            expected="a checkpoint that a training wrote",
            remedy="copy it again if it was copied, or leave out --resume to start a new training",
        ) from error
    missing = sorted(_STATE.difference(state)) if isinstance(state, dict) else sorted(_STATE)
    if missing:
        raise InputError(
            path,
            found=f"no {missing[0]} in it"
            + (", as in a file that has only weights" if len(missing) == len(_STATE) else ""),
            expected=f"the {LAST} that a training writes to its ckpt_dir, with {', '.join(sorted(_STATE))}",
            remedy="put that file there, or leave out --resume to start a new training",
        )
    for part in ("network", "average"):
        require_finite(path, state.get(part, {}), remedy=_DIVERGED)
    checked: dict[str, Any] = state
    return checked


def save_state(content: dict[str, Any], path: Path) -> None:
    """Write a training's state, whole or not at all."""
    # Into a stream: a zip of PyTorch has the name of its file in it, which is another one each time.
    with whole_file(path) as temporary, temporary.open("wb") as stream:
        torch.save(content, stream)


def advance_schedule(lr_scheduler: LRScheduler, steps: int) -> None:
    """Step a new schedule to a position. This restores a schedule of any length that steps without a metric."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Detected call of `lr_scheduler.step\\(\\)` before")
        for _ in range(steps):
            lr_scheduler.step()


def best_so_far(validator: Engine | None) -> tuple[float, int]:
    """Return the best metric and its epoch; -1 and -1 without a validation."""
    if validator is None:
        return -1.0, -1
    return float(validator.state.best_metric), int(validator.state.best_metric_epoch)


def output_names(identity: Mapping[str, Any] | None) -> list[str] | None:
    """Return the names of the network's output channels from a training's identity: the regions, or the labels."""
    known = identity or {}
    if known.get("regions"):
        return [text.partition(": ")[0] for text in known["regions"]]
    labels = known.get("labels")
    return sorted(labels, key=labels.__getitem__) if isinstance(labels, Mapping) else None


def check_optimizer(path: Path, state: Mapping[str, Any], optimizer: Optimizer) -> None:
    """Raise InputError if a training's state is of another optimiser, or of one with other groups of parameters."""
    expected = type(optimizer).__qualname__
    found = state.get("optimizer_type", expected)
    groups = [
        [len(group["params"]) for group in one["param_groups"]] for one in (state["optimizer"], optimizer.state_dict())
    ]
    if found != expected or groups[0] != groups[1]:
        raise InputError(
            path,
            found=f"the state of {found} with groups of {groups[0]} parameters",
            expected=f"{expected} with groups of {groups[1]} parameters, as in this config",
            remedy="resume with the first run's optimizer, or leave out --resume to start a new training",
        )

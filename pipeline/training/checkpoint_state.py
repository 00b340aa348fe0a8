"""The state of a training in ``last.pt``: written whole, and checked when it is read."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler

from ..data.errors import InputError
from ..data.finite_weights import require_finite
from ..files import whole_file
from .state_form import check_form

__all__ = ["advance_schedule", "best_so_far", "output_names", "read_state", "save_state"]

_DIVERGED = "start a new training, with a smaller --learning_rate; or resume from a copy of an earlier file"


def read_state(path: Path, device: torch.device, network: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the state in a ``last.pt``.

    Args:
        path: the file.
        device: where to put its tensors.
        network: the tensors of the network that will take its weights.

    Raises:
        InputError: the file cannot be loaded, is no state of a training, or has weights or moments of the optimiser
            that are not finite.
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
    check_form(path, state)
    for part in ("network", "average"):
        require_finite(path, state.get(part) or {}, like=network, remedy=_DIVERGED)
    require_finite(path, _name_tensors(state["optimizer"], "optimizer"), remedy=_DIVERGED)
    checked: dict[str, Any] = state
    return checked


def _name_tensors(content: Any, name: str = "") -> dict[str, Any]:
    """Return the tensors in mappings within mappings, such as an optimiser's state, by their keys with dots between."""
    if not isinstance(content, Mapping):
        return {name: content}
    named = (_name_tensors(value, f"{name}.{key}" if name else str(key)) for key, value in content.items())
    return {key: value for one in named for key, value in one.items()}


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

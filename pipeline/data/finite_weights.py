"""Refuse weights with values that are not finite: those of a training that diverged, or of a damaged file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .errors import InputError

__all__ = ["find_not_finite", "require_finite"]

_USE_OTHERS = "use other weights, such as those of an earlier epoch; or train again with a smaller --learning_rate"


def find_not_finite(weights: Mapping[Any, Any]) -> str | None:
    """Return the name of the first tensor with NaN or infinity in it; None if all are finite.

    Args:
        weights: tensors by name, such as a state dict. Whole numbers and values that are no tensors are finite.
    """
    named = {str(name): value for name, value in weights.items() if isinstance(value, Tensor) and _has_fractions(value)}
    by_device: dict[torch.device, dict[str, Tensor]] = {}
    for name, value in named.items():
        # A sum takes less time than a look at each value, and is not finite if one of them is not.
        by_device.setdefault(value.device, {})[name] = torch.isfinite(_widen(value).detach().sum())
    # One look at the results of a device: each look waits for a GPU.
    doubted = {
        name
        for results in by_device.values()
        for name, finite in zip(results, torch.stack(list(results.values())).tolist(), strict=True)
        if not finite
    }
    # The sum of large numbers may be too large.
    return next((name for name in named if name in doubted and not torch.isfinite(_widen(named[name])).all()), None)


def require_finite(where: str | Path, weights: Mapping[Any, Any], *, remedy: str = _USE_OTHERS) -> None:
    """Raise InputError if a value of some weights is NaN or infinite.

    Args:
        where: the file of the weights.
        weights: see `find_not_finite`.
        remedy: what the user can do.
    """
    name = find_not_finite(weights)
    if name is not None:
        raise InputError(
            where,
            found=f"weights that are not finite (NaN or infinity), first in {name}",
            expected="finite weights: these are of a training that diverged, or damaged",
            remedy=remedy,
        )


def _has_fractions(value: Tensor) -> bool:
    return value.is_floating_point() or value.is_complex()


def _widen(value: Tensor) -> Tensor:
    # PyTorch computes little with numbers of 8 bits.
    return value if value.element_size() > 1 else value.float()

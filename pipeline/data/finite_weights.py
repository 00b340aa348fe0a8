"""Refuse weights that a network cannot compute with: of a training that diverged, or of a damaged file.

These are values that are not finite, and tensors of another kind than the network's. PyTorch loads whole and complex
numbers, and numbers too large for the network's format, as other numbers, without a word.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .errors import InputError

__all__ = ["find_not_finite", "require_finite"]

_USE_OTHERS = "use other weights, such as those of an earlier epoch; or train again with a smaller --learning_rate"
_SAVE_AGAIN = "save the weights again as PyTorch does by default: torch.save(network.state_dict(), FILE)"


def find_not_finite(weights: Mapping[Any, Any], like: Mapping[Any, Tensor] | None = None) -> str | None:
    """Return the name of the first tensor with NaN or infinity in it; None if all are finite.

    Args:
        weights: tensors by name, such as a state dict. Whole numbers and values that are no tensors are finite.
        like: tensors by name, in whose number formats values count: 1e200 is infinite in float32. None: in their own.
    """
    like = like or {}
    named = {
        str(name): _widen(value.to(like[name].dtype) if name in like else value)
        for name, value in weights.items()
        if isinstance(value, Tensor) and _has_fractions(value)
    }
    by_device: dict[torch.device, dict[str, Tensor]] = {}
    for name, value in named.items():
        # A sum takes less time than a look at each value, and is not finite if one of them is not.
        by_device.setdefault(value.device, {})[name] = torch.isfinite(value.detach().sum())
    # One look at the results of a device: each look waits for a GPU.
    doubted = {
        name
        for results in by_device.values()
        for name, finite in zip(results, torch.stack(list(results.values())).tolist(), strict=True)
        if not finite
    }
    # The sum of large numbers may be too large.
    return next((name for name in named if name in doubted and not torch.isfinite(named[name]).all()), None)


def require_finite(
    where: str | Path,
    weights: Mapping[Any, Any],
    *,
    like: Mapping[Any, Tensor] | None = None,
    remedy: str = _USE_OTHERS,
) -> None:
    """Raise InputError if a value of some weights is NaN or infinite, or a tensor is of another kind.

    Args:
        where: the file of the weights.
        weights: see `find_not_finite`. No tensor may be sparse, quantised or without values.
        like: the tensors that are to take the values: see `find_not_finite`. Those of floating point take no others.
        remedy: what the user can do about values that are not finite.
    """
    for name, value in weights.items():
        if isinstance(value, Tensor):
            _require_kind(where, name, value, (like or {}).get(name))
    name = find_not_finite(weights, like)
    if name is not None:
        raise InputError(
            where,
            found=f"weights that are not finite (NaN or infinity), first in {name}",
            expected="finite weights: these are of a training that diverged, or damaged",
            remedy=remedy,
        )


def _require_kind(where: str | Path, name: object, value: Tensor, like: Tensor | None) -> None:
    kind = str(value.dtype).removeprefix("torch.")
    if value.is_meta or value.is_quantized or value.layout != torch.strided:
        what = "without values" if value.is_meta else "of quantised numbers" if value.is_quantized else "that is sparse"
    elif like is not None and like.is_floating_point() and not value.is_floating_point():
        what = f"of {kind}"
    else:
        return
    raise InputError(
        where,
        found=f"a tensor {what}: {name}",
        expected="numbers of floating point, such as float32"
        if like is None or like.is_floating_point()
        else "numbers",
        remedy=_SAVE_AGAIN,
    )


def _has_fractions(value: Tensor) -> bool:
    return value.is_floating_point() or value.is_complex()


def _widen(value: Tensor) -> Tensor:
    # PyTorch computes little with numbers of 8 bits.
    return value if value.element_size() > 1 else value.float()

"""Checks a file of weights before anything is computed with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..data.errors import InputError
from ..data.images.file_start import is_lfs_pointer

__all__ = ["check_weights"]


def check_weights(path: str | Path, network: nn.Module) -> None:
    """Make sure that a file holds the weights of this network.

    Args:
        path: a state dict as ``torch.save`` writes it; it is loaded with ``weights_only=True``.
        network: the network that will load it.

    Raises:
        InputError: when the file is missing, no checkpoint, a training's ``last.pt``, or of a network with other
            layers or widths.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(
            path,
            found="no such file",
            expected="the weights of this bundle's network",
            remedy="train the bundle and name its best weights: --checkpoint RUN/model.pt",
        )
    if is_lfs_pointer(path):
        raise InputError(
            path, found="a Git-LFS pointer", expected="weights", remedy="fetch the real file with `git lfs pull`"
        )
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise InputError(
            path,
            found=f"a file that PyTorch cannot load ({type(error).__name__})",
            expected="a state dict written by torch.save",
            remedy="check that the file is whole, or copy it again",
        ) from error
    if isinstance(weights, dict) and {"network", "optimizer"} <= weights.keys():
        raise InputError(
            path,
            found="the last state of a training (last.pt), from which it can be resumed",
            expected="the weights of the network alone",
            remedy=f"use the best weights, which lie beside it: --checkpoint {path.with_name('model.pt')}",
        )
    _compare(path, weights, network)


def _compare(path: Path, weights: object, network: nn.Module) -> None:
    expected = _shapes(network.state_dict())
    found = _shapes(weights) if isinstance(weights, Mapping) else {}
    differing = [name for name in expected | found if expected.get(name) != found.get(name)]
    if differing:
        name = differing[0]
        raise InputError(
            path,
            found=f"{len(differing)} tensors that differ, first {name}: {found.get(name, 'missing')}",
            expected=f"{name}: {expected.get(name, 'no such tensor')}",
            remedy="use the weights that were trained with these settings (skip, channels, kernel_size, labels); "
            f"where a training wrote them, keep its {path.with_suffix('.json').name} next to them: the network's spec",
        )


def _shapes(weights: Mapping[Any, object]) -> dict[Any, object]:
    """Return the shape of each tensor; what is no tensor, the name of its type in place of a shape."""
    return {
        name: tuple(value.shape) if isinstance(value, torch.Tensor) else f"no tensor but {type(value).__name__}"
        for name, value in weights.items()
    }

"""Checks a file of weights before anything is computed with it."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from ..data.errors import InputError

__all__ = ["check_weights"]

_LFS_POINTER = b"version https://git-lfs"


def check_weights(path: str | Path, network: nn.Module) -> None:
    """Make sure that a file holds the weights of this network.

    Args:
        path: a state dict as ``torch.save`` writes it; it is loaded with ``weights_only=True``.
        network: the network that will load it.

    Raises:
        InputError: when the file is missing, no checkpoint, or of a network with other layers or widths.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(
            path,
            found="no such file",
            expected="the weights of this bundle's network",
            remedy="train the bundle and name its best weights: --checkpoint RUN/model.pt",
        )
    with path.open("rb") as file:
        pointer = file.read(len(_LFS_POINTER)) == _LFS_POINTER
    if pointer:
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
    _compare(path, weights, network)


def _compare(path: Path, weights: object, network: nn.Module) -> None:
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in weights.items()} if isinstance(weights, dict) else {}
    differing = [name for name in expected | found if expected.get(name) != found.get(name)]
    if differing:
        name = differing[0]
        raise InputError(
            path,
            found=f"{len(differing)} tensors that differ, first {name}: {found.get(name, 'missing')}",
            expected=f"{name}: {expected.get(name, 'no such tensor')}",
            remedy="use the weights that were trained with these settings (skip, channels, kernel_size, labels)",
        )

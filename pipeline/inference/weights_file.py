"""Check a file of weights before it is used."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..data.errors import InputError
from ..data.weights import require_weights
from ..networks.spec_file import read_spec, spec_file

__all__ = ["check_weights", "read_weights"]


def check_weights(path: str | Path, network: nn.Module) -> None:
    """Check that a file has the weights of this network; arguments and errors are those of `read_weights`."""
    read_weights(path, network)


def read_weights(path: str | Path, network: nn.Module) -> Mapping[str, Tensor]:
    """Return the weights in a file, after a check that they are this network's.

    Args:
        path: a state dict written by ``torch.save``, perhaps under the key "model". It is loaded with
            ``weights_only=True``.
        network: the network that will load it.

    Returns:
        The state dict, on the CPU.

    Raises:
        InputError: the file is missing, no checkpoint, a training's ``last.pt``, or of a network with other layers or
            widths.
    """
    path = Path(path)
    require_weights(path)
    try:
        weights: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise InputError(
            path,
            found=f"a file that PyTorch cannot load ({type(error).__name__})",
            expected="a state dict written by torch.save",
            remedy="check that the file is complete, or copy it again",
        ) from error
    if isinstance(weights, dict) and weights.keys() == {"model"} and isinstance(weights["model"], Mapping):
        # As MONAI's CheckpointSaver writes it, and many bundles of the model zoo have it.
        weights = weights["model"]
    if isinstance(weights, dict) and {"network", "optimizer"} <= weights.keys():
        raise InputError(
            path,
            found="the state of a training for resuming it (last.pt)",
            expected="the weights of the network alone",
            remedy=f"use the best weights, which are next to it: --checkpoint {path.with_name('model.pt')}",
        )
    _compare(path, weights, network)
    return weights  # type: ignore[no-any-return]


def _compare(path: Path, weights: object, network: nn.Module) -> None:
    expected = _describe_tensors(network.state_dict())
    found = _describe_tensors(weights) if isinstance(weights, Mapping) else {}
    differing = [name for name in expected | found if expected.get(name) != found.get(name)]
    if differing:
        name, number = differing[0], f"{len(differing)} tensor{'s' if differing[1:] else ''}"
        unread = _find_unread_settings(path, network)
        raise InputError(
            path,
            found=f"{number} that differ{'' if differing[1:] else 's'}, first {name}: {found.get(name, 'missing')}",
            expected=f"{name}: {expected.get(name, 'no such tensor')}",
            remedy=f"write the configs again, which ignore the network in {spec_file(path).name} ({unread}): lightskip "
            "render BUNDLE"
            if unread
            else "use weights that were trained with these settings (skip, channels, kernel_size, labels). Keep the "
            f"network's spec, the {spec_file(path).name} that a training writes, next to its weights",
        )


def _find_unread_settings(path: Path, network: nn.Module) -> str:
    """Return what the spec next to the weights says other than the network; an empty text if there is no such spec.

    Configs of earlier versions build their own network whatever the spec says; those of now build the spec's.
    """
    own = getattr(network, "spec", None)
    try:
        spec = read_spec(path)
    except (OSError, ValueError):
        return ""
    if spec is None or not isinstance(own, dict):
        return ""
    return ", ".join(f"{key} {value!r}" for key, value in spec.items() if value != own.get(key))


def _describe_tensors(weights: Mapping[Any, object]) -> dict[Any, object]:
    """Return the shape of each tensor, and a text with the type of each value that is no tensor."""
    return {
        name: tuple(value.shape) if isinstance(value, torch.Tensor) else f"{type(value).__name__} instead of a tensor"
        for name, value in weights.items()
    }

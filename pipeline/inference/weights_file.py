"""Check a file of weights before it is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..data.errors import InputError
from ..data.finite_weights import find_not_finite, require_finite
from ..data.weights import require_weights
from ..networks.spec_file import read_outputs, read_spec, spec_file

__all__ = ["check_outputs", "check_weights", "read_weights"]


def check_weights(path: str | Path, network: nn.Module, outputs: Sequence[str] | None = None) -> None:
    """Check that a file has the weights of this network; errors are those of `read_weights` and `check_outputs`.

    Args:
        path: see `read_weights`.
        network: the network that will load the weights.
        outputs: names of its output channels; None if they are not known.
    """
    read_weights(path, network)
    if outputs is not None:
        check_outputs(Path(path), outputs)


def check_outputs(path: Path, outputs: Sequence[str]) -> None:
    """Check that no output channel of the weights has a name that is now another channel's.

    A plan whose labels or regions were put in another order would otherwise give structures each other's names. A name
    that is new is taken as right.

    Args:
        path: the file of weights. Names are next to it, as a training writes them; without them nothing is checked.
        outputs: names of the output channels, in the bundle's order.

    Raises:
        InputError: a name is in another place.
    """
    try:
        trained = read_outputs(path)
    except (OSError, ValueError):
        return  # reported where the network's spec is read
    if trained is None:
        return
    moved = [name for name in trained if name in outputs and outputs.index(name) != trained.index(name)]
    if moved:
        raise InputError(
            path,
            found=f"weights whose output channels are {', '.join(trained)}",
            expected=f"the bundle's: {', '.join(outputs)}",
            remedy=f"put {', '.join(moved)} into the order of the weights in plan.yaml, then lightskip render; or "
            "train again",
        )


def read_weights(path: str | Path, network: nn.Module) -> Mapping[str, Tensor]:
    """Return the weights in a file, after a check that they are this network's.

    Args:
        path: a state dict written by ``torch.save``, perhaps under the key "model". It is loaded with
            ``weights_only=True``.
        network: the network that will load it.

    Returns:
        The state dict, on the CPU.

    Raises:
        InputError: the file is missing, no checkpoint, a training's ``last.pt``, of a network with other layers or
            widths, or has values that are not finite or of another kind.
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
    # A value that a new network has as well is meant, such as infinity in a mask of attention.
    meant = find_not_finite(network.state_dict()) is not None
    parameters = dict(network.named_parameters()).keys()
    counted = {name: weights[name] for name in weights if not meant or name in parameters}
    require_finite(path, counted, like=network.state_dict())
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

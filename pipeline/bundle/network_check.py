"""Find out whether a network can be built, without memory. Needs only torch and MONAI."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..data.errors import InputError
from ..networks import build_network

__all__ = ["build_on_meta", "check_deepest_level", "check_network_of", "explain_refusal", "find_refusal"]


def build_on_meta(spec: Mapping[str, Any]) -> Any:
    """Return the network of a spec, with weights that have shapes and no memory: see `build_network`."""
    with torch.device("meta"):
        return build_network(spec)


def find_refusal(error: BaseException) -> str | None:
    """Return why a constructor refused its arguments, on one line; None for an error that is a bug."""
    refusal = " ".join(str(error).split()).rstrip(".")
    return refusal if isinstance(error, ValueError) or "unexpected keyword argument" in refusal else None


@contextmanager
def explain_refusal(where: str) -> Iterator[None]:
    """Raise an InputError where a network or its skip connections refuse their arguments."""
    try:
        yield
    except (ValueError, TypeError) as error:
        refusal = find_refusal(error)
        if isinstance(error, InputError) or refusal is None:
            raise
        raise InputError(
            where,
            found=f"a network that cannot be built: {refusal}",
            expected="settings that the network accepts",
            remedy="correct it in network or skip",
        ) from error


def check_network_of(spec: Mapping[str, Any], sizes: Mapping[str, Sequence[int]], file: Path) -> None:
    """Build the network of a plan, and compare the plan's sizes with it.

    Args:
        spec: the network's spec: see `build_network`.
        sizes: spatial sizes (voxels) by their key in the plan.
        file: the plan's file, for error messages.

    Raises:
        InputError: the network cannot be built, or cannot hold a size.
    """
    with explain_refusal(f"{file}, network and skip"):
        network = build_on_meta(spec)
    for key, size in sizes.items():
        check_deepest_level(network, size, f"{file}, {key}", found=str(size))


def check_deepest_level(network: nn.Module, size: Sequence[int], where: str, *, found: str) -> None:
    """Refuse a size that leaves instance normalisation a single voxel per channel, which has no deviation.

    Args:
        network: a network with ``size_divisor``; others are not checked.
        size: spatial size of its input (voxels), divisible by it.
        where: the file or key, for the message.
        found: the size in words.

    Raises:
        InputError: there is one voxel at the deepest level.
    """
    divisor = getattr(network, "size_divisor", ())
    normalises = any(isinstance(part, nn.modules.instancenorm._InstanceNorm) for part in network.modules())
    if normalises and list(divisor) == list(size):
        raise InputError(
            where,
            found=found,
            expected="more than one voxel at the deepest level, which instance normalisation needs",
            remedy="set a larger size, or a network with fewer levels",
        )

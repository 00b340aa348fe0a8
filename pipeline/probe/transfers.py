"""Change what a skip connection transfers, for a while and without touching its weights.

A network calls a skip's ``keep`` when its encoder passes the level, and its ``transfer`` (alone, or through ``join``)
when the decoder reaches it. These functions put another ``transfer`` in front of the module's own one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..networks import SkipConnection

__all__ = ["Transfer", "capture_kept", "keep_maps", "replace_transfer", "switch_off", "take_mean"]

# What a skip keeps (N, C_k, *spatial) and the decoder's feature map (N, C_d, *spatial), to what it transfers
# (N, C_t, *spatial).
Transfer = Callable[[Tensor, Tensor], Tensor]


@contextmanager
def replace_transfer(skip: SkipConnection, change: Callable[[Transfer], Transfer]) -> Iterator[None]:
    """Let a skip connection transfer something else inside the block.

    A subclass may override ``join`` for speed, without calling ``transfer``, as ``scalar`` does. Inside the block every
    skip joins as the base class does, by concatenation or sum; `pipeline.probe.observe` checks that this is the same.

    Args:
        skip: the skip connection; its weights are not changed.
        change: returns the new ``transfer``, from the skip's own one.
    """
    new: Any = change(skip.transfer)

    def join(kept: Tensor, decoder: Tensor) -> Tensor:
        return SkipConnection.join(skip, kept, decoder)

    # Attributes of the instance come before the methods of its class.
    replaced: dict[str, Any] = {"transfer": new, "join": join}
    for name, function in replaced.items():
        setattr(skip, name, function)
    try:
        yield
    finally:
        for name in replaced:
            delattr(skip, name)


def switch_off(own: Transfer) -> Transfer:
    """Return a transfer of zeros."""
    return lambda kept, decoder: torch.zeros_like(own(kept, decoder))


def take_mean(own: Transfer) -> Transfer:
    """Return a transfer of each channel's mean over the window, the same number at every place."""

    def transfer(kept: Tensor, decoder: Tensor) -> Tensor:
        whole = own(kept, decoder)
        places = tuple(range(2, whole.dim()))
        mean = whole.float().mean(dim=places, keepdim=True).to(whole.dtype)
        return mean.expand_as(whole).contiguous()

    return transfer


def keep_maps(maps: Sequence[int], *, kept_maps: bool) -> Callable[[Transfer], Transfer]:
    """Return a change that leaves only some maps, with zeros for the others.

    Args:
        maps: indices of the maps that are left.
        kept_maps: whether these are channels of what the skip keeps; otherwise, of what it transfers.
    """

    def change(own: Transfer) -> Transfer:
        if kept_maps:
            return lambda kept, decoder: own(_keep_channels(kept, maps), decoder)
        return lambda kept, decoder: _keep_channels(own(kept, decoder), maps)

    return change


def capture_kept(network: nn.Module, skip: SkipConnection, x: Tensor) -> Tensor:
    """Return what a skip keeps of an input (N, C, *spatial): the encoder runs down to its level, and no further."""
    own: Any = skip.keep

    def keep(encoder: Tensor) -> Tensor:
        raise _KeptError(own(encoder))

    setattr(skip, "keep", keep)  # noqa: B010 - mypy refuses to assign to a method
    try:
        network(x)
    except _KeptError as done:
        return done.kept
    finally:
        delattr(skip, "keep")
    msg = f"the network {type(network).__name__} does not call keep of its skip {type(skip).__name__}"
    raise RuntimeError(msg)


class _KeptError(Exception):
    """Not an error: it ends a forward pass as soon as a skip has kept its part."""

    def __init__(self, kept: Tensor) -> None:
        super().__init__()
        self.kept = kept


def _keep_channels(x: Tensor, channels: Sequence[int]) -> Tensor:
    """Return a feature map (N, C, *spatial) with zeros in all other channels."""
    left = torch.zeros(x.shape[1], dtype=x.dtype, device=x.device)
    left[list(channels)] = 1
    return x * left.view(1, -1, *[1] * (x.dim() - 2))

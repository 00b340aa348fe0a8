"""Observe the skips of a network while it segments cases: the strength of each map, and that probes can reach it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..data.errors import InputError
from ..networks import SkipConnection
from .levels import Level
from .transfers import Transfer, replace_transfer

__all__ = ["Observation", "observe_skips"]

_TOLERANCE = 1e-2  # of the largest value; in bfloat16 two orders of the same sums differ by 0.004


@dataclass
class Observation:
    """What passed through one skip connection.

    Attributes:
        kept_maps: whether the maps are channels of what the skip keeps. They are if it keeps fewer channels than it
            transfers, because a projection follows; otherwise they are the transferred channels.
        strength: strength of each map, (maps,): the absolute change of what is transferred if this map is zero, summed
            over channels and averaged over places, windows and cases.
        kept_channels: channels that the skip keeps until the decoder comes.
        transferred_channels: channels that it transfers.
    """

    kept_maps: bool = False
    strength: Tensor = field(default_factory=lambda: torch.zeros(0))
    kept_channels: int = 0
    transferred_channels: int = 0
    windows: int = 0

    @property
    def maps(self) -> int:
        """Number of maps."""
        return len(self.strength)

    @property
    def order(self) -> list[int]:
        """Indices of the maps, the strongest first."""
        return [int(index) for index in torch.argsort(self.strength, descending=True, stable=True)]

    def add(self, kept: Tensor, decoder: Tensor, own: Transfer) -> Tensor:
        """Add a batch of windows, and return what the skip transfers, (N, C_t, *spatial)."""
        whole = own(kept, decoder)
        self.kept_channels, self.transferred_channels = kept.shape[1], whole.shape[1]
        self.kept_maps = kept.shape[1] < whole.shape[1]
        if self.kept_maps:
            changes = [_measure_change(kept, decoder, whole, own, index) for index in range(kept.shape[1])]
            strength = torch.stack(changes)
        else:
            places = (0, *range(2, whole.dim()))
            strength = whole.float().abs().mean(dim=places)
        count = len(whole)
        before = self.strength.to(strength.device) if self.windows else torch.zeros_like(strength)
        self.strength = ((before * self.windows + strength * count) / (self.windows + count)).cpu()
        self.windows += count
        return whole


@contextmanager
def observe_skips(levels: Sequence[Level], observed: Mapping[int, Observation]) -> Iterator[None]:
    """Observe skips inside the block; what they transfer does not change.

    Args:
        levels: the levels to observe.
        observed: the observation of each by its number; the network's forward passes add to it.

    Raises:
        InputError: a skip's own ``join`` is not that of its ``merge``, so that a probe could not reach it.
    """
    with ExitStack() as stack:
        for level in levels:
            stack.enter_context(replace_transfer(level.skip, _observe(level, observed[level.number])))
        yield


def _observe(level: Level, observation: Observation) -> Callable[[Transfer], Transfer]:
    def change(own: Transfer) -> Transfer:
        def transfer(kept: Tensor, decoder: Tensor) -> Tensor:
            if not observation.windows:
                _require_known_join(level, kept, decoder, own)
            return observation.add(kept, decoder, own)

        return transfer

    return change


def _require_known_join(level: Level, kept: Tensor, decoder: Tensor, own: Transfer) -> None:
    """Raise InputError if a skip's own join computes something else than its merge of what it transfers."""
    skip = level.skip
    own_join = type(skip).join
    if own_join is SkipConnection.join:
        return
    transferred = own(kept, decoder)
    # Its own join may call transfer, which is replaced now.
    replaced = skip.__dict__.pop("transfer")
    try:
        found = own_join(skip, kept, decoder)
    finally:
        skip.__dict__["transfer"] = replaced
    expected = decoder + transferred if skip.merge == "sum" else torch.cat((decoder, transferred), dim=1)
    largest = float(expected.abs().max()) or 1.0
    if found.shape != expected.shape or float((found - expected).abs().max()) > _TOLERANCE * largest:
        raise InputError(
            f"level {level.number}",
            found=f"the skip connection {level.kind}, whose join is not the {skip.merge} of what it transfers",
            expected="a skip that joins what its transfer returns",
            remedy="leave this level out: --levels",
        )


def _measure_change(kept: Tensor, decoder: Tensor, whole: Tensor, own: Transfer, index: int) -> Tensor:
    """Return the absolute change of what is transferred without one kept map, as `Observation.strength`."""
    without = kept.clone()
    without[:, index] = 0
    change = (whole - own(without, decoder)).float().abs().sum(dim=1)
    return change.mean()

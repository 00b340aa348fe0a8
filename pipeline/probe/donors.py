"""Exchange what a skip keeps between cases of different sizes, window by window."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from monai.inferers.inferer import SlidingWindowInferer
from torch import Tensor, nn
from torch.nn import functional

from ..inference.windows import find_window_size
from ..networks import SkipConnection
from .transfers import Transfer, capture_kept, replace_transfer

__all__ = ["DonorWindows", "assign_donors", "infer_with_donor"]


def assign_donors(cases: int, seed: int) -> list[int]:
    """Return for each case the index of the case that its skip's input comes from.

    The cases form one random ring, so that each gives once and none gets its own.

    Args:
        cases: number of cases, at least 2.
        seed: the same seed gives the same ring.
    """
    ring = np.random.default_rng(seed).permutation(cases)
    donors = np.empty(cases, dtype=np.int64)
    donors[ring] = np.roll(ring, 1)
    return [int(donor) for donor in donors]


class DonorWindows:
    """Windows of another case at the same relative places.

    Cases differ in size, windows do not. If a window of the case starts at a share s of the way that windows can move
    along an axis, its counterpart starts at the share s of the other case's way; where windows cannot move in the case,
    at its middle. So both show about the same place of the body, in the same orientation and spacing, and no voxel is
    resampled. Scans that are smaller than the window are padded as the inferer pads them.

    Args:
        inferer: the inferer that moves windows over the case.
        shape: spatial shape of the case.
        donor: the other case, (C, *spatial), in the network's grid.
    """

    def __init__(self, inferer: SlidingWindowInferer, shape: Sequence[int], donor: Tensor) -> None:
        self.size = find_window_size(inferer, shape)
        self.room = [max(length - size, 0) for length, size in zip(shape, self.size, strict=True)]
        gaps = [max(size - length, 0) for length, size in zip(donor.shape[1:], self.size, strict=True)]
        pad = [side for gap in reversed(gaps) for side in (gap // 2, gap - gap // 2)]
        self.donor = functional.pad(donor[None], pad, mode=inferer.padding_mode, value=inferer.cval)[0]

    def find(self, starts: Sequence[int]) -> Tensor:
        """Return the counterpart (C, *size) of the window that starts here (voxels of the padded case)."""
        place: list[slice] = [slice(None)]
        for start, room, size, length in zip(starts, self.room, self.size, self.donor.shape[1:], strict=True):
            share = start / room if room else 0.5
            first = round(share * (length - size))
            place.append(slice(first, first + size))
        return self.donor[tuple(place)]


def infer_with_donor(
    inferer: SlidingWindowInferer, network: nn.Module, skip: SkipConnection, image: Tensor, donor: Tensor
) -> Tensor:
    """Return a case's logits while one of its skips gets what the encoder made of another case.

    Args:
        inferer: the bundle's inferer.
        network: the trained network.
        skip: the network's skip whose input is exchanged. Whatever it reads of the decoder stays the case's own.
        image: the case, (1, C, *spatial).
        donor: the other case, (C, *spatial).
    """
    windows = DonorWindows(inferer, image.shape[2:], donor)

    def run(x: Tensor, coordinates: Sequence[Sequence[slice]]) -> Any:
        # MONAI's coordinates begin with batch and channel.
        others = [windows.find([axis.start for axis in place[2:]]) for place in coordinates]
        kept = capture_kept(network, skip, torch.stack(others).to(x.device))

        def change(own: Transfer) -> Transfer:
            return lambda _kept, decoder: own(kept, decoder)

        with replace_transfer(skip, change):
            return network(x)

    placed = copy.copy(inferer)
    placed.with_coord = True
    logits: Tensor = placed(image, run)
    return logits

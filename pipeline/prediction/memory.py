"""The memory that prediction may have: what it has taken, and what a scan will take."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch

from ..data.errors import InputError
from ..inference.windows import Windows
from ..memory import give_back, restart_peak, status_bytes

# Copies (float32) of a volume at the peak of MONAI's transforms, as `benchmarks/predict.py preparation` measures them:
# of the scan while it is read (scaled values, DICOM and turned axes take most); of the scan where nothing is resampled;
# of the scan and of the network's grid while one is resampled to the other. Normalising by a mask takes the most.
_READ, _OWN_GRID, _SOURCE, _RESAMPLED = 4.2, 5.3, 1.3, 7.2
_OWN_GRID_MASKED, _RESAMPLED_MASKED = 10.4, 9.6

_MOST_STRIPS = 64
_OF_GPU = 0.8  # of what is free: other work on it may grow
_PLACES = 128 << 20  # beside the slab: the places of the scan's grid that are interpolated at a time

__all__ = ["Budget", "MemoryWatch", "preparation_bytes", "reading_bytes", "resident_bytes"]


class MemoryWatch:
    """The process's peak memory, over all and in parts; 0 where the system does not tell."""

    def __init__(self) -> None:
        self._before = 0

    def restart(self) -> None:
        """Begin a new part."""
        self._before = self.peak_bytes()
        restart_peak()

    def part_bytes(self) -> int:
        """Return the peak of this part."""
        return status_bytes("VmHWM") or 0

    def peak_bytes(self) -> int:
        """Return the peak of all parts."""
        return max(self._before, self.part_bytes())


def resident_bytes() -> int:
    """Return what this process has in memory now and nobody can take from it; 0 where the system does not tell.

    Pages of files count as far as they are the libraries': those of probabilities on their way to the disk are the
    system's to keep or not.
    """
    return (status_bytes("RssAnon") or 0) + (status_bytes("RssShmem") or 0) + _library_bytes()


@cache
def _library_bytes() -> int:
    return status_bytes("RssFile") or 0


def reading_bytes(scan: int, *, channels: int) -> int:
    """Return what reading a scan of so many voxels takes at its peak, in bytes, rather too much."""
    return int(4 * channels * _READ * scan)


def preparation_bytes(
    scan: int, network: int, *, channels: int, resampled: bool | None = None, masked: bool = False
) -> int:
    """Return what reading, checking and pre-processing a scan takes at its peak, in bytes, rather too much.

    Args:
        scan: voxels of the scan.
        network: voxels of the network's grid.
        channels: of the scan.
        resampled: whether one grid is resampled to the other; None: where they differ in their number.
        masked: whether it is normalised by its voxels that are not zero.
    """
    if not (scan != network if resampled is None else resampled):
        copies = (_OWN_GRID_MASKED if masked else _OWN_GRID) * scan
    else:
        copies = _SOURCE * scan + (_RESAMPLED_MASKED if masked else _RESAMPLED) * network
    return max(reading_bytes(scan, channels=channels), int(4 * channels * copies))


class Budget:
    """What a prediction may have in memory, and how it is kept.

    Args:
        memory: bytes for this process; None: no bound.
        device: where the network runs. On a GPU the slab lies in its memory, which bounds it there.
        window: bytes that a batch of windows takes in the network, on the device.
    """

    def __init__(self, memory: int | None, device: torch.device, *, window: int) -> None:
        self.memory, self.device, self.window = memory, device, window

    def require(self, needed: int, shape: Sequence[int]) -> None:
        """Raise InputError where a scan of this shape needs more bytes than are left."""
        left = self._left(needed)
        if left is None or self.memory is None or needed <= left:
            return
        raise InputError(
            "--memory",
            found=f"{self.memory / 1e9:.3g} GB",
            expected=f"about {(resident_bytes() + needed) / 1e9:.2g} GB for {' x '.join(map(str, shape))} voxels",
            remedy="give more memory",
        )

    def strips(self, windows: Windows, shape: Sequence[int], *, reserved: int = 0) -> int:
        """Return into how many strips the slab of a scan has to be cut.

        Args:
            windows: of the scan.
            shape: of the scan.
            reserved: bytes of the process's memory that something else will take meanwhile.

        Raises:
            InputError: the narrowest strips are too large, or what is reserved is.
        """
        if self.device.type == "cuda":
            self.require(reserved + _PLACES, shape)
            room: int | None = self._free_on_gpu() - self.window
        else:
            beside = self.window + _PLACES + reserved
            left = self._left(beside + windows.slab_bytes())
            room = None if left is None else left - beside
        if room is None:
            return 1
        counts = range(1, _MOST_STRIPS + 1)
        fitting = next((count for count in counts if windows.slab_bytes(count) <= room), None)
        if fitting is not None:
            return fitting
        if self.device.type != "cuda":
            self.require(windows.slab_bytes(_MOST_STRIPS) + self.window + _PLACES + reserved, shape)
            return _MOST_STRIPS
        raise InputError(
            str(self.device),
            found=f"{self._free_on_gpu() / 1e9:.3g} GB of memory free",
            expected=f"{(windows.slab_bytes(_MOST_STRIPS) + self.window) / 1e9:.2g} GB for this scan",
            remedy="end what else runs on it, or segment with --device cpu",
        )

    def holds(self, windows: Windows, more: int) -> bool:
        """Tell whether a scan's slab and so many bytes more fit into the process's memory."""
        slab = 0 if self.device.type == "cuda" else windows.slab_bytes() + self.window
        left = self._left(slab + _PLACES + more)
        return left is None or slab + _PLACES + more <= left

    def _left(self, wanted: int) -> int | None:
        """Return the bytes that are left, at least those wanted if giving back what is free makes it so."""
        if self.memory is None:
            return None
        if self.memory - resident_bytes() < wanted:
            # Only then: what is given back has to be got again, page by page.
            give_back()
        return self.memory - resident_bytes()

    def _free_on_gpu(self) -> int:
        kept = torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)
        return int(_OF_GPU * (torch.cuda.mem_get_info(self.device)[0] + kept))

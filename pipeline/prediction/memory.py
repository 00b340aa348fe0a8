"""The memory that prediction may have: what it has taken, and what a scan will take."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..data.errors import InputError
from ..inference.windows import CHUNK_BYTES, Windows
from ..memory import restart_peak, status_bytes

# Copies (float32) of a volume at the peak of MONAI's transforms, as `benchmarks/predict.py preparation` measures them:
# of the scan while it is read (scaled values, DICOM and turned axes take most); of the scan where nothing is resampled;
# of the scan and of the network's grid while one is resampled to the other. Normalising by a mask takes the most.
_READ, _OWN_GRID, _SOURCE, _RESAMPLED = 4.2, 5.3, 1.3, 7.2
_OWN_GRID_MASKED, _RESAMPLED_MASKED = 10.4, 9.6

_MOST_STRIPS = 64
_OF_GPU = 0.8  # of what is free: other work on it may grow
_ROWS = 5 * CHUNK_BYTES  # beside the slab: rows that were handed out, their probabilities, their labels

__all__ = ["Budget", "MemoryWatch", "preparation_bytes", "resident_bytes"]


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
    """Return what this process has in memory now; 0 where the system does not tell."""
    return status_bytes("VmRSS") or 0


def preparation_bytes(scan: int, network: int, *, channels: int, masked: bool = False) -> int:
    """Return what reading, checking and pre-processing a scan takes at its peak, in bytes, rather too much.

    Args:
        scan: voxels of the scan.
        network: voxels of the network's grid; as many where nothing is resampled.
        channels: of the scan.
        masked: whether it is normalised by its voxels that are not zero.
    """
    if scan == network:
        copies = (_OWN_GRID_MASKED if masked else _OWN_GRID) * scan
    else:
        copies = _SOURCE * scan + (_RESAMPLED_MASKED if masked else _RESAMPLED) * network
    return int(4 * channels * max(_READ * scan, copies))


class Budget:
    """What a prediction may have in memory, and how it is kept.

    Args:
        memory: bytes for this process; None: no bound.
        device: where the network runs. A GPU's own memory bounds the slab that lies there.
        window: bytes that a batch of windows takes in the network.
    """

    def __init__(self, memory: int | None, device: torch.device, *, window: int) -> None:
        self.memory, self.device, self.window = memory, device, window

    def require(self, needed: int, shape: Sequence[int]) -> None:
        """Raise InputError where a scan of this shape needs more bytes than are left."""
        if self.memory is None or resident_bytes() + needed <= self.memory:
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
            reserved: bytes that something else will take meanwhile.

        Raises:
            InputError: the narrowest strips are too large.
        """
        room = self._room()
        if room is None:
            return 1
        counts = range(1, _MOST_STRIPS + 1)
        fitting = next((count for count in counts if windows.slab_bytes(count) <= room - reserved), None)
        if fitting is None:
            self.require(windows.slab_bytes(_MOST_STRIPS) + self.window + _ROWS + reserved, shape)
        return fitting or _MOST_STRIPS

    def holds(self, windows: Windows, more: int) -> bool:
        """Tell whether the slab of a scan and so many bytes more fit in."""
        room = self._room()
        return room is None or windows.slab_bytes() + more <= room

    def _room(self) -> int | None:
        """Return the bytes that are left for a slab; None where nothing bounds it."""
        if self.device.type == "cuda":
            return int(_OF_GPU * torch.cuda.mem_get_info(self.device)[0]) - self.window
        return None if self.memory is None else self.memory - resident_bytes() - self.window - _ROWS

"""The memory of a prediction: how much it may take, has taken, and will take for a scan."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch

from ..data.errors import InputError
from ..inference.windows import Windows
from ..memory import give_back, restart_peak, status_bytes

# Copies (float32) of a volume at the peak of MONAI's transforms, measured by `benchmarks/predict.py preparation`:
# of the scan while it is read (most for scaled values, DICOM and turned axes); of the scan if nothing is resampled;
# of the scan and of the network's grid while one is resampled to the other. Normalising by a mask takes more.
_READ, _OWN_GRID, _SOURCE, _RESAMPLED = 4.2, 5.3, 1.3, 7.2
_OWN_GRID_MASKED, _RESAMPLED_MASKED = 10.4, 9.6

MAX_STRIPS = 64
_GPU_SHARE = 0.8  # share of its free memory: other programs on it may grow
_PLACES = 128 << 20  # bytes, next to the slab: coordinates of the scan's grid that are interpolated at a time

__all__ = ["MAX_STRIPS", "Budget", "MemoryWatch", "preparation_bytes", "reading_bytes", "resident_bytes"]


class MemoryWatch:
    """The process's peak memory, in total and since a restart; 0 if the system does not report it."""

    def __init__(self) -> None:
        self._before = 0

    def restart(self) -> None:
        """Start a new part."""
        self._before = self.peak_bytes()
        restart_peak()

    def part_bytes(self) -> int:
        """Return the peak of this part."""
        return status_bytes("VmHWM") or 0

    def peak_bytes(self) -> int:
        """Return the peak of all parts."""
        return max(self._before, self.part_bytes())


def resident_bytes() -> int:
    """Return the bytes that this process occupies now; 0 if the system does not report it.

    Of mapped files only libraries count, not probabilities on their way to the disk: the system can drop those pages.
    """
    return (status_bytes("RssAnon") or 0) + (status_bytes("RssShmem") or 0) + _library_bytes()


@cache
def _library_bytes() -> int:
    return status_bytes("RssFile") or 0


def reading_bytes(scan: int, *, channels: int) -> int:
    """Return an upper estimate of the peak memory (bytes) of reading a scan with this many voxels."""
    return int(4 * channels * _READ * scan)


def preparation_bytes(
    scan: int, network: int, *, channels: int, resampled: bool | None = None, masked: bool = False
) -> int:
    """Return an upper estimate of the peak memory (bytes) of reading, checking and pre-processing a scan.

    Args:
        scan: voxels of the scan.
        network: voxels of the network's grid.
        channels: channels of the scan.
        resampled: whether the scan is resampled; None: it is, if the two numbers of voxels differ.
        masked: whether the scan is normalised by its voxels that are not zero.
    """
    if not (scan != network if resampled is None else resampled):
        copies = (_OWN_GRID_MASKED if masked else _OWN_GRID) * scan
    else:
        copies = _SOURCE * scan + (_RESAMPLED_MASKED if masked else _RESAMPLED) * network
    return max(reading_bytes(scan, channels=channels), int(4 * channels * copies))


class Budget:
    """The memory that a prediction may take.

    Args:
        memory: bytes for this process; None: no limit.
        device: device of the network. On a GPU the slab is in the GPU's memory, which limits it.
        window: bytes that the network takes on the device for a batch of windows.
    """

    def __init__(self, memory: int | None, device: torch.device, *, window: int) -> None:
        self.memory, self.device, self.window = memory, device, window

    def require(self, needed: int, shape: Sequence[int]) -> None:
        """Raise InputError if a scan of this shape needs more bytes than are left."""
        left = self._left(needed)
        if left is None or self.memory is None or needed <= left:
            return
        raise InputError(
            "--memory",
            found=f"{self.memory / 1e9:.3g} GB",
            expected=f"about {(resident_bytes() + needed) / 1e9:.2g} GB for {' x '.join(map(str, shape))} voxels",
            remedy="allow more memory: --memory SIZE",
        )

    def strip_count(self, windows: Windows, shape: Sequence[int], *, reserved: int = 0) -> int:
        """Return the number of strips that a scan's slab has to be cut into.

        Args:
            windows: windows of the scan.
            shape: shape of the scan.
            reserved: bytes of the process's memory that other work takes at the same time.

        Raises:
            InputError: the narrowest strips or the reserved bytes do not fit.
        """
        if self.device.type == "cuda":
            self.require(reserved + _PLACES, shape)
            room: int | None = self._free_on_gpu() - self.window
        else:
            other = self.window + _PLACES + reserved
            left = self._left(other + windows.slab_bytes())
            room = None if left is None else left - other
        if room is None:
            return 1
        counts = range(1, MAX_STRIPS + 1)
        fitting = next((count for count in counts if windows.slab_bytes(count) <= room), None)
        if fitting is not None:
            return fitting
        if self.device.type != "cuda":
            self.require(windows.slab_bytes(MAX_STRIPS) + self.window + _PLACES + reserved, shape)
            return MAX_STRIPS
        raise InputError(
            str(self.device),
            found=f"{self._free_on_gpu() / 1e9:.3g} GB of memory free",
            expected=f"{(windows.slab_bytes(MAX_STRIPS) + self.window) / 1e9:.2g} GB for this scan",
            remedy="end other programs on the GPU, or segment with --device cpu",
        )

    def has_room(self, windows: Windows, more: int) -> bool:
        """Return whether a scan's slab and `more` bytes fit into the process's memory."""
        slab = 0 if self.device.type == "cuda" else windows.slab_bytes() + self.window
        left = self._left(slab + _PLACES + more)
        return left is None or slab + _PLACES + more <= left

    def _left(self, wanted: int) -> int | None:
        """Return the bytes that are left, after returning freed memory to the system if they are too few."""
        if self.memory is None:
            return None
        if self.memory - resident_bytes() < wanted:
            # Only if needed: returned memory has to be allocated again, page by page.
            give_back()
        return self.memory - resident_bytes()

    def _free_on_gpu(self) -> int:
        kept = torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)
        return int(_GPU_SHARE * (torch.cuda.mem_get_info(self.device)[0] + kept))

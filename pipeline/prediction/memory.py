"""The memory that prediction may have: what it has taken, and what a scan will take."""

from __future__ import annotations

from collections.abc import Sequence

from ..data.errors import InputError
from ..memory import restart_peak, status_bytes

# Copies (float32) of a volume at the peak: of the scan where nothing is resampled, of the scan while it is read, and of
# the scan and the network's grid while one is resampled to the other.
_COPIES, _READ, _SOURCE, _RESAMPLED = 5.3, 2.6, 1.3, 7.2

__all__ = ["MemoryWatch", "preparation_bytes", "require_memory", "resident_bytes"]


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


def preparation_bytes(scan: int, network: int, *, channels: int) -> int:
    """Return what reading, checking and pre-processing a scan takes at its peak, in bytes, rather too much.

    The numbers are those of MONAI's transforms, as `benchmarks/predict.py` measures them.

    Args:
        scan: voxels of the scan.
        network: voxels of the network's grid; as many where nothing is resampled.
        channels: of the scan.
    """
    copies = _COPIES * scan if scan == network else max(_READ * scan, _SOURCE * scan + _RESAMPLED * network)
    return int(4 * channels * copies)


def require_memory(needed: int, memory: int, shape: Sequence[int]) -> None:
    """Raise InputError where a scan of this shape needs more memory (bytes) than there may be."""
    if needed > memory:
        raise InputError(
            "--memory",
            found=f"{memory / 1e9:.3g} GB",
            expected=f"about {needed / 1e9:.3g} GB for a scan of {' x '.join(map(str, shape))} voxels",
            remedy="give more memory",
        )

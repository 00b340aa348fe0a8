"""The memory that prediction may have: what it has taken, and what a scan will take."""

from __future__ import annotations

from collections.abc import Sequence

from ..data.errors import InputError
from ..memory import restart_peak, status_bytes

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
    """Return what reading, checking and pre-processing a scan takes at its peak, in bytes, at most.

    Args:
        scan: voxels of the scan.
        network: voxels of the network's grid; as many where nothing is resampled.
        channels: of the scan.
    """
    return 4 * channels * (3 * scan + (0 if scan == network else 6 * network))


def require_memory(needed: int, memory: int, shape: Sequence[int]) -> None:
    """Raise InputError where a scan of this shape needs more memory (bytes) than there may be."""
    if needed > memory:
        raise InputError(
            "--memory",
            found=f"{memory / 1e9:.3g} GB",
            expected=f"about {needed / 1e9:.3g} GB for a scan of {' x '.join(map(str, shape))} voxels",
            remedy="give more memory",
        )

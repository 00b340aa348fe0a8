"""The machine: what it is, how fast it multiplies matrices, and how much memory a process has used."""

from __future__ import annotations

import platform
import time
from pathlib import Path

import torch

from ..memory import restart_peak, status_bytes

__all__ = ["MemoryPeak", "cpu_model", "device_name", "matrix_rate", "synchronise"]

_SIZES = {"cpu": (512, 1024, 2048), "cuda": (2048, 4096, 8192)}
_SECONDS_PER_SIZE = 0.3
_FEWEST_PRODUCTS = 3


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def matrix_rate(device: torch.device, precision: str) -> float:
    """Measure the rate of products of square matrices: what this machine's best kernels reach.

    Args:
        device: where to compute, with as many threads as PyTorch has been given.
        precision: number format of the factors, ``"bfloat16"``, ``"float16"`` or ``"float32"``.

    Returns:
        The best of several sizes and repetitions in GFLOP/s, a multiply-add counted as two.
    """
    best = 0.0
    for size in _SIZES.get(device.type, _SIZES["cpu"]):
        left, right = (torch.randn(size, size, device=device).to(getattr(torch, precision)) for _ in range(2))
        product = torch.mm(left, right)  # the first call chooses and prepares the kernel
        began, done = time.perf_counter(), 0
        while done < _FEWEST_PRODUCTS or time.perf_counter() - began < _SECONDS_PER_SIZE:
            synchronise(device)
            start = time.perf_counter()
            torch.mm(left, right, out=product)
            synchronise(device)
            best = max(best, 2 * size**3 / (time.perf_counter() - start) / 1e9)
            done += 1
    return best


def cpu_model() -> str:
    """The processor's name, as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def device_name(device: torch.device) -> str:
    """``cpu``, or a GPU's index and name."""
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)


class MemoryPeak:
    """The most memory used since it was made.

    On a GPU that is the peak of PyTorch's allocations, network and optimiser among them. On a CPU it is how far the
    process's resident memory rose above what it was; only Linux tells.

    Args:
        device: where the network runs.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._before = status_bytes("VmRSS")
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            return
        if not restart_peak():
            self._before = None

    def bytes(self) -> int | None:
        """The peak in bytes; None where it cannot be told."""
        if self._device.type == "cuda":
            return int(torch.cuda.max_memory_allocated(self._device))
        peak = status_bytes("VmHWM")
        return None if peak is None or self._before is None else max(peak - self._before, 0)

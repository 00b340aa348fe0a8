"""Describe the machine: its name, how fast it multiplies matrices, and the memory that a process has used."""

from __future__ import annotations

import platform
import time
from pathlib import Path

import torch

from ..memory import restart_peak, status_bytes

__all__ = ["MemoryPeak", "cpu_model", "device_name", "measure_matrix_rate", "synchronise"]

_SIZES = {"cpu": (512, 1024, 2048), "cuda": (2048, 4096, 8192)}
_SECONDS_PER_SIZE = 0.3
_MIN_PRODUCTS = 3


def synchronise(device: torch.device) -> None:
    """Wait until the device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def measure_matrix_rate(device: torch.device, precision: str) -> float:
    """Measure the rate of products of square matrices, which this machine's best kernels reach.

    Args:
        device: where to compute, with PyTorch's current number of threads.
        precision: number format of the factors, ``"bfloat16"``, ``"float16"`` or ``"float32"``.

    Returns:
        The best rate of several sizes and repetitions in GFLOP/s. A multiply-add counts as two.
    """
    best = 0.0
    for size in _SIZES.get(device.type, _SIZES["cpu"]):
        left, right = (torch.randn(size, size, device=device).to(getattr(torch, precision)) for _ in range(2))
        product = torch.mm(left, right)  # the first call chooses and prepares the kernel
        size_start, products = time.perf_counter(), 0
        while products < _MIN_PRODUCTS or time.perf_counter() - size_start < _SECONDS_PER_SIZE:
            synchronise(device)
            start = time.perf_counter()
            torch.mm(left, right, out=product)
            synchronise(device)
            best = max(best, 2 * size**3 / (time.perf_counter() - start) / 1e9)
            products += 1
    return best


def cpu_model() -> str:
    """Return the processor's name in the system."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def device_name(device: torch.device) -> str:
    """Return ``cpu``, or a GPU's index and name."""
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)


class MemoryPeak:
    """Measure the peak memory since the object was created.

    On a GPU that is the peak of PyTorch's allocations, including the network and the optimiser. On a CPU it is the rise
    of the process's resident memory, which only Linux reports.

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
        """Return the peak in bytes, or None if the system does not report it."""
        if self._device.type == "cuda":
            return int(torch.cuda.max_memory_allocated(self._device))
        peak = status_bytes("VmHWM")
        return None if peak is None or self._before is None else max(peak - self._before, 0)

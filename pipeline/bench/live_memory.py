"""Measure the memory peak of a few steps of PyTorch.

On a CPU these are *live bytes*: everything that PyTorch's allocator allocates and frees. The number is the same in
every run. It does not include what libraries such as oneDNN allocate themselves. On a GPU it is PyTorch's own peak.
The benchmarks' `processes.run_alone` measures a whole process.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import torch
from torch.autograd.profiler import profile

__all__ = ["MIB", "device_peak", "live_peak"]

MIB = 2**20


def live_peak(work: Callable[[], object]) -> int:
    """Return the peak (bytes) of a call's CPU memory, in tensors and in temporaries of PyTorch's kernels.

    Memory that was allocated before the call does not count, and is not subtracted if the call frees it.
    """
    # The profiler would write its stages to standard error.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    with profile(profile_memory=True, use_kineto=False) as profiler:
        work()
    events = profiler.kineto_results.events()
    changes = [(event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]"]
    live = peak = 0
    for _, change in sorted(changes, key=lambda item: item[0]):
        live += change
        peak = max(peak, live)
    return peak


def device_peak(work: Callable[[], object], device: str) -> int:
    """Return the peak (bytes) of PyTorch's GPU memory during a call, minus what it held before."""
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    work()
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device) - before

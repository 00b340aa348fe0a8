"""Peaks of memory of a few steps of PyTorch.

On a CPU *live bytes*: all that PyTorch's allocator gives out and takes back. It is the same number in every run, but
without what libraries such as oneDNN allocate for themselves. On a GPU PyTorch's own peak. `processes.run_alone`
measures what a whole process holds.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import torch
from torch.autograd.profiler import profile

__all__ = ["MIB", "device_peak", "live_peak"]

MIB = 2**20


def live_peak(work: Callable[[], object]) -> int:
    """Peak (bytes) of CPU memory in tensors and PyTorch's kernels' temporaries, above what was there before the call.

    Memory that was there before and is freed in the call is not subtracted.
    """
    # The profiler would tell its stages on standard error.
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
    """Peak (bytes) of PyTorch's memory on a GPU during the call, above what it held before."""
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    work()
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device) - before

"""Peaks of memory, and fresh processes to measure them in.

Two measures on a CPU. *Live bytes* adds up what PyTorch's allocator gives out and takes back: the same number in every
run, but without what libraries such as oneDNN allocate for themselves. *Resident growth* is what the process came to
hold in memory, scratch and fragmentation included: what a user sees, but how the heap grows differs from process to
process. On a GPU PyTorch's own peak.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from torch.autograd.profiler import profile

__all__ = ["MIB", "available_bytes", "device_peak", "live_peak", "resident_peak", "stream"]

MIB = 2**20
_PROCESS = Path("/proc/self")
_PRELOAD = ["monai.inferers", "monai.losses", "monai.networks.nets", "pipeline.inference", "pipeline.training"]


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


def resident_peak(work: Callable[[], object]) -> int | None:
    """Peak (bytes) of this process's memory during the call, above what it held before; None where Linux cannot tell.

    A process that has freed memory without giving it back fills that first, and shows less: use a fresh one.
    """
    try:
        # Sets the high-water mark (VmHWM) back to what is resident now: proc(5).
        (_PROCESS / "clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return None
    before = _status("VmRSS")
    work()
    return _status("VmHWM") - before


def device_peak(work: Callable[[], object], device: str) -> int:
    """Peak (bytes) of PyTorch's memory on a GPU during the call, above what it held before."""
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    work()
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device) - before


def available_bytes() -> int | None:
    """Memory that a process can still have without swapping; None where Linux does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")), None)


def stream(function: Callable[..., Iterator[Any]], *arguments: Any, **options: Any) -> Iterator[Any]:
    """Run a generator function in a fresh process and yield what it yields.

    The process is forked from one that has imported PyTorch and MONAI and computed nothing.

    Args:
        function: of a module, so that it can be pickled; so must be its arguments and what it yields.
        *arguments: of the function.
        **options: of the function, by keyword.

    Raises:
        RuntimeError: when the process fails; its traceback, if it has one, is on standard error.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOAD)
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_serve, args=(sender, partial(function, *arguments, **options)), daemon=True)
    process.start()
    sender.close()
    try:
        while True:
            try:
                yield receiver.recv()
            except EOFError:
                break
        process.join()
    finally:
        process.terminate()
        process.join()
    if process.exitcode:
        reason = "killed, as systems do when memory runs out" if process.exitcode == -9 else str(process.exitcode)
        msg = f"the process of {function.__name__} ended early: {reason}"
        raise RuntimeError(msg)


def _serve(sender: Connection, generate: Callable[[], Iterator[Any]]) -> None:
    for item in generate():
        sender.send(item)
    sender.close()


def _status(field: str) -> int:
    lines = (_PROCESS / "status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))

"""Memory of this process and of the machine. Imports nothing else of LightSkip, so that every room can use it."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress
from pathlib import Path

import psutil

__all__ = ["free_bytes", "give_back", "restart_peak", "status_bytes"]

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def status_bytes(key: str) -> int | None:
    """Return a size in this process's status, such as ``VmHWM``, in bytes; None if the system is not Linux.

    psutil lacks the peak that `restart_peak` restarts, and the kinds of resident memory (``RssAnon``, ...).
    """
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    kilobytes = [int(line.split()[1]) for line in lines if line.startswith(f"{key}:")]
    return kilobytes[0] * 1024 if kilobytes else None


def free_bytes() -> int:
    """Return the machine's memory (bytes) that is available without swapping."""
    return int(psutil.virtual_memory().available)


def give_back() -> None:
    """Return the freed memory that malloc keeps to the system, so that measurements count only memory in use."""
    if sys.platform == "linux":
        # musl has no malloc_trim, and keeps no freed memory.
        with suppress(AttributeError, OSError):
            ctypes.CDLL(None).malloc_trim(0)


def restart_peak() -> bool:
    """Reset the peak to the memory in use now, see proc(5); return whether the system allowed it."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return False
    return True

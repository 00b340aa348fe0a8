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
    """Return a line of this process's status in bytes, such as ``VmHWM``; None where the system is not Linux.

    psutil has neither the peak that `restart_peak` restarts nor the kinds of resident memory (``RssAnon``, ...).
    """
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    kilobytes = [int(line.split()[1]) for line in lines if line.startswith(f"{key}:")]
    return kilobytes[0] * 1024 if kilobytes else None


def free_bytes() -> int:
    """Return the machine's memory that programs can still have without swapping."""
    return int(psutil.virtual_memory().available)


def give_back() -> None:
    """Return freed memory that malloc keeps to the system: what is counted then is in use."""
    if sys.platform == "linux":
        # musl has no malloc_trim, and keeps nothing.
        with suppress(AttributeError, OSError):
            ctypes.CDLL(None).malloc_trim(0)


def restart_peak() -> bool:
    """Set the peak back to what is in memory now, and return whether the system allowed it: proc(5)."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return False
    return True

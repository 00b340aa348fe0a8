"""Memory of this process and of the machine, as Linux tells it. Imports nothing of ours, for every room to use."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress
from pathlib import Path

__all__ = ["free_bytes", "give_back", "restart_peak", "status_bytes"]

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_MACHINE = Path("/proc/meminfo")


def status_bytes(key: str) -> int | None:
    """Return a line of this process's status: such as ``VmRSS``, what it has in memory now.

    Returns:
        Bytes; None where the system does not tell.
    """
    return _line(_STATUS, key)


def free_bytes() -> int | None:
    """Return the machine's memory that programs can still have; None where the system does not tell."""
    return _line(_MACHINE, "MemAvailable")


def give_back() -> None:
    """Give freed memory that malloc keeps back to the system: what is counted then is in use."""
    if sys.platform == "linux":
        # musl has no malloc_trim, and keeps nothing.
        with suppress(AttributeError, OSError):
            ctypes.CDLL(None).malloc_trim(0)


def restart_peak() -> bool:
    """Set the peak back to what is in memory now, and return whether the system let it: proc(5)."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return False
    return True


def _line(file: Path, key: str) -> int | None:
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return None
    kilobytes = [int(line.split()[1]) for line in lines if line.startswith(f"{key}:")]
    return kilobytes[0] * 1024 if kilobytes else None

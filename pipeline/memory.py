"""Memory of this process and of the machine. Imports nothing else of LightSkip, so that every room can use it."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil

__all__ = ["free_bytes", "give_back", "keep_blocks", "restart_peak", "set_malloc", "status_bytes"]

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
# Numbers of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_MAX_KEPT = 1 << 30  # bytes


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


def keep_blocks() -> bool:
    """Make malloc keep the blocks that it frees, up to 1 GiB each and together, until `give_back`.

    Otherwise glibc takes each large block from the system and returns it at once, and the system clears its pages when
    they are written. A prediction asks for blocks of the same sizes again and again.

    Returns:
        As `set_malloc`.
    """
    return set_malloc({_M_MMAP_THRESHOLD: _MAX_KEPT, _M_TRIM_THRESHOLD: _MAX_KEPT})


def set_malloc(options: Mapping[int, int]) -> bool:
    """Set options of glibc's malloc for this process, by their numbers in malloc.h.

    Returns:
        Whether the system's malloc is glibc's and accepted all. With another malloc nothing is done.
    """
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        # musl has no mallopt.
        return False
    return all(mallopt(number, value) for number, value in options.items())


def restart_peak() -> bool:
    """Reset the peak to the memory in use now, see proc(5); return whether the system allowed it."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return False
    return True

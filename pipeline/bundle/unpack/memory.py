"""Limit the memory for reading someone else's weights."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

__all__ = ["limit_memory"]

_BESIDE = 256 * 2**20
_TIMES = 3


@contextmanager
def limit_memory(size: int) -> Iterator[bool]:
    """Limit this process's memory within the block to little more than a file's size.

    A pickle of 30 bytes can ask for any amount of memory. On systems without such a limit (Windows, and in effect
    macOS) this does nothing.

    Args:
        size: bytes of the file; three times as many plus 256 MiB are allowed.

    Yields:
        Whether the limit is this one, and not a lower one that the process had already.
    """
    if sys.platform != "linux":
        yield False
        return
    import resource  # noqa: PLC0415 - missing on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = psutil.Process().memory_info().vms + _TIMES * size + _BESIDE
    given = [one for one in (soft, hard) if one != resource.RLIM_INFINITY]
    own = limit < min(given, default=limit + 1)
    if own:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    try:
        yield own
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))

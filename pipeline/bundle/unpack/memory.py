"""A limit on the memory that a stranger's weights may take while they are read."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

__all__ = ["limit_memory"]

_BESIDE = 256 * 2**20
_TIMES = 3


@contextmanager
def limit_memory(size: int) -> Iterator[None]:
    """Let this process take little more memory than a file has bytes, while the block lasts.

    A pickle of 30 bytes can ask for as much as there is. Where the system knows no such limit (Windows, and macOS in
    effect), nothing is limited.

    Args:
        size: bytes of the file; three times as many are allowed, and 256 MiB besides.
    """
    if sys.platform != "linux":
        yield
        return
    import resource  # noqa: PLC0415 - not there on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = psutil.Process().memory_info().vms + _TIMES * size + _BESIDE
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    if soft == resource.RLIM_INFINITY or limit < soft:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))

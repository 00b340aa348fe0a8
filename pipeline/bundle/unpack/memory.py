"""A limit on the memory that a stranger's weights may take while they are read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["little_memory"]

_BESIDE = 256 * 2**20
_TIMES = 3


@contextmanager
def little_memory(size: int) -> Iterator[None]:
    """Let this process take little more memory than a file has bytes, while the block lasts.

    A pickle of 30 bytes can ask for as much as there is. Where the system knows no such limit (Windows, and macOS in
    effect), nothing is limited.

    Args:
        size: bytes of the file; three times as many are allowed, and 256 MiB besides.
    """
    taken = _address_space()
    if taken is None:
        yield
        return
    import resource  # noqa: PLC0415 - not there on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = taken + _TIMES * size + _BESIDE
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    if soft == resource.RLIM_INFINITY or limit < soft:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _address_space() -> int | None:
    """Return the bytes of addresses that this process has; None where the system does not tell."""
    try:
        told = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    match = re.search(r"^VmSize:\s*(\d+) kB", told, re.MULTILINE)
    return int(match[1]) * 1024 if match else None

"""Let one process at a time work on something: a lock on a file, which ends with the last process that holds it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["hold_lock", "is_locked", "take_lock"]


@contextmanager
def hold_lock(file: Path) -> Iterator[tuple[int, ...]]:
    """Hold a lock on a file during the block.

    Args:
        file: an empty file, which is made if it is missing; its folder exists. It is not deleted.

    Yields:
        File descriptors that hold the lock: a child that inherits them holds it, even if this process is killed. There
        are none on Windows, which has no such locks.

    Raises:
        BlockingIOError: another process holds the lock.
        OSError: the file cannot be made, or its file system has no locks.
    """
    descriptors = take_lock(file)
    try:
        yield descriptors
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def take_lock(file: Path) -> tuple[int, ...]:
    """Take a lock on a file until the process ends or closes the returned descriptors; see `hold_lock`."""
    try:
        import fcntl  # noqa: PLC0415 - not on Windows
    except ImportError:
        return ()
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return (descriptor,)


def is_locked(file: Path) -> bool:
    """Return whether a process holds the lock on an existing file."""
    try:
        with hold_lock(file):
            return False
    except BlockingIOError:
        return True
    except OSError:
        # Without locks nothing is known to be at work.
        return False

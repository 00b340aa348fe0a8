"""A lock's file: who holds it, and the operating system's lock on it.

Nothing here decides who may work: that is `pipeline.locks`.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from .leftovers import temporary_path
from .owner import has_ended, this_place

__all__ = ["PAUSE", "Holder", "LockedError", "is_same_file", "lock_at_once", "read_holder", "write_holder"]

PAUSE = 0.05
"""Seconds after which a lock's file is looked at again."""
_MAX_BYTES = 4096


@dataclass(frozen=True)
class Holder:
    """Who holds a lock.

    Attributes:
        verb: what it does, such as ``lightskip train``; empty if unknown.
        host: its machine; empty if unknown.
        pid: its process number; 0 if unknown.
        started: when it took the lock, in UTC, for people.
        place: its `pipeline.owner.this_place`.
        start: its `pipeline.owner.process_start`.
    """

    verb: str = ""
    host: str = ""
    pid: int = 0
    started: str = ""
    place: str = ""
    start: int = 0

    @property
    def is_here(self) -> bool:
        """Whether it is a process of this machine, which has not started again since."""
        return self.place == this_place()

    @property
    def has_ended(self) -> bool:
        """Whether its process has surely ended."""
        return self.is_here and has_ended(self.pid, self.start)

    def __str__(self) -> str:
        if not self.pid:
            return "another process"
        return f"process {self.pid} on {self.host}, since {self.started}"


class LockedError(BlockingIOError):
    """Another process holds a lock.

    Attributes:
        file: the lock's file.
        holder: who holds it.
    """

    def __init__(self, file: Path, holder: Holder) -> None:
        super().__init__(f"{file} is locked by {holder}")
        self.file = file
        self.holder = holder


def lock_at_once(file: Path) -> tuple[int, ...]:
    """Lock a file; return its descriptor, or none if there are no such locks.

    Raises:
        BlockingIOError: another process holds the lock.
        OSError: the file cannot be made.
    """
    descriptor = _open(file)
    try:
        import fcntl  # noqa: PLC0415 - not on Windows

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise
    except (ImportError, OSError):
        # Windows, or a file system without locks: its file decides.
        os.close(descriptor)
        return ()
    return (descriptor,)


def _open(file: Path) -> int:
    # A pipe in the file's place would be waited for.
    flags = getattr(os, "O_NONBLOCK", 0)
    try:
        return os.open(file, os.O_RDWR | os.O_CREAT | flags, 0o644)
    except PermissionError:
        # Another user's, in a folder of a group: its lock counts all the same.
        return os.open(file, os.O_RDONLY | flags)


def is_same_file(descriptor: int, file: Path) -> bool:
    """Return whether an open file is still the one of a path."""
    try:
        return os.path.samestat(os.fstat(descriptor), file.stat())
    except OSError:
        return False


def read_holder(file: Path) -> Holder | None:
    """Return whom a lock's file names; None if it names nobody."""
    try:
        with open(file, "rb", opener=_open_at_once) as stream:
            content = json.loads(stream.read(_MAX_BYTES) or b"")
        holder = Holder(**content)
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    texts = (holder.verb, holder.host, holder.started, holder.place)
    known = isinstance(holder.pid, int) and isinstance(holder.start, int) and holder.pid > 0
    return holder if known and all(isinstance(text, str) for text in texts) else None


def _open_at_once(file: str, flags: int) -> int:
    return os.open(file, flags | getattr(os, "O_NONBLOCK", 0))


def write_holder(file: Path, holder: Holder, descriptors: tuple[int, ...]) -> None:
    """Write a holder into a lock's file.

    Raises:
        LockedError: another process did the same at the same time.
    """
    content = json.dumps(asdict(holder)).encode()
    if descriptors:
        # In place: the lock is on this file. The lock alone holds on a full disk, too.
        with contextlib.suppress(OSError):
            os.truncate(descriptors[0], 0)
            os.pwrite(descriptors[0], content, 0)
        return
    temporary = temporary_path(file)
    try:
        temporary.write_bytes(content)
        temporary.replace(file)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    time.sleep(PAUSE)
    found = read_holder(file)
    if found != holder:
        raise LockedError(file, found or Holder())

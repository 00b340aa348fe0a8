"""Let one process at a time work on something, and name the one that does.

A lock is held on a file, by `flock`, and ends with the last process that holds it: a killed process never keeps one.
The file says who holds it. On the disk of this machine that is for people alone. On a file system of a network, where
`flock` may be missing or may end at the machine, it also decides: its holder renews it, and one that has not for some
minutes has ended. A holder on this machine is looked up by its process number and start, however old its file is.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from .leftovers import temporary_path
from .lock_file import PAUSE, Holder, LockedError, is_same_file, lock_at_once, read_holder, write_holder
from .mounts import is_network
from .owner import has_ended, process_start, this_place

__all__ = ["MAX_SILENCE", "Holder", "Lock", "LockedError", "find_holder", "hold_lock", "is_locked", "take_lock"]

MAX_SILENCE = 5 * 60.0
"""Seconds after which a holder on another machine that has not renewed its file has ended."""
_BEAT = 30.0  # seconds
_LOOK = 0.2  # seconds between two looks at a lock that is waited for
_TRIES = 4  # a look at a lock takes it for a moment
_held: set[int] = set()


class Lock:
    """A lock that this process holds, until `release` or its end.

    Attributes:
        file: its file.
        descriptors: file descriptors that hold it: a child that inherits them holds it, even if this process is killed.
            There are none where `flock` is missing.
        earlier: who held it before, and was killed; None if nobody was.
    """

    def __init__(self, file: Path, descriptors: tuple[int, ...], earlier: Holder | None, *, keep: bool) -> None:
        self.file = file
        self.descriptors = descriptors
        self.earlier = earlier
        self._keep = keep
        self._end = threading.Event()
        self._process = os.getpid()
        # An interrupt or an error is an end, too: then nobody has to be told that the lock is taken over.
        atexit.register(self.release)
        _held.update(descriptors)
        if not descriptors or is_network(file.parent):
            threading.Thread(target=self._renew, name="lock", daemon=True).start()

    def release(self) -> None:
        """Give the lock up. A second call has no effect."""
        atexit.unregister(self.release)
        if self._end.is_set() or os.getpid() != self._process:
            return
        self._end.set()
        with contextlib.suppress(OSError):
            if self._keep:
                # A process that inherited the lock may still hold it.
                os.truncate(self.file, 0)
            else:
                self.file.unlink(missing_ok=True)
        for descriptor in self.descriptors:
            _held.discard(descriptor)
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def _renew(self) -> None:
        while not self._end.wait(_BEAT):
            with contextlib.suppress(OSError):
                # The time of the file's server, whatever this machine's clock says.
                os.utime(self.file)


@contextmanager
def hold_lock(
    file: Path,
    *,
    verb: str = "",
    keep: bool = True,
    trust_silence: bool = True,
    on_takeover: Callable[[Holder], object] | None = None,
    max_wait: float = 0.0,
    on_wait: Callable[[Holder], object] | None = None,
) -> Iterator[tuple[int, ...]]:
    """Hold a lock on a file during the block.

    Args:
        file: a file, which is made if it is missing; its folder exists.
        verb: what this process does, for others that want the lock.
        keep: whether the file stays, empty; children may hold the lock only then.
        trust_silence: whether the file of a holder on another machine counts; see `take_lock`.
        on_takeover: called with the holder that was killed before, if there was one.
        max_wait: seconds to wait for what a killed holder has started, which still holds the lock and is about to end.
        on_wait: called with that holder when the wait begins.

    Yields:
        File descriptors that hold the lock; see `Lock`.

    Raises:
        LockedError: another process holds the lock.
        OSError: the file cannot be made.
    """
    lock = _take_when_ended(file, verb, max_wait, on_wait, keep=keep, trust_silence=trust_silence)
    try:
        if lock.earlier is not None and on_takeover is not None:
            on_takeover(lock.earlier)
        yield lock.descriptors
    finally:
        lock.release()


def _take_when_ended(
    file: Path, verb: str, max_wait: float, on_wait: Callable[[Holder], object] | None, **options: bool
) -> Lock:
    """Take a lock; wait for it only if its holder was killed and what that started still holds it."""
    until = None
    while True:
        try:
            return take_lock(file, verb=verb, **options)
        except LockedError as error:
            if not error.holder.has_ended or max_wait <= 0 or (until is not None and time.monotonic() > until):
                raise
            if until is None and on_wait is not None:
                on_wait(error.holder)
            until = until or time.monotonic() + max_wait
            time.sleep(_LOOK)


def take_lock(file: Path, *, verb: str = "", keep: bool = True, trust_silence: bool = True) -> Lock:
    """Take a lock on a file until the process ends or releases it.

    Args:
        file: see `hold_lock`, also for `verb`, `keep` and the errors.
        verb: what this process does.
        keep: whether the file stays.
        trust_silence: whether a holder on another machine, which has renewed its file lately, keeps the lock where
            `flock` does not say. False for work that may be done twice, and must go on when a machine fails.
    """
    for number in range(_TRIES):
        try:
            descriptors = lock_at_once(file)
        except BlockingIOError as error:
            holder = read_holder(file)
            if number + 1 < _TRIES and holder is None:
                time.sleep(PAUSE)
                continue
            raise LockedError(file, holder or Holder()) from error
        if not descriptors or is_same_file(descriptors[0], file):
            break
        # It was removed by the process that held it.
        os.close(descriptors[0])
    else:
        raise LockedError(file, Holder())
    earlier = read_holder(file)
    if earlier is not None and _is_at_work(earlier, file, descriptors, trust_silence=trust_silence):
        for descriptor in descriptors:
            os.close(descriptor)
        raise LockedError(file, earlier)
    own = Holder(
        verb,
        socket.gethostname(),
        os.getpid(),
        datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
        this_place(),
        process_start(os.getpid()),
    )
    write_holder(file, own, descriptors)
    return Lock(file, descriptors, earlier, keep=keep)


def find_holder(file: Path) -> Holder | None:
    """Return who holds the lock on a file, or None if nobody does."""
    try:
        if not file.exists():
            return None
        descriptors = lock_at_once(file)
    except BlockingIOError:
        return read_holder(file) or Holder()
    except OSError:
        return None
    try:
        holder = read_holder(file)
        return holder if holder is not None and _is_at_work(holder, file, descriptors, trust_silence=True) else None
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def is_locked(file: Path) -> bool:
    """Return whether a process holds the lock on an existing file."""
    return find_holder(file) is not None


def _is_at_work(holder: Holder, file: Path, descriptors: tuple[int, ...], *, trust_silence: bool) -> bool:
    """Return whether the process that a file names is at work, although its lock is free or there are no locks."""
    if descriptors and not is_network(file.parent):
        return False
    if holder.is_here:
        return not has_ended(holder.pid, holder.start)
    if not trust_silence:
        return False
    try:
        probe = temporary_path(file)
        probe.write_bytes(b"")
        now = probe.stat().st_mtime
        probe.unlink()
        # Both times are the server's. A file from after now was not renewed since its clock was set back.
        return abs(now - file.stat().st_mtime) < MAX_SILENCE
    except OSError:
        return False


def _close_in_child() -> None:
    # A worker process that outlives a killed one must not keep its locks.
    for descriptor in _held:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)

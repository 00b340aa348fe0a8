"""End a process when the one that started it has ended, also if that was killed. Imports only `owner`.

A killed process cannot tell those that it started. So it holds the writing end of a pipe, whose reading end they
inherit: the system closes the pipe, however the process ends. That needs no polling, and holds on every POSIX system.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import connection, parent_process

from .owner import has_ended, process_start

__all__ = ["end_with_group", "end_with_parent", "end_worker_with_parent", "parent_pipe", "watch_text"]

_LOOK_SECONDS = 2.0


@contextmanager
def parent_pipe() -> Iterator[tuple[int, ...]]:
    """Hold a pipe during the block, for `end_with_parent` in processes that are started meanwhile.

    Yields:
        The file descriptor to pass on; none on Windows, where a process cannot inherit one.
    """
    if sys.platform == "win32":
        yield ()
        return
    reader, writer = os.pipe()
    try:
        yield (reader,)
    finally:
        os.close(reader)
        os.close(writer)


def watch_text(descriptors: tuple[int, ...], *, group: bool = False) -> str:
    """Return the statement with which a Python program calls `end_with_parent`; it ends with ``"; "``.

    Args:
        descriptors: what `parent_pipe` yields.
        group: see `end_with_parent`.
    """
    if not descriptors:
        return ""
    return f"from pipeline.parent import end_with_parent; end_with_parent({descriptors[0]}, group={group}); "


def end_with_parent(descriptor: int, *, group: bool = False) -> None:
    """Interrupt this process, as Ctrl-C does, when the one that holds the other end of its pipe has ended.

    A process that ignores interrupts is told to end (SIGTERM).

    Args:
        descriptor: the reading end of the pipe; processes that this one starts do not inherit it.
        group: whether to interrupt all processes of its group, which it leads.
    """
    os.set_inheritable(descriptor, False)

    def wait() -> None:
        # Nobody writes: it returns at the end of the pipe.
        with suppress(OSError):
            os.read(descriptor, 1)
        _interrupt(group=group)

    _watch(wait)


def end_with_group() -> None:
    """Interrupt this process when the leader of its process group has ended, such as the Snakemake of a job."""
    leader = os.getpgrp()
    if leader == os.getpid():
        return
    start = process_start(leader)

    def wait() -> None:
        while not has_ended(leader, start):
            time.sleep(_LOOK_SECONDS)
        _interrupt(group=False)

    _watch(wait)


def end_worker_with_parent() -> None:
    """End this worker of `multiprocessing` when the process that it works for has ended.

    It ends at once: nobody takes its result. A worker of a killed process waits for its next task for ever otherwise.
    """
    parent = parent_process()
    if parent is None:
        return

    def wait() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    _watch(wait)


def _watch(wait: Callable[[], None]) -> None:
    threading.Thread(target=wait, name="parent", daemon=True).start()


def _interrupt(*, group: bool) -> None:
    # A program in a shell's background ignores interrupts, as do all that it starts.
    number = signal.SIGTERM if signal.getsignal(signal.SIGINT) is signal.SIG_IGN else signal.SIGINT
    if group:
        os.killpg(os.getpgrp(), number)
    else:
        os.kill(os.getpid(), number)

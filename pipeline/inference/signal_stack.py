"""Restore the stack on which this thread handles signals after a library has changed it."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["keep_signal_stack", "read_signal_stack"]


class _Stack(ctypes.Structure):
    """``stack_t`` of Linux's <signal.h>."""

    _fields_ = (("address", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


def read_signal_stack() -> tuple[int, int, int]:
    """Return address, flags and size of this thread's signal stack; zeros on systems other than Linux."""
    if sys.platform != "linux":
        return 0, 0, 0
    stack = _Stack()
    ctypes.CDLL(None).sigaltstack(None, ctypes.byref(stack))
    return stack.address or 0, stack.flags, stack.size


@contextmanager
def keep_signal_stack() -> Iterator[None]:
    """Restore this thread's signal stack after the block.

    While OpenVINO's CPU plug-in is loaded it uses a signal stack of its own; then it restores the stack that it found.
    With two plug-ins, the second finds the first one's stack and restores it after that was freed. The next signal,
    such as Ctrl-C, then ends the process. If each is created in such a block, both find the thread's own stack.
    """
    if sys.platform != "linux":
        yield
        return
    before = _Stack()
    library = ctypes.CDLL(None)
    library.sigaltstack(None, ctypes.byref(before))
    try:
        yield
    finally:
        library.sigaltstack(ctypes.byref(before), None)

"""Keeps the stack on which this thread handles signals, where a library changes it and does not put it back."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["own_signal_stack", "signal_stack"]


class _Stack(ctypes.Structure):
    """``stack_t`` of Linux's <signal.h>."""

    _fields_ = (("address", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


def signal_stack() -> tuple[int, int, int]:
    """Address, flags and size of this thread's stack for signals; zeros on other systems than Linux."""
    if sys.platform != "linux":
        return 0, 0, 0
    stack = _Stack()
    ctypes.CDLL(None).sigaltstack(None, ctypes.byref(stack))
    return stack.address or 0, stack.flags, stack.size


@contextmanager
def own_signal_stack() -> Iterator[None]:
    """Give this thread back, after the block, the stack for signals that it had before.

    OpenVINO's CPU plug-in takes one of its own as long as it is loaded and puts back the one that was there. Of two
    plug-ins the second one finds the first one's, and puts it back when that is freed already: the next signal, such as
    Ctrl-C, ends the process. Both find the thread's own where each is made in such a block.
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

"""Importing PyTorch and MONAI a little faster. Imports nothing of ours, so that every room can use it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["quick_imports"]


@contextmanager
def quick_imports() -> Iterator[None]:
    """Import without garbage collection, and leave what was imported out of later ones.

    Importing makes hundreds of thousands of objects that stay, and no garbage: looking through them for some takes a
    quarter of the time.
    """
    if not gc.isenabled():
        # Another thread imports already, or the user wants none.
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()

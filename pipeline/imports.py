"""Import PyTorch and MONAI faster. Imports nothing else of LightSkip, so that every room can use it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["quick_imports"]


@contextmanager
def quick_imports() -> Iterator[None]:
    """Import without garbage collection, and exclude the imported objects from later collections.

    Imports make hundreds of thousands of objects that stay. Searching them for garbage takes a quarter of the time.
    """
    if not gc.isenabled():
        # Another thread is importing, or the user has switched collection off.
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()

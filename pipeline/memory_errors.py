"""Recognise that memory ran out, in whatever words Python, NumPy, PyTorch or the system say it.

Imports nothing: there may be no memory for it.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator

__all__ = [
    "EXPECTED",
    "REMEDY",
    "address_space",
    "describe_shortage",
    "find_memory_error",
    "is_out_of_memory",
    "mentions_memory",
]

EXPECTED = "room for what has to be in memory at the same time"
REMEDY = "close other programs, or raise the limit of the process (ulimit -v, or the job's)"

_WORDS = (
    "allocate memory",  # PyTorch on a CPU; the system's "Cannot allocate memory"
    "out of memory",  # PyTorch on a GPU
    "unable to allocate",  # NumPy
    "bad_alloc",  # C++
    "bad allocation",  # the same on Windows
    "not enough memory",  # OpenVINO
    "alloc_failed",  # cuDNN, cuBLAS
    "failed to map segment",  # the loader of libraries
    "memoryerror",
)
_MAX_WORDS = 160


def mentions_memory(text: str) -> bool:
    """Return whether the text of an error says that memory ran out."""
    return any(words in text.lower() for words in _WORDS)


def is_out_of_memory(error: BaseException | None) -> bool:
    """Return whether an error itself, not a cause of it, says that the process or its GPU has too little memory."""
    return error is not None and _is_memory(error)


def find_memory_error(error: BaseException) -> BaseException | None:
    """Return the error in a chain of causes that says that memory ran out; None if none does.

    Nothing is searched if one of them has a remedy for the user, as an InputError.
    """
    chain = list(_chain(error))
    if any(hasattr(one, "remedy") for one in chain):
        return None
    return next((one for one in chain if _is_memory(one)), None)


def describe_shortage(said: str) -> str:
    """Return what was found: too little memory, with the last line of what a library said about it."""
    lines = [line.strip() for line in said.splitlines() if line.strip(" ^:")]
    words = lines[-1] if lines else ""
    words = words if len(words) <= _MAX_WORDS else words[:_MAX_WORDS] + "…"
    return f"too little memory ({words})" if words else "too little memory"


def address_space() -> int | None:
    """Return the limit of this process's memory (bytes), as ``ulimit -v`` sets it; None if there is none."""
    if sys.platform == "win32":
        return None
    import resource  # noqa: PLC0415 - missing on Windows

    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if soft == resource.RLIM_INFINITY else soft


def _is_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError):
        # A system's loader of libraries sets no number.
        return error.errno == errno.ENOMEM or (error.errno is None and mentions_memory(str(error)))
    # By its name: PyTorch may not be imported. Its error is a RuntimeError.
    if "OutOfMemoryError" in {kind.__name__ for kind in type(error).__mro__}:
        return True
    return isinstance(error, RuntimeError | ImportError) and mentions_memory(str(error))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        error = error.__cause__ or error.__context__

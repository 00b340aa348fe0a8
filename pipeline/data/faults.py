"""What ends a run and is no bug: too little memory, or a process that ended. Needs neither torch nor MONAI."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..disk import find_disk_error
from ..memory_errors import is_out_of_memory
from .errors import InputError, removed_folder_error

__all__ = [
    "explain_fault",
    "file_name",
    "is_dead_worker",
    "is_explained",
    "is_out_of_memory",
    "name_items",
    "name_next_cases",
]

_DEAD_WORKER = re.compile(r"DataLoader worker \(pid(?:\(s\))? [\d, ]+\) (?:is killed by signal|exited unexpectedly)")
_SIGNAL = re.compile(r"killed by signal: ([\w ]+)")
_NO_SHARED_MEMORY = "Bus error"
_MAX_NAMED = 8


def is_dead_worker(error: BaseException | None) -> bool:
    """Return whether an error of a data loader says that a process of it has ended, as the system's OOM killer does."""
    return isinstance(error, RuntimeError) and bool(_DEAD_WORKER.search(str(error)))


def is_explained(error: BaseException | None) -> bool:
    """Return whether an error gets one message at the end of a run, so that nobody else should log it."""
    if isinstance(error, InputError) or is_out_of_memory(error) or is_dead_worker(error):
        return True
    return find_disk_error(error) is not None or removed_folder_error() is not None


def explain_fault(
    error: BaseException, *, where: str | Path, cases: Sequence[str] = (), doing: str, memory_remedy: str
) -> InputError | None:
    """Return an error for users in place of one that says that memory was too small or a loading process has ended.

    If the working folder was removed, that is the error.

    Args:
        error: what was raised.
        where: the run's folder.
        cases: names of the cases that it worked on; none if they are not known.
        doing: what it did, such as "training in epoch 3".
        memory_remedy: what to set if the memory is too small.

    Returns:
        The error; None if this one is something else.
    """
    gone = removed_folder_error()
    if gone is not None:
        return gone
    named = f" ({name_items(cases)})" if cases else ""
    if is_dead_worker(error):
        signal = _SIGNAL.search(str(error))
        how = f"was ended by the system ({signal[1]})" if signal else "ended unexpectedly"
        if signal and signal[1] == _NO_SHARED_MEMORY:
            remedy = "make the shared memory of the container or machine larger (/dev/shm), or set --num_workers 0"
        else:
            remedy = "set --num_workers to a smaller number, or 0: each such process takes memory, and a system with "
            remedy += "too little of it ends one. If it is always the same case, look at it with lightskip check"
        return InputError(
            where,
            found=f"a data-loading process that {how} while {doing}{named}",
            expected="one that reads cases until the end",
            remedy=remedy,
        )
    if is_out_of_memory(error):
        return InputError(
            where,
            found=f"too little memory while {doing}{named}: {' '.join(str(error).split())[:200]}",
            expected="enough memory",
            remedy=memory_remedy,
        )
    return None


def name_items(names: Sequence[str]) -> str:
    """Return names as a list in words, such as "cases a, b and 3 more"; each name once."""
    unique = list(dict.fromkeys(names))
    more = len(unique) - _MAX_NAMED
    shown = ", ".join(unique[:_MAX_NAMED]) + (f" and {more} more" if more > 0 else "")
    return f"case{'s' * (len(unique) > 1)} {shown}"


def file_name(item: Any, key: str = "image") -> str:
    """Return the name of the (first) file of a dataset's item under a key; an empty text if it has none."""
    value = item.get(key) if isinstance(item, dict) else None
    while isinstance(value, list | tuple) and value:
        value = value[0]
    return Path(value).name if isinstance(value, str | Path) else ""


def name_next_cases(loader: Any, done: int, *, more: int = 0) -> list[str]:
    """Return the file names of the cases that a data loader loads after some batches, if it takes them in order.

    Args:
        loader: PyTorch's data loader, of a dataset with its items in `data`, as MONAI's.
        done: number of batches that it has loaded.
        more: number of batches that are named after the next one.
    """
    sampler, size = getattr(loader, "sampler", None), getattr(loader, "batch_size", None) or 1
    if not isinstance(sampler, range | list | tuple) and type(sampler).__name__ != "SequentialSampler":
        return []
    data = getattr(loader.dataset, "data", None) or []
    places = itertools.islice(iter(sampler or ()), done * size, (done + 1 + more) * size)
    names = [file_name(data[place]) for place in places if place < len(data)]
    return list(dict.fromkeys(name for name in names if name))

"""Say which process this is, and whether another one has ended. Imports nothing else of LightSkip.

Locks and the names of temporary files carry this, so that a later start knows whether their process is gone. Process
numbers are used again, so the start of a process counts too. It is in ticks since the machine started: setting the
clock does not change it.
"""

from __future__ import annotations

import hashlib
import os
import socket
import sys
import uuid
from functools import lru_cache
from pathlib import Path

__all__ = ["has_ended", "process_start", "this_place"]

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_NUMBERS = Path("/proc/self/ns/pid")  # containers on one machine number their processes apart


@lru_cache(maxsize=1)
def this_place() -> str:
    """Return eight hexadecimal digits that stand for this machine, its last start, and its numbers of processes.

    Equal digits mean that `has_ended` can tell. A machine that has started again counts as another one.
    """
    try:
        boot = f"{_BOOT.read_text(encoding='ascii').strip()} {os.readlink(_NUMBERS)}"  # noqa: PTH115 - no path
    except OSError:
        boot = f"{uuid.getnode():x}"
    return hashlib.blake2b(f"{socket.gethostname()} {boot}".encode(), digest_size=4).hexdigest()


def process_start(number: int) -> int:
    """Return the start of a process, in ticks since the machine started; 0 if the system does not say."""
    found = _read_state(number)
    return 0 if found is None else found[1]


def has_ended(number: int, start: int) -> bool:
    """Return whether a process of this place has surely ended.

    Args:
        number: its number.
        start: its `process_start`; 0 if unknown.
    """
    if sys.platform == "win32":
        # There os.kill() ends the process.
        return False
    try:
        os.kill(number, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:
        # It is another user's.
        pass
    found = _read_state(number)
    if found is None:
        return False
    state, began = found
    # A killed process whose parent has not noticed is still listed.
    return state in "ZX" or (start > 0 and began != start)


def _read_state(number: int) -> tuple[str, int] | None:
    try:
        text = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The program's name, in brackets, may contain spaces and brackets.
    words = text.rpartition(")")[2].split()
    return words[0], int(words[19])

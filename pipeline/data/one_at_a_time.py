"""Refuse a second command that writes where another one is at work, and name the first."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from ..leftovers import fit_name
from ..locks import MAX_SILENCE, Holder, LockedError, find_holder, hold_lock
from .errors import InputError

__all__ = [
    "MAX_WAIT",
    "TRAINING_LOCK",
    "describe_takeover",
    "lock_name",
    "locked_error",
    "not_a_lock",
    "one_at_a_time",
    "require_unlocked",
    "take_over",
    "write_note",
]

MAX_WAIT = 60.0
"""Seconds to wait for the processes of a killed command."""
TRAINING_LOCK = ".training.lock"
"""Of a training's folder: its first process holds it."""


def lock_name(name: str, verb: str = "") -> str:
    """Return the hidden name of a lock's file next to a file or a folder, such as ``.NAME.lock``."""
    return fit_name(".", ".".join(part for part in (name, verb, "lock") if part))


@contextmanager
def one_at_a_time(
    file: Path,
    where: str | Path,
    *,
    verb: str,
    trust_silence: bool = True,
    needed: bool = False,
    say: Callable[[str], object] | None = None,
) -> Iterator[None]:
    """Let only one command work somewhere during the block.

    Args:
        file: the lock's file; its folder is made if it is missing. It is removed at the end.
        where: the file or folder that is written.
        verb: the command, such as ``lightskip evaluate``.
        trust_silence: see `pipeline.locks.take_lock`.
        needed: whether to raise if the lock's file cannot be made; otherwise the block runs without it, and fails by
            itself where it cannot write.
        say: shows the line on the lock of a killed command; None: standard error.

    Raises:
        InputError: another command is at work there, or a folder is in the place of the lock.
        OSError: see `needed`.
    """

    def tell(holder: Holder) -> None:
        line = describe_takeover(where, holder)
        if say is None:
            write_note(line)
        else:
            say(f"note: {line}")

    with ExitStack() as stack:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(hold_lock(file, verb=verb, keep=False, trust_silence=trust_silence, on_takeover=tell))
        except LockedError as error:
            raise locked_error(where, error) from error
        except IsADirectoryError as error:
            raise not_a_lock(file) from error
        except OSError:
            if needed:
                raise
        yield


def take_over(where: str | Path, *, verb: str) -> dict[str, Any]:
    """Return the arguments of `hold_lock` for a command whose processes hold its lock with it.

    Those of a killed command end by themselves (`pipeline.parent`): that is waited for, with a line.

    Args:
        where: the file or folder that is written.
        verb: the command.
    """

    def wait(holder: Holder) -> None:
        write_note(f"{where}: waiting for the end of what a killed {holder.verb or verb} ({holder}) has started")

    def tell(holder: Holder) -> None:
        write_note(describe_takeover(where, holder))

    return {"on_takeover": tell, "max_wait": MAX_WAIT, "on_wait": wait}


def write_note(line: str) -> None:
    """Write a line for people to standard error, if it is open."""
    if sys.stderr is not None:
        sys.stderr.write(f"note: {line}\n")
        sys.stderr.flush()


def not_a_lock(file: Path) -> InputError:
    """Return the message about a folder that has the name of a lock."""
    return InputError(
        file,
        found="a folder in the place of a lock's file",
        expected="nothing, or a file that an earlier command has left",
        remedy="remove it",
    )


def require_unlocked(file: Path, where: str | Path, *, but_own: bool = False) -> None:
    """Raise InputError if a command holds a lock, without taking it.

    Args:
        file: the lock's file.
        where: the file or folder that is written.
        but_own: whether a lock of this process counts as none. It does one such thing at a time, so what it began
            earlier has ended, such as by an interrupt in a notebook.
    """
    holder = find_holder(file)
    is_own = holder is not None and holder.is_here and holder.pid == os.getpid()
    if holder is not None and not (but_own and is_own):
        raise locked_error(where, LockedError(file, holder))


def locked_error(where: str | Path, error: LockedError, *, verb: str = "", or_else: str = "") -> InputError:
    """Return the message that names the command at work.

    Args:
        where: the file or folder that is written.
        error: who holds which lock.
        verb: the command, if the lock does not say.
        or_else: what else may hold it, such as ``a step of one that was killed``.
    """
    holder = error.holder
    found = f"another {verb or holder.verb or 'command'} at work in it"
    remedy = "wait for its end, or end it first"
    if holder.has_ended or not holder.pid:
        # A process that it started may hold its lock.
        found += f", or {or_else or 'what was started by one that was killed'}" * bool(or_else or holder.pid)
    if holder.pid:
        found += f": {holder}" + ", which has ended" * holder.has_ended
    if holder.pid and not holder.is_here:
        minutes = f"{MAX_SILENCE / 60:g}"
        remedy = (
            f"wait for its end, or end it on {holder.host}. If it was killed there, wait {minutes} minutes, or remove "
            f"{error.file}"
        )
    return InputError(where, found=found, expected="one at a time", remedy=remedy)


def describe_takeover(where: str | Path, holder: Holder) -> str:
    """Return a line on a lock that a killed command has left."""
    return f"{where}: {holder.verb or 'a command'} ({holder}) did not come to its end; this one takes its place"

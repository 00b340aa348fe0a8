"""Let one start of a workflow at a time work in a folder, and none as long as jobs of an earlier one do."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ..data.errors import InputError
from ..data.one_at_a_time import MAX_WAIT, locked_error, take_over, write_note
from ..locks import Holder, LockedError, hold_lock
from .jobs import find_running

__all__ = ["JOBS", "STATE", "lock_workflow"]

# Of a workflow's folder, and in it of the locks of jobs.
STATE = ".workflow"
JOBS = "jobs"
_MAX_NAMED = 5
_LOOK_SECONDS = 0.2


@contextmanager
def lock_workflow(folder: Path, *, verb: str) -> Iterator[tuple[int, ...]]:
    """Let only one start work in a workflow's folder. What a killed one has started ends by itself, and is waited for.

    Args:
        folder: the workflow's folder; it is made if it is missing.
        verb: the command's name in messages.

    Yields:
        File descriptors that hold the lock; see `hold_lock`.

    Raises:
        InputError: another start works there, or jobs of an earlier one; or the folder cannot be written to.
    """
    state = folder / STATE
    with contextlib.ExitStack() as stack:
        try:
            (state / JOBS).mkdir(parents=True, exist_ok=True)
            waiting = take_over(folder, verb=verb)
            locks = stack.enter_context(hold_lock(state / "lock", verb=verb, **waiting))
        except LockedError as error:
            raise locked_error(folder, error, verb=verb, or_else="the Snakemake of one that was killed") from error
        except OSError as error:
            raise InputError(
                folder,
                found=f"a folder that cannot be written to ({str(error.strerror).lower()})",
                expected="a folder for the results",
                remedy="name another one: -o OUT",
            ) from error
        if running := _wait_for_jobs(state / JOBS):
            raise _running_error(folder, running)
        yield locks


def _wait_for_jobs(folder: Path) -> dict[str, Holder]:
    """Return the jobs of an earlier start that are still at work, after a wait for those of this machine.

    These end by themselves, but predictions finish the scan that they are at.
    """
    running = find_running(folder)
    if not running or not all(holder.is_here for holder in running.values()):
        return running
    write_note(f"waiting for the end of jobs of an earlier start, which was killed: {_name(running)}")
    until = time.monotonic() + MAX_WAIT
    while running and time.monotonic() < until:
        time.sleep(_LOOK_SECONDS)
        running = find_running(folder)
    return running


def _running_error(folder: Path, running: Mapping[str, Holder]) -> InputError:
    numbers = [str(holder.pid) for holder in running.values() if holder.is_here and holder.pid]
    return InputError(
        folder,
        found=f"jobs of an earlier start, which was killed, still at work: {_name(running)}",
        expected="one start at a time",
        remedy="wait for their end, or end them first" + f": kill {' '.join(numbers)}" * bool(numbers),
    )


def _name(running: Mapping[str, Holder]) -> str:
    names = [f"{name} ({holder})" for name, holder in running.items()]
    return ", ".join(names[:_MAX_NAMED]) + f" and {len(names) - _MAX_NAMED} more" * (len(names) > _MAX_NAMED)

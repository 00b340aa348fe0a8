"""Let one start of a workflow at a time work in a folder, and none as long as jobs of an earlier one do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..data.errors import InputError
from ..data.one_at_a_time import locked_error
from ..locks import LockedError, hold_lock
from .jobs import find_running

__all__ = ["JOBS", "STATE", "lock_workflow"]

# Of a workflow's folder, and in it of the locks of jobs.
STATE = ".workflow"
JOBS = "jobs"
_MAX_NAMED = 5


@contextmanager
def lock_workflow(folder: Path, *, verb: str) -> Iterator[tuple[int, ...]]:
    """Let only one start work in a workflow's folder.

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
            locks = stack.enter_context(hold_lock(state / "lock", verb=verb))
        except LockedError as error:
            raise locked_error(folder, error, verb=verb, or_else="the Snakemake of one that was killed") from error
        except OSError as error:
            raise InputError(
                folder,
                found=f"a folder that cannot be written to ({str(error.strerror).lower()})",
                expected="a folder for the results",
                remedy="name another one: -o OUT",
            ) from error
        running = find_running(state / JOBS)
        if running:
            more = f" and {len(running) - _MAX_NAMED} more" * (len(running) > _MAX_NAMED)
            named = ", ".join(running[:_MAX_NAMED]) + more
            raise InputError(
                folder,
                found=f"jobs of an earlier start, which was killed, still at work: {named}",
                expected="one start at a time",
                remedy="wait for their end, or end them first",
            )
        yield locks

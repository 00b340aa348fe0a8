"""How a job of a workflow starts: as ``lightskip`` with words, while it holds a lock of its own."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from ..lock_file import Holder
from ..locks import find_holder, take_lock
from ..process import start_text

__all__ = ["find_running", "hold_job", "job_command"]

_BEFORE = "from pipeline.workflow.jobs import hold_job; hold_job(sys.argv.pop(1)); "
# On this machine a job is in the process group that its Snakemake leads.
_WATCH = "from pipeline.parent import end_with_group; end_with_group(); "
_MESSAGE = "error: {lock}: found this job at work already; expected one at a time. What to do: wait for its end.\n"


def job_command(python: str, *, is_local: bool = False) -> str:
    """Return the start of a job's command for a shell; a file to lock, a verb and its words come after it.

    Args:
        python: the interpreter, which has LightSkip or the same checkout.
        is_local: whether the job ends with its Snakemake, on this machine, even if that is killed.
    """
    return shlex.join([python, "-P", "-c", start_text(_BEFORE + _WATCH * is_local)])


def hold_job(lock: str) -> None:
    """Hold a job's lock until this process ends. End the process with a message if the job is at work already.

    A cluster's job goes on when the process that submitted it is killed, and the next start submits the job again.
    """
    try:
        Path(lock).parent.mkdir(parents=True, exist_ok=True)
        # A cluster starts a job again when its machine fails.
        take_lock(Path(lock), verb="a job", trust_silence=False)
    except BlockingIOError:
        os.write(2, _MESSAGE.format(lock=lock).encode())
        sys.exit(2)
    except OSError:
        # A file system without locks.
        return


def find_running(folder: Path) -> dict[str, Holder]:
    """Return the jobs whose locks in a folder are held, with the processes that hold them."""
    found = {file.stem: find_holder(file) for file in sorted(folder.glob("*.lock"))}
    return {name: holder for name, holder in found.items() if holder is not None}

"""Run a training in several processes on this machine, as ``torchrun`` does."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Sequence

from ..data.errors import InputError

__all__ = ["run_processes"]


def run_processes(arguments: Sequence[str]) -> int:
    """Act as ``torchrun``: start the processes, pass signals to them, and wait for all."""
    from torch.distributed.elastic.multiprocessing.api import SignalException  # noqa: PLC0415
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError  # noqa: PLC0415
    from torch.distributed.run import main  # noqa: PLC0415

    # It logs which process failed, whose own message says more.
    logging.getLogger("torch.distributed.elastic.multiprocessing.api").setLevel(logging.CRITICAL)
    # The same warning that `Launch.run` hides.
    os.environ.setdefault("PYTHONWARNINGS", "ignore:parsing config_file")
    try:
        main(list(arguments))
    except ChildFailedError as error:
        # The process has printed the reason, unless a signal ended it: its code is then negative.
        rank, failure = error.get_first_failure()
        if failure.exitcode >= 0:
            return failure.exitcode
        sys.stderr.write(f"{_describe_signal(rank, -failure.exitcode)}\n")
        return 128 - failure.exitcode
    except SignalException as error:
        if error.sigval == signal.SIGINT:
            raise KeyboardInterrupt from None
        return 128 + error.sigval
    return 0


def _describe_signal(rank: int, number: int) -> str:
    """Return the message about a process that a signal ended, which said nothing itself."""
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = "unknown"
    error = InputError(
        f"--processes, number {rank}",
        found=f"a process that was ended by signal {number} ({name}); the others were ended with it",
        expected="all processes until the end",
        remedy="continue with --resume. A system with too little memory ends processes like this: set fewer "
        "--processes, --num_workers 0 or a smaller --batch",
    )
    return f"error: {error}"

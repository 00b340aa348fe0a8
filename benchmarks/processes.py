"""Measure in fresh processes: the cost of a command, or the results of a generator function."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

__all__ = ["VERB", "ProcessCost", "run_alone", "stream"]

VERB = (sys.executable, "-W", "ignore", "-c", "import sys; from pipeline.cli import main; sys.exit(main())")
"""The words before those of ``lightskip``."""

_PRELOAD = ["monai.inferers", "monai.losses", "monai.networks.nets", "pipeline.inference", "pipeline.training"]
# A process inherits the memory peak of the process that starts it. So a small process starts it.
_LAUNCHER = """
import json, os, subprocess, sys, time
with open(sys.argv[1], "w") as log:
    start = time.perf_counter()
    child = subprocess.Popen(sys.argv[2:], stdout=log, stderr=log)
    _, status, usage = os.wait4(child.pid, 0)
    taken = time.perf_counter() - start
child.returncode = os.waitstatus_to_exitcode(status)
unit = 1 if sys.platform == "darwin" else 1024
print(json.dumps([child.returncode, taken, usage.ru_utime, usage.ru_stime, usage.ru_maxrss * unit]))
"""


@dataclass(frozen=True)
class ProcessCost:
    """The cost of a process: wall time, processor time and the system's part of it (s), peak of memory (bytes)."""

    seconds: float
    cpu_seconds: float
    peak: int
    system_seconds: float = 0.0


def run_alone(
    words: Sequence[str | Path],
    log: Path,
    *,
    threads: int = 1,
    folder: Path | None = None,
    accepted: Sequence[int] = (0,),
) -> ProcessCost:
    """Run a command in a fresh process, without a GPU.

    Args:
        words: the command.
        log: the file for its output.
        threads: PyTorch's threads.
        folder: where to run it; by default the working directory.
        accepted: exit statuses that are not failures.

    Raises:
        RuntimeError: the command failed. The message has the end of its output.
    """
    command = [sys.executable, "-c", _LAUNCHER, str(log), *map(str, words)]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, cwd=folder)
    status, seconds, user, system, peak = json.loads(done.stdout)
    if status not in accepted:
        msg = f"{words[-1]}: exit status {status}\n{log.read_text(errors='replace')[-2000:]}"
        raise RuntimeError(msg)
    return ProcessCost(seconds, user + system, peak, system)


def stream(function: Callable[..., Iterator[Any]], *arguments: Any, **options: Any) -> Iterator[Any]:
    """Run a generator function in a fresh process and yield what it yields.

    The process is forked from one that has imported PyTorch and MONAI and computed nothing.

    Args:
        function: a module-level function, so that it can be pickled. Its arguments and yields must be picklable too.
        *arguments: arguments of the function.
        **options: keyword arguments of the function.

    Raises:
        RuntimeError: the process failed. Its traceback, if any, is on standard error.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOAD)
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_serve, args=(sender, partial(function, *arguments, **options)), daemon=True)
    process.start()
    sender.close()
    try:
        while True:
            try:
                yield receiver.recv()
            except EOFError:
                break
        process.join()
    finally:
        process.terminate()
        process.join()
    if process.exitcode:
        reason = "killed, perhaps because memory ran out" if process.exitcode == -9 else str(process.exitcode)
        msg = f"the process of {function.__name__} ended early: {reason}"
        raise RuntimeError(msg)


def _serve(sender: Connection, generate: Callable[[], Iterator[Any]]) -> None:
    for item in generate():
        sender.send(item)
    sender.close()

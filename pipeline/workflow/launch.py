"""Run Snakemake in a process group of its own, read its events, and pass interrupts on to all its jobs."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..parent import parent_pipe, watch_text
from ..process import HEAR_INTERRUPTS, end_on_signals
from .events import Journal, OnEvent

__all__ = ["launch"]

# Not `-m snakemake`, so that the logger plugin is found without an environment variable, which jobs would inherit.
_START = "import sys; sys.path += {folders!r}; {watch}from snakemake.cli import main; main()"
_PLUGINS = Path(__file__).with_name("plugins")
# Of this package, for a checkout that is not installed.
_CHECKOUT = Path(__file__).resolve().parents[2]


def launch(
    words: Sequence[str], *, folder: Path, log: Path, locks: Sequence[int], on_event: OnEvent
) -> tuple[int, Journal]:
    """Run Snakemake with words until it ends.

    Args:
        words: the words of its command line.
        folder: its working directory.
        log: file for all that Snakemake and its jobs print.
        locks: file descriptors that Snakemake inherits, but not its jobs.
        on_event: called with each event.

    Returns:
        Snakemake's exit status (-N if signal N ended it), and what happened to the jobs.

    Raises:
        KeyboardInterrupt: this process was interrupted, or told to end. All jobs have ended, or were told to. If it is
            killed, they are told so as well.
    """
    with parent_pipe() as watched:
        return _launch(words, folder=folder, log=log, locks=locks, on_event=on_event, watched=watched)


def _launch(
    words: Sequence[str],
    *,
    folder: Path,
    log: Path,
    locks: Sequence[int],
    on_event: OnEvent,
    watched: tuple[int, ...],
) -> tuple[int, Journal]:
    reader, writer = os.pipe()
    folders = [str(_PLUGINS), str(_CHECKOUT)]
    start = HEAR_INTERRUPTS + _START.format(folders=folders, watch=watch_text(watched, group=True))
    command = [sys.executable, "-P", "-c", start, *words, "--logger", "lightskip"]
    command += ["--logger-lightskip-descriptor", str(writer)]
    journal = Journal(folder.absolute())
    with end_on_signals(), log.open("wb") as output, os.fdopen(reader, encoding="utf-8") as lines:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=(writer, *locks, *watched),
            process_group=0,
        )
        os.close(writer)
        try:
            _follow(journal, lines, on_event)
            status = process.wait()
        except BaseException:
            _end_group(process)
            raise
        if status < 0:
            # Somebody killed Snakemake itself: its jobs are left.
            _signal_group(process, signal.SIGINT)
    return status, journal


def _follow(journal: Journal, lines: Iterable[str], on_event: OnEvent) -> None:
    for event in journal.read(lines):
        on_event(event)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Interrupt Snakemake and its jobs, and wait for its end; kill them if another interrupt comes meanwhile."""
    _signal_group(process, signal.SIGINT)
    try:
        process.wait()
    except KeyboardInterrupt:
        _signal_group(process, signal.SIGKILL)
        process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    # The group's number is the process's, and is not used again as long as a job is left in it.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)

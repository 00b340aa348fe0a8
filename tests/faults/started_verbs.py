"""Start verbs of `lightskip` in forked processes: they need not import PyTorch anew, and can be killed whole."""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import psutil

__all__ = ["Ended", "StartedVerb", "load_packages", "run_verb", "start_verb"]

_PACKAGES = (
    "monai.bundle",
    "monai.engines",
    "monai.handlers",
    "monai.inferers",
    "monai.losses",
    "monai.networks.nets",
    "monai.transforms",
    "ignite.metrics",
    "skimage.measure",
    "pipeline.bundle",
    "pipeline.evaluation.case_report",
    "pipeline.evaluation.present_dice",
    "pipeline.inference",
    "pipeline.training",
)
# A process that has not ended by then hangs: the longest verb of the suite takes a minute on a busy machine.
MAX_SECONDS = 900.0
_LOOK_SECONDS = 0.005


@dataclass(frozen=True)
class Ended:
    """How a verb ended.

    Args:
        status: its exit status; -N if signal N ended it.
        text: what it printed, both streams.
        seconds: how long it ran.
    """

    status: int
    text: str
    seconds: float


@dataclass(frozen=True)
class StartedVerb:
    """A running verb, the leader of a process group of its own."""

    process: int
    log: Path
    begin: float

    def workers(self) -> list[psutil.Process]:
        """Return the living processes that it has started, also those in process groups of their own."""
        try:
            found = psutil.Process(self.process).children(recursive=True)
        except psutil.NoSuchProcess:
            return []
        return [one for one in found if _is_at_work(one)]

    def kill(self) -> None:
        """Kill it and its workers at once, as a lost power supply does."""
        workers = self.workers()
        for one in (self.process, *(worker.pid for worker in workers)):
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)

    def wait(self, seconds: float = MAX_SECONDS) -> Ended | None:
        """Wait for its end.

        Returns:
            How it ended; None if it is still running after `seconds`.
        """
        until = time.monotonic() + seconds
        while True:
            ended, code = os.waitpid(self.process, os.WNOHANG)
            if ended:
                text = self.log.read_text(encoding="utf-8", errors="replace")
                return Ended(os.waitstatus_to_exitcode(code), text, time.monotonic() - self.begin)
            left = until - time.monotonic()
            if left <= 0:
                return None
            time.sleep(min(_LOOK_SECONDS, left))


def _is_at_work(process: psutil.Process) -> bool:
    """Return whether a process lives and is no helper of Python's own."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE and "resource_tracker" not in " ".join(process.cmdline())
    except psutil.Error:
        return False


def load_packages() -> None:
    """Import what the verbs need, once, before the first fork.

    Raises:
        RuntimeError: an import has started a thread, which a forked process may wait for, for ever.
    """
    # Neither the driver nor a verb may start threads.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    gc.disable()
    for package in _PACKAGES:
        import_module(package)
    threads = Path("/proc/self/task")
    if threads.is_dir() and len(list(threads.iterdir())) > 1:
        raise RuntimeError("found threads after the imports; expected none")
    gc.freeze()
    gc.enable()


def start_verb(
    words: Sequence[str], folder: Path, log: Path, *, before: Callable[[], object] | None = None
) -> StartedVerb:
    """Start ``lightskip WORDS`` in a folder.

    Args:
        words: the verb and its words.
        folder: its working directory.
        log: the file that takes what it prints.
        before: called in the new process right before the verb: it may set limits, or replace functions.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    begin = time.monotonic()
    process = os.fork()
    if process:
        return StartedVerb(process, log, begin)
    status = 70
    try:
        os.setpgid(0, 0)
        os.chdir(folder)
        reading = os.open(os.devnull, os.O_RDONLY)
        writing = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        for number, descriptor in enumerate((reading, writing, writing)):
            os.dup2(descriptor, number)
        sys.argv = ["lightskip", *words]
        status = _run(before)
    finally:
        # Nothing of the driver may run here: neither its clean-up nor its tests.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _run(before: Callable[[], object] | None) -> int:
    """Do what the interpreter does with the command's script, up to its exit status."""
    from pipeline.__main__ import main  # noqa: PLC0415 - the verb's own import, in its own process

    try:
        if before is not None:
            before()
        return main()
    except SystemExit as end:
        if isinstance(end.code, str):
            sys.stderr.write(f"{end.code}\n")
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1


def run_verb(
    words: Sequence[str],
    folder: Path,
    log: Path,
    *,
    before: Callable[[], object] | None = None,
    seconds: float = MAX_SECONDS,
) -> Ended:
    """Run ``lightskip WORDS`` to its end.

    Raises:
        TimeoutError: it has not ended after `seconds`. It is killed.
    """
    started = start_verb(words, folder, log, before=before)
    ended = started.wait(seconds)
    if ended is None:
        started.kill()
        os.waitpid(started.process, 0)
        raise TimeoutError(f"lightskip {' '.join(words)}: still running after {seconds:.0f} s")
    return ended

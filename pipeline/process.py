"""Run a verb in a process of its own, and pass interrupts on to it. Imports only `parent`."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .parent import parent_pipe, watch_text

__all__ = ["HEAR_INTERRUPTS", "end_on_signals", "run_verb", "start_text"]

# As the script `lightskip` starts. Not `-m pipeline`: that would take another project's package of this name from the
# working directory. The folder of this package is last, for a checkout that is not installed.
_START = (
    "import sys; sys.argv[0] = 'lightskip'; sys.path.append({folder!r}); {before}"
    "from pipeline.__main__ import main; sys.exit(main({arguments}))"
)
# A shell lets the programs in its background ignore interrupts, and with them all that they start. A program in a
# process group of its own gets none that is not meant for it.
HEAR_INTERRUPTS = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "


def start_text(before: str = "", *, is_inner: bool = False) -> str:
    """Return the program that starts ``lightskip`` with the words after it: for ``python -P -c``.

    Args:
        before: statements to run first, each of which ends with ``"; "``.
        is_inner: whether another verb runs this one, and says itself that it was interrupted.
    """
    folder = str(Path(__file__).resolve().parents[1])
    return _START.format(folder=folder, before=before, arguments="is_inner=True" if is_inner else "")


def run_verb(words: Sequence[str], *, locks: Sequence[int] = ()) -> int:
    """Run ``lightskip`` with words, and wait for its end.

    The process has a group of its own, so that Ctrl-C in a terminal reaches it once: from here. It then ends as it
    would by itself. A second interrupt kills it. If this process is killed, it is interrupted as well.

    Args:
        words: the verb and its words.
        locks: file descriptors that the process inherits.

    Returns:
        Its exit status; 128 + N if signal N ended it.

    Raises:
        KeyboardInterrupt: this process was interrupted, or told to end; the verb has ended.
    """
    group = {"process_group": 0} if sys.platform != "win32" else {}
    with end_on_signals(), parent_pipe() as watched:
        text = start_text(HEAR_INTERRUPTS + watch_text(watched), is_inner=True)
        command = [sys.executable, "-P", "-c", text, *words]
        process = subprocess.Popen(command, pass_fds=(*locks, *watched), **group)  # type: ignore[call-overload]
        try:
            status = process.wait()
        except KeyboardInterrupt:
            _interrupt(process)
            raise
    if status in (-signal.SIGINT, 130):
        # Somebody interrupted the process itself.
        raise KeyboardInterrupt
    return int(status) if status >= 0 else 128 - int(status)


def _interrupt(process: subprocess.Popen[Any]) -> None:
    """Interrupt a process and wait for its end; kill it if another interrupt comes meanwhile."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGINT)
    try:
        process.wait()
    except KeyboardInterrupt:
        process.kill()
        process.wait()


@contextmanager
def end_on_signals() -> Iterator[None]:
    """Take a request to end, or the end of the terminal, as an interrupt: otherwise the verb would be left running."""
    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    numbers = [getattr(signal, name) for name in names] if _is_main_thread() else []
    # Under nohup the end of the terminal is ignored, and stays so.
    before = {number: handler for number in numbers if (handler := signal.getsignal(number)) is not signal.SIG_IGN}

    def interrupt(_number: int, _frame: Any) -> None:
        raise KeyboardInterrupt

    for number in before:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()

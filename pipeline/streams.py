"""Let work go on when nobody takes what it prints: a closed stream, a reader that has gone, a full disk.

It imports no room of LightSkip.
"""

from __future__ import annotations

import errno
import io
import logging
import os
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import IO, Any

from .disk import find_disk_error
from .working_folder import find_removed

__all__ = ["find_lost_output", "guard_streams", "is_closed", "quiet_logging"]

_STREAMS = {"stdout": 1, "stderr": 2}
_GONE = (errno.EPIPE, errno.ECONNRESET)
_closed: set[str] = set()
_lost: dict[str, OSError] = {}


class _Sink(io.FileIO):
    """A stream's descriptor. When it can no longer be written to, /dev/null takes its place, for native code too."""

    def __init__(self, name: str) -> None:
        super().__init__(_STREAMS[name], "w", closefd=False)
        self._stream = name

    def write(self, data: Any) -> int:
        try:
            written: int | None = super().write(data)
        except BlockingIOError:
            raise
        except OSError as error:
            _lost[self._stream] = error
            _replace_by_null(_STREAMS[self._stream])
            return len(memoryview(data).cast("B"))
        return written or 0


def guard_streams() -> None:
    """Replace this process's standard output and error by streams that never fail. What could not be written is noted.

    A closed stream becomes /dev/null, so that no file gets its number. Streams of another program, which has put its
    own in place, are left alone.
    """
    if sys.platform == "win32":
        return
    _occupy_closed()
    for name, number in _STREAMS.items():
        stream = getattr(sys, name)
        if stream is None:
            _closed.add(name)
            setattr(sys, name, _open(name, None))
        elif stream is getattr(sys, f"__{name}__") and _is_plain(stream, number):
            stream.flush()
            setattr(sys, name, _open(name, stream))
    quiet_logging()


def is_closed(name: str) -> bool:
    """Return whether a stream, ``stdout`` or ``stderr``, was closed when the process started."""
    return name in _closed or getattr(sys, name) is None


def find_lost_output() -> OSError | None:
    """Return why the standard output could not be written, or None. BrokenPipeError: its reader has gone."""
    stream = sys.stdout
    if stream is not None and "stdout" not in _lost:
        stream.flush()
    return _lost.get("stdout")


def quiet_logging() -> None:
    """Make a log that cannot be written end in one line, not in a traceback for each message.

    TensorBoard's files, which a thread writes, end in none: the main thread raises the error of a full disk, or of a
    working folder that was removed, as well.
    """
    logging.Handler.handleError = _handle_error  # type: ignore[method-assign, assignment]
    if getattr(threading.excepthook, "func", None) is not _handle_thread:
        threading.excepthook = partial(_handle_thread, threading.excepthook)


def _handle_error(handler: logging.Handler, record: logging.LogRecord) -> None:
    error = sys.exc_info()[1]
    if not isinstance(error, OSError | ValueError):
        _report_record(handler, record)
        return
    if getattr(handler, "lightskip_failed", False):
        return
    handler.lightskip_failed = True  # type: ignore[attr-defined]
    file = getattr(handler, "baseFilename", None)
    if file is not None and sys.stderr is not None:
        reason = getattr(error, "strerror", None) or error
        sys.stderr.write(f"warning: {file}: found {str(reason).lower()}; the log is not complete, the work goes on\n")


_report_record = logging.Handler.handleError


def _handle_thread(before: Callable[[Any], object], given: Any) -> None:
    """Report an error in a thread, unless it is one of TensorBoard's that the main thread raises, too."""
    is_raised = find_disk_error(given.exc_value) is not None or find_removed() is not None
    if is_raised and type(given.thread).__name__ == "_AsyncWriterThread":
        return
    before(given)


def _open(name: str, before: Any) -> IO[str]:
    """Return a text stream like the one before it."""
    sink = _Sink(name)
    if before is None:
        return io.TextIOWrapper(sink, encoding="utf-8", errors="backslashreplace", write_through=True)
    return io.TextIOWrapper(
        # python -u and PYTHONUNBUFFERED want each write to be seen at once.
        sink if before.write_through else io.BufferedWriter(sink),
        encoding=before.encoding,
        errors=before.errors,
        line_buffering=before.line_buffering,
        write_through=before.write_through,
    )


def _is_plain(stream: Any, number: int) -> bool:
    try:
        return isinstance(stream, io.TextIOWrapper) and stream.fileno() == number
    except (OSError, ValueError):
        return False


def _occupy_closed() -> None:
    """Open /dev/null at the numbers 0, 1 and 2 that are closed: the next file that is opened would get them."""
    while True:
        number = os.open(os.devnull, os.O_RDWR)
        if number > max(_STREAMS.values()):
            os.close(number)
            return
        os.set_inheritable(number, True)


def _replace_by_null(number: int) -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, number)
    os.close(null)

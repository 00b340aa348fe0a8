"""Open a file to read, but no pipe in a folder: without a writer, opening it would wait for ever."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

__all__ = ["open_plain"]

# A shell's `<(command)` and standard input: somebody does write into these.
_STREAMS = ("/dev/", "/proc/")


def open_plain(path: str | os.PathLike[str]) -> BinaryIO:
    """Return a file, opened to read bytes.

    Raises:
        OSError: it cannot be opened, or is a named pipe; a socket cannot be opened anyway.
    """
    path = Path(path)
    if stat.S_ISFIFO(path.stat().st_mode) and not os.path.abspath(path).startswith(_STREAMS):  # noqa: PTH100 - keeps links
        raise OSError(errno.ESPIPE, "a pipe, which may never end", str(path))
    return path.open("rb")

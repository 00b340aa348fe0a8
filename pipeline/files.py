"""Files that appear whole or not at all. Imports nothing of ours, so that every room can use it."""

from __future__ import annotations

import contextlib
import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["whole_file", "write_text"]


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Write a file under a temporary name and give it its own when the block ends well.

    Args:
        path: where the file shall be; its folder is made when missing. A file that is there stays as it is until the
            new one is whole.

    Yields:
        The temporary name, hidden, in the same folder and with the same ending, to write to.

    Raises:
        FileExistsError: it is a device or a pipe, which no file may take the place of.
        Whatever the block raises; nothing is left then. An OSError about the temporary file names the file itself.
    """
    path = Path(path)
    if path.exists() and not (path.is_file() or path.is_dir()):
        # The rename would put a file in the place of /dev/null for all programs.
        raise FileExistsError(errno.EEXIST, "A device or a pipe", str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid.uuid4().hex}.{path.name}")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        # A full disk has no name; what was being written then is this.
        if error.errno is not None and error.filename in (None, str(temporary)):
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        # On a read-only file system even this fails, and would hide the reason.
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write UTF-8 text with the line ends it has, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_bytes(text.encode())

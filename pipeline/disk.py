"""Explain a full or broken disk in one message: which file, which disk, how much is free and how much is needed."""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from .mounts import find_mount

__all__ = [
    "DiskError",
    "as_disk_error",
    "explain_disk_error",
    "find_disk_error",
    "full_disk_message",
    "is_broken",
    "is_unreachable",
    "is_unwritable",
    "unknown_disk_error",
]

_FULL = (errno.ENOSPC, errno.EDQUOT)
# Of a network disk whose connection is lost. Of a socket, whose errors name no file, they mean something else.
_AWAY = (errno.ENOTCONN, errno.ECONNABORTED, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ETIMEDOUT)
_ERRORS = {
    errno.ENOSPC: "no space left",
    errno.EDQUOT: "its quota used up",
    errno.EIO: "an input or output error",
    # What a system makes of a disk with errors, and a server that no longer knows a file.
    errno.EROFS: "a read-only file system",
    errno.ESTALE: "a file that its server has lost",
    **dict.fromkeys(_AWAY, "a server that cannot be reached"),
}
# What other programs' errors say that have no error number: of worker processes, PyTorch, ITK, OpenVINO, HDF5.
_WORDS = {
    "No space left on device": errno.ENOSPC,
    "Disk quota exceeded": errno.EDQUOT,
    "Input/output error": errno.EIO,
    "Read-only file system": errno.EROFS,
    "PytorchStreamWriter failed writing": 0,
    "file write failed": 0,
}
_UNEXPECTED = re.compile(r"unexpected pos \d+ vs \d+")  # PyTorch's, at the end of a file that it could not write
_LITTLE = 1 << 20
_FILE_NAMES = ("filename", "file_name", "fname", "path", "file", "target", "output")


class DiskError(OSError):
    """A disk that is full or broken.

    Attributes:
        needed: bytes that the file needs at least; None if unknown.
        free: bytes that were free for it; None if unknown.
    """

    needed: int | None = None
    free: int | None = None


def as_disk_error(error: BaseException, path: Path, temporary: Path) -> DiskError | None:
    """Return the error of a disk that kept a file from being written, or None if it was another one.

    Args:
        error: what writing raised.
        path: the final path of the file, or of the folder with all its files.
        temporary: the path that it was written to; it still exists.
    """
    number = _number(error, of_file=True)
    written = _written_name(error)
    name = str(temporary) if written is None else written
    if number is None or (is_broken(number) and not name.startswith((str(temporary), str(path)))):
        # Another file than this one could not be read.
        return None
    free = _free_bytes(path)
    size, before = _size(temporary), _size(path)
    if number == 0:
        # PyTorch does not say why it could not write.
        number = _guess_number(free)
    # Users know the final path.
    made = DiskError(number, os.strerror(number), name.replace(str(temporary), str(path), 1))
    # A file that replaces an earlier one is about as large.
    made.needed = max(size, before) or None
    made.free = None if free is None else free + size
    return made


def _written_name(error: BaseException) -> str | None:
    """Return the file that an error names; of two, as of a copy, the one that the full disk could not take."""
    if not isinstance(error, OSError):
        return None
    name = error.filename2 if error.errno in _FULL and error.filename2 is not None else error.filename
    return os.fsdecode(name) if isinstance(name, str | bytes | os.PathLike) else None


def full_disk_message(folder: Path) -> str | None:
    """Return the message for a folder whose disk is full now, or None: for work whose own message was lost with it."""
    free = _free_bytes(folder)
    return None if free is None or free >= _LITTLE else explain_disk_error(unknown_disk_error(folder))


def unknown_disk_error(path: Path) -> DiskError:
    """Return the error of a disk on which a library could not write a file, and did not say why: most likely full."""
    free = _free_bytes(path)
    number = _guess_number(free)
    made = DiskError(number, os.strerror(number), str(path))
    made.free = free
    return made


def is_broken(number: int | None) -> bool:
    """Return whether the number of a disk's error is that of a broken or read-only one, which may also be read."""
    return number in _ERRORS and number not in _FULL


def is_unwritable(error: BaseException | None) -> bool:
    """Return whether an error says that a disk is full or read-only: no other file can be written to it either."""
    found = find_disk_error(error)
    return found is not None and found.errno in (*_FULL, errno.EROFS)


def is_unreachable(folder: Path) -> bool:
    """Return whether a folder is on a network disk whose server cannot be reached."""
    try:
        os.stat(folder)  # noqa: PTH116 - Path.exists() answers some errors with False
    except OSError as error:
        return error.errno in _AWAY
    return False


def find_disk_error(error: BaseException | None) -> OSError | None:
    """Return the error of a full or broken disk in the chain of causes, or None. One that names its file comes first.

    Errors of other programs, which only say so in words, become one without a file's name.
    """
    found: list[OSError] = []
    for one in _chain(error):
        number = _number(one)
        if number is None:
            continue
        if isinstance(one, OSError) and one.errno == number:
            found.append(one)
        else:
            number = number or errno.EIO
            found.append(DiskError(number, os.strerror(number)))
    ranked = sorted(found, key=lambda one: (one.filename is None, not isinstance(one, DiskError)))
    return ranked[0] if ranked else None


def explain_disk_error(error: BaseException | None, *, where: str | os.PathLike[str] | None = None) -> str | None:
    """Return the message for a full or broken disk behind an error, or None if it is another error.

    Args:
        error: the error, with its chain of causes.
        where: the file or folder that was being written, if the error does not name it.
    """
    found = find_disk_error(error)
    if found is None or found.errno is None:
        return None
    name = _written_name(found) or where or _find_file(error)
    path = None if name is None else Path(os.fsdecode(name))
    if path is None:
        full = _full_disks()
        place = f"the disk at {' or '.join(full)}" if full else "a disk"
        label = full[0] if full else "a file"
    elif str(path) == "standard output":
        place, label = "its disk", str(path)
    else:
        place, label = f"the disk at {find_mount(path)}", str(path)
    known = []
    free = found.free if isinstance(found, DiskError) and found.free is not None else _free_bytes(path)
    if found.errno in _FULL and free is not None:
        known.append(f"{_format(free)} free")
    if isinstance(found, DiskError) and found.needed:
        known.append(f"more than {_format(found.needed)} needed")
    numbers = f" ({', '.join(known)})" if known else ""
    again = "then run the same command again (a training: with --resume)"
    if found.errno in _FULL:
        remedy = f"free some space on it, or write to another disk; {again}"
    elif found.errno in (*_AWAY, errno.ESTALE):
        remedy = f"connect the disk again, or write to another one; {again}"
    else:
        remedy = (
            "write to another disk; if this one is not read-only on purpose, look into the system's log for its errors"
        )
    return (
        f"{label}: found {_ERRORS[found.errno]} on {place}{numbers}; expected a disk that it can be written to. "
        f"Files that were whole are unchanged. What to do: {remedy}."
    )


def _find_file(error: BaseException | None) -> str | None:
    """Return the file that a library was writing when it raised an error, from the names in its functions."""
    for one in _chain(error):
        frames = []
        trace = one.__traceback__
        while trace is not None:
            frames.append(trace.tb_frame)
            trace = trace.tb_next
        for frame in reversed(frames):
            for name in _FILE_NAMES:
                value = frame.f_locals.get(name)
                file = os.fsdecode(value) if isinstance(value, str | bytes | Path) else ""
                with suppress(OSError):
                    if file and Path(file).absolute().parent.is_dir():
                        return file
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, its causes, and the errors that were handled when it was raised."""
    left, seen = [error], set()
    while left:
        one = left.pop(0)
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            yield one
            left += [one.__cause__, one.__context__]


def _number(error: BaseException, *, of_file: bool = False) -> int | None:
    """Return the number of a disk's error: 0 if the disk is at fault, but the reason is unknown; None for others.

    Args:
        error: any error.
        of_file: whether it was raised about a file, even if it names none.
    """
    if isinstance(error, OSError) and error.errno is not None:
        named = of_file or error.filename is not None or error.errno not in _AWAY
        return error.errno if error.errno in _ERRORS and named else None
    # Of a library, or of a process that reports another one's error as text. A message for users stands for itself.
    if not isinstance(error, OSError | RuntimeError):
        return None
    text = str(error)
    found = [number for words, number in _WORDS.items() if words in text]
    if found:
        return max(found)
    return 0 if _UNEXPECTED.search(text) else None


def _size(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder."""
    try:
        files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
        return sum(one.stat().st_size for one in files)
    except OSError:
        return 0


def _guess_number(free: int | None) -> int:
    return errno.ENOSPC if free is not None and free < _LITTLE else errno.EIO


def _free_bytes(path: Path | None) -> int | None:
    if path is None:
        return None
    with suppress(OSError):  # of a working folder that is gone
        for folder in (path, *path.absolute().parents):
            with suppress(OSError):
                return shutil.disk_usage(folder).free
    return None


def _full_disks() -> list[str]:
    """Return which of the disks that most likely were written to are full."""
    folders = (os.curdir, tempfile.gettempdir(), "/dev/shm")
    free = {find_mount(folder): _free_bytes(Path(folder)) for folder in folders if os.path.isdir(folder)}  # noqa: PTH112 - raises nothing
    return [mount for mount, number in free.items() if number is not None and number < _LITTLE]


def _format(number: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number} bytes"

"""Name temporary files after their process, and remove those whose process is gone.

A process that is killed cannot remove its temporary files. The next one that writes into the same folder does.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .owner import has_ended, process_start, this_place

__all__ = ["fit_name", "remove_leftovers", "temporary_folder", "temporary_path"]

_NAME = re.compile(r"\.ls-([0-9a-f]{8})-([0-9a-f]{1,8})-([0-9a-f]{1,16})-[0-9a-f]{6}\..+", flags=re.DOTALL)
# Of versions before this one: a random UUID (version 4), which does not say whose the file is.
_EARLIER_NAME = re.compile(r"\.[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}\..+", flags=re.DOTALL)
_MAX_BYTES = 255  # of a file's name, on nearly all file systems
_MAX_AGE = 3 * 86_400  # seconds; another machine's process writes to a file more often
_cleaned: set[str] = set()


def temporary_path(path: str | os.PathLike[str]) -> Path:
    """Return a hidden path in the same folder, with the same ending, that no other process uses.

    Temporary files in this folder whose processes have ended are removed, once in each process.

    Args:
        path: the path that the file or folder will get when it is whole.
    """
    path = Path(path)
    folder = os.path.abspath(path.parent)  # noqa: PTH100 - links keep their names
    if folder not in _cleaned:
        _cleaned.add(folder)
        remove_leftovers(Path(folder))
    return path.with_name(fit_name(_own_prefix(), path.name))


def fit_name(prefix: str, name: str) -> str:
    """Return a file's name behind a prefix. If both are too long for a file, the name loses letters at its start."""
    while len(os.fsencode(prefix + name)) > _MAX_BYTES:
        name = name[1:]
    return prefix + name


@contextmanager
def temporary_folder(parent: str | os.PathLike[str] | None = None, name: str = "lightskip") -> Iterator[Path]:
    """Make a folder that only this user can read, and remove it with its content when the block ends.

    Args:
        parent: the folder to make it in; None is the system's for temporary files.
        name: the end of its name.
    """
    folder = temporary_path(Path(tempfile.gettempdir() if parent is None else parent) / name)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(folder: Path) -> list[str]:
    """Remove the temporary files and folders of processes that have ended, and return their names.

    A file of this machine is removed if its process is gone. One of another machine, of this machine before it started
    again, or of an earlier version of LightSkip is removed once it is three days old. Other users' files stay.
    """
    removed = []
    # The folder may not exist yet, or another process may do the same.
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") and _is_left(entry):
                with suppress(OSError):
                    shutil.rmtree(entry.path) if entry.is_dir(follow_symlinks=False) else Path(entry.path).unlink()
                    removed.append(entry.name)
    return removed


def _own_prefix() -> str:
    number = os.getpid()
    return f".ls-{this_place()}-{number:x}-{process_start(number):x}-{secrets.token_hex(3)}."


def _is_left(entry: os.DirEntry[str]) -> bool:
    found = _NAME.fullmatch(entry.name)
    if found is None and _EARLIER_NAME.fullmatch(entry.name) is None:
        return False
    try:
        state = entry.stat(follow_symlinks=False)
    except OSError:
        return False
    if hasattr(os, "geteuid") and state.st_uid != os.geteuid():
        return False
    if found is not None and found[1] == this_place():
        return has_ended(int(found[2], 16), int(found[3], 16))
    # A clock that was set back makes files younger: then they stay longer.
    return time.time() - state.st_mtime > _MAX_AGE

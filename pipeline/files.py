"""Write files whole or not at all. Every room can use it."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from .disk import as_disk_error
from .leftovers import temporary_path

__all__ = ["name_disk", "remove_unused_folders", "whole_file", "write_once", "write_text", "write_together"]

# What a file system that cannot be waited for says.
_NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
# What a file system without hard links says.
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES)


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Write a file under a temporary name, and rename it when the block succeeds and the disk has its content.

    Args:
        path: the file's final path; its folder is made if missing. An existing file is unchanged until the new one is
            whole.

    Yields:
        The temporary path to write to: a hidden file in the same folder, with the same ending.

    Raises:
        FileExistsError: the path is a device or a pipe, which must not be replaced.
        DiskError: the disk is full or broken, also if the block's error says so only in words, as PyTorch's.
        Other errors of the block are raised again, and the temporary file is deleted. An OSError about the temporary
        file names the final path instead.
    """
    path = Path(path)
    if path.exists() and not (path.is_file() or path.is_dir()):
        # The rename would replace /dev/null for all programs.
        raise FileExistsError(errno.EEXIST, "A device or a pipe", str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_path(path)
    try:
        with name_disk(path, temporary):
            yield temporary
            _reach_disk(temporary)
            temporary.replace(path)
    except OSError as error:
        if error.errno is not None and error.filename in (None, str(temporary)):
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        # On a read-only file system this fails too, which would hide the first error.
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _reach_disk(file: Path) -> None:
    """Wait until the disk has a file's content: after a power loss a renamed file may be there without it.

    Raises:
        OSError: the disk is full or broken. Some network disks say so only now.
    """
    with file.open("r+b") as stream:
        try:
            os.fsync(stream.fileno())
        except OSError as error:
            if error.errno not in _NO_SYNC:
                raise


@contextmanager
def name_disk(path: Path, temporary: Path) -> Iterator[None]:
    """Name the file or folder in the block's error if the disk is full or broken, and the bytes that it needs.

    Args:
        path: the final path of the file or folder.
        temporary: the path that the block writes to.

    Raises:
        DiskError: see `pipeline.disk.as_disk_error`.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        full = as_disk_error(error, path, temporary)
        if full is None:
            raise
        raise full from error


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write UTF-8 text with its line ends unchanged, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_bytes(text.encode())


def write_together(texts: Mapping[Path, str]) -> None:
    """Write several files of UTF-8 text, all of them or, on a full disk, none: earlier ones then stay together."""
    with ExitStack() as stack:
        # Each is renamed when the stack closes, after all of them have been written: the first one last.
        for path, text in texts.items():
            stack.enter_context(whole_file(path)).write_bytes(text.encode())


def write_once(path: str | os.PathLike[str], text: str) -> bool:
    """Write UTF-8 text, whole, unless the file exists. Of several processes one writes, also on a shared folder.

    Returns:
        Whether this call wrote the file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_path(path)
    try:
        with name_disk(path, temporary):
            temporary.write_bytes(text.encode())
        try:
            path.hardlink_to(temporary)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            _write_new(path, text)
    except FileExistsError:
        return False
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return True


def _write_new(path: Path, text: str) -> None:
    """Write text to a new file, and remove the file if it cannot be written whole."""
    with path.open("xb") as stream, name_disk(path, path):
        try:
            stream.write(text.encode())
            stream.flush()
        except OSError:
            with contextlib.suppress(OSError):
                path.unlink()
            raise


@contextmanager
def remove_unused_folders(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Remove a folder and its parents when the block ends, if they did not exist before and are empty.

    Args:
        folder: a folder that the block may make. Parents that exist before the block are left alone.
    """
    folder = Path(folder)
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        yield
    finally:
        for path in missing:
            # A folder with files in it cannot be removed this way.
            with contextlib.suppress(OSError):
                path.rmdir()

"""Cache prepared cases on disk: one file per case, valid until its scans or the transforms change."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..data.images.endings import is_detached, is_pair
from ..files import write_text
from ..leftovers import temporary_path
from .cache_format import read_case_file, write_case_file
from .code_text import digest

__all__ = ["CacheFiles"]

DESCRIPTION = "transforms.txt"
MAX_UNUSED_DAYS = 30
_ENDING, _EARLIER_ENDING = ".case", ".pt"

_DAY = 24 * 60 * 60  # seconds
_DIGEST_LENGTH = 32

logger = logging.getLogger(__name__)


class CacheFiles:
    """The prepared cases of one list of transforms, in a folder of their own.

    ``FOLDER/DIGEST/transforms.txt`` names the transforms and versions of the folder; its modification time is when the
    folder was last opened. ``FOLDER/DIGEST/CASE.case`` has the result of the transforms for a case, and the size and
    time of its scans. If the scans change, the case is prepared again and replaces the old file. Folders that were not
    opened for 30 days are removed, so that old settings do not fill the disk. A training that still reads such a folder
    prepares its cases again, as after any other lost file. Everything may be deleted at any time.

    Files are written under a temporary name and renamed, so any number of processes may share a folder. They contain no
    pickle: see ``cache_format.py``. A damaged file, or another program's, counts as none. MONAI's ``PersistentDataset``
    is not used: it unpickles, converts arrays and metadata to plain tensors, does not check the scans, fails on many
    damaged files, and moves its files from another disk, which is not atomic.

    A failure is logged, and the training continues without the file.

    Args:
        folder: the parent of the folders of all transforms, created if missing.
        description: the transforms, one line each, with everything that their result depends on.
    """

    def __init__(self, folder: str | Path, description: str) -> None:
        root = Path(folder).expanduser().absolute()
        self.folder = root / digest(description)
        self._can_write = True
        self._warned = False
        try:
            _open(self.folder, description)
            _remove_unused(root)
        except OSError as error:
            self._stop_writing(error)

    def key(self, case: Any) -> tuple[Path, list[str]] | None:
        """Return the cache file of a case and a description of its scans.

        Args:
            case: paths of files and folders and other plain values, nested in dicts and sequences. A text counts as a
                path if a file or folder of that name exists.

        Returns:
            The path of its file, and one text per scan with its absolute path, size (bytes) and time (ns). None if the
            case cannot be described or its files cannot be read.
        """
        try:
            paths = [path.absolute() for path in _find_paths(case)]
            files = [_describe_file(file) for path in paths for file in _list_files(path)]
            return self.folder / f"{digest(json.dumps([case, paths], default=_to_json))}{_ENDING}", files
        except (TypeError, ValueError, OSError) as error:
            if not self._warned:
                self._warned = True
                logger.warning(f"cannot cache a case on disk: {_summarise_error(error)}")
            return None

    def read(self, path: Path, files: list[str]) -> tuple[bool, Any]:
        """Return (True, the cached result), or (False, None) if there is none for exactly these scans."""
        try:
            content = read_case_file(path)
            if content["files"] == files:
                return True, content["item"]
        except FileNotFoundError:
            pass
        except Exception as error:
            # A damaged file can raise almost any exception.
            logger.warning(f"cannot read a cached case, preparing it again ({_summarise_error(error)}): {path}")
        return False, None

    def write(self, path: Path, files: list[str], item: Any) -> None:
        """Write the result of the transforms for a case, unless an earlier write failed."""
        if not self._can_write:
            return
        # Not the process number: processes on other machines and in containers may have the same one.
        temporary = temporary_path(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_case_file({"files": files, "item": item}, temporary)
            temporary.replace(path)
        except Exception as error:
            # A full disk is an OSError, a value such as a lock a TypeError; subclasses of tensors can raise anything.
            self._stop_writing(error)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)

    def _stop_writing(self, error: Exception) -> None:
        self._can_write = False
        logger.warning(f"writing no more prepared cases to {self.folder}: {_summarise_error(error)}")


def _open(folder: Path, description: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / DESCRIPTION, description)
    for path in folder.glob(f".*{_ENDING}"):
        _remove(path, before=time.time() - _DAY)  # what a killed process was writing
    for path in folder.glob(f"*{_EARLIER_ENDING}"):
        _remove(path)  # of earlier versions, which wrote pickles


def _remove_unused(root: Path) -> None:
    """Remove folders that were not opened for ``MAX_UNUSED_DAYS``. Leave everything that LightSkip did not write."""
    before = time.time() - MAX_UNUSED_DAYS * _DAY
    for description in root.glob(f"{'[0-9a-f]' * _DIGEST_LENGTH}/{DESCRIPTION}"):
        if _age_at_least(description, before):
            logger.info(f"removing prepared cases that were not used for {MAX_UNUSED_DAYS} days: {description.parent}")
            for ending in (_ENDING, _EARLIER_ENDING):
                for path in description.parent.glob(f"*{ending}"):
                    _remove(path)
            _remove(description)
            with suppress(OSError):
                description.parent.rmdir()


def _age_at_least(path: Path, before: float) -> bool:
    try:
        return path.stat().st_mtime < before
    except OSError:
        return False  # another process removed it first


def _remove(path: Path, before: float | None = None) -> None:
    if before is None or _age_at_least(path, before):
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _to_json(value: Any) -> Any:
    """Return a JSON value for a path, an array or a tensor of a case."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, np.ndarray | np.generic | torch.Tensor):
        array = np.asarray(value)
        if not array.dtype.hasobject:
            content = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
            return [str(array.dtype), list(array.shape), content]
    raise TypeError(f"a {type(value).__name__}")


def _find_paths(value: Any) -> Iterator[Path]:
    """Yield the existing files and folders that a case names, at any depth."""
    if isinstance(value, str | os.PathLike):
        path = Path(value).expanduser() if str(value) else None
        if path is not None and os.path.exists(path):  # noqa: PTH110  Path.exists raises for texts that are no file names
            yield path
    elif isinstance(value, Mapping):
        for entry in value.values():
            yield from _find_paths(entry)
    elif isinstance(value, Sequence) and not isinstance(value, bytes):
        for entry in value:
            yield from _find_paths(entry)


def _list_files(path: Path) -> list[Path]:
    """Return the files behind a path: all files of a folder of slices, or header and data of a pair."""
    if path.is_dir():
        return sorted(Path(folder) / name for folder, _, names in os.walk(path) for name in names)
    if is_detached(path) or is_pair(path):
        # The second file has, as a rule, the same stem.
        same = (other for other in path.parent.iterdir() if other.name.startswith(f"{path.stem}."))
        return sorted(other for other in same if other.is_file())
    return [path]


def _describe_file(file: Path) -> str:
    status = file.stat()
    return f"{file} {status.st_size} {status.st_mtime_ns}"


def _summarise_error(error: Exception) -> str:
    """Return the first line of an error."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"

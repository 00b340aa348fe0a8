"""Prepared cases on disk: one file per case, found again as long as neither its scans nor the transforms change."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import time
import uuid
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.utils.enums import LazyAttr, TraceKeys

from ..data.images.endings import is_detached, is_pair
from ..files import write_text
from .code_text import digest

__all__ = ["CacheFiles"]

DESCRIPTION = "transforms.txt"
UNUSED_DAYS = 30

_DAY = 24 * 60 * 60  # seconds
_DIGEST_LENGTH = 32

logger = logging.getLogger(__name__)

# Metadata of scans are NumPy arrays, which PyTorch takes from a file only when told what may build them: an array of
# numbers runs no code, nor does a name of MONAI's for an operation in a scan's history. MONAI tells it other names.
torch.serialization.add_safe_globals(
    [
        TraceKeys,
        LazyAttr,
        np.ndarray,
        np.dtype,
        np.empty(0).__reduce__()[0],  # type: ignore[list-item]  # private functions with other names in other releases
        np.float32(0).__reduce__()[0],  # type: ignore[list-item]
        *{type(np.dtype(code)) for code in np.typecodes["AllInteger"] + np.typecodes["AllFloat"] + "?"},
    ]
)


class CacheFiles:
    """The prepared cases of one list of transforms, in a folder of their own.

    ``FOLDER/DIGEST/transforms.txt`` says which transforms and versions the folder belongs to, and its time when it was
    last opened; ``FOLDER/DIGEST/CASE.pt`` holds the result of the transforms for a case, and size and time of the scans
    it was made from. The case that is made anew for changed scans replaces the old one. Folders that nobody has opened
    for 30 days are removed, so that settings once tried do not fill the disk; a training that still reads one, or
    any other loss of a file, merely makes its cases anew. All of it may be deleted at any time.

    Files are written under a temporary name and renamed: any number of processes may share a folder. They load with
    ``weights_only=True``. MONAI's ``PersistentDataset`` is not used: it turns arrays and metadata to plain tensors,
    looks at no scan, fails on many damaged files, and moves its files from another disk, which is not atomic.

    Whatever goes wrong is logged once, and the training goes on without that file.

    Args:
        folder: where the folders of all transforms lie; made when missing.
        description: of the transforms, one line each, with all that their result depends on.
    """

    def __init__(self, folder: str | Path, description: str) -> None:
        root = Path(folder).expanduser().absolute()
        self.folder = root / digest(description)
        self._write = True
        self._told = False
        try:
            _open(self.folder, description)
            _remove_unused(root)
        except OSError as error:
            self._stop_writing(error)

    def key(self, case: Any) -> tuple[Path, list[str]] | None:
        """Find out where a case is kept.

        Args:
            case: paths of files and folders and other plain values, nested in dicts and sequences. A text counts as a
                path where something of that name is.

        Returns:
            The path of its file, and one text per scan with its absolute path, size (bytes) and time (ns); None for a
            case that cannot be described or whose files cannot be seen.
        """
        try:
            paths = [path.absolute() for path in _paths(case)]
            files = [_facts(file) for path in paths for file in _files(path)]
            return self.folder / f"{digest(json.dumps([case, paths], default=_plain))}.pt", files
        except (TypeError, ValueError, OSError) as error:
            if not self._told:
                self._told = True
                logger.warning(f"a case that cannot be kept on disk: {_short(error)}")
            return None

    def read(self, path: Path, files: list[str]) -> tuple[bool, Any]:
        """Read a case: whether there is one of these files, and what the transforms gave."""
        try:
            content = _load(path)
            if content["files"] == files:
                return True, content["item"]
        except FileNotFoundError:
            pass
        except Exception as error:
            # A damaged file shows in as many ways as there are places to damage.
            logger.warning(f"making a case anew, its prepared file cannot be read ({_short(error)}): {path}")
        return False, None

    def write(self, path: Path, files: list[str], item: Any) -> None:
        """Keep what the transforms gave for a case, if it can be kept."""
        if not self._write:
            return
        # Processes of other machines and containers have the same numbers, so the process does not make a name unique.
        temporary = path.with_name(f".{uuid.uuid4().hex}.pt")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.save({"files": files, "item": item}, temporary)
            # Only what comes back is worth keeping: not every object that can be saved may be loaded.
            _load(temporary)
            temporary.replace(path)
        except Exception as error:
            # A full disk is a RuntimeError of PyTorch's; a lock among the values is a TypeError of pickle's.
            self._stop_writing(error)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)

    def _stop_writing(self, error: Exception) -> None:
        self._write = False
        logger.warning(f"no further prepared cases are written to {self.folder}: {_short(error)}")


def _load(path: Path) -> Any:
    # PyTorch writes checksums but does not look at them.
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise zipfile.BadZipFile(f"wrong checksum of {damaged}")
    return torch.load(path, weights_only=True)


def _open(folder: Path, description: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / DESCRIPTION, description)
    for path in folder.glob(".*.pt"):
        _remove(path, before=time.time() - _DAY)  # what a killed process was writing


def _remove_unused(root: Path) -> None:
    """Remove folders that were not opened for long. Nothing is touched that does not look like one of ours."""
    before = time.time() - UNUSED_DAYS * _DAY
    for description in root.glob(f"{'[0-9a-f]' * _DIGEST_LENGTH}/{DESCRIPTION}"):
        if _age_at_least(description, before):
            logger.info(f"removing prepared cases that were not used for {UNUSED_DAYS} days: {description.parent}")
            for path in (*description.parent.glob("*.pt"), *description.parent.glob(".*.pt"), description):
                _remove(path)
            with suppress(OSError):
                description.parent.rmdir()


def _age_at_least(path: Path, before: float) -> bool:
    try:
        return path.stat().st_mtime < before
    except OSError:
        return False  # another process was faster


def _remove(path: Path, before: float | None = None) -> None:
    if before is None or _age_at_least(path, before):
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _plain(value: Any) -> Any:
    """Return what JSON has for a path, an array or a tensor of a case."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, np.ndarray | np.generic | torch.Tensor):
        array = np.asarray(value)
        if not array.dtype.hasobject:
            content = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
            return [str(array.dtype), list(array.shape), content]
    raise TypeError(f"a {type(value).__name__}")


def _paths(value: Any) -> Iterator[Path]:
    """Files and folders that a case names, however deep; a text that is no path of anything is none."""
    if isinstance(value, str | os.PathLike):
        path = Path(value).expanduser() if str(value) else None
        if path is not None and os.path.exists(path):  # noqa: PTH110  Path.exists raises for texts that are no names
            yield path
    elif isinstance(value, Mapping):
        for entry in value.values():
            yield from _paths(entry)
    elif isinstance(value, Sequence) and not isinstance(value, bytes):
        for entry in value:
            yield from _paths(entry)


def _files(path: Path) -> list[Path]:
    """The files whose content a path stands for: those in a folder of slices, header and data of a pair."""
    if path.is_dir():
        return sorted(Path(folder) / name for folder, _, names in os.walk(path) for name in names)
    if is_detached(path) or is_pair(path):
        # The second file has, as a rule, the same stem.
        same = (other for other in path.parent.iterdir() if other.name.startswith(f"{path.stem}."))
        return sorted(other for other in same if other.is_file())
    return [path]


def _facts(file: Path) -> str:
    facts = file.stat()
    return f"{file} {facts.st_size} {facts.st_mtime_ns}"


def _short(error: Exception) -> str:
    """The one line of an error that matters; PyTorch's refusal to load a class is a page long."""
    refused = re.search(r"Unsupported \w+: GLOBAL (\S+)", str(error))
    return f"{type(error).__name__}: {refused[0] if refused else str(error).partition(chr(10))[0]}"

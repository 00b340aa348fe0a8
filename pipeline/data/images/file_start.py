"""Checks of a path and its first bytes: whether the file exists, is empty, a Git LFS pointer, or misnamed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from ..errors import InputError
from .dicom_files import split_series
from .endings import is_nifti, is_pair, is_store
from .files import is_dangling, missing_error
from .nifti_header import START_BYTES, nifti_class

__all__ = ["check_path", "check_start", "is_lfs_pointer", "unreadable_error"]

_LFS_START = b"version https://git-lfs"
# What an unlocked file of git-annex contains until its content is fetched.
_ANNEX_START = b"/annex/objects/"
_GZIP_START = b"\x1f\x8b"


def check_path(path: str) -> None:
    """Raise an InputError if a path is missing, a pipe or a device, or a folder that contains one.

    Raises:
        OSError: the file system does not answer.
    """
    file = Path(split_series(path)[0])
    if file.is_dir():
        _require_files(path, file.iterdir())
        _require_content(str(file))
        return
    if not file.exists():
        raise missing_error(path, "correct dataset_dir or the datalist, or copy the file there")
    _require_files(path, [file])
    if is_pair(path) and file.suffix == ".hdr" and not file.with_suffix(".img").exists():
        found, remedy = f"a header without its voxels: no {file.stem}.img next to it", "copy that file there as well"
        raise InputError(path, found=found, expected="an image", remedy=remedy, kind="missing")


def check_start(path: str, stream: BinaryIO) -> bytes:
    """Return the first bytes of an open file, or raise an InputError if they show that it is no image.

    The stream is at its start before and after.
    """
    start = stream.read(START_BYTES)
    stream.seek(0)
    kind = "misnamed"
    if not start:
        found, remedy, kind = "an empty file (0 bytes)", "copy or download the file again", "empty-file"
    elif start.startswith(_LFS_START):
        found = "a Git LFS pointer instead of the image"
        remedy, kind = "run `git lfs pull` in the dataset's repository", "lfs-pointer"
    elif start.startswith(_ANNEX_START):
        found = "a git-annex pointer instead of the image"
        remedy, kind = "run `datalad get` or `git annex get` in the dataset's folder", "annex-pointer"
    elif is_nifti(path) and path.lower().endswith(".gz") and not start.startswith(_GZIP_START):
        kind = "misnamed" if nifti_class(start) is not None else "not-an-image"
        found = "a file that is not gzip-compressed although it is named .gz"
        remedy = "rename it to .nii if it is a NIfTI file, otherwise copy or download it again"
    elif path.lower().endswith(".nii") and start.startswith(_GZIP_START):
        found, remedy = "a gzip-compressed file named .nii", "rename it to .nii.gz"
    else:
        return start
    raise InputError(path, found=found, expected="an image", remedy=remedy, kind=kind)


def is_lfs_pointer(path: str | Path) -> bool:
    """Return whether a file is a Git LFS pointer instead of its content, by its first bytes."""
    with Path(path).open("rb") as stream:
        return stream.read(len(_LFS_START)) == _LFS_START


def unreadable_error(path: str, error: OSError) -> InputError:
    """Return the InputError for a system error while reading a file, or another file that belongs to it."""
    other = error.filename if error.filename is not None and str(error.filename) != path else None
    detail = "" if other is None else f": {Path(str(other)).name}, which belongs to it"
    return InputError(
        path,
        found=f"a file that cannot be read ({error.strerror}{detail})",
        expected="an image that can be read to its end",
        remedy="check the file, your permission to read it, and the disk or network",
        kind="unreadable",
    )


def _require_content(folder: str) -> None:
    """Refuse a series or a store with links to files that are not there.

    A series without them would be one with fewer slices. In a Zarr store, missing chunks stand for the fill value.
    """
    if is_store(folder):
        files: Iterator[Path] = (Path(here, name) for here, _, names in os.walk(folder) for name in names)
    else:
        files = iter(sorted(Path(folder).iterdir()))
    first = next((file for file in files if is_dangling(file)), None)
    if first is not None:
        error = missing_error(str(first), "")
        found = f"{error.found}: {first.relative_to(folder)}"
        raise InputError(folder, found=found, expected="all of its files", remedy=error.remedy, kind="missing")


def _require_files(path: str, files: Iterable[Path]) -> None:
    """Refuse pipes and devices, because reading from them may never end."""
    for file in files:
        if not file.is_file() and not file.is_dir() and file.exists():
            raise InputError(
                path,
                found="a pipe or a device" if str(file) == path else f"a pipe or a device: {file.name}",
                expected="an image",
                remedy="replace it with the image file",
                kind="not-an-image",
            )

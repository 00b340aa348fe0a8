"""What a file's first bytes tell: whether it is there, a file at all, empty, a pointer, or named as something else."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nibabel

from .errors import InputError

__all__ = ["check_start", "is_lfs_pointer", "nifti_class", "unreadable"]

_LFS_START = b"version https://git-lfs"
_GZIP_START = b"\x1f\x8b"


def check_start(path: str) -> None:
    """Raise an InputError for what the file's first bytes tell."""
    file = Path(path)
    try:
        if file.is_dir():
            _require_files(path, file.iterdir())
            return
        if not file.exists():
            found, remedy = "no such file", "check dataset_dir and the datalist, or copy the file there"
            raise InputError(path, found=found, expected="an image", remedy=remedy, kind="missing")
        _require_files(path, [file])
        if file.suffix == ".hdr" and not file.with_suffix(".img").exists():
            found, remedy = f"a header without its voxels: no {file.stem}.img beside it", "copy that file there as well"
            raise InputError(path, found=found, expected="an image", remedy=remedy, kind="missing")
        with file.open("rb") as stream:
            start = stream.read(len(_GZIP_START))
    except OSError as error:
        raise unreadable(path, error) from error
    kind = "misnamed"
    if not start:
        found, remedy, kind = "an empty file (0 bytes)", "copy or download the file again", "empty-file"
    elif is_lfs_pointer(file):
        found = "a Git LFS pointer instead of the image"
        remedy, kind = "run `git lfs pull` in the dataset's repository", "lfs-pointer"
    elif path.lower().endswith(".nii.gz") and start != _GZIP_START:
        kind = "misnamed" if _has_nifti_header(file) else "not-an-image"
        found = "a file that is not gzip-compressed although it is named .gz"
        remedy = "rename it to .nii if it is a NIfTI file, otherwise copy or download it again"
    elif path.lower().endswith(".nii") and start == _GZIP_START:
        found, remedy = "a gzip-compressed file named .nii", "rename it to .nii.gz"
    else:
        return
    raise InputError(path, found=found, expected="an image", remedy=remedy, kind=kind)


def is_lfs_pointer(path: str | Path) -> bool:
    """Tell by its first bytes whether a file is only Git LFS's note of where the real one lies."""
    with Path(path).open("rb") as stream:
        return stream.read(len(_LFS_START)) == _LFS_START


def nifti_class(start: bytes) -> Any:
    """Return nibabel's class for a file that starts like this: NIfTI-1, NIfTI-2, or None."""
    kinds = (nibabel.Nifti1Image, nibabel.Nifti2Image)
    return next((kind for kind in kinds if kind.header_class.may_contain_header(start)), None)


def unreadable(path: str, error: OSError) -> InputError:
    """Say why the system does not hand out a file, or the second one that it points to."""
    other = error.filename if error.filename is not None and str(error.filename) != path else None
    beside = "" if other is None else f": {Path(str(other)).name}, which belongs to it"
    return InputError(
        path,
        found=f"a file that cannot be read ({error.strerror}{beside})",
        expected="an image that can be read to its end",
        remedy="see that the file is whole, that you may read it, and that the disk or the network answers",
        kind="unreadable",
    )


def _require_files(path: str, files: Iterable[Path]) -> None:
    """Refuse what is no file: reading from a pipe or a device waits for ever, or never ends."""
    for file in files:
        if not file.is_file() and not file.is_dir() and file.exists():
            raise InputError(
                path,
                found="a pipe or a device" if str(file) == path else f"a pipe or a device: {file.name}",
                expected="an image",
                remedy="put the image itself there",
                kind="not-an-image",
            )


def _has_nifti_header(file: Path) -> bool:
    with file.open("rb") as stream:
        return nifti_class(stream.read(nibabel.Nifti2Header.sizeof_hdr)) is not None

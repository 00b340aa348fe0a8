"""Unpack a zip: only inside its folder, no more bytes than declared, and nothing that no honest tool writes."""

from __future__ import annotations

import errno
import lzma
import os
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from ..mounts import find_mount
from .errors import InputError
from .images.file_start import is_lfs_pointer
from .nearest import nearest_path
from .zip_names import find_name_faults

__all__ = ["Member", "ZipKind", "extract", "list_members"]

# Names that are no text, and places before the file's start, raise the last two.
_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError),
    *(NotImplementedError, ValueError, OverflowError),
)
_SEEK_ERRORS = (None, errno.EINVAL)  # Python's bzip2 reports damage without a number
_BLOCK = 1 << 20
_ENCRYPTED = 0x1 | 0x40


@dataclass(frozen=True)
class ZipKind:
    """What a zip is to contain, and how much.

    Attributes:
        noun: its content, for messages: "bundle", "dataset".
        max_bytes: limit for the unpacked size.
        max_ratio: limit for the unpacked size over the zip's, from `ratio_from` on.
        ratio_from: unpacked bytes below which the ratio does not count.
        max_members: number of files and folders.
        left_out: names of files and folders that are not unpacked, wherever they are.
        size_remedy: what to do about a zip that is larger.
    """

    noun: str
    max_bytes: int
    max_ratio: int
    ratio_from: int
    max_members: int
    left_out: tuple[str, ...]
    size_remedy: str


@dataclass(frozen=True)
class Member:
    """A file to unpack from a zip.

    Attributes:
        info: the zip's entry.
        path: the target path, relative to the folder.
    """

    info: zipfile.ZipInfo
    path: str


def list_members(
    archive: Path, kind: ZipKind, *, max_bytes: int | None = None
) -> tuple[list[zipfile.ZipInfo], list[str]]:
    """Return the files of a zip, and the names that are left out; refuse zips that no honest tool writes.

    Args:
        archive: the zip.
        kind: its limits and words.
        max_bytes: limit for the unpacked size, at any compression, instead of the kind's limits.

    Raises:
        InputError: it is not a zip, is cut off, or has unsafe names, links or sizes.
    """
    _check_start(archive, kind)
    try:
        with zipfile.ZipFile(archive) as opened:
            infos = opened.infolist()
    except _DAMAGE as error:
        _refuse_damaged(archive, error)
    except OSError as error:
        if error.errno not in _SEEK_ERRORS:
            raise
        _refuse_damaged(archive, error)
    if len(infos) > kind.max_members:
        _refuse(archive, f"{len(infos):,} files", f"at most {kind.max_members:,}")
    left_out: list[zipfile.ZipInfo] = []
    kept: list[zipfile.ZipInfo] = []
    for info in infos:
        (left_out if set(kind.left_out) & set(info.orig_filename.split("/")) else kept).append(info)
    _check_names(archive, kept, kind)
    _check_kinds(archive, kept, kind)
    _check_sizes(archive, infos, kind, max_bytes)
    return [info for info in kept if not info.is_dir()], [info.orig_filename for info in left_out]


def extract(archive: Path, members: Sequence[Member], folder: Path, kind: ZipKind) -> None:
    """Unpack files from a zip, and count their bytes.

    Args:
        archive: the zip.
        members: the files and their target paths.
        folder: an empty target folder; the caller removes it if this fails.
        kind: the zip's words.

    Raises:
        InputError: a file differs from the size or checksum that the zip declares, or the disk is full.
    """
    free = shutil.disk_usage(folder).free
    total = sum(member.info.file_size for member in members)
    if total > free:
        place = f"the disk at {find_mount(folder)}"
        _refuse_full(archive, f"{total:,} bytes to unpack, and {free:,} bytes free on {place}", kind)
    try:
        with zipfile.ZipFile(archive) as opened:
            for member in members:
                target = folder / member.path
                target.parent.mkdir(parents=True, exist_ok=True)
                _copy(opened, member, target)
    except _DAMAGE as error:
        _refuse_damaged(archive, error)
    except OSError as error:
        if error.errno in _SEEK_ERRORS:
            _refuse_damaged(archive, error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            _refuse_full(archive, "a disk that became full during unpacking", kind)
        raise


def _copy(opened: zipfile.ZipFile, member: Member, target: Path) -> None:
    count = 0
    with opened.open(member.info) as source, target.open("xb") as sink:
        while block := source.read(_BLOCK):
            count += len(block)
            if count > member.info.file_size:
                break
            sink.write(block)
    if count != member.info.file_size:
        raise zipfile.BadZipFile(f"{member.path} does not have the declared {member.info.file_size:,} bytes")


def _check_start(archive: Path, kind: ZipKind) -> None:
    remedy = f"download or copy the {kind.noun}'s zip again"
    if not archive.exists():
        near = nearest_path(archive)
        remedy = f"did you mean {near}?" if near else "check the path"
        raise InputError(archive, found="no such file", expected=f"a {kind.noun}'s zip or folder", remedy=remedy)
    if not archive.is_file():
        found, remedy = "a pipe or a device", "save it as a file first"
    elif archive.stat().st_size == 0:
        found = "an empty file (0 bytes)"
    elif is_lfs_pointer(archive):
        found, remedy = "a Git LFS pointer instead of the zip", "run `git lfs pull` in its repository"
    else:
        with archive.open("rb") as stream:
            start = stream.read(512).lstrip()
        if zipfile.is_zipfile(archive):
            return
        if start.startswith(b"PK"):
            found = "a zip that is cut off: its list of files, at the end, is missing"
        elif start[:1] == b"<":
            found, remedy = (
                "a web page",
                f"download the {kind.noun} itself: the page may ask to sign in, or report an error",
            )
        else:
            found, remedy = "a file that is not a zip", f"name the {kind.noun}'s zip or its unpacked folder"
    raise InputError(archive, found=found, expected=f"a {kind.noun}'s zip", remedy=remedy)


def _check_names(archive: Path, infos: Sequence[zipfile.ZipInfo], kind: ZipKind) -> None:
    # zipfile changes `filename`, for example cuts it at a null byte.
    faults = find_name_faults([info.orig_filename for info in infos])
    if faults:
        name, fault = faults[0]
        more = f", and {len(faults) - 1} more such names" * (len(faults) > 1)
        expected = f"unique names within the {kind.noun}'s folder, valid on every system"
        _refuse(archive, f"{name!r}: {fault}{more}", expected)


def _check_kinds(archive: Path, infos: Sequence[zipfile.ZipInfo], kind: ZipKind) -> None:
    for info in infos:
        name = repr(info.orig_filename)
        mode = info.external_attr >> 16
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            what = "a link" if stat.S_ISLNK(mode) else "a device, a pipe or another special file"
            _refuse(archive, f"{name}: {what}", "only files and folders")
        if info.flag_bits & _ENCRYPTED:
            _refuse(archive, f"{name}: encrypted", "unencrypted files", f"ask for the {kind.noun} without a password")
        if info.is_dir() and info.file_size:
            _refuse(archive, f"{name}: a folder entry with {info.file_size:,} bytes", "folder entries without content")


def _check_sizes(archive: Path, infos: Sequence[zipfile.ZipInfo], kind: ZipKind, max_bytes: int | None) -> None:
    total, size = sum(info.file_size for info in infos), archive.stat().st_size
    limit = kind.max_bytes if max_bytes is None else max_bytes
    if total > limit:
        _refuse(archive, f"{total:,} bytes when unpacked", f"at most {limit:,}", kind.size_remedy)
    if max_bytes is None and total > max(kind.ratio_from, kind.max_ratio * size):
        found = f"{total:,} bytes when unpacked, {total // size} times the zip, as in a zip that is made to fill a disk"
        _refuse(archive, found, f"at most {kind.max_ratio} times the zip", kind.size_remedy)


def _refuse(
    archive: Path, found: str, expected: str, remedy: str = "do not unpack it with another program; ask its author"
) -> NoReturn:
    raise InputError(archive, found=found, expected=expected, remedy=remedy)


def _refuse_damaged(archive: Path, error: Exception) -> NoReturn:
    raise InputError(
        archive,
        found=f"a damaged zip ({' '.join(str(error).split()) or type(error).__name__})",
        expected="a zip whose files have the sizes and checksums that it declares",
        remedy="download or copy it again",
    ) from error


def _refuse_full(archive: Path, found: str, kind: ZipKind) -> NoReturn:
    raise InputError(
        archive,
        found=found,
        expected=f"enough free space for the {kind.noun}",
        remedy="free some space, or choose a folder on another disk with -o; no files were left behind",
    ) from OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

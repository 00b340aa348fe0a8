"""Unpack a bundle's zip: only inside its folder, no more bytes than declared, and completely or not at all."""

from __future__ import annotations

import errno
import lzma
import shutil
import stat
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NoReturn

from ...data.errors import InputError
from ...data.images.file_start import is_lfs_pointer
from ...data.nearest import nearest_path
from .names import find_name_faults

__all__ = ["METADATA", "Member", "extract", "read_members"]

METADATA = "configs/metadata.json"

_MAX_BYTES = 20 * 10**9
_MAX_RATIO = 100  # weights shrink by a tenth, configs to a twentieth; a higher ratio is deliberate
_RATIO_FROM = 100 * 10**6
_MAX_MEMBERS = 50_000
_BLOCK = 1 << 20
_ENCRYPTED = 0x1 | 0x40
_LEFT_OUT = ("__MACOSX", "__pycache__", ".DS_Store")


@dataclass(frozen=True)
class Member:
    """A file to unpack from a zip.

    Attributes:
        info: the zip's entry.
        path: the target path, relative to the bundle's folder.
    """

    info: zipfile.ZipInfo
    path: str


def read_members(archive: Path, *, max_bytes: int | None = None) -> tuple[str, list[Member], list[str]]:
    """List the files of a bundle's zip with their target paths; refuse zips that no honest tool writes.

    Args:
        archive: the zip.
        max_bytes: limit for the unpacked size, at any compression. By default 20 GB, and above 100 MB at most a
            hundred times the zip's size.

    Returns:
        The bundle's name (that of the zip's one folder, else the zip's); its files; and the names that are left out:
        bytecode, which Python would run instead of the source, and files that macOS adds.

    Raises:
        InputError: it is not a zip, is cut off, has unsafe names, links or sizes, or contains no bundle.
    """
    _check_start(archive)
    try:
        with zipfile.ZipFile(archive) as opened:
            infos = opened.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, UnicodeDecodeError) as error:
        _refuse_damaged(archive, error)
    if len(infos) > _MAX_MEMBERS:
        _refuse(archive, f"{len(infos):,} files", f"at most {_MAX_MEMBERS:,}")
    left_out: list[zipfile.ZipInfo] = []
    kept: list[zipfile.ZipInfo] = []
    for info in infos:
        (left_out if set(_LEFT_OUT) & set(info.orig_filename.split("/")) else kept).append(info)
    _check_names(archive, kept)
    _check_kinds(archive, kept)
    _check_sizes(archive, infos, max_bytes)
    files = [info for info in kept if not info.is_dir()]
    root = _find_root(archive, [info.filename for info in files])
    members = [Member(info, info.filename[len(root) :]) for info in files]
    return root.removesuffix("/") or archive.stem, members, [info.orig_filename for info in left_out]


def extract(archive: Path, members: Sequence[Member], folder: Path) -> None:
    """Unpack files from a zip, and count their bytes.

    Args:
        archive: the zip.
        members: the result of `read_members`.
        folder: an empty target folder; the caller removes it if this fails.

    Raises:
        InputError: a file differs from the size or checksum that the zip declares, or the disk is full.
    """
    free = shutil.disk_usage(folder).free
    total = sum(member.info.file_size for member in members)
    if total > free:
        _refuse_full(archive, f"{total:,} bytes to unpack, and {free:,} bytes free on the disk")
    try:
        with zipfile.ZipFile(archive) as opened:
            for member in members:
                target = folder / member.path
                target.parent.mkdir(parents=True, exist_ok=True)
                _copy(opened, member, target)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError) as error:
        _refuse_damaged(archive, error)
    except OSError as error:
        if error.errno is None:
            # Python's bzip2 reports damage this way.
            _refuse_damaged(archive, error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            _refuse_full(archive, "a disk that became full during unpacking")
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


def _check_start(archive: Path) -> None:
    remedy = "download or copy the bundle's zip again"
    if not archive.exists():
        near = nearest_path(archive)
        remedy = f"did you mean {near}?" if near else "check the path"
        raise InputError(archive, found="no such file", expected="a bundle's zip or folder", remedy=remedy)
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
            found, remedy = "a web page", "download the bundle itself: the page may ask to sign in, or report an error"
        else:
            found, remedy = "a file that is not a zip", "name the bundle's zip or its unpacked folder"
    raise InputError(archive, found=found, expected="a bundle's zip", remedy=remedy)


def _check_names(archive: Path, infos: Sequence[zipfile.ZipInfo]) -> None:
    # zipfile changes `filename`, for example cuts it at a null byte.
    faults = find_name_faults([info.orig_filename for info in infos])
    if faults:
        name, fault = faults[0]
        more = f", and {len(faults) - 1} more such names" * (len(faults) > 1)
        _refuse(archive, f"{name!r}: {fault}{more}", "unique names within the bundle's folder, valid on every system")


def _check_kinds(archive: Path, infos: Sequence[zipfile.ZipInfo]) -> None:
    for info in infos:
        name = repr(info.orig_filename)
        mode = info.external_attr >> 16
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            what = "a link" if stat.S_ISLNK(mode) else "a device, a pipe or another special file"
            _refuse(archive, f"{name}: {what}", "only files and folders")
        if info.flag_bits & _ENCRYPTED:
            _refuse(archive, f"{name}: encrypted", "unencrypted files", "ask for the bundle without a password")
        if info.is_dir() and info.file_size:
            _refuse(archive, f"{name}: a folder entry with {info.file_size:,} bytes", "folder entries without content")


def _check_sizes(archive: Path, infos: Sequence[zipfile.ZipInfo], max_bytes: int | None) -> None:
    total, size = sum(info.file_size for info in infos), archive.stat().st_size
    limit = _MAX_BYTES if max_bytes is None else max_bytes
    remedy = "if you know that the bundle is that large, allow it with --max-size SIZE, such as --max-size 50GB"
    if total > limit:
        _refuse(archive, f"{total:,} bytes when unpacked", f"at most {limit:,}", remedy)
    if max_bytes is None and total > max(_RATIO_FROM, _MAX_RATIO * size):
        found = f"{total:,} bytes when unpacked, {total // size} times the zip, as in a zip that is made to fill a disk"
        _refuse(archive, found, f"at most {_MAX_RATIO} times the zip", remedy)


def _find_root(archive: Path, names: Sequence[str]) -> str:
    """Return the one folder that contains all files, with its slash; "" if there is none."""
    tops = {PurePosixPath(name).parts[0] for name in names}
    top = next(iter(tops), "")
    within = len(tops) == 1 and f"{top}/{METADATA}" in names
    if within or METADATA in names:
        return f"{top}/" if within else ""
    deeper = next((name for name in sorted(names) if name.endswith(f"/{METADATA}")), None)
    count = f"{len(names)} file{'s' * (len(names) != 1)}"
    found = f"{deeper}, but not all files in its folder" if deeper else f"{count}, but no {METADATA}"
    raise InputError(
        archive,
        found=found,
        expected=f"a MONAI bundle: {METADATA} in the zip's one folder, or at its top",
        remedy="name the zip of one bundle, such as one of the model zoo",
    )


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


def _refuse_full(archive: Path, found: str) -> NoReturn:
    raise InputError(
        archive,
        found=found,
        expected="enough free space for the bundle",
        remedy="free some space, or choose a folder on another disk with -o; no files were left behind",
    )

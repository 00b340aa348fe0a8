"""Takes a bundle's zip apart: nothing outside the folder, no more bytes than it declares, all of it or nothing."""

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
_MAX_RATIO = 100  # weights shrink by a tenth, configs to a twentieth; what shrinks more is made to
_RATIO_FROM = 100 * 10**6
_MAX_MEMBERS = 50_000
_BLOCK = 1 << 20
_ENCRYPTED = 0x1 | 0x40
_LEFT_OUT = ("__MACOSX", "__pycache__", ".DS_Store")


@dataclass(frozen=True)
class Member:
    """A file to take out of a zip.

    Attributes:
        info: as the zip has it.
        path: where it goes, from the bundle's folder.
    """

    info: zipfile.ZipInfo
    path: str


def read_members(archive: Path, *, max_bytes: int | None = None) -> tuple[str, list[Member], list[str]]:
    """Read what a bundle's zip would put where, and refuse one that no honest tool writes.

    Args:
        archive: the zip.
        max_bytes: what it may take unpacked, however well it is compressed; by default 20 GB, and of more than 100 MB
            not a hundredfold of the zip.

    Returns:
        The bundle's name: that of the zip's one folder, else the zip's own; its files; and what is left out: bytecode,
        which Python makes again and may run in place of the source, and what macOS adds.

    Raises:
        InputError: it is no zip, is cut off, has names, links or sizes that are refused, or holds no bundle.
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
    root = _root(archive, [info.filename for info in files])
    members = [Member(info, info.filename[len(root) :]) for info in files]
    return root.removesuffix("/") or archive.stem, members, [info.orig_filename for info in left_out]


def extract(archive: Path, members: Sequence[Member], folder: Path) -> None:
    """Take files out of a zip, counting their bytes.

    Args:
        archive: the zip.
        members: the result of `read_members`.
        folder: where to; an empty folder, which the caller removes when this fails.

    Raises:
        InputError: a file's bytes are not those that the zip declares, or the disk is full.
    """
    free = shutil.disk_usage(folder).free
    total = sum(member.info.file_size for member in members)
    if total > free:
        _refuse_full(archive, f"{total:,} bytes to unpack, and {free:,} bytes of room on the disk")
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
            # This is how Python's bzip2 says it.
            _refuse_damaged(archive, error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            _refuse_full(archive, "a disk that became full while it was unpacked")
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
        raise zipfile.BadZipFile(f"{member.path} has other bytes than the {member.info.file_size:,} declared")


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
        found, remedy = "a Git LFS pointer instead of the zip", "run `git lfs pull` where it comes from"
    else:
        with archive.open("rb") as stream:
            start = stream.read(512).lstrip()
        if zipfile.is_zipfile(archive):
            return
        if start.startswith(b"PK"):
            found = "a zip that is cut off: its list of files, at its end, is not there"
        elif start[:1] == b"<":
            found, remedy = "a web page", "download the bundle itself: the page may ask to sign in, or report an error"
        else:
            found, remedy = "a file that is no zip", "give the bundle as a zip, or its unpacked folder"
    raise InputError(archive, found=found, expected="a bundle's zip", remedy=remedy)


def _check_names(archive: Path, infos: Sequence[zipfile.ZipInfo]) -> None:
    # `filename` is what zipfile made of the name: cut at a null byte, for one.
    faults = find_name_faults([info.orig_filename for info in infos])
    if faults:
        name, fault = faults[0]
        more = f", and {len(faults) - 1} more such names" * (len(faults) > 1)
        _refuse(archive, f"{name!r}: {fault}{more}", "names within the bundle's folder, each once, on every system")


def _check_kinds(archive: Path, infos: Sequence[zipfile.ZipInfo]) -> None:
    for info in infos:
        name = repr(info.orig_filename)
        mode = info.external_attr >> 16
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            what = "a link" if stat.S_ISLNK(mode) else "a device, a pipe or another special file"
            _refuse(archive, f"{name}: {what}", "files and folders alone")
        if info.flag_bits & _ENCRYPTED:
            _refuse(
                archive, f"{name}: encrypted", "files that can be looked at", "ask for the bundle without a password"
            )
        if info.is_dir() and info.file_size:
            _refuse(archive, f"{name}: a folder with {info.file_size:,} bytes of its own", "folders without content")


def _check_sizes(archive: Path, infos: Sequence[zipfile.ZipInfo], max_bytes: int | None) -> None:
    total, size = sum(info.file_size for info in infos), archive.stat().st_size
    most = _MAX_BYTES if max_bytes is None else max_bytes
    remedy = "if the bundle is known to be that large, allow it with --max-size SIZE, such as --max-size 50GB"
    if total > most:
        _refuse(archive, f"{total:,} bytes when unpacked", f"at most {most:,}", remedy)
    if max_bytes is None and total > max(_RATIO_FROM, _MAX_RATIO * size):
        found = f"{total:,} bytes when unpacked, {total // size} times the zip, as in a zip that is made to fill a disk"
        _refuse(archive, found, f"at most {_MAX_RATIO} times", remedy)


def _root(archive: Path, names: Sequence[str]) -> str:
    """Return the one folder that all files are in, with its slash, or nothing where they lie in none."""
    tops = {PurePosixPath(name).parts[0] for name in names}
    top = next(iter(tops), "")
    within = len(tops) == 1 and f"{top}/{METADATA}" in names
    if within or METADATA in names:
        return f"{top}/" if within else ""
    deeper = next((name for name in sorted(names) if name.endswith(f"/{METADATA}")), None)
    found = f"{deeper}, and not all files in one folder with it" if deeper else f"{len(names)} files, and no {METADATA}"
    raise InputError(
        archive,
        found=found,
        expected=f"a MONAI bundle: {METADATA} in the zip's one folder, or at its top",
        remedy="give the zip of one bundle, as the model zoo has it",
    )


def _refuse(
    archive: Path, found: str, expected: str, remedy: str = "do not unpack it by other means; ask who made it"
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
        expected="room for the bundle",
        remedy="make room, or name a folder on another disk with -o; nothing was left behind",
    )

"""Check that an export replaces nothing but an unchanged earlier export."""

from __future__ import annotations

from pathlib import Path

from ..data.errors import InputError
from .archive import CHECKSUMS, file_sha256, list_files, read_checksums

__all__ = ["require_new"]


def require_new(target: Path, archive: Path, *, overwrite: bool) -> None:
    """Check that writing an export loses nothing.

    Args:
        target: the folder to write.
        archive: the zip to write.
        overwrite: whether an earlier export may be replaced.

    Raises:
        InputError: something exists and may not be replaced. That is anything without `overwrite`, and with it
            whatever is not an unchanged export: the bundle itself, an exported bundle that was trained or filled in.
    """
    there = [path for path in (target, archive) if path.exists()]
    if there and not overwrite:
        raise InputError(
            there[0],
            found="an existing file or folder",
            expected="no existing file at the output path",
            remedy="choose another folder with -o, or replace an earlier export with --overwrite",
        )
    if archive.exists() and not (archive.is_file() and not archive.is_symlink()):
        raise InputError(
            archive,
            found="a folder, a link or a device",
            expected="the zip of an earlier export, which --overwrite replaces",
            remedy="move it away, or choose another folder with -o",
        )
    if not target.exists() and not target.is_symlink():
        return
    if target.is_symlink():
        raise InputError(
            target,
            found="a link",
            expected="the folder of an earlier export, which --overwrite replaces",
            remedy="remove the link, or choose another folder with -o",
        )
    checksums = target / CHECKSUMS
    if not checksums.is_file():
        raise InputError(
            target,
            found="a folder or file that no export wrote",
            expected="an earlier export, the only thing that --overwrite replaces",
            remedy="choose another folder with -o",
        )
    exported = read_checksums(target)
    files = dict(list_files(target))
    _refuse(target, [name for name in files if name not in exported.keys() | {CHECKSUMS}], "which no export wrote")
    changed = [name for name, path in files.items() if name in exported and file_sha256(path) != exported[name]]
    _refuse(target, changed, "changed since it was exported")


def _refuse(target: Path, names: list[str], reason: str) -> None:
    if names:
        more = f" and {len(names) - 1} more" if names[1:] else ""
        raise InputError(
            target,
            found=f"{names[0]}{more}, {reason}",
            expected="an unchanged earlier export, since --overwrite would delete additions and changes",
            remedy="move the folder away, or choose another with -o",
        )

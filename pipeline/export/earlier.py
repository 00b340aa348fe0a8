"""What an export may take the place of: an earlier one, as that was made."""

from __future__ import annotations

from pathlib import Path

from ..data.errors import InputError
from .archive import CHECKSUMS, files_of, read_checksums, sha256

__all__ = ["require_new"]


def require_new(target: Path, archive: Path, *, overwrite: bool) -> None:
    """Make sure that nothing is lost where an export is to be.

    Args:
        target: the folder to be.
        archive: the zip to be.
        overwrite: whether an earlier export may go.

    Raises:
        InputError: one is there and may not go, or the folder is none that an export made, or was changed since: the
            bundle itself, a training in an exported one, words that were filled in.
    """
    there = [path for path in (target, archive) if path.exists()]
    if there and not overwrite:
        raise InputError(
            there[0],
            found="an export, or something else of that name",
            expected="a folder for a new export",
            remedy="give another folder with -o, or --overwrite",
        )
    if archive.exists() and not (archive.is_file() and not archive.is_symlink()):
        raise InputError(
            archive,
            found="a folder, a link or a device",
            expected="the zip of an earlier export to take the place of",
            remedy="move it away, or give another folder with -o",
        )
    if not target.exists() and not target.is_symlink():
        return
    if target.is_symlink():
        raise InputError(
            target,
            found="a link",
            expected="the folder of an earlier export to take the place of",
            remedy="remove it, or give another folder with -o",
        )
    checksums = target / CHECKSUMS
    if not checksums.is_file():
        raise InputError(
            target,
            found="a folder or file that no export made",
            expected="an earlier export to take the place of",
            remedy="give another folder with -o: nothing else is removed",
        )
    exported = read_checksums(target)
    files = dict(files_of(target))
    _refuse(target, [name for name in files if name not in exported.keys() | {CHECKSUMS}], "which no export made")
    changed = [name for name, path in files.items() if name in exported and sha256(path) != exported[name]]
    _refuse(target, changed, "which was changed since")


def _refuse(target: Path, names: list[str], what: str) -> None:
    if names:
        more = f" and {len(names) - 1} more" if names[1:] else ""
        raise InputError(
            target,
            found=f"{names[0]}{more}, {what}",
            expected="an earlier export as it was made: what was added or changed would be lost",
            remedy="move it away, or give another folder with -o",
        )

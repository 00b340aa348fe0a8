"""What an export may take the place of: an earlier one, as that was made."""

from __future__ import annotations

from pathlib import Path

from ..data.errors import InputError
from .archive import CHECKSUMS, files_of

__all__ = ["require_new"]


def require_new(target: Path, archive: Path | None, *, overwrite: bool) -> None:
    """Make sure that nothing is lost where an export is to be.

    Args:
        target: the folder to be.
        archive: the zip to be; None for none.
        overwrite: whether an earlier export may go.

    Raises:
        InputError: one is there and may not go, or something is there that no export made: the bundle itself, or a
            training in an exported one.
    """
    there = [path for path in (target, archive) if path is not None and path.exists()]
    if there and not overwrite:
        raise InputError(
            there[0],
            found="an export, or something else of that name",
            expected="a folder for a new export",
            remedy="give another folder with -o, or --overwrite",
        )
    if not target.exists():
        return
    checksums = target / CHECKSUMS
    if not checksums.is_file():
        raise InputError(
            target,
            found="a folder or file that no export made",
            expected="an earlier export to take the place of",
            remedy="give another folder with -o: nothing else is removed",
        )
    exported = {line.partition("  ")[2] for line in checksums.read_text(encoding="utf-8").splitlines()}
    added = [name for name, _ in files_of(target) if name not in exported | {CHECKSUMS}]
    if added:
        more = f" and {len(added) - 1} more" if added[1:] else ""
        raise InputError(
            target,
            found=f"{added[0]}{more}, which no export made",
            expected="an earlier export as it was made: what was added to it would be lost",
            remedy="move it away, or give another folder with -o",
        )

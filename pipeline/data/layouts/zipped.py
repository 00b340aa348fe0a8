"""A dataset in a zip: unpacked once into a folder that is then read like any other."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from ...leftovers import temporary_path
from ..errors import InputError
from ..json_file import load_json
from ..zip_files import Member, ZipKind, extract, list_members

__all__ = ["is_zip", "unpack_dataset"]

# Names the zip that a folder was unpacked from.
_RECORD = ".unpacked.json"
_DATASET = ZipKind(
    noun="dataset",
    max_bytes=500 * 10**9,
    max_ratio=100,  # scans shrink to a half or a third; a zip of nothing but masks shrinks more, and is small
    ratio_from=10**9,
    max_members=2_000_000,
    left_out=("__MACOSX", ".DS_Store"),
    size_remedy="if you trust its author, unpack it yourself and name the folder",
)


def is_zip(path: Path) -> bool:
    """Return whether a path is a file with the ending of a zip."""
    return path.suffix.lower() == ".zip" and path.is_file()


def unpack_dataset(archive: Path, folder: Path) -> Path:
    """Unpack a dataset's zip, completely or not at all, unless the folder has its content already.

    Args:
        archive: the zip.
        folder: the target folder; it must not exist, be empty, or be the result of an earlier call.

    Returns:
        The folder.

    Raises:
        InputError: the zip is refused (unsafe names, links, sizes, damage), or the folder has other content.
    """
    stat = archive.stat()
    record = {"zip": archive.name, "bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    if not (folder.is_dir() and _read_record(folder / _RECORD) == record):
        _require_free(archive, folder)
        files, _ = list_members(archive, _DATASET)
        if not files:
            raise InputError(archive, found="a zip without files", expected="a dataset's zip", remedy="zip it again")
        temporary = temporary_path(folder)
        try:
            temporary.mkdir(parents=True)
            extract(archive, [Member(info, info.filename) for info in files], temporary, _DATASET)
            (temporary / _RECORD).write_text(json.dumps(record), encoding="utf-8")
            if folder.exists():
                folder.rmdir()
            temporary.rename(folder)
        except OSError as error:
            # The user knows nothing of the temporary name.
            if error.filename == str(temporary):
                error.filename, error.filename2 = str(folder), None
            raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _read_record(path: Path) -> object:
    try:
        return load_json(path)
    except (OSError, ValueError):
        return None


def _require_free(archive: Path, folder: Path) -> None:
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise InputError(
            folder,
            found="other content than that of " + archive.name,
            expected=f"a folder that does not exist, to unpack {archive.name} into",
            remedy="delete or rename it, or unpack the zip yourself and name its folder",
        )

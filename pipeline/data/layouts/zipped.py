"""A dataset in a zip: unpacked once into a folder that is then read like any other."""

from __future__ import annotations

import glob
import json
import re
import shutil
import uuid
from contextlib import ExitStack, suppress
from pathlib import Path

from ...locks import hold_lock
from ..errors import InputError
from ..json_file import load_json
from ..zip_files import Member, ZipKind, extract, list_members

__all__ = ["is_zip", "unpack_dataset"]

# Names the zip that a folder was unpacked from.
_RECORD = ".unpacked.json"
# Locked while a process unpacks into the folder that it is in.
_LOCK = ".lightskip_unpacking"
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
        _remove_abandoned(folder)
        temporary = folder.with_name(f".{uuid.uuid4().hex}.{folder.name}")
        try:
            temporary.mkdir(parents=True)
            with ExitStack() as locked:
                # Some file systems have no locks.
                with suppress(OSError):
                    locked.enter_context(hold_lock(temporary / _LOCK))
                extract(archive, [Member(info, info.filename) for info in files], temporary, _DATASET)
            (temporary / _LOCK).unlink(missing_ok=True)
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


def _remove_abandoned(folder: Path) -> None:
    """Remove what earlier calls that were killed have unpacked; the files of one at work are locked."""
    name = re.compile(rf"\.[0-9a-f]{{32}}\.{re.escape(folder.name)}")
    for path in folder.parent.glob(f".*.{glob.escape(folder.name)}"):
        lock = path / _LOCK
        if not (name.fullmatch(path.name) and lock.is_file()):
            continue
        # Without locks, as on some file systems, nothing says whether the other process is at work.
        with suppress(OSError), hold_lock(lock) as held:
            if held:
                shutil.rmtree(path, ignore_errors=True)


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

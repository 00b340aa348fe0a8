"""Names of files in somebody's zip: each must mean the same file, within the folder, on every system."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

__all__ = ["find_name_faults"]

_MAX_PART_BYTES = 255  # bytes, in the file systems of Linux, macOS and Windows
_NUMBERED = {f"{name}{number}" for name in ("com", "lpt") for number in "123456789\u00b9\u00b2\u00b3"}
_RESERVED = {"con", "prn", "aux", "nul", "conin$", "conout$", *_NUMBERED}
# Git and its like run what their configs name as soon as somebody asks for the state of a folder.
_ACTING = {".git", ".hg", ".svn"}


def find_name_faults(names: Iterable[str]) -> list[tuple[str, str]]:
    """Return which names of a zip's members cannot be taken, and why.

    Args:
        names: as the zip has them, folders with a slash at their end.

    Returns:
        Pairs of a name and what is wrong with it; none when all are fine. One that is there twice, or differs from
        another by upper and lower case or Unicode's ways of composing letters alone, is reported at its second place.
    """
    faults: list[tuple[str, str]] = []
    members: set[str] = set()
    places: dict[str, tuple[str, str]] = {}
    for name in names:
        fault = _fault(name) or ("a name that is there twice" if name in members else _clash(name, places))
        members.add(name)
        if fault:
            faults.append((name, fault))
    return faults


def _fault(name: str) -> str:
    parts = name.removesuffix("/").split("/")
    checks = (
        (any(unicodedata.category(letter) in ("Cc", "Cf", "Cs") for letter in name), "a character that is not shown"),
        ("\\" in name, "a backslash, which Windows takes for a folder"),
        (name.startswith("/"), "an absolute path"),
        (":" in name, "a colon, as of a drive letter"),
        (any(letter in name for letter in '<>|?*"'), "a character that Windows does not allow in names"),
        (
            any(part.casefold() in _ACTING for part in parts),
            "a folder of version control, which runs programs",
        ),
        (".." in parts, "a way out of the folder (..)"),
        (any(part in ("", ".") for part in parts), "an empty part"),
        (any(part != part.rstrip(" .") for part in parts), "a dot or blank at the end of a part"),
        (any(part.partition(".")[0].lower() in _RESERVED for part in parts), "the name of a device of Windows"),
        (any(len(part.encode(errors="replace")) > _MAX_PART_BYTES for part in parts), "a part of more than 255 bytes"),
    )
    return next((fault for found, fault in checks if found), "")


def _clash(name: str, places: dict[str, tuple[str, str]]) -> str:
    """Say where a name, or a folder above it, is another's on some system, or is a file's and a folder's at once."""
    for path, kind in _with_folders(name):
        before, kind_before = places.setdefault(unicodedata.normalize("NFC", path).casefold(), (path, kind))
        if before != path:
            return f"a name that differs from {before} by case only"
        if kind_before != kind:
            return f"a file and a folder in one place: {path}"
    return ""


def _with_folders(name: str) -> Iterator[tuple[str, str]]:
    path = PurePosixPath(name)
    yield from ((str(parent), "folder") for parent in reversed(path.parents) if str(parent) != ".")
    yield name.removesuffix("/"), "folder" if name.endswith("/") else "file"

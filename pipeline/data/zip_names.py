"""Check the file names in a zip: each must mean the same file inside the folder on every system."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

__all__ = ["find_name_faults"]

_MAX_PART_BYTES = 255  # bytes, in the file systems of Linux, macOS and Windows
_NUMBERED = {f"{name}{number}" for name in ("com", "lpt") for number in "123456789\u00b9\u00b2\u00b3"}
_RESERVED = {"con", "prn", "aux", "nul", "conin$", "conout$", *_NUMBERED}
# Git and similar tools run programs named in these folders as soon as someone asks for a folder's state.
_VERSION_CONTROL = {".git", ".hg", ".svn"}


def find_name_faults(names: Iterable[str]) -> list[tuple[str, str]]:
    """Return the unsafe names of a zip's members, with reasons.

    Args:
        names: the names in the zip, folders with a slash at their end.

    Returns:
        Pairs of a name and a reason. A name that is repeated, or differs from another only by case or by Unicode's
        composition of letters, is reported at its second occurrence.
    """
    faults: list[tuple[str, str]] = []
    members: set[str] = set()
    places: dict[str, tuple[str, str]] = {}
    for name in names:
        fault = _find_fault(name) or ("a name that occurs twice" if name in members else _find_collision(name, places))
        members.add(name)
        if fault:
            faults.append((name, fault))
    return faults


def _find_fault(name: str) -> str:
    parts = name.removesuffix("/").split("/")
    checks = (
        (any(unicodedata.category(letter) in ("Cc", "Cf", "Cs") for letter in name), "an invisible character"),
        ("\\" in name, "a backslash, which separates folders on Windows"),
        (name.startswith("/"), "an absolute path"),
        (":" in name, "a colon, as of a drive letter"),
        (any(letter in name for letter in '<>|?*"'), "a character that Windows does not allow in names"),
        (
            any(part.casefold() in _VERSION_CONTROL for part in parts),
            "a folder of version control, which runs programs",
        ),
        (".." in parts, "a path out of the folder (..)"),
        (any(part in ("", ".") for part in parts), "an empty part"),
        (any(part != part.rstrip(" .") for part in parts), "a dot or blank at the end of a part"),
        (any(part.partition(".")[0].lower() in _RESERVED for part in parts), "the name of a Windows device"),
        (any(len(part.encode(errors="replace")) > _MAX_PART_BYTES for part in parts), "a part of more than 255 bytes"),
    )
    return next((fault for found, fault in checks if found), "")


def _find_collision(name: str, places: dict[str, tuple[str, str]]) -> str:
    """Return why a name, or a folder above it, collides with another on some system; "" if it does not."""
    for path, kind in _with_folders(name):
        before, kind_before = places.setdefault(unicodedata.normalize("NFC", path).casefold(), (path, kind))
        if before != path:
            return f"a name that differs from {before} only by case"
        if kind_before != kind:
            return f"a file and a folder with the same path: {path}"
    return ""


def _with_folders(name: str) -> Iterator[tuple[str, str]]:
    path = PurePosixPath(name)
    yield from ((str(parent), "folder") for parent in reversed(path.parents) if str(parent) != ".")
    yield name.removesuffix("/"), "folder" if name.endswith("/") else "file"

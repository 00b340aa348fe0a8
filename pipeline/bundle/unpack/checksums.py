"""Verify a bundle's files against its lists of checksums: `large_files.yml`, `docs/checksums.sha256`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ...data.errors import InputError
from .reading import Pairs, read_config
from .terminal import printable

__all__ = ["MANIFEST", "Checksum", "verify_checksums"]

MANIFEST = "docs/checksums.sha256"

MATCHES, DIFFERS, MISSING = "matches", "differs", "missing"
ELSEWHERE, UNLISTED, UNCHECKED = "not in the bundle", "not listed", "not checked"

# MONAI reads any file with such a name at the bundle's top.
_LARGE = re.compile(r"large_files[^/]*\.(?:yml|yaml|json)")
_MAX_BYTES = 64 * 2**20
_KINDS = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")
_LINE = re.compile(r"\\?([0-9a-fA-F]{64}) [ *](.+)")


@dataclass(frozen=True)
class Checksum:
    """The result for one file.

    Attributes:
        file: path relative to the bundle's folder.
        listed_in: the list that names it; "" for none.
        status: ``"matches"``, ``"differs"``, ``"missing"``, ``"not in the bundle"`` (to be downloaded), ``"not
            listed"`` or ``"not checked"`` (the list has no checksum for it).
        note: the kind of checksum, or the source of the download.
    """

    file: str
    listed_in: str
    status: str
    note: str = ""

    @property
    def refused(self) -> bool:
        """Whether the bundle is refused because of this file."""
        return self.status in (DIFFERS, MISSING)


def verify_checksums(folder: Path, files: Sequence[str]) -> list[Checksum]:
    """Check a bundle's files against its lists.

    Args:
        folder: the bundle's folder.
        files: all its files, relative to that folder.

    Raises:
        InputError: a list cannot be read, names a file outside the bundle, or has keys that MONAI would read as
            further entries.
    """
    lists = [name for name in files if _LARGE.fullmatch(name)]
    if len(lists) > 1:
        raise _unreadable(", ".join(lists), "more than one list of large files, which MONAI would mix", "one list")
    results = [one for name in lists for one in _verify_large_files(folder, name)]
    if MANIFEST in files:
        elsewhere = {one.file for one in results if one.status == ELSEWHERE}
        results += [one for one in _verify_manifest(folder) if one.file not in elsewhere]
        known = {one.file for one in results} | {MANIFEST}
        results += [Checksum(file, "", UNLISTED) for file in files if file not in known]
    return results


def _verify_large_files(folder: Path, name: str) -> Iterator[Checksum]:
    where = folder / name
    try:
        content = read_config(where)
    except ValueError as error:
        raise _unreadable(name, str(error)) from error
    keys = [key for key, _ in content] if isinstance(content, Pairs) else []
    if keys.count("large_files") > 1 or set(keys) - {"large_files"}:
        # MONAI splits `large_files::0::url`, and appends `+large_files`.
        raise _unreadable(name, f"the keys {', '.join(keys)}", "only the list large_files")
    entries = dict(content).get("large_files") if isinstance(content, Pairs) else None
    if not isinstance(entries, list) or isinstance(entries, Pairs):
        raise _unreadable(name, "no list large_files")
    for entry in entries:
        listed: dict[str, Any] = dict(entry) if isinstance(entry, Pairs) else {}
        if not isinstance(listed.get("path"), str) or not listed["path"]:
            raise _unreadable(name, "an entry without a path")
        yield _verify_entry(folder, name, listed)


def _verify_entry(folder: Path, name: str, listed: dict[str, Any]) -> Checksum:
    path = _normalise_path(listed["path"], name)
    expected, kind = (str(listed.get(key) or "").strip().lower() for key in ("hash_val", "hash_type"))
    # For MONAI a checksum without a kind is an MD5.
    kind = (kind or "md5").replace("-", "")
    if expected and kind not in _KINDS:
        raise _unreadable(name, f"the unknown hash_type {kind}", f"one of {', '.join(_KINDS)}")
    if not (folder / path).is_file():
        without = "" if expected else ", without a checksum"
        return Checksum(
            path, name, ELSEWHERE, f"to be downloaded{without} from {listed.get('url') or 'nowhere: no url'}"
        )
    if not expected:
        return Checksum(path, name, UNCHECKED, "the list has no checksum for it")
    return Checksum(path, name, MATCHES if _digest(folder / path, kind) == expected else DIFFERS, kind)


def _verify_manifest(folder: Path) -> Iterator[Checksum]:
    if (folder / MANIFEST).stat().st_size > _MAX_BYTES:
        raise _unreadable(MANIFEST, "more than 64 MiB")
    try:
        lines = (folder / MANIFEST).read_bytes().decode().splitlines()
    except UnicodeDecodeError as error:
        raise _unreadable(MANIFEST, "text that is not UTF-8") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue  # as sha256sum does
        match = _LINE.fullmatch(line)
        if match is None:
            raise _unreadable(MANIFEST, f"no checksum and path on line {number}", "lines in the form of sha256sum")
        path = _normalise_path(match[2], MANIFEST)
        if not (folder / path).is_file():
            yield Checksum(path, MANIFEST, MISSING)
        else:
            same = _digest(folder / path, "sha256") == match[1].lower()
            yield Checksum(path, MANIFEST, MATCHES if same else DIFFERS, "sha256")


def _normalise_path(path: str, name: str) -> str:
    """Return a listed path in the form of the bundle's files; refuse a path outside the bundle."""
    pure = PurePosixPath(path.replace("\\", "/"))
    if pure.is_absolute() or ".." in pure.parts or ":" in path or not pure.parts:
        raise _unreadable(name, f"the path {path!r}", "paths within the bundle")
    return pure.as_posix()


def _digest(file: Path, kind: str) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, kind).hexdigest()


def _unreadable(name: str, found: str, expected: str = "files with their checksums") -> InputError:
    return InputError(
        name, found=printable(found), expected=expected, remedy="ask the bundle's author for a correct list"
    )

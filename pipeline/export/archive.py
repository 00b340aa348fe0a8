"""An exported bundle's checksums, its list of large files, and its zip: the same bytes for the same files."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import yaml

from ..files import whole_file
from .choices import TO_FILL_IN

__all__ = [
    "CHECKSUMS",
    "EPOCH",
    "FILLED_IN",
    "files_of",
    "read_checksums",
    "sha256",
    "write_checksums",
    "write_large_files",
    "write_zip",
]

# The first time that a zip can hold.
EPOCH = (1980, 1, 1, 0, 0, 0)
CHECKSUMS = "docs/checksums.sha256"
_LARGE_FILES = "large_files.yml"
FILLED_IN = ("docs/README.md", "docs/data_license.txt", _LARGE_FILES)
# Above which size, in bytes, the model zoo wants a file in a list, not in its repository.
_LARGE = 25_000_000
_URL = f"{TO_FILL_IN}: where you publish this file"


def files_of(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every file of a bundle, in the order of its name: the name relative to the folder, with ``/``, and the path."""
    paths = ((path.relative_to(folder), path) for path in folder.rglob("*") if path.is_file())
    yield from sorted((name.as_posix(), path) for name, path in paths if "__pycache__" not in name.parts)


def sha256(file: Path) -> str:
    """The file's checksum, in hexadecimal digits."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def write_large_files(folder: Path, *, least: int = _LARGE) -> list[str]:
    """List the files that are too large for the model zoo's repository, as ``large_files.yml``, if there are any.

    Args:
        folder: the bundle.
        least: bytes above which a file is large.

    Returns:
        Their names. Addresses are to be filled in: the zoo's maintainers say where such files go.
    """
    large = [(name, path) for name, path in files_of(folder) if path.stat().st_size > least]
    if large:
        entries = [{"path": name, "url": _URL, "hash_val": sha256(path), "hash_type": "sha256"} for name, path in large]
        (folder / _LARGE_FILES).write_text(yaml.safe_dump({"large_files": entries}, sort_keys=False), encoding="utf-8")
    return [name for name, _ in large]


def write_checksums(folder: Path) -> None:
    """Write the checksum of every other file, as ``sha256sum --check`` reads them.

    Those that a person fills in are comments: they are not what they were when the bundle is published.
    """
    lines = []
    for name, path in files_of(folder):
        if name != CHECKSUMS:
            lines.append(f"{'# ' if name in FILLED_IN else ''}{sha256(path)}  {name}\n")
    (folder / CHECKSUMS).write_text("".join(lines), encoding="utf-8")


def read_checksums(folder: Path) -> dict[str, str]:
    """Checksum by name, those of the files that a person fills in as well."""
    lines = (folder / CHECKSUMS).read_text(encoding="utf-8").splitlines()
    pairs = (line.removeprefix("# ").partition("  ") for line in lines)
    return {name: digest for digest, _, name in pairs}


def write_zip(folder: Path, file: Path) -> None:
    """Write a zip with the folder as its one root, whole or not at all; times and order are no part of it."""
    with whole_file(file) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in files_of(folder):
            entry = zipfile.ZipInfo(f"{folder.name}/{name}", EPOCH)
            entry.external_attr = 0o644 << 16
            entry.create_system = 3  # Unix, wherever it is written
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())

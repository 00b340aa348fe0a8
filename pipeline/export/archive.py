"""Write an exported bundle's checksums, list of large files and zip. The same files give the same bytes."""

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
    "FILES_TO_FILL_IN",
    "file_sha256",
    "list_files",
    "read_checksums",
    "write_checksums",
    "write_large_files",
    "write_zip",
]

# The earliest time that a zip can store.
EPOCH = (1980, 1, 1, 0, 0, 0)
CHECKSUMS = "docs/checksums.sha256"
_LARGE_FILES = "large_files.yml"
FILES_TO_FILL_IN = ("docs/README.md", "docs/data_license.txt", _LARGE_FILES)
# The model zoo lists larger files instead of keeping them in its repository.
_MAX_REPOSITORY_BYTES = 25_000_000
_URL = f"{TO_FILL_IN}: where you publish this file"


def list_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Return the name (relative to the folder, with ``/``) and path of each file of a bundle, sorted by name."""
    paths = ((path.relative_to(folder), path) for path in folder.rglob("*") if path.is_file())
    yield from sorted((name.as_posix(), path) for name, path in paths if "__pycache__" not in name.parts)


def file_sha256(file: Path) -> str:
    """Return the file's checksum in hexadecimal digits."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def write_large_files(folder: Path, *, max_bytes: int = _MAX_REPOSITORY_BYTES) -> list[str]:
    """Write ``large_files.yml``, which lists the files too large for the model zoo's repository, if there are any.

    Args:
        folder: the bundle.
        max_bytes: a larger file is listed.

    Returns:
        The names of the large files. Their addresses are left to fill in: the zoo's maintainers choose them.
    """
    large = [(name, path) for name, path in list_files(folder) if path.stat().st_size > max_bytes]
    if large:
        entries = [
            {"path": name, "url": _URL, "hash_val": file_sha256(path), "hash_type": "sha256"} for name, path in large
        ]
        (folder / _LARGE_FILES).write_text(yaml.safe_dump({"large_files": entries}, sort_keys=False), encoding="utf-8")
    return [name for name, _ in large]


def write_checksums(folder: Path) -> None:
    """Write the checksums of all other files in the format of ``sha256sum --check``.

    Files that a person fills in are listed as comments, because they change before the bundle is published.
    """
    lines = []
    for name, path in list_files(folder):
        if name != CHECKSUMS:
            lines.append(f"{'# ' if name in FILES_TO_FILL_IN else ''}{file_sha256(path)}  {name}\n")
    (folder / CHECKSUMS).write_text("".join(lines), encoding="utf-8")


def read_checksums(folder: Path) -> dict[str, str]:
    """Return the checksums by file name, including those of files that a person fills in."""
    lines = (folder / CHECKSUMS).read_text(encoding="utf-8").splitlines()
    pairs = (line.removeprefix("# ").partition("  ") for line in lines)
    return {name: digest for digest, _, name in pairs}


def write_zip(folder: Path, file: Path) -> None:
    """Write a zip with the folder as its root, completely or not at all. Equal files give an equal zip."""
    with whole_file(file) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in list_files(folder):
            entry = zipfile.ZipInfo(f"{folder.name}/{name}", EPOCH)
            entry.external_attr = 0o644 << 16
            entry.create_system = 3  # Unix, on every system
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())

"""Compare a case's files with the checksums in the datalist."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from .dataset import Case, Dataset, locate
from .findings import Finding
from .images.endings import is_store

__all__ = ["checksums_by_case", "find_changed_files"]


def checksums_by_case(dataset: Dataset) -> dict[str, dict[str, str]]:
    """Return the datalist's SHA-256 by case and by file; for a series or a store, of the files in it."""
    checksums = dataset.described.get("checksums")
    by_name: dict[str, dict[str, str]] = {}
    for file, digest in checksums.items() if isinstance(checksums, Mapping) else ():
        path = PurePosixPath(str(file))
        stores = (folder for folder in path.parents[1:] if is_store(folder))
        for name in (path, path.parent, *stores):
            by_name.setdefault(name.as_posix(), {})[str(file)] = str(digest)
    return {
        case.name: {
            file: digest
            for path in (*case.images, *([case.label] if case.label else []))
            for file, digest in by_name.get(PurePosixPath(path).as_posix(), {}).items()
        }
        for case in dataset.cases
    }


def find_changed_files(case: Case, folder: Path, expected: Mapping[str, str]) -> Iterator[Finding]:
    """Yield a finding for each file whose SHA-256 differs from the datalist's; missing files have their own finding."""
    for file, digest in expected.items():
        path = locate(folder, file)
        if path.is_file() and _sha256(path) != digest.lower():
            yield Finding(
                "checksum",
                "a SHA-256 that differs from the datalist's",
                "the file that the datalist was made from",
                "copy the file again, or make a new datalist if the change was intended",
                case.name,
                file,
            )


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

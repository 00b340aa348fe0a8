"""Which files of a bundle's folder go to others, and which must not."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

__all__ = ["Upload", "private_notes", "sort_files"]

_RUBBISH = ("__pycache__", "Thumbs.db", "desktop.ini")
_BYTECODE = (".pyc", ".pyo")
_RESULTS = ("runs", "predictions", "evaluation", "evaluations", "eval", "logs", "data", "dataset", "scans", "cache")
_SCANS = (
    ".nii", ".nii.gz", ".nrrd", ".nhdr", ".seg.nrrd", ".mha", ".mhd", ".hdr", ".img", ".dcm", ".dicom", ".ima", ".mgh",
    ".mgz", ".tif", ".tiff", ".h5", ".hdf5", ".npy", ".npz", ".zip", ".tar", ".gz", ".7z",
    ".log", ".key", ".pem", ".ipynb",
)  # fmt: skip
_TABLES = (".csv", ".tsv", ".xlsx")
_EVENTS = "events.out.tfevents"
_LFS_BYTES = 10 * 2**20
_START = 8192
_MANY_CASES = 3


@dataclass(frozen=True)
class Upload:
    """A file that goes: its path from the bundle's folder, its bytes, and whether by LFS (binary, or over 10 MiB)."""

    file: str
    size: int
    large: bool


def sort_files(folder: Path) -> tuple[list[Upload], list[str], list[str]]:
    """Sort a bundle's files into those that go, those left out, and those that forbid to go on.

    Left out is what programs leave behind: hidden files, bytecode. Refused is what may be data or results: scans and
    tables anywhere, folders of runs and predictions, links.
    """
    uploads, left_out, refused = [], [], []
    for place, folders, names in os.walk(folder):
        for name in sorted([*folders, *names]):
            path = Path(place) / name
            file = path.relative_to(folder).as_posix()
            hidden = name.startswith(".") or name in _RUBBISH or name.endswith(_BYTECODE)
            if hidden:
                left_out.append(file)
            elif path.is_symlink() or not (path.is_file() or path.is_dir()):
                refused.append(file)
            elif path.is_dir():
                if Path(place) == folder and name.lower() in _RESULTS:
                    refused.append(f"{file}/")
                    folders.remove(name)
            elif _is_data(path) or (file.lower().endswith(_TABLES) and not file.startswith("docs/")):
                refused.append(file)
            else:
                uploads.append(Upload(file, path.stat().st_size, _is_large(path)))
        folders[:] = sorted(one for one in folders if not one.startswith(".") and one not in _RUBBISH)
    return sorted(uploads, key=lambda one: one.file), sorted(left_out), sorted(refused)


def private_notes(folder: Path, files: Sequence[str]) -> Iterator[str]:
    """Yield what a person should look at: names of cases in configs, places of a machine, tables in docs."""
    tables = [file for file in files if file.lower().endswith(_TABLES)]
    if tables:
        yield f"{', '.join(tables)}: see that no table tells of a patient"
    for file in files:
        if PurePosixPath(file).parts[0] != "configs" or not file.endswith(".json"):
            continue
        content = json.loads((folder / file).read_bytes())
        lists = content.values() if isinstance(content, dict) else ()
        cases = [item for value in lists if isinstance(value, list) for item in value if _is_case(item)]
        if len(cases) >= _MANY_CASES:
            yield f"{file} names {len(cases)} cases: see that no name tells of a patient"
        paths = sorted({text for text in _strings(content) if _is_of_machine(text)})
        if paths:
            yield f"{file} names places of a machine: {', '.join(paths[:3])}" + " …" * (len(paths) > 3)


def _is_data(path: Path) -> bool:
    if path.name.lower().endswith(_SCANS) or path.name.startswith(_EVENTS):
        return True
    with path.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def _is_large(path: Path) -> bool:
    with path.open("rb") as stream:
        return path.stat().st_size > _LFS_BYTES or b"\0" in stream.read(_START)


def _is_case(item: object) -> bool:
    return isinstance(item, dict) and "image" in item


def _strings(content: object) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, list | dict):
        for item in content.values() if isinstance(content, dict) else content:
            yield from _strings(item)


def _is_of_machine(text: str) -> bool:
    return text.startswith(
        ("/home/", "/Users/", "/mnt/", "/data/", "/root/", "/workspace/", "/media/", "/scratch/")
    ) or (text[1:3] in (":\\", ":/") and text[0].isalpha())

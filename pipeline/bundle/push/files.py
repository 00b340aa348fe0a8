"""Choose the files of a bundle's folder to upload, and those that must not be uploaded."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ...data.images.endings import endings_of, is_store
from ..unpack.reading import Pairs, is_config, nodes_of, read_config

__all__ = ["Upload", "find_private_notes", "find_tokens", "is_config_file", "sort_files"]

_JUNK = ("__pycache__", "Thumbs.db", "desktop.ini")
_BYTECODE = (".pyc", ".pyo")
_RESULTS = ("runs", "predictions", "evaluation", "evaluations", "eval", "logs", "data", "dataset", "scans", "cache")
# Pictures may belong to a bundle's documents; the TIFF of a microscope does not.
_SCANS = (
    *endings_of("nifti", "pair", "itk", "dicom", "mgz", "zarr", "nifti-zarr"),
    ".dicom", ".ima", ".tif", ".tiff", ".h5", ".hdf5", ".npy", ".npz", ".mnc", ".vtk", ".vti", ".vtp", ".mat",
    ".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar",
    ".pkl", ".pickle", ".joblib", ".parquet", ".feather", ".sqlite", ".sqlite3", ".db",
    ".log", ".key", ".pem", ".ipynb",
)  # fmt: skip
_TABLES = (".csv", ".tsv", ".xlsx", ".xls", ".ods")
_TEXTS = ("license.txt", "data_license.txt", "requirements.txt")
_TOKEN = re.compile(rb"\bhf_[A-Za-z0-9]{20,}")
_EVENTS = "events.out.tfevents"
_LFS_BYTES = 10 * 2**20
_START = 8192
_MIN_CASES = 3


@dataclass(frozen=True)
class Upload:
    """A file to upload: path in the bundle's folder, size (bytes), and whether by LFS (binary or over 10 MiB)."""

    file: str
    size: int
    large: bool


def sort_files(folder: Path) -> tuple[list[Upload], list[str], list[str]]:
    """Return a bundle's files to upload, files to leave out, and files that stop the upload.

    Left out are files that programs leave behind: hidden files and bytecode. Files that may be data or results stop the
    upload: scans and tables anywhere, folders of runs and predictions, and links. Below the top, a folder of Python
    modules may have the name `data`.
    """
    uploads, left_out, refused = [], [], []
    for place, folders, names in os.walk(folder):
        for name in sorted([*folders, *names]):
            path = Path(place) / name
            file = path.relative_to(folder).as_posix()
            hidden = name.startswith(".") or name in _JUNK or name.endswith(_BYTECODE)
            if hidden:
                left_out.append(file)
            elif path.is_symlink() or not (path.is_file() or path.is_dir()):
                refused.append(file)
            elif path.is_dir():
                results = name.lower() in _RESULTS and (Path(place) == folder or not any(path.glob("*.py")))
                if results or is_store(path):
                    refused.append(f"{file}/")
                    folders.remove(name)
            elif _is_data(path) or (file.lower().endswith(_TABLES) and not file.startswith("docs/")):
                refused.append(file)
            else:
                uploads.append(Upload(file, path.stat().st_size, _is_large(path)))
        folders[:] = sorted(one for one in folders if not one.startswith(".") and one not in _JUNK)
    return sorted(uploads, key=lambda one: one.file), sorted(left_out), sorted(refused)


def find_private_notes(folder: Path, files: Sequence[str]) -> Iterator[str]:
    """Yield what the user should check: names of cases and paths of a machine in configs, tables and texts.

    Raises:
        ValueError: a config cannot be read.
    """
    tables = [file for file in files if file.lower().endswith(_TABLES)]
    if tables:
        yield f"{', '.join(tables)}: check that no table identifies a patient"
    texts = [file for file in files if file.lower().endswith(".txt") and PurePosixPath(file).name.lower() not in _TEXTS]
    if texts:
        yield f"{', '.join(texts)}: check that no text identifies a patient"
    for file in files:
        if not is_config_file(file):
            continue
        nodes = list(nodes_of(file, read_config(folder / file)))
        cases = sum(_is_case(node.value) for node in nodes if len(node.path) == 2 and node.path[1].isdecimal())
        if cases >= _MIN_CASES:
            yield f"{file} names {cases} cases: check that no name identifies a patient"
        paths = sorted({node.value for node in nodes if isinstance(node.value, str) and _is_machine_path(node.value)})
        if paths:
            yield f"{file} names paths on a machine: {', '.join(paths[:3])}" + " …" * (len(paths) > 3)


def is_config_file(file: str) -> bool:
    """Return whether a file is a config that MONAI reads."""
    return PurePosixPath(file).parts[0] == "configs" and is_config(file)


def find_tokens(folder: Path, uploads: Sequence[Upload]) -> list[str]:
    """Return the text files that contain something like a token of the Hugging Face Hub."""
    return [one.file for one in uploads if not one.large and _TOKEN.search((folder / one.file).read_bytes())]


def _is_data(path: Path) -> bool:
    if path.name.lower().endswith(_SCANS) or path.name.startswith(_EVENTS):
        return True
    with path.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def _is_large(path: Path) -> bool:
    with path.open("rb") as stream:
        return path.stat().st_size > _LFS_BYTES or b"\0" in stream.read(_START)


def _is_case(item: object) -> bool:
    return isinstance(item, Pairs) and any(key == "image" for key, _ in item)


def _is_machine_path(text: str) -> bool:
    return text.startswith(
        ("/home/", "/Users/", "/mnt/", "/data/", "/root/", "/workspace/", "/media/", "/scratch/")
    ) or (text[1:3] in (":\\", ":/") and text[0].isalpha())

"""Compare the results of two runs of a verb: all files, except times."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import zipfile
from collections.abc import Collection
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import torch
import yaml

__all__ = ["compare_folders", "find_damage", "find_litter"]

# Keys and columns whose values are times, or how much a machine has.
_TIMES = re.compile(
    r"second|minute|hour|date|time|memory|bytes_free|started|finished|created|duration|load|pid|host|per_s|speed|resident|^made$|weights_sha256",
    re.I,
)
# As pipeline/leftovers.py names temporary files, and as others may.
_LITTER = re.compile(r"^\.ls-|^\.[0-9a-f]{8,}|\.tmp$|\.partial$|^tmp")
# Locks of commands that were killed stay until the next start, and block nobody.
_LOCK = re.compile(r"^\..*lock$")
_PAGE_TIME = re.compile(rb"\d{1,2} [A-Z][a-z]+ \d{4}, \d\d:\d\d UTC")
_MAX_NAMED = 5


def compare_folders(expected: Path, found: Path, *, leave_out: Collection[str] = ()) -> list[str]:
    """Return how the files of two folders differ; an empty list if only in times.

    Args:
        expected: the folder, or the file, of a run that nothing disturbed.
        found: that of another run.
        leave_out: patterns of paths in the folder that are not compared, such as ``logs/*``.
    """
    names = {name for root in (expected, found) for name in _list_files(root)}
    differences = []
    for name in sorted(names):
        if any(fnmatch(name, pattern) for pattern in leave_out) or _is_hidden(name):
            continue
        files = [root / name if name else root for root in (expected, found)]
        if not files[0].exists():
            differences.append(f"{name}: not in the undisturbed run")
        elif not files[1].exists():
            differences.append(f"{name}: missing")
        elif (difference := _compare_files(*files)) is not None:
            differences.append(f"{name or found.name}: {difference}")
    return differences[:_MAX_NAMED]


def find_damage(folder: Path) -> list[str]:
    """Return the files below a folder that are cut off: those that cannot be read by their ending."""
    damaged = []
    for name in _list_files(folder):
        file = folder / name if name else folder
        if _is_hidden(file.name) or file.is_symlink():
            continue
        try:
            _read(file)
        except Exception as error:
            damaged.append(f"{name or file.name}: {type(error).__name__} {str(error)[:80]}")
    return damaged[:_MAX_NAMED]


def find_litter(folder: Path) -> list[str]:
    """Return the temporary files and folders below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if _LITTER.search(path.name))


def _is_hidden(name: str) -> bool:
    """Return whether a file is a temporary one or a lock."""
    return bool(_LITTER.search(Path(name).name) or _LOCK.search(Path(name).name))


def _list_files(root: Path) -> list[str]:
    if not root.is_dir():
        return [""] if root.exists() else []
    return [str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()]


def _compare_files(expected: Path, found: Path) -> str | None:
    if expected.read_bytes() == found.read_bytes():
        return None
    try:
        one, other = _read(expected), _read(found)
    except Exception as error:
        return f"{type(error).__name__} {str(error)[:80]}"
    return _first_difference(one, other, "")


def _read(file: Path) -> Any:
    """Return the content of a file, for those formats that a damaged file shows in; the bytes of all others."""
    ending = ".nii.gz" if file.name.endswith(".nii.gz") else file.suffix
    return _READERS.get(ending, Path.read_bytes)(file)


def _read_json(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


def _read_yaml(file: Path) -> dict[str, Any]:
    text = file.read_text(encoding="utf-8")
    comments = [line.partition("#")[2] for line in text.splitlines() if "#" in line]
    # A plan's comments say how fast the machine was.
    return {"content": yaml.safe_load(text), "comments": [re.sub(r"\d[\d.,]*", "N", line) for line in comments]}


def _read_table(file: Path) -> list[dict[str, str]]:
    rows = list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8"))))
    if any(None in row or None in row.values() for row in rows):
        raise ValueError("a row is cut off")
    return rows


def _read_weights(file: Path) -> Any:
    return torch.load(file, weights_only=True, map_location="cpu")


def _read_image(file: Path) -> dict[str, Any]:
    image = nibabel.load(file)
    return {"affine": image.affine, "voxels": np.asanyarray(image.dataobj)}


def _read_zip(file: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _read_page(file: Path) -> bytes:
    text = file.read_bytes()
    if b"</html>" not in text[-200:]:
        raise ValueError("the page is cut off")
    return _PAGE_TIME.sub(b"TIME", text)


_READERS = {
    ".json": _read_json,
    ".yaml": _read_yaml,
    ".csv": _read_table,
    ".pt": _read_weights,
    ".nii": _read_image,
    ".nii.gz": _read_image,
    ".zip": _read_zip,
    ".html": _read_page,
}


def _first_difference(one: Any, other: Any, where: str) -> str | None:
    """Return the place and values of the first difference of two contents; times are left out."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = [key for key in {**one, **other} if not (isinstance(key, str) and _TIMES.search(key))]
        lonely = next((key for key in keys if (key in one) != (key in other)), None)
        if lonely is not None:
            return f"{where}{lonely} is only in one"
        parts = [(f"{where}{key}: ", one[key], other[key]) for key in keys]
    elif isinstance(one, list | tuple) and isinstance(other, list | tuple):
        if len(one) != len(other):
            return f"{where}{len(other)} entries (expected {len(one)})"
        parts = [(f"{where}[{i}] ", a, b) for i, (a, b) in enumerate(zip(one, other, strict=True))]
    else:
        return None if _same(one, other) else f"{where}{str(other)[:60]} (expected {str(one)[:60]})"
    return next((found for place, a, b in parts if (found := _first_difference(a, b, place)) is not None), None)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return bool(one == other)

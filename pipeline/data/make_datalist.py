"""Makes a datalist: the cases of a dataset in folds, with checksums."""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..files import write_text
from .datalist import as_list, existing_folder, read_json, require_files, training_items
from .errors import InputError

_KEPT_FROM_MSD = ("name", "description", "reference", "licence", "release", "modality", "labels")


def make_datalist(
    msd_folder: str | Path,
    *,
    folds: int = 5,
    seed: int = 0,
    checksums: bool = True,
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Make a datalist with folds from a folder in the Medical Segmentation Decathlon's layout.

    The items are sorted by image name, permuted by `numpy.random.default_rng(seed)` and cut by `numpy.array_split`:
    fold sizes differ by one at most, and the same folder gives the same datalist.

    Args:
        msd_folder: folder with `dataset.json` and the files it names.
        folds: number of folds, from 2 to the number of training cases.
        seed: seed of the permutation.
        checksums: whether to add the SHA-256 of every file, by its path inside the folder.
        extra: further top-level entries (source, licence, citation); they win over those of `dataset.json`.

    Raises:
        InputError: `dataset.json` or a file it names is missing or malformed, or there are fewer cases than folds.
    """
    folder = existing_folder(msd_folder)
    source = folder / "dataset.json"
    items = sorted(training_items(source), key=lambda item: as_list(item["image"]))
    if not 2 <= folds <= len(items):
        raise InputError(
            source,
            found=f"{len(items)} training cases for {folds} folds",
            expected="at least 2 folds, and at least one case in each",
            remedy="ask for another number of folds",
        )
    names = [posixpath.normpath(name) for item in items for key in ("image", "label") for name in as_list(item[key])]
    require_files((str(folder / name) for name in names), source)
    described = read_json(source)
    result = {key: described[key] for key in _KEPT_FROM_MSD if key in described} | dict(extra or {})
    fold_of = np.empty(len(items), dtype=int)
    for fold, members in enumerate(np.array_split(np.random.default_rng(seed).permutation(len(items)), folds)):
        fold_of[members] = fold
    result["training"] = [
        {"image": item["image"], "label": item["label"], "fold": int(fold)}
        for item, fold in zip(items, fold_of, strict=True)
    ]
    if checksums:
        result["checksums"] = {name: _sha256(folder / name) for name in sorted(set(names))}
    return result


def write_json(data: Mapping[str, Any], path: str | Path) -> None:
    """Write a JSON object with one entry of each top-level list or mapping per line, whole or not at all."""
    write_text(path, _one_entry_per_line(data))


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _one_entry_per_line(data: Mapping[str, Any]) -> str:
    lines = []
    for key, value in data.items():
        if isinstance(value, Mapping) and value:
            entries = [f"{_json(str(name))}: {_json(entry)}" for name, entry in value.items()]
            text = "{\n  " + ",\n  ".join(entries) + "\n }"
        elif isinstance(value, list | tuple) and value:
            text = "[\n  " + ",\n  ".join(map(_json, value)) + "\n ]"
        else:
            text = _json(value)
        lines.append(f" {_json(key)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)

"""Label names in a BIDS dataset: from a table (index, name) or a JSON file that applies to the label maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ..datalist import read_json
from ..errors import InputError
from ..images.endings import scan_name
from ..known_keys import check_keys
from .table import read_table

__all__ = ["label_names"]


def label_names(labels: Sequence[Path], root: Path) -> dict[str, Any]:
    """Return value -> name, or name -> value, of label maps; empty if no sidecar has names.

    By BIDS's inheritance principle a sidecar applies to the label maps in its folder and below whose names have all
    words of its own name. The nearest one counts.

    Args:
        labels: the label maps.
        root: the dataset's root; no sidecar above it is read.

    Raises:
        InputError: label maps have different names for their values, or a table lacks its columns.
    """
    read = cache(_read)
    listing = cache(_sidecars)
    every = [_names_for(label, root, read, listing) for label in labels]
    differing = next((number for number, named in enumerate(every) if named != every[0]), None)
    if differing is not None:
        raise InputError(
            labels[differing],
            found=f"the labels {every[differing]}",
            expected=f"the labels of {labels[0].name}: {every[0]}",
            remedy="make the sidecar files agree, or choose label maps of one kind with --label-suffix",
        )
    return every[0] if every else {}


def _names_for(label: Path, root: Path, read: Any, listing: Any) -> dict[str, Any]:
    words = scan_name(label).split("_")
    for folder in label.parents:
        for sidecar in listing(folder):
            named: dict[str, Any] = read(sidecar) if set(sidecar.stem.split("_")) <= set(words) else {}
            if named:
                return named
        if folder == root:
            break
    entities = dict(word.split("-", 1) for word in words if "-" in word)
    return {"0": "background", "1": entities.get("label", "foreground")} if words[-1] == "mask" else {}


def _sidecars(folder: Path) -> list[Path]:
    """Return a folder's sidecars of label maps: the longest name, which is the nearest, first; tables before JSON."""
    found = [path for kind in ("dseg.tsv", "dseg.json", "mask.json") for path in folder.glob(f"*{kind}")]
    return sorted(found, key=lambda path: (-len(path.stem), path.suffix != ".tsv", path.name))


def _read(sidecar: Path) -> dict[str, Any]:
    if sidecar.suffix == ".json":
        content = read_json(sidecar)
        named = content.get("LabelMap") if isinstance(content, Mapping) else None
        return dict(named) if isinstance(named, Mapping) else {}
    columns, rows = read_table(sidecar)
    check_keys(columns, ("index", "name"), sidecar, line=1)
    if not {"index", "name"} <= set(columns):
        raise InputError(
            sidecar,
            found=f"the columns {', '.join(columns)}",
            expected="the columns index and name",
            remedy="correct this table",
        )
    # Tables start with the first structure, or call 0 "unknown".
    return {row["index"]: row["name"] for _, row in rows} | {"0": "background"}

"""Check at the end of an evaluation that its files are there: somebody may have removed them meanwhile."""

from __future__ import annotations

import json
from pathlib import Path

from ..data.errors import InputError

__all__ = ["require_results"]

_SUMMARY = "summary.json"


def require_results(folder: Path, label_maps: Path | None) -> None:
    """Raise InputError if an evaluation that has ended lacks a file.

    Args:
        folder: the folder of its results.
        label_maps: the folder of its label maps, one for each case; None if none were asked for.
    """
    for file in (folder / "cases.csv", folder / _SUMMARY):
        if not file.is_file():
            raise _lost(file, "no such file")
    if label_maps is None:
        return
    cases = int(json.loads((folder / _SUMMARY).read_text(encoding="utf-8"))["cases"])
    there = sum(not file.name.startswith(".") for file in label_maps.rglob("*")) if label_maps.is_dir() else 0
    if there < cases:
        raise _lost(label_maps, f"{there} files for {cases} cases")


def _lost(where: Path, found: str) -> InputError:
    return InputError(
        where,
        found=f"{found}, at the end of the evaluation that wrote there",
        expected="all files that it wrote: something else has removed them",
        remedy="run the same command again, and leave the folder alone meanwhile",
    )

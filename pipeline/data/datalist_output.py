"""Refuse to write a datalist over a folder, or over a file of the dataset that it lists."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from .errors import InputError
from .layouts.found import Found

__all__ = ["check_output", "check_output_is_new"]


def check_output(file: Path, source: Path | None) -> None:
    """Raise InputError if a datalist cannot be written to a path, before the dataset is read.

    Args:
        file: the path.
        source: the dataset, if it is no pattern: a folder, a zip, a table, a datalist.
    """
    if not file.name or file.is_dir():
        raise InputError(
            file,
            found="a folder",
            expected="the name of a JSON file to write",
            remedy=f"name a file, such as -o {file / 'datalist.json'}",
        )
    if source is not None and _is_same(file, source):
        _refuse(file)


def check_output_is_new(file: Path, found: Found) -> None:
    """Raise InputError if a path is that of a file of the dataset: its description, an image or a label map."""
    if not file.exists():
        return
    files = [found.source]
    for item in (*found.training, *found.test):
        files += [path for path in (*item.images, item.label, *item.masks.values()) if path is not None]
    if any(_is_same(file, path) for path in files):
        _refuse(file)


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other.expanduser())
    except OSError:
        return False


def _refuse(file: Path) -> NoReturn:
    raise InputError(
        file,
        found="a file of the dataset, which the datalist would replace",
        expected="another file for the datalist",
        remedy="choose another name with -o",
    )

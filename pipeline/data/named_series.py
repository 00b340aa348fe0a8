"""The DICOM series that a user chooses by a word, among the folders of a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from .errors import InputError
from .folder_scans import FoundScan
from .images.dicom_slices import Slice, read_slices
from .images.dicom_study import choose_series, list_series, list_words
from .images.endings import SERIES, is_store

__all__ = ["choose_named_series"]


def choose_named_series(found: Sequence[FoundScan], word: str) -> list[FoundScan]:
    """Return the scans that are, or contain, the DICOM series that a word names; others are left out.

    Args:
        found: the scans; only folders can be series.
        word: the number, the description or the unique identifier of a series.

    Returns:
        The scans; a folder with further series becomes FOLDER/series=NUMBER, or the identifier of a series that has no
        number of its own.

    Raises:
        InputError: no folder has such a series, or one has several; the message lists all.
    """
    chosen = []
    slices: list[Slice] = []
    for scan in found:
        folder = scan.files[0]
        if scan.problem is not None or len(scan.files) > 1 or is_store(folder) or not Path(folder).is_dir():
            continue
        here = read_slices(folder)[0]
        slices += here
        own = choose_series(here, word)
        if own:
            chosen.append(replace(scan, files=(_path(folder, here, own[0]),)))
    if chosen:
        return chosen
    series = list_series(slices)
    raise InputError(
        "--series",
        found=f"no single series {word!r}"
        + (
            # Only printed, in answer to the option.
            f" among {len(series)}: {list_words(series, described=True)}" if series else ""
        ),
        expected="the number, the description or the unique identifier of a DICOM series",
        remedy="name one of these" if series else "name the folder of a DICOM study, or leave --series out",
    )


def _path(folder: str, slices: Sequence[Slice], own: Slice) -> str:
    if len({one.series for one in slices}) == 1:
        return folder
    number = own.tags[0]
    is_alone = bool(choose_series(slices, number)) if number.isdecimal() else False
    return f"{folder}/{SERIES}{number if is_alone else own.series}"

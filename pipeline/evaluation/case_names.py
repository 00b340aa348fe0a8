"""The names of the cases of an evaluation: short, and different from each other."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePath

__all__ = ["name_case", "name_cases"]

# As of the dataset check, whose cases have the same names.
_ENDING = re.compile(r"\.(nii|nrrd|nhdr|mha|mhd|hdr|img|dcm|png|jpe?g|bmp|tiff?)(\.gz)?$", re.IGNORECASE)


def name_case(source: str, parts: int = 1) -> str:
    """Return the name of the case of a scan's file.

    Args:
        source: path of the scan; only its text is used.
        parts: how many parts of the path the name has, the file included.
    """
    name = "/".join(PurePath(source).parts[-parts:])
    # nnU-Net's ending for the first of several channels is no part of a case's name.
    return _ENDING.sub("", name).removesuffix("_0000")


def name_cases(sources: Iterable[str]) -> dict[str, str]:
    """Return the name of every case by its scan's path: the file, and the folders above it that make names unique."""
    paths = list(dict.fromkeys(sources))
    longest = max((len(PurePath(path).parts) for path in paths), default=1)
    for parts in range(1, longest + 1):
        names = {path: name_case(path, parts) for path in paths}
        if len(set(names.values())) == len(names):
            return names
    return {path: path for path in paths}

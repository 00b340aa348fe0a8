"""The name of a case: the same in the check, in `cases.csv`, for predictions, in statistics and on pages.

A case is named after its first image file. If names are equal, the fewest folders that distinguish the cases are put
in front. A name has no path separator, so that files can be named after it.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from pathlib import Path, PurePath
from typing import Any

from .datalist import as_list
from .images.endings import scan_name

__all__ = ["case_stem", "case_stems", "full_names", "name_cases", "names_by_file", "tell_apart"]

_NUMBERED = re.compile(r"(.+)_\d{4}")
_FIRST_CHANNEL = "_0000"

Items = Sequence[Sequence[str | Path]]


def name_cases(items: Items) -> list[str]:
    """Return the names of a dataset's cases.

    The ending of a file is no part of the name. Neither is nnU-Net's `_0000`, which marks the first channel, unless
    a case of one file has a neighbour `NAME_0001`, ...: then the numbers belong to the cases. Cases with equal names
    get their folders' names in front, joined by `_`, one more until they differ. Folders that all cases share are
    never used, so a dataset's names do not depend on its location. Cases with equal folders (one file twice) are
    numbered: `scan`, `scan_2`.

    Args:
        items: the image files of each case, in order: all absolute, or all relative to one folder.

    Returns:
        The names, all different, in the order of the items.
    """
    return tell_apart(case_stems(items), items)


def names_by_file(items: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the names of datalist items, `{"image": path or list of paths}`, by the path of the first image."""
    images = [[str(path) for path in as_list(item["image"])] for item in items]
    return {files[0]: name for files, name in zip(images, name_cases(images), strict=True)}


def case_stem(path: str | PurePath) -> str:
    """Return the name of a case from its first file alone: without its ending, and without `_0000`."""
    return scan_name(path).removesuffix(_FIRST_CHANNEL)


def case_stems(items: Items) -> list[str]:
    """Return the name of each case without folders, so that names may be equal; see `name_cases`."""
    paths = [PurePath(os.path.normpath(item[0])) for item in items]
    numbers: dict[tuple[PurePath, str], set[str]] = {}
    for path, item in zip(paths, items, strict=True):
        match = _NUMBERED.fullmatch(scan_name(path))
        if match and len(item) == 1:
            numbers.setdefault((path.parent, match[1]), set()).add(match[0])
    stems = []
    for path, item in zip(paths, items, strict=True):
        neighbours = numbers.get((path.parent, case_stem(path)), set()) - {scan_name(path)}
        stems.append(scan_name(path) if len(item) == 1 and neighbours else case_stem(path))
    return stems


def tell_apart(stems: Sequence[str], items: Items) -> list[str]:
    """Return the stems with the fewest folders in front that make them different; see `name_cases`."""
    folders = _folders(items)
    depths = [0] * len(stems)
    while True:
        names = [_join(stem, above, depth) for stem, above, depth in zip(stems, folders, depths, strict=True)]
        counts = Counter(names)
        longer = [
            number for number, name in enumerate(names) if counts[name] > 1 and depths[number] < len(folders[number])
        ]
        if not longer:
            return _number_equal_names(names)
        for number in longer:
            depths[number] += 1


def full_names(stems: Sequence[str], items: Items) -> list[str]:
    """Return the stems with all folders in front; cases whose full names are equal have equal folders."""
    return [_join(stem, above, len(above)) for stem, above in zip(stems, _folders(items), strict=True)]


def _folders(items: Items) -> list[tuple[str, ...]]:
    """Return the names of the folders above each case, without those that all cases share."""
    parents = [PurePath(os.path.normpath(item[0])).parent.parts for item in items]
    shared = len(list(takewhile(lambda level: len(set(level)) == 1, zip(*parents, strict=False))))
    return [parts[shared:] for parts in parents]


def _join(stem: str, folders: Sequence[str], depth: int) -> str:
    return "_".join([*folders[len(folders) - depth :], stem])


def _number_equal_names(names: Sequence[str]) -> list[str]:
    """Return the names with a number at the end of equal ones, such that no two names are equal."""
    counts = Counter(names)
    taken = {name for name, count in counts.items() if count == 1}
    result = []
    for name in names:
        free, number = name, 1
        while counts[name] > 1 and free in taken:
            number += 1
            free = f"{name}_{number}"
        taken.add(free)
        result.append(free)
    return result

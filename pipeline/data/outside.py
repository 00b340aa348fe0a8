"""Find the files of a datalist that are outside the dataset's folder: absolute paths, and links that lead out.

A datalist from somebody else could name any file of this machine, whose content would go into pictures, label maps and
weights. Relative paths with ``..`` are LightSkip's own way to name merged label maps and repaired copies, and count as
inside, as does an absolute path into the folder. A series' folder with such a link, and a header that names such a file
(MetaImage, NRRD), lead out, too.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from .errors import InputError
from .images.dicom_files import split_series
from .images.endings import is_detached
from .images.files import parts_of

__all__ = ["LINK", "PATH", "Outside", "find_outside", "refuse_outside"]

PATH, LINK = "path-outside", "link-outside"
_WORDS = {PATH: "an absolute path", LINK: "a link"}


class Outside(NamedTuple):
    """A file outside the dataset's folder.

    Attributes:
        kind: `PATH` or `LINK`.
        path: as the datalist has it.
        target: where it really is.
    """

    kind: str
    path: str
    target: str

    @property
    def words(self) -> str:
        """What was found."""
        return f"{_WORDS[self.kind]} to {self.target}, outside the dataset's folder"


def find_outside(paths: Iterable[str | os.PathLike[str]], folder: Path) -> list[Outside]:
    """Return the paths of a datalist that lead out of the dataset's folder.

    Args:
        paths: as the datalist has them.
        folder: where relative paths start. It may itself be a link: the user named it.
    """
    start, real = os.path.abspath(folder), os.path.realpath(folder)  # noqa: PTH100 - pathlib leaves ".." in
    # Cases share their folders, and following the links of each takes most of the time.
    follow = cache(os.path.realpath)
    found = []
    for each in paths:
        path = split_series(os.fspath(each))[0]
        if "\0" in path:
            continue  # no name of a file; reading it says so
        expanded = Path(path).expanduser() if path.startswith("~/") else Path(path)
        names = [expanded, *_names_in(Path(start, expanded), start)]
        way = next((way for name in names if (way := _way_out(name, start, real, follow))), None)
        if way is not None:
            found.append(Outside(way[0], os.fspath(each), way[1]))
    return found


def _way_out(name: Path, start: str, real: str, follow: Callable[[str], str]) -> tuple[str, str] | None:
    """Return how a path leads out of the folder, and where to; None if it does not, or is LightSkip's own way."""
    place = os.path.abspath(os.path.join(start, name))  # noqa: PTH100, PTH118 - pathlib takes twice as long
    parent, last = os.path.split(place)
    target = os.path.realpath(place) if os.path.islink(place) else os.path.join(follow(parent), last)  # noqa: PTH114, PTH118
    if _is_within(target, real):
        return None
    if _is_within(place, start):
        return LINK, target
    return (PATH, target) if name.is_absolute() else None


def _names_in(path: Path, start: str) -> Iterator[Path]:
    """Yield the links in a folder, such as a series, or the files that a header takes its voxels from.

    Those that the datalist's or the header's own ``..`` leads to are left out.
    """
    names: list[Path] = []
    path = Path(split_series(path)[0])
    if os.path.isdir(path):  # noqa: PTH112 - False of too long a name
        names = [Path(entry.path) for entry in os.scandir(path) if entry.is_symlink()]
    elif is_detached(path):
        with contextlib.suppress(InputError, OSError):  # reading the image says so
            names = parts_of(path)[1:]
    for name in names:
        if not name.is_relative_to(path.parent) or _is_within(os.path.abspath(name), start):  # noqa: PTH100
            yield name


def refuse_outside(paths: Iterable[str | os.PathLike[str]], folder: Path, named_by: object, option: str) -> None:
    """Raise InputError with the first path that leads out of the dataset's folder, if there is one.

    Args:
        paths: as the datalist has them.
        folder: where relative paths start.
        named_by: the datalist, for the message.
        option: what asks for these files, such as ``--outside``.
    """
    found = find_outside(paths, folder)
    if found:
        first = found[0]
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise InputError(
            first.path,
            found=f"{first.words}{more}",
            expected=f"every file that {named_by} names in {os.path.abspath(folder)}",  # noqa: PTH100
            remedy=f"if these files are yours, repeat the command with {option}; otherwise do not use this datalist",
            kind=first.kind,
        )


def _is_within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)

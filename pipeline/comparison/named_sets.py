"""The sets of label maps that a user names: a folder, a name and a folder, or an arm, its seed and a folder."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..data.case_names import tell_apart
from ..data.errors import InputError
from .source import find_path

__all__ = ["NamedSet", "read_sets"]

_SEEDED = re.compile(r"(?P<arm>.+):(?P<seed>[0-9]+)")


@dataclass(frozen=True)
class NamedSet:
    """One set of label maps to compare with the reference.

    Attributes:
        name: its name in tables and files; no other set has it.
        path: its folder, datalist or bundle.
        arm: what was tried, such as a skip connection; several seeds of one arm are one thing measured several times.
        seed: seed of this training of the arm; None if the user named none.
    """

    name: str
    path: Path
    arm: str
    seed: int | None


def read_sets(words: Sequence[str | Path], reference: Path) -> list[NamedSet]:
    """Return the sets that words name, each with a name of its own.

    Args:
        words: ``FOLDER``, ``NAME=FOLDER`` or ``ARM:SEED=FOLDER`` each. A set without a name has that of its folder,
            with the names of folders above it where those are equal.
        reference: the path that the sets are compared with.

    Raises:
        InputError: there is no set, a path does not exist, or two sets have one name or one folder.
    """
    if not words:
        raise InputError(
            "the command line",
            found="no set of label maps",
            expected="at least one folder after the reference",
            remedy="name it: lightskip compare REFERENCE FOLDER -o OUT",
        )
    pairs = [_split(str(word)) for word in words]
    pairs = [(name, find_path(path)) for name, path in pairs]
    paths = [path for _, path in pairs]
    for path in paths:
        if not path.exists():
            raise InputError(
                path,
                found="no such folder",
                expected="a folder of label maps, a datalist or a bundle",
                remedy="check the path; a name is put in front of it as NAME=FOLDER",
            )
    _refuse_same_folders([reference, *paths])
    own = tell_apart([_folder_name(path) for path in paths], [[_absolute(path)] for path in paths])
    sets = [_name_set(name or default, path) for (name, path), default in zip(pairs, own, strict=True)]
    double = [name for name, count in Counter(one.name for one in sets).items() if count > 1]
    if double:
        raise InputError(
            "the command line",
            found=f"two sets named {double[0]}",
            expected="a name of its own for every set",
            remedy="name them: NAME=FOLDER, or ARM:SEED=FOLDER for several seeds of one arm",
        )
    return sets


def _split(word: str) -> tuple[str, Path]:
    """Return the name in a word, empty if there is none, and the path."""
    name, equals, rest = word.partition("=")
    # A folder may have "=" in its name.
    if not equals or not rest or not name.strip() or Path(word).expanduser().exists():
        return "", Path(word).expanduser()
    return name.strip(), Path(rest).expanduser()


def _name_set(name: str, path: Path) -> NamedSet:
    match = _SEEDED.fullmatch(name)
    if match is None:
        return NamedSet(name, path, name, None)
    return NamedSet(name, path, match["arm"], int(match["seed"]))


def _folder_name(path: Path) -> str:
    absolute = Path(_absolute(path))
    return absolute.stem if absolute.is_file() else absolute.name


def _absolute(path: Path) -> str:
    # Not resolved: a link has the name that the user gave it.
    return os.path.abspath(path)  # noqa: PTH100


def _refuse_same_folders(paths: Sequence[Path]) -> None:
    seen: dict[Path, int] = {}
    for number, path in enumerate(paths):
        first = seen.setdefault(path.resolve(), number)
        if first != number:
            as_what = "the reference and a set" if first == 0 else "two sets"
            raise InputError(
                path,
                found=f"this path as {as_what}",
                expected="every folder once: a set is always equal to itself",
                remedy="name the other folder, or leave one of the two out",
            )

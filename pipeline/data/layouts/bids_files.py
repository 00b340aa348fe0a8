"""The file names of a BIDS dataset: the scan that a file belongs to, and whether it is a label map."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..images.endings import is_image, is_store, scan_name
from ..images.files import is_hidden, natural_order, one_per_pair
from .found import join_names

__all__ = [
    "BidsFile",
    "Key",
    "files_below",
    "is_label_map",
    "is_probability",
    "key_order",
    "key_words",
    "pair_label_maps",
]

_LABEL_SUFFIXES = {"dseg", "mask", "seg", "roi"}
# These parts of a name identify a scan; the other parts say what kind of scan it is.
_KEYS = ("sub", "ses", "run")
Key = tuple[str, ...]


@dataclass(frozen=True)
class BidsFile:
    """A file and its BIDS name.

    Args:
        path: the file.
        stem: its name without the ending.
        key: subject, session and run of its scan; a part that the name lacks is empty.
        kind: the other parts of the name.
    """

    path: Path
    stem: str
    key: Key
    kind: str

    @property
    def suffix(self) -> str:
        """The last word of the name, such as T1w."""
        return self.stem.rpartition("_")[2]

    def ends_with(self, words: str) -> bool:
        """Return whether the name ends in these words, such as acq-high_T1w."""
        return self.stem.endswith(f"_{words}")


def files_below(start: Path, *, skip: Iterable[str]) -> list[BidsFile]:
    """Return the images below a folder whose path or name has a subject, without hidden files."""
    paths = []
    for folder, folders, names in os.walk(start, followlinks=True):
        found = [Path(folder, name) for name in (*names, *(name for name in folders if is_store(name)))]
        folders[:] = [name for name in folders if not (name in skip or name.startswith(".") or is_store(name))]
        paths += [path for path in found if is_image(path) and not is_hidden(path)]
    return [file for path in one_per_pair(sorted(paths, key=natural_order)) if (file := _parse_name(path)).key[0]]


def _parse_name(path: Path) -> BidsFile:
    stem = scan_name(path)
    words = stem.split("_")
    entities = dict(word.split("-", 1) for word in words if "-" in word)
    for part in path.parts[-4:-1]:
        name, _, value = part.partition("-")
        if name in ("sub", "ses"):
            entities.setdefault(name, value)
    kind = "_".join(word for word in words if word.partition("-")[0] not in _KEYS)
    return BidsFile(path, stem, tuple(entities.get(name, "") for name in _KEYS), kind)


def is_label_map(file: BidsFile) -> bool:
    """Return whether a file is a label map, by its suffix or by a `label-…` in its name."""
    named = "_label-" in file.stem or file.suffix.startswith("seg-")
    return file.suffix in _LABEL_SUFFIXES or (named and not is_probability(file))


def is_probability(file: BidsFile) -> bool:
    """Return whether a file is a probability map, which is neither a scan nor a label map."""
    return file.suffix == "probseg"


def pair_label_maps(
    labels: Sequence[BidsFile], scans: Sequence[BidsFile], root: Path, suffixes: Sequence[str] = ()
) -> dict[Key, BidsFile]:
    """Return the label map of each scan: the one with its key, or one whose name leaves out session or run."""
    keys: dict[str, set[Key]] = {}
    for file in scans:
        keys.setdefault(file.key[0], set()).add(file.key)
    fitting: dict[Key, list[BidsFile]] = {}
    lonely = []
    for label in labels:
        there = keys.get(label.key[0], set())
        mine = [label.key] if label.key in there else [key for key in there if _fits(label.key, key)]
        lonely += [] if mine else [label.path.relative_to(root).as_posix()]
        for key in mine:
            fitting.setdefault(key, []).append(label)
    crowded = next((key for key in sorted(fitting, key=key_order) if len(fitting[key]) > 1), None)
    if crowded is not None:
        raise InputError(
            root,
            found=f"{len(fitting[crowded])} label maps for {key_words(crowded)}: "
            + join_names(label.path.relative_to(root).as_posix() for label in fitting[crowded]),
            expected="one label map",
            remedy="choose with --derivatives FOLDER (one folder in derivatives/), or --label-suffix "
            f"{fitting[crowded][0].kind} (the end of the file name)",
        )
    if lonely and (suffixes or not fitting):
        raise InputError(
            root,
            found=f"label maps without a scan: {join_names(lonely)}",
            expected="for each, a scan with the same subject, session and run"
            + (f", whose name ends in _{' or _'.join(suffixes)}" if suffixes else ""),
            remedy="copy the scans, give other suffixes, or remove these label maps",
        )
    return {key: files[0] for key, files in fitting.items()}


def _fits(label: Key, scan: Key) -> bool:
    return all(mine in ("", theirs) for mine, theirs in zip(label, scan, strict=True))


def key_order(key: Key) -> tuple[Any, ...]:
    """Return a key that sorts by subject, then session, then run; numbers by their size."""
    return tuple(natural_order(part) for part in key)


def key_words(key: Key) -> str:
    """Return a scan's name for a message."""
    return " ".join(f"{name}-{value}" for name, value in zip(_KEYS, key, strict=True) if value)

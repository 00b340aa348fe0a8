"""Files of a BIDS dataset by their names: which scan they belong to, and which of them are label maps."""

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
# What tells the scans of one subject apart; the rest of a name says what kind of scan it is.
_KEYS = ("sub", "ses", "run")
Key = tuple[str, ...]


@dataclass(frozen=True)
class BidsFile:
    """A file and its BIDS name: the key of its scan, each part empty where it has none, and what kind of file it is."""

    path: Path
    stem: str
    key: Key
    kind: str

    @property
    def suffix(self) -> str:
        """The last word of the name, such as T1w."""
        return self.stem.rpartition("_")[2]

    def ends_with(self, words: str) -> bool:
        """Tell whether the name ends in these words, such as acq-high_T1w."""
        return self.stem.endswith(f"_{words}")


def files_below(start: Path, *, skip: Iterable[str]) -> list[BidsFile]:
    """Return the images below a folder that lie in, or are named after, a subject; without hidden ones."""
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
    """Tell whether a file is a label map by its suffix, or by a `label-…` in its name."""
    named = "_label-" in file.stem or file.suffix.startswith("seg-")
    return file.suffix in _LABEL_SUFFIXES or (named and not is_probability(file))


def is_probability(file: BidsFile) -> bool:
    """Tell whether a file is a map of probabilities, which is neither a scan nor a label map."""
    return file.suffix == "probseg"


def pair_label_maps(
    labels: Sequence[BidsFile], scans: Sequence[BidsFile], root: Path, suffixes: Sequence[str] = ()
) -> dict[Key, BidsFile]:
    """Find the label map of each scan: that of its own key, or one whose name leaves session or run out."""
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
            expected="one",
            remedy="choose: --derivatives FOLDER takes those of one folder in derivatives/, --label-suffix "
            f"{fitting[crowded][0].kind} those whose name ends so",
        )
    if lonely and (suffixes or not fitting):
        raise InputError(
            root,
            found=f"label maps without a scan: {join_names(lonely)}",
            expected="a scan with the same subject, session and run for each"
            + (f", whose name ends in _{' or _'.join(suffixes)}" if suffixes else ""),
            remedy="copy the scans, choose other suffixes, or take these label maps away",
        )
    return {key: files[0] for key, files in fitting.items()}


def _fits(label: Key, scan: Key) -> bool:
    return all(mine in ("", theirs) for mine, theirs in zip(label, scan, strict=True))


def key_order(key: Key) -> tuple[Any, ...]:
    """Sort subjects, then sessions, then runs, numbers by their size."""
    return tuple(natural_order(part) for part in key)


def key_words(key: Key) -> str:
    """Name a scan in a message."""
    return " ".join(f"{name}-{value}" for name, value in zip(_KEYS, key, strict=True) if value)

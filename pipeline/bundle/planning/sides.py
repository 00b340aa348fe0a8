"""Choose the axes that may be mirrored: not left-right where labels have a side."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from .choice import Choice
from .fingerprint import Fingerprint, Structure

__all__ = ["choose_mirror_axes", "find_sided_axes", "find_sided_names"]

_WORDS = re.compile(r"(?<![a-z])(left|right|lh|rh|sin|dex|sinister|dexter|sinistra|dextra)(?![a-z])")
_LETTERS = re.compile(r"(?<![a-z0-9])([lr])(?![a-z0-9])")
_OTHER_SIDE = {"l": "r", "r": "l", "left": "right", "right": "left"}
_MIN_CASES = 5
_ALMOST_ALL = 0.95
_SIZE_FACTOR = 1.5
# Twins are apart along left-right by at least this factor more than along any other axis.
_SIDEWAYS = 2.0


def choose_mirror_axes(fingerprint: Fingerprint) -> Choice:
    """Choose the axes that augmentation may mirror: all, except left-right where two labels differ in side only."""
    axes = list(range(fingerprint.dims))
    names = find_sided_names(
        list(dict.fromkeys([*(each.name for each in fingerprint.structures), *fingerprint.regions]))
    )
    if names and fingerprint.dims == 2:
        return Choice([], f"none: {', '.join(names)} have a side, and a picture does not say which axis is left-right")
    if names:
        return Choice(axes[1:], f"not left-right (axis 0): {', '.join(names)} have a side")
    twins = _find_twins(fingerprint.structures) if fingerprint.dims == 3 else None
    if twins:
        first, second = twins
        return Choice(
            axes[1:],
            f"not left-right (axis 0): {first.name} and {second.name} have the same size, and each keeps to its side "
            f"in {len(first.centroids.keys() & second.centroids.keys())} cases",
        )
    return Choice(axes, "all: no label has a left or right side, by its name or position")


def find_sided_axes(mirror: Choice, dims: int) -> list[int]:
    """Return the left-right axis where labels have a side, so that a network must see which side it is on."""
    return [axis for axis in range(dims) if axis not in mirror.value] if dims == 3 else []


def find_sided_names(names: Sequence[str]) -> list[str]:
    """Return the names with a side: the word left or right, or an l or r where the other name exists as well."""
    # Splits kidneyLeft, LKidney and left_kidney into words.
    spaced = {name: re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|_", " ", name).lower() for name in names}
    sided = [name for name in names if _WORDS.search(spaced[name])]
    for name, text in spaced.items():
        # leftkidney is sided where rightkidney exists as well; leftover is not.
        twin = re.sub("left|right", lambda side: _OTHER_SIDE[side[0]], text)
        if name not in sided and twin != text and twin in spaced.values():
            sided.append(name)
    for name, text in spaced.items():
        for match in _LETTERS.finditer(text):
            twin = text[: match.start()] + _OTHER_SIDE[match[1]] + text[match.end() :]
            if name not in sided and twin in spaced.values():
                sided.append(name)
    return sided


def _find_twins(structures: Sequence[Structure]) -> tuple[Structure, Structure] | None:
    """Return two labels of similar size that are left and right of each other the same way in almost every case."""
    for first, second in combinations(structures, 2):
        common = sorted(first.centroids.keys() & second.centroids.keys())
        sizes = sorted((first.size, second.size))
        if len(common) < _MIN_CASES or sizes[1] > _SIZE_FACTOR * sizes[0]:
            continue
        apart = np.array([first.centroids[name] - second.centroids[name] for name in common])
        sideways = np.abs(apart[:, 0]) > _SIDEWAYS * np.abs(apart[:, 1:]).max(axis=1)
        to_the_right = apart[:, 0] > 0
        if max((sideways & to_the_right).mean(), (sideways & ~to_the_right).mean()) >= _ALMOST_ALL:
            return first, second
    return None

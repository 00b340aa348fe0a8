"""What the files of a folder are called, for messages: how many of each kind, and which cases are unlike the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..images.endings import scan_name
from ..images.files import natural_order
from .found import join_names
from .words import is_label_path, split_roles

__all__ = ["list_roles", "role_in_folder"]

_MIN_USUAL = 2  # cases that are alike, before another one is called odd


def list_roles(files: Sequence[Path]) -> str:
    """Return how many files of each kind there are, for a message: `20 x */ct.nii.gz, 19 x */seg.nii.gz`.

    If most cases are alike, the others follow: `unlike the others: s0007 (without seg.nii.gz)`.

    Args:
        files: paths relative to the dataset's folder; of those in folders only the last two parts count.
    """
    counts = Counter(role_in_folder(path, len(path.parts) - 1) for path in files)
    common = sorted(counts, key=lambda role: (-counts[role], natural_order(role)))
    listed = join_names(f"{counts[role]} x {role}" for role in common)
    odd = _list_odd_folders(files) or _list_odd_names(files)
    more = f"; unlike the others: {join_names(odd)}" if odd else ""
    return f"{len(files)} {'image' if len(files) == 1 else 'images'}: {listed}{more}"


def role_in_folder(path: Path, depth: int) -> str:
    """Return a path without the folders of its case, whose names in it become `*`."""
    rest = "/".join(path.parts[depth:])
    for name in sorted(path.parts[:depth], key=len, reverse=True):
        rest = rest.replace(name, "*") if len(name) > 1 else rest
    return rest


def _list_odd_folders(files: Sequence[Path]) -> list[str]:
    """Return the folders with other kinds of files than most have, if most have an image and a label map."""
    of_folder: dict[Path, set[str]] = {}
    for path in files:
        of_folder.setdefault(path.parent, set()).add(role_in_folder(path, len(path.parts) - 1))
    sets = Counter(map(frozenset, of_folder.values()))
    usual, count = sets.most_common(1)[0] if sets else (frozenset(), 0)
    labels = {role for role in usual if is_label_path(role)}
    if count < _MIN_USUAL or 2 * count <= len(of_folder) or not labels or labels == usual:
        return []
    return [
        f"{folder.as_posix()} ({_describe_difference(roles, usual)})"
        for folder, roles in sorted(of_folder.items(), key=lambda item: natural_order(item[0]))
        if roles != usual
    ]


def _describe_difference(roles: set[str], usual: frozenset[str]) -> str:
    missing, more = sorted(usual - roles, key=natural_order), sorted(roles - usual, key=natural_order)
    parts = [f"without {join_names(missing)}"] * bool(missing) + [f"with {join_names(more)}"] * bool(more)
    return ", ".join(parts)


def _list_odd_names(files: Sequence[Path]) -> list[str]:
    """Return label maps without an image, and files that are a second image or label map of a case, if they are few."""
    for channels in (False, True):
        found = list(_find_odd_names(files, channels=channels))
        if len(found) <= len(files) // 4:
            return found
    return []


def _find_odd_names(files: Sequence[Path], *, channels: bool) -> Iterator[str]:
    images: dict[tuple[str, str], Path] = {}
    labels: dict[str, Path] = {}
    for path in files:
        case, words = split_roles((*path.parts[:-1], scan_name(path)), channels=channels)
        earlier = labels.setdefault(case, path) if is_label_path(words) else images.setdefault((case, words), path)
        if earlier is not path:
            yield f"{path.as_posix()} (the case of {earlier.as_posix()})"
    cases = {case for case, _ in images}
    yield from (
        f"{path.as_posix()} (a label map without an image)" for case, path in labels.items() if case not in cases
    )

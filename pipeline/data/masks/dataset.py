"""Merge the masks of a dataset that a layout found, with the names that the user gives its classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import InputError
from ..layouts.found import Found, Item, join_names
from ..layouts.names import is_whole_number, parse_label_names
from .merge import Overlaps, merge_masks

__all__ = ["merge_dataset"]


def merge_dataset(
    found: Found,
    folder: str | Path | None,
    *,
    names: Sequence[str] | None = None,
    overlaps: Overlaps = "auto",
    portable: bool = False,
) -> tuple[Found, list[Item], list[Item]]:
    """Merge the masks of a dataset's cases.

    Args:
        found: the dataset, with classes.
        folder: where the label maps are written.
        names: names of the background and the classes, in order, or VALUE=NAME; by default those of the masks.
        overlaps: see `make_value_table`.
        portable: whether the label maps must be in the dataset's folder, because the datalist will not name another.

    Returns:
        The dataset, which describes the labels now, its training cases and its test cases, with label maps.

    Raises:
        InputError: there is no such folder, the names do not fit the classes, or masks cannot be merged.
    """
    path = _folder_for_labels(folder, found, portable=portable)
    items, classes = _rename_classes([*found.training, *found.test], found, names)
    _check_names(classes, found)
    merged = merge_masks(items, classes, path, overlaps=overlaps)
    described = {**found.described, **merged.entries, "merged": "; ".join(merged.words)}
    count = len(found.training)
    return replace(found, described=described), merged.items[:count], merged.items[count:]


def _check_names(classes: Sequence[str], found: Found) -> None:
    """Refuse names of classes that no label can have."""
    for name in classes:
        if name.strip() and name.casefold() != "background" and not is_whole_number(name):
            continue
        raise InputError(
            found.source,
            found=f"a class called {name!r}" if name.strip() else "a class without a name",
            expected="names of classes that are no numbers, and not that of the background",
            remedy=f"name the {len(classes)} classes {join_names(map(repr, classes))} in this order: --label-names "
            "background NAME …; or leave it out, by choosing others with --structures or in the braces of --labels",
        )


def _folder_for_labels(folder: str | Path | None, found: Found, *, portable: bool) -> Path:
    """Return the absolute folder for merged label maps; refuse one that a portable datalist cannot name."""
    if folder is None:
        where, problem, remedy = "merge_into", "none", "name a folder for the label maps that are merged from masks"
    else:
        path = Path(folder).expanduser().absolute()
        if not portable or path.is_relative_to(found.folder):
            return path
        where, problem = str(path), "a folder for merged label maps outside the dataset's, with --portable"
        remedy = "leave out --portable, or write the datalist into the dataset's folder with -o"
    expected = f"a folder in {found.folder}" if portable else "a folder"
    raise InputError(where, found=problem, expected=expected, remedy=remedy)


def _rename_classes(
    items: Sequence[Item], found: Found, label_names: Sequence[str] | None
) -> tuple[list[Item], list[str]]:
    """Return the cases and the classes of their masks with the names of --label-names, which count from 1."""
    if not label_names:
        return list(items), list(found.classes)
    named = {value: name for value, name in parse_label_names(label_names).items() if name.lower() != "background"}
    if sorted(map(int, named)) != list(range(1, len(found.classes) + 1)):
        raise InputError(
            "--label-names",
            found=f"names of the values {', '.join(named) or 'none'}",
            expected=f"background and {len(found.classes)} classes, 1 to {len(found.classes)}: "
            f"{join_names(found.classes)}",
            remedy="name each class, or leave --label-names out: the names of the masks are the names of the classes",
        )
    new = {old: named[str(value)] for value, old in enumerate(found.classes, start=1)}
    renamed = [
        replace(item, masks={new[old]: path for old, path in item.masks.items()}) if item.masks else item
        for item in items
    ]
    return renamed, list(new.values())

"""Checks and groups for the cases of every layout: subjects, strata, and whether the files can be used."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..folds import make_classes
from ..images.door import read_header
from ..images.endings import scan_name
from ..images.files import missing_error, parts_of
from .found import Found, Item, join_names, short_names

__all__ = ["add_subjects", "check_items", "groups_of", "strata_of"]

_FROM_HEADERS = ("shape", "spacing")


def add_subjects(items: Sequence[Item], pattern: str | None, found: Found) -> list[Item]:
    """Return the cases with the subject that a regular expression finds in their names; unchanged without one.

    Raises:
        InputError: the expression is malformed, has no group, or finds nothing in a name.
    """
    if pattern is None:
        return list(items)
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise _pattern_error(pattern, f"a malformed regular expression ({error})") from error
    if expression.groups < 1:
        raise _pattern_error(pattern, "a regular expression without a group")
    matches = [
        expression.search(item.images[0].name)
        or expression.search(Path(os.path.relpath(item.images[0], found.folder)).as_posix())
        for item in items
    ]
    without = [item.images[0] for item, match in zip(items, matches, strict=True) if not (match and match[1])]
    if without:
        raise _pattern_error(pattern, f"no subject in {join_names(short_names(without, among=_firsts(items)))}")
    return [replace(item, subject=match[1]) for item, match in zip(items, matches, strict=True) if match]


def check_items(training: Sequence[Item], test: Sequence[Item], found: Found) -> None:
    """Check that cases can be used, before anything is read or written.

    Raises:
        InputError: there is no training case, a file is missing or belongs to two cases, two cases of a folder have
            the same name, their numbers of images differ, or a subject is in training and test.
    """
    if not training:
        raise InputError(
            found.source,
            found="no training case",
            expected="cases with an image and a label map",
            remedy="add label maps; for prediction alone no datalist is needed",
        )
    for item in [*training, *test]:
        _require_files(item, found)
    _refuse_duplicates([*training, *test], found)
    usual = len(training[0].images)
    every = [*training, *test]
    odd = short_names(_firsts([item for item in every if len(item.images) != usual]), among=_firsts(every))
    if odd:
        raise InputError(
            found.source,
            found=f"{len(odd)} cases with another number of images than {training[0].images[0].name}: "
            f"{join_names(odd)}",
            expected=f"{usual} {'image' if usual == 1 else 'images'} for every case, one per channel",
            remedy="add the missing channels, or remove these cases",
        )
    both = sorted({item.subject for item in training if item.subject} & {item.subject for item in test if item.subject})
    if both:
        raise InputError(
            found.source,
            found=f"subjects in both training and test: {join_names(both)}",
            expected="each subject in one part: a test on training subjects is no test",
            remedy="move their cases to one part, or leave out the unlabelled ones with --unlabelled ignore",
        )


def _firsts(items: Sequence[Item]) -> list[Path]:
    return [item.images[0] for item in items]


def groups_of(items: Sequence[Item], column: str | None, found: Found) -> list[str | None]:
    """Return the group of each case, which stays in one fold: the value of a column, or its subject.

    Raises:
        InputError: there is no such column, or a subject has two values in it.
    """
    if column is None:
        return [item.subject for item in items]
    values = _column_values(items, column, found)
    value_of: dict[str, str] = {}
    for item, value in zip(items, values, strict=True):
        if item.subject is not None and value_of.setdefault(item.subject, value) != value:
            raise InputError(
                found.source,
                found=f"subject {item.subject} with {value_of[item.subject]!r} and {value!r} as {column}",
                expected="one value per subject, so that no group divides a subject",
                remedy=f"correct {column}, or group by subject",
            )
    return list(values)


def strata_of(items: Sequence[Item], columns: Sequence[str], found: Found) -> list[tuple[str, ...]] | None:
    """Return the classes of each case in these columns; None without columns.

    Raises:
        InputError: there is no such column, or a header with shape or spacing cannot be read.
    """
    if not columns:
        return None
    return list(zip(*(make_classes(_column_values(items, column, found)) for column in columns), strict=True))


def _column_values(items: Sequence[Item], column: str, found: Found) -> list[str]:
    there = {name for item in items for name in item.columns}
    name = column if column in there else column.lower()
    if name in there:
        return [item.columns.get(name, "") for item in items]
    if name in _FROM_HEADERS:
        headers = [read_header(item.images[0]) for item in items]
        # Three digits, so that a spacing that was stored as float32 or text stays the same.
        return [
            f"{np.prod(one.spatial_shape) if name == 'shape' else float(f'{max(one.spacing):.3g}'):g}"
            for one in headers
        ]
    raise InputError(
        found.source,
        found=f"no column {column}",
        expected=f"one of {', '.join([*sorted(there), *_FROM_HEADERS])}",
        remedy="choose one of these columns",
    )


def _require_files(item: Item, found: Found) -> None:
    for path in (*item.images, *([item.label] if item.label is not None else [])):
        missing = next((part for part in parts_of(path) if not part.exists()), None)
        if missing is not None:
            where = f"{found.source} ({item.place})" if item.place else f"{found.source}"
            file = Path(os.path.normpath(missing))
            error = missing_error(str(file), "correct the name there or the dataset folder, or copy the file")
            raise InputError(
                file,
                found=error.found,
                expected=f"every file that {where} names",
                remedy=error.remedy,
                kind="missing",
            )


def _refuse_duplicates(items: Sequence[Item], found: Found) -> None:
    """Refuse a file that belongs to two cases or two channels, and two cases with the same name in one folder."""
    seen: dict[str, str] = {}
    for item in items:
        files = [os.path.normpath(path) for path in (*item.images, item.label) if path is not None]
        first = item.images[0]
        name = os.path.normpath(first.parent / scan_name(first))
        for key in [*files, *([name] if name not in files else [])]:
            place = item.place or first.name
            if key in seen:
                raise InputError(
                    key,
                    found=f"this {'file' if key in files else 'name'} twice in {found.source}: {seen[key]} and {place}",
                    expected="each file in one case, and different names for the cases of a folder",
                    remedy="remove or rename one of the two",
                )
            seen[key] = place


def _pattern_error(pattern: str, what: str) -> InputError:
    return InputError(
        f"--subject {pattern}",
        found=what,
        expected="a regular expression whose first group is the subject, such as '^(.+)_t[12]'",
        remedy="correct the expression",
    )

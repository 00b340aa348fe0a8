"""The annotated sets of a datalist: which labels were annotated in the cases that are annotated in part."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .datalist import test_items, training_items

__all__ = ["ANNOTATED_SET", "number_annotated", "read_annotated_sets"]

ANNOTATED = "annotated"
ANNOTATED_SET = "annotated_set"


def read_annotated_sets(datalist: str | Path) -> list[list[str]]:
    """Return each set of annotated names that a case of the datalist has, once, in alphabetical order.

    Cases in which all labels were annotated name none, and add no set.

    Raises:
        InputError: the file is not a datalist.
    """
    items = [*training_items(datalist), *test_items(datalist)]
    return [list(names) for names in sorted({_names(item) for item in items if item.get(ANNOTATED) is not None})]


def number_annotated(cases: Iterable[Mapping[str, Any]], sets: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
    """Return cases with the number of their annotated set, from 0, in place of its names.

    The number and not the names are in a case, since prepared cases are kept on disk by the content of their items.

    Args:
        cases: items of `read_cases`; those without names are returned as they are.
        sets: from `read_annotated_sets`.
    """
    numbers = {tuple(names): number for number, names in enumerate(sets)}
    numbered = []
    for case in cases:
        others = {key: value for key, value in case.items() if key != ANNOTATED}
        given = case.get(ANNOTATED) is not None
        numbered.append({**others, **({ANNOTATED_SET: numbers[_names(case)]} if given else {})})
    return numbered


def _names(item: Mapping[str, Any]) -> tuple[str, ...]:
    names = item[ANNOTATED]
    return tuple(sorted({names} if isinstance(names, str) else set(names) - {"background"}))

"""The cases of one part of a datalist: those that train, validate or test in a fold."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from .datalist import as_list, read_json, require_files, require_folder, resolve_paths, test_items, training_items
from .errors import InputError
from .label_keys import read_annotated, read_label_keys
from .outside import refuse_outside

__all__ = ["ALL_CASES", "list_folds", "no_validation_error", "read_cases"]

ALL_CASES = "all"
"""In place of a fold's number: all cases train, and none validates."""
_PARTS = ("training", "validation", "test")

logger = logging.getLogger(__name__)


def read_cases(
    datalist: str | Path,
    dataset_dir: str | Path,
    *,
    fold: int | str,
    part: Literal["training", "validation", "test"],
    outside: bool = False,
) -> list[dict[str, Any]]:
    """Return the cases of one part of a cross-validation split, or the test cases that have a label map.

    Args:
        datalist: JSON file with a list `training` of items `{"image": …, "label": …, "fold": …}`; `image` may be a
            list of files, one per channel. The list `test` may have items with a `label` too.
        dataset_dir: folder that the datalist's relative paths start from.
        fold: cases with this fold number are the validation part, all others the training part. With `ALL_CASES` all
            cases are the training part, whatever their folds. The test part does not depend on it.
        part: the part to return.
        outside: whether the datalist may name files outside the folder; see `find_outside`.

    Returns:
        Items `{"image": path or list of paths, "label": path}` with absolute paths, in the datalist's order. Those of
        cases in which only some labels were annotated have their names under "annotated".

    Raises:
        InputError: the folder or the datalist is missing, empty or malformed, the fold does not exist, an image is
            in two folds or in training and test, no test case has a label map, a file of the chosen part is missing,
            "annotated" has an unknown label, the validation part of all cases is asked for, or a file is outside the
            folder and that was not asked for.
    """
    if part not in _PARTS:
        raise InputError("part", found=repr(part), expected=f"one of {', '.join(_PARTS)}", remedy="choose one of them")
    folder = require_folder(dataset_dir)
    items = training_items(datalist)
    if not outside:
        _refuse_outside(items if part != "test" else test_items(datalist), folder, datalist)
    if part == "test":
        return _test_cases(datalist, folder, items)
    if fold == ALL_CASES:
        if part == "validation":
            raise no_validation_error(f"fold {ALL_CASES}")
        _refuse_repeats(items, folder, datalist)
        if all(isinstance(item.get("fold"), int) for item in items):
            _refuse_leakage(items, _folds_of(items, datalist), folder, datalist)
        return _resolve_cases(items, folder, datalist)
    folds = _folds_of(items, datalist)
    if fold not in folds:
        raise InputError(
            datalist,
            found=f"no case with fold {fold}",
            expected=f"one of the existing folds: {', '.join(map(str, sorted(set(folds))))}",
            remedy=f"choose one of these folds, or {ALL_CASES} to train on all cases, or set this fold for some cases",
        )
    _refuse_leakage(items, folds, folder, datalist)
    chosen = [item for item, own in zip(items, folds, strict=True) if (own == fold) == (part == "validation")]
    if not chosen:
        raise InputError(
            datalist,
            found=f"every case in fold {fold}, so none is left for training",
            expected="cases in at least two folds",
            remedy="spread the cases over several folds",
        )
    return _resolve_cases(chosen, folder, datalist)


def list_folds(datalist: str | Path) -> list[int]:
    """Return the numbers of a datalist's folds, sorted.

    Raises:
        InputError: the datalist cannot be read, or a training case has no fold.
    """
    return sorted(set(_folds_of(training_items(datalist), datalist)))


def no_validation_error(where: str | Path) -> InputError:
    """Return the error for measuring a training on all cases by its own cases."""
    return InputError(
        where,
        found="a training on all cases, which has no validation part",
        expected="cases that were not trained on: measuring on training cases means nothing",
        remedy="measure the datalist's test cases (--part test), or a training of a fold",
    )


def _test_cases(datalist: str | Path, folder: Path, training: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the test items that have a label map, with absolute paths."""
    items = test_items(datalist)
    labelled = [item for item in items if item.get("label")]
    if not labelled:
        raise InputError(
            datalist,
            found=f"{len(items)} test cases, none with a label map" if items else "no test case",
            expected='items {"image": …, "label": …} in its list "test"',
            remedy="add the label maps of the test cases to the datalist, or measure another part",
        )
    if len(labelled) < len(items):
        left_out = len(items) - len(labelled)
        logger.info("%d of %d test cases left out, without a label map in %s", left_out, len(items), datalist)
    known = {os.path.normpath(path) for item in training for path in as_list(resolve_paths(folder, item["image"]))}
    for item in labelled:
        for path in as_list(resolve_paths(folder, item["image"])):
            if os.path.normpath(path) in known:
                raise InputError(
                    path,
                    found=f"this image in training and in test of {datalist}",
                    expected="every image in one part: a test on training images means nothing",
                    remedy="remove one of the two items",
                )
    return _resolve_cases(labelled, folder, datalist)


def _resolve_cases(items: Iterable[Mapping[str, Any]], folder: Path, datalist: str | Path) -> list[dict[str, Any]]:
    items = list(items)
    cases = [{key: resolve_paths(folder, item[key]) for key in ("image", "label")} for item in items]
    require_files((path for case in cases for key in case for path in as_list(case[key])), datalist)
    if any(item.get("annotated") is not None for item in items):
        keys = read_label_keys(read_json(datalist), datalist)
        for item, case in zip(items, cases, strict=True):
            place = f"the case {as_list(item['image'])[0]}"
            annotated = read_annotated(item.get("annotated"), keys, datalist, place=place)
            if annotated is not None:
                case["annotated"] = list(annotated)
    return cases


def _refuse_outside(items: Iterable[Mapping[str, Any]], folder: Path, datalist: str | Path) -> None:
    paths = (path for item in items for key in ("image", "label") if item.get(key) for path in as_list(item[key]))
    refuse_outside(paths, folder, datalist, "--outside True")


def _folds_of(items: Sequence[Mapping[str, Any]], datalist: str | Path) -> list[int]:
    without = [number for number, item in enumerate(items) if not isinstance(item.get("fold"), int)]
    if without:
        raise InputError(
            datalist,
            found=f'{len(without)} of {len(items)} cases without a "fold" number, the first is training[{without[0]}]',
            expected='a whole number under "fold" of every case',
            remedy="make a datalist with folds: lightskip datalist",
        )
    return [item["fold"] for item in items]


def _refuse_repeats(items: Sequence[Mapping[str, Any]], folder: Path, datalist: str | Path) -> None:
    """Refuse a case that is in the datalist twice. Two label maps of one image are two cases, as of two experts."""
    known: set[tuple[str, ...]] = set()
    for item in items:
        paths = tuple(
            os.path.normpath(path) for key in ("image", "label") for path in as_list(resolve_paths(folder, item[key]))
        )
        if paths in known:
            raise InputError(
                paths[0],
                found=f"this image with the same label map twice in {datalist}",
                expected="every case once: it would count twice in the training",
                remedy="remove one of the two items",
            )
        known.add(paths)


def _refuse_leakage(
    items: Sequence[Mapping[str, Any]], folds: Sequence[int], folder: Path, datalist: str | Path
) -> None:
    fold_of: dict[str, int] = {}
    for item, fold in zip(items, folds, strict=True):
        for path in as_list(resolve_paths(folder, item["image"])):
            earlier = fold_of.setdefault(os.path.normpath(path), fold)
            if earlier != fold:
                raise InputError(
                    path,
                    found=f"this image in fold {earlier} and in fold {fold} of {datalist}",
                    expected="every image in one fold: validation on training images means nothing",
                    remedy="remove one of the two items, or set the same fold for both",
                )

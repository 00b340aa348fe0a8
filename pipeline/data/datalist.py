"""Datalists in the MSD/MONAI JSON form: scans, their label maps, and folds."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from .errors import InputError
from .json_file import read_json as read_json_file
from .known_keys import ITEM_KEYS, check_keys
from .label_keys import LABEL_KEYS, read_annotated, read_label_keys
from .outside import refuse_outside

TEST_PARTS = ("test", "testing")
ALL_CASES = "all"
"""In place of a fold's number: all cases train, and none validates."""
# What is read of a datalist, and what others write there.
_READ = ("training", "test", "validation", "modality", *LABEL_KEYS, "folder", "tensorImageSize", "checksums")
_KNOWN = ("testing", "channel_names", "folds", "numTraining", "numTest", "numTesting", "numValidation")
_PARTS = ("training", "validation", "test")
_JSON_REMEDY = "give the path of a datalist in JSON form"

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


def test_items(datalist: str | Path) -> list[dict[str, Any]]:
    """Return the items of the lists `test` and `testing`, each with a path under `image`; `label` is optional."""
    content = read_json(datalist)
    check_datalist_keys(content, datalist)
    found: list[dict[str, Any]] = []
    for part in TEST_PARTS:
        listed = content.get(part) or []
        if not isinstance(listed, list):
            raise InputError(
                datalist,
                found=f'"{part}" {listed!r:.80}',
                expected=f'"{part}": [{{"image": PATH}}, …], a list',
                remedy="correct this entry of the datalist",
            )
        for number, entry in enumerate(listed):
            item = dict(entry) if isinstance(entry, Mapping) else {"image": entry}
            check_keys(item, ITEM_KEYS, datalist, place=f"{part}[{number}]")
            require_paths(item, "image", datalist, place=f"{part}[{number}]")
            found.append(item)
    return found


def _refuse_outside(items: Iterable[Mapping[str, Any]], folder: Path, datalist: str | Path) -> None:
    paths = (path for item in items for key in ("image", "label") if item.get(key) for path in as_list(item[key]))
    refuse_outside(paths, folder, datalist, "--outside True")


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


def as_list(paths: Any) -> list[Any]:
    """Return the files of an item's entry, one path or a list of paths (one per channel), as a list."""
    return list(paths) if isinstance(paths, list | tuple) else [paths]


def require_folder(folder: str | Path) -> Path:
    """Return the absolute path of a folder that is not empty, or raise InputError."""
    path = Path(folder).expanduser().absolute()
    if not path.exists():
        found = "no such folder"
    elif not path.is_dir():
        found = "a file"
    elif not any(path.iterdir()):
        found = "an empty folder"
    else:
        return path
    raise InputError(
        path, found=found, expected="a folder with scans", remedy="set dataset_dir to the dataset's folder"
    )


def read_json(path: str | Path, *, noun: str = "a datalist", remedy: str = _JSON_REMEDY) -> Any:
    """Return the content of a datalist or another file of a dataset; `read_json_file` has the errors.

    Args:
        path: the file.
        noun: its content, for messages.
        remedy: what to do about another file.
    """
    path, expected = Path(path).expanduser(), f"{noun} (JSON)"
    stem, found = path.absolute().name, ""
    if path.is_dir():
        found = f"no readable file ({os.strerror(errno.EISDIR)})"
    elif path.suffix.lower() == ".zip" and path.is_file():
        found, stem = "a zip", path.stem
    if found and remedy == _JSON_REMEDY:
        remedy = f"list its cases first: lightskip datalist {path} -o {stem}.json"
    if found:
        raise InputError(path, found=found, expected=expected, remedy=remedy)
    return read_json_file(path, expected=expected, remedy=remedy)


def has_only_test_cases(datalist: str | Path) -> bool:
    """Return whether a datalist has test cases and none to train on."""
    content = read_json(datalist)
    return isinstance(content, Mapping) and content.get("training") in (None, []) and bool(test_items(datalist))


def training_items(datalist: str | Path, *, need_label: bool = True) -> list[dict[str, Any]]:
    """Return the items of the list `training`, each with a path under `image` and, if it is needed, under `label`."""
    content = read_json(datalist)
    check_datalist_keys(content, datalist)
    items = content.get("training") if isinstance(content, dict) else None
    if not isinstance(items, list) or not items:
        test = isinstance(content, Mapping) and items in (None, []) and any(content.get(part) for part in TEST_PARTS)
        raise InputError(
            datalist,
            found='no list "training" with cases in it' + ", only test cases" * test,
            expected='{"training": [{"image": …, "label": …, "fold": …}, …]}',
            remedy="give a datalist in the MSD/MONAI form"
            if not test
            else "add training cases; lightskip check and lightskip predict take test cases alone",
        )
    for number, item in enumerate(items):
        if isinstance(item, Mapping):
            check_keys(item, ITEM_KEYS, datalist, place=f"training[{number}]")
        require_paths(item, "image", datalist, place=f"training[{number}]")
        if need_label or item.get("label"):
            require_paths(item, "label", datalist, place=f"training[{number}]")
        _check_fold(item.get("fold"), datalist, place=f"training[{number}]")
    return items


def _check_fold(fold: Any, datalist: str | Path, *, place: str) -> None:
    """Refuse a fold that is no whole number: it would count as none, and the case be spread anew."""
    if fold is None or (isinstance(fold, int) and not isinstance(fold, bool) and fold >= 0):
        return
    raise InputError(
        datalist,
        found=f"{place} with fold {fold!r}",
        expected="a whole number from 0 on, without quotes",
        remedy='correct it, such as "fold": 0, or leave it out of every case',
    )


def check_datalist_keys(content: Any, datalist: str | Path) -> None:
    """Refuse a datalist with a key that resembles one that is read; see `check_keys`."""
    if isinstance(content, Mapping):
        check_keys(content, _READ, datalist, known=_KNOWN)


def require_paths(item: Any, key: str, datalist: str | Path, *, place: str) -> None:
    """Raise InputError if an item (named by its place in the datalist) has no path under a key."""
    paths = as_list(item.get(key)) if isinstance(item, Mapping) else []
    if not paths or not all(isinstance(path, str | Path) and str(path) for path in paths):
        raise InputError(
            datalist,
            found=f'{place} without a file under "{key}"',
            expected=f'a path, or a list of paths, under "{key}" of every item',
            remedy=f'add "{key}" to this item, or remove the item',
        )


def resolve_paths(folder: Path, paths: Any) -> Any:
    """Return a path or a list of paths in the same form, but absolute."""
    absolute = [str(folder / Path(path).expanduser()) for path in as_list(paths)]
    return absolute if isinstance(paths, list | tuple) else absolute[0]


def require_files(paths: Iterable[str], named_by: object) -> None:
    """Raise InputError with the first of these files that is missing, if there is one, and who names it."""
    missing = [path for path in paths if not Path(path).exists()]
    if missing:
        more = f" (and {len(missing) - 1} more are missing)" if len(missing) > 1 else ""
        raise InputError(
            missing[0],
            found=f"no such file{more}",
            expected=f"every file that {named_by} names",
            remedy="correct dataset_dir or the datalist, or copy the files there",
        )


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

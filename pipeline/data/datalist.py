"""Datalists in the MSD/MONAI JSON form: the items of their lists, and the files that they name."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .errors import InputError
from .json_file import read_json as read_json_file
from .known_keys import ITEM_KEYS, check_keys
from .label_keys import LABEL_KEYS

TEST_PARTS = ("test", "testing")
# What is read of a datalist, and what others write there.
_READ = ("training", "test", "validation", "modality", *LABEL_KEYS, "folder", "tensorImageSize", "checksums")
_KNOWN = ("testing", "channel_names", "folds", "numTraining", "numTest", "numTesting", "numValidation")
_FORMS: dict[str, tuple[Any, str]] = {
    "checksums": (Mapping, "an object with the SHA-256 of each file"),
    "name": (str | int, "a text"),
}
_JSON_REMEDY = "give the path of a datalist in JSON form"


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
        path,
        found=found,
        expected="a folder with scans",
        remedy="check the path, or set dataset_dir to the dataset's folder",
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
    """Refuse a datalist with a key that resembles one that is read (see `check_keys`), or a value of another form."""
    if not isinstance(content, Mapping):
        return
    check_keys(content, _READ, datalist, known=_KNOWN)
    for key, (form, words) in _FORMS.items():
        value = content.get(key)  # null is no entry, as everywhere in a datalist
        if value is not None and (not isinstance(value, form) or isinstance(value, bool)):
            raise InputError(
                datalist,
                found=f'"{key}": {json.dumps(value):.80}',
                expected=f"{words} under it",
                remedy="correct this entry of the datalist, or remove it",
            )


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

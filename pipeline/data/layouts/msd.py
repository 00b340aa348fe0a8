"""The Medical Segmentation Decathlon's layout: a `dataset.json` that names every file. A datalist has the same form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..datalist import as_list, read_json, require_folder, require_paths, training_items
from ..errors import InputError
from ..known_keys import ITEM_KEYS, check_keys
from .found import Found, Item, Unlabelled, split_by_label
from .parts import split_parts

__all__ = ["find_msd", "kept_entries"]

_KEPT: tuple[str, ...] = ("name", "description", "reference", "licence", "release", "modality", "labels")
# How the values of label maps are to be read; a datalist made from this one needs them as well.
_KEPT += ("regions", "region_order", "regions_class_order", "ignore", "merged")
_OTHER_SPELLINGS = {"license": "licence"}
_READ = {"image", "label", "fold", "subject", "annotated"}


def find_msd(
    source: str | Path,
    *,
    dataset_dir: str | Path | None = None,
    unlabelled: Unlabelled = "refuse",
    keep_folds: bool = True,
) -> Found:
    """Return the cases that a JSON file in the MSD/MONAI form names.

    Test items may be bare paths; all items may be lists `[image, label]`, if those of the list `training` are. The
    list `validation` is read as `split_parts` says. Folds and subjects are kept; further entries of an item become its
    columns. Entries that name macOS's hidden `._` files are left out.

    Args:
        source: a folder with `dataset.json`, or such a file itself, for instance a datalist to make new folds for.
        dataset_dir: folder that its paths start from; by default its entry "folder", else the folder that it is in.
        unlabelled: how to treat items of the list `training` without a label map; see `split_by_label`.
        keep_folds: whether to read its folds.

    Raises:
        InputError: the file is missing or malformed.
    """
    path = Path(source).expanduser()
    file = path if path.is_file() else require_folder(path) / "dataset.json"
    content = read_json(file)
    paired = _is_paired(content)
    training = (
        _paired_items(content["training"], file, "training") if paired else training_items(file, need_label=False)
    )
    validation = _other_items(content, ("validation",), file, paired=paired)
    named = content.get("folder")
    folder = file.parent / Path(named).expanduser() if isinstance(named, str) else file.parent
    folder = require_folder(folder if dataset_dir is None else dataset_dir)
    test = _other_items(content, ("test", "testing"), file, paired=paired)
    lists = [
        [
            _item(entry, f"{part}[{number}]", folder, file, keep_folds and part == "training")
            for number, entry in enumerate(entries)
            if not Path(as_list(entry["image"])[0]).name.startswith("._")
        ]
        for part, entries in (("training", training), ("validation", validation), ("test", test))
    ]
    hidden = len(training) + len(validation) + len(test) - sum(map(len, lists))
    left_out = [f"{hidden} hidden {'file' if hidden == 1 else 'files'} of macOS (._*)"] if hidden else []
    labelled, more, ignored = split_by_label(lists[0], unlabelled, file)
    cases, scans, notes = split_parts(labelled, lists[1], [*more, *lists[2]], keep_folds=keep_folds)
    words = f"lists of files in {file.name} (MSD, MONAI)"
    return Found(file, folder, cases, scans, kept_entries(content), left_out + ignored, words, notes)


def _is_paired(content: Any) -> bool:
    items = content.get("training") if isinstance(content, Mapping) else None
    return isinstance(items, list) and bool(items) and all(isinstance(item, list) for item in items)


def _paired_items(entries: list[Any], file: Path, part: str) -> list[dict[str, Any]]:
    """Return items `[image, label]`, the form of AMOS's first release, as mappings."""
    for number, entry in enumerate(entries):
        if not (len(entry) == 2 and all(isinstance(path, str) and path for path in entry)):
            raise InputError(
                file,
                found=f"{part}[{number}] {entry!r:.80}",
                expected='[image, label], or {"image": …, "label": …}',
                remedy="correct this item",
            )
    return [{"image": image, "label": label} for image, label in entries]


def _other_items(content: Mapping[str, Any], parts: Sequence[str], file: Path, *, paired: bool) -> list[dict[str, Any]]:
    """Return the items of lists whose cases need no label map; bare paths become mappings.

    With `paired`, so do lists `[image, label]`; otherwise a list is the channels of an image.
    """
    found: list[dict[str, Any]] = []
    for part in parts:
        listed = content.get(part) or []
        if not isinstance(listed, list):
            raise InputError(
                file,
                found=f'"{part}" {listed!r:.80}',
                expected=f'"{part}": [{{"image": PATH}}, …], a list',
                remedy="correct this entry",
            )
        for number, entry in enumerate(listed):
            place = f"{part}[{number}]"
            item = dict(entry) if isinstance(entry, Mapping) else {"image": entry}
            if paired and isinstance(entry, list):
                (item,) = _paired_items([entry], file, part)
            check_keys(item, ITEM_KEYS, file, place=place)
            require_paths(item, "image", file, place=place)
            found.append(item)
    return found


def kept_entries(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries of a `dataset.json` that a datalist keeps."""
    renamed = {_OTHER_SPELLINGS.get(key, key): value for key, value in content.items()}
    return {key: renamed[key] for key in _KEPT if key in renamed}


def _item(entry: Mapping[str, Any], place: str, folder: Path, source: Path, keep_fold: bool) -> Item:
    labels = [folder / Path(path).expanduser() for path in as_list(entry.get("label") or [])]
    fold = entry.get("fold") if keep_fold else None
    if len(labels) > 1 or not (fold is None or (type(fold) is int and fold >= 0)):
        found = f"{len(labels)} label maps" if len(labels) > 1 else f"fold {fold!r}"
        raise InputError(
            source,
            found=f"{place} with {found}",
            expected="one label map per case, and a whole number from 0 as its fold",
            remedy="correct this item",
        )
    subject = entry.get("subject")
    return Item(
        images=tuple(folder / Path(path).expanduser() for path in as_list(entry["image"])),
        label=labels[0] if labels else None,
        subject=None if subject is None else str(subject),
        fold=fold,
        columns={key: str(value) for key, value in entry.items() if key not in _READ and not _is_nested(value)},
        place=place,
        annotated=_annotated(entry, place, source),
    )


def _annotated(entry: Mapping[str, Any], place: str, source: Path) -> tuple[str, ...] | None:
    names = entry.get("annotated")
    if names is None:
        return None
    if isinstance(names, list) and names and all(isinstance(name, str) for name in names):
        return tuple(names)
    raise InputError(
        source,
        found=f"{place} with annotated {names!r:.80}",
        expected='a list of labels or regions, such as "annotated": ["liver"]',
        remedy="correct this item, or leave the key out if all were annotated",
    )


def _is_nested(value: Any) -> bool:
    return value is None or isinstance(value, Mapping | list)

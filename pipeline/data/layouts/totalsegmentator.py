"""TotalSegmentator's layout: `s0001/ct.nii.gz` and a binary file for each class, `s0001/segmentations/NAME.nii.gz`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from ..datalist import require_folder
from ..errors import InputError
from ..images.endings import scan_name
from ..images.files import image_files, is_hidden, natural_order
from ..modalities import find_modality
from .braces import class_names
from .found import Found, Item, Unlabelled, join_names, split_by_label
from .parts import split_parts
from .table import read_table
from .words import is_label_path

__all__ = ["find_totalsegmentator", "has_mask_folders"]

_META = "meta.csv"
_ID = "image_id"
_PARTS = {"train": "training", "val": "validation", "test": "test"}


def find_totalsegmentator(
    folder: str | Path, *, labels: str | None = None, unlabelled: Unlabelled = "refuse", keep_folds: bool = True
) -> Found:
    """Return the cases of a folder with a folder for each case: one image, and below it a folder of masks.

    The classes are the names of the masks of all cases. A case without the mask of a class was not annotated for it.
    The column `split` of `meta.csv` (train, val, test), if there is one, divides the cases as `split_parts` does; its
    other columns are columns of the cases.

    Args:
        folder: the dataset's folder.
        labels: names in braces, `{liver,spleen}`, to take only these classes, in this order; other text is ignored.
        unlabelled: how to treat cases without a mask; see `split_by_label`.
        keep_folds: whether to keep the division into training and validation.

    Raises:
        InputError: a case has no image or several, a class has no mask in any case, or `meta.csv` names another split.
    """
    root = require_folder(folder)
    folders = [path for path in sorted(root.iterdir(), key=natural_order) if path.is_dir() and not is_hidden(path)]
    masks = {folder.name: _masks(folder) for folder in folders}
    # A scan without a mask is a case without a label map. Other folders have no scans.
    cases = [folder for folder in folders if masks[folder.name] or len(_images(folder)) == 1]
    there = sorted({name for files in masks.values() for name in files}, key=natural_order)
    classes = there if labels is None else class_names(labels)
    strange = [name for name in classes if name not in there]
    if strange:
        raise InputError(
            root,
            found=f"no mask of {join_names(strange)} in any case",
            expected=f"names of masks: {join_names(there)}",
            remedy="correct the names in --labels",
        )
    columns = _read_meta(root / _META)
    items: dict[str, list[Item]] = {"training": [], "validation": [], "test": []}
    for case in cases:
        chosen = {name: masks[case.name][name] for name in classes if name in masks[case.name]}
        row = columns.get(case.name, {})
        items[_part(row, root / _META)].append(Item((_image(case),), masks=chosen, columns=row))
    training, more, left_out = split_by_label(items["training"], unlabelled, root)
    test = [*items["test"], *more]
    training, test, notes = split_parts(training, items["validation"], test, keep_folds=keep_folds)
    if labels is not None and len(classes) < len(there):
        left_out.append(f"masks of {len(there) - len(classes)} of {len(there)} classes")
    described: dict[str, object] = {"name": root.name}
    modalities = {find_modality(scan_name(item.images[0])) for item in [*training, *test]}
    if len(modalities) == 1 and None not in modalities:
        described["modality"] = list(modalities)
    words = "TotalSegmentator's, a folder for each case, with a folder of masks, one file per class"
    return Found(root, root, training, test, described, left_out, words, notes, classes)


def has_mask_folders(folder: Path) -> bool:
    """Return whether a folder has a subfolder with one image and a folder of several masks."""
    cases = (path for path in sorted(folder.iterdir()) if path.is_dir() and _mask_folder(path) is not None)
    return any(len(_images(path)) == 1 for path in cases)


def _mask_folder(case: Path) -> Path | None:
    """Return the folder of a case that is called segmentations, masks or alike, and has two files or more."""
    named = (path for path in sorted(case.iterdir()) if path.is_dir() and is_label_path(path.name))
    return next((path for path in named if len(image_files(path)) > 1), None)


def _masks(case: Path) -> dict[str, Path]:
    """Return the masks of a case by their class; a case has one mask or more, though a dataset has several."""
    named = (path for path in sorted(case.iterdir()) if path.is_dir() and is_label_path(path.name))
    folder = next((path for path in named if image_files(path)), None)
    return {} if folder is None else {scan_name(path): path for path in image_files(folder)}


def _images(case: Path) -> list[Path]:
    # A label map of all classes next to the masks is made from them.
    return [path for path in image_files(case) if not is_label_path(scan_name(path))]


def _image(case: Path) -> Path:
    images = _images(case)
    if len(images) == 1:
        return images[0]
    raise InputError(
        case,
        found=f"{len(images)} images: {join_names(path.name for path in images)}" if images else "no image",
        expected="one image next to the folder of masks, such as ct.nii.gz",
        remedy="name the files by patterns: --images 'DIR/*/ct.nii.gz' --labels 'DIR/*/masks/{liver,spleen}.nii.gz'",
    )


def _read_meta(file: Path) -> dict[str, dict[str, str]]:
    if not file.is_file():
        return {}
    columns, rows = read_table(file)
    if _ID not in columns:
        return {}
    twice = next((name for name, count in Counter(row[_ID] for _, row in rows).items() if count > 1), None)
    if twice is not None:
        raise InputError(
            file,
            found=f"the case {twice} in several lines",
            expected="a line for each case",
            remedy="remove all but one of these lines",
        )
    return {row[_ID]: {name: value for name, value in row.items() if name != _ID} for _, row in rows}


def _part(row: Mapping[str, str], file: Path) -> str:
    split = row.get("split", "train").lower()
    if split in _PARTS:
        return _PARTS[split]
    raise InputError(
        file,
        found=f'the split "{row["split"]}"',
        expected=" or ".join(_PARTS),
        remedy="correct the column split, or delete it to make folds of all cases",
    )

"""nnU-Net's layout: `imagesTr/CASE_0000.nii.gz`, one file per channel, and `labelsTr/CASE.nii.gz`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..datalist import read_json, require_folder
from ..errors import InputError
from ..images.door import read_header
from ..images.endings import is_image, is_picture, scan_name
from ..images.files import image_files, is_hidden, natural_order
from ..known_keys import check_keys
from .found import Found, Item, Unlabelled, join_names, split_by_label
from .msd import kept_entries

__all__ = ["find_nnunet", "has_channel_files"]

_CHANNEL = re.compile(r"(?P<case>.+)_(?P<channel>[0-9]{4})(?P<ending>\.[^_]+)")
_SPLITS = "splits_final.json"
_WORDS = "nnU-Net's, imagesTr/CASE_0000 and labelsTr/CASE"
# The keys of dataset.json that are read, in either version, and others of nnU-Net.
_READ: tuple[str, ...] = (
    "channel_names",
    "modality",
    "labels",
    "file_ending",
    "numTraining",
    "dataset",
    "training",
    "test",
)
_READ += ("regions_class_order",)
_KNOWN = ("numTest", "overwrite_image_reader_writer", "tensorImageSize", "validation")


def find_nnunet(
    folder: str | Path,
    *,
    unlabelled: Unlabelled = "refuse",
    keep_folds: bool = True,
    splits: str | Path | None = None,
) -> Found:
    """Return the cases of a folder in nnU-Net's layout, version 1 or 2.

    A picture in colour, CASE_0000.png, has all channels in one file.

    From a `dataset.json` these entries are used: `channel_names` (version 1: `modality`), `labels`, which may be
    regions, `regions_class_order`, `file_ending`, `numTraining`, and `dataset`, which names files elsewhere. Without it
    cases and channels follow from the file names. `imagesTs` has the test cases, with label maps if `labelsTs` has
    them. Folds come from `splits_final.json` in the folder or in `nnUNet_preprocessed/FOLDER` next to `nnUNet_raw`, if
    there is one.

    Args:
        folder: the dataset folder, such as `Dataset002_Liver`.
        unlabelled: how to treat training images without a label map; see `split_by_label`.
        keep_folds: whether to read `splits_final.json`.
        splits: the file of the folds, if it is elsewhere.

    Raises:
        InputError: a case lacks a channel, a label map has no image, there are more or fewer cases than
            `numTraining`, a file has an ending that LightSkip cannot read, or the splits are no partition.
    """
    root = require_folder(folder)
    file = root / "dataset.json"
    content = read_json(file) if file.exists() else {}
    if not isinstance(content, Mapping):
        raise InputError(
            file,
            found="JSON that is no object",
            expected='an object such as {"channel_names": …}',
            remedy="correct this file",
        )
    check_keys(content, _READ, file, known=_KNOWN)
    source = file if content else root
    if (root / "gt_segmentations").is_dir() and not (root / "imagesTr").is_dir():
        raise InputError(
            root,
            found="a folder of nnUNet_preprocessed, which has no images",
            expected="the folder with imagesTr and labelsTr",
            remedy=f"give nnUNet_raw/{root.name}; its folds are read from here if the two are siblings, or by --splits",
        )
    named_channels = content.get("channel_names", content.get("modality")) or {}
    ending = _ending(content, file)
    if isinstance(content.get("dataset"), Mapping):
        training, test = [_item_of_entry(root, file, name, entry) for name, entry in content["dataset"].items()], []
    else:
        training, test = (
            _cases(root, "Tr", ending, len(named_channels)),
            _cases(root, "Ts", ending, len(named_channels)),
        )
    count = content.get("numTraining")
    if count is not None and count != len(training):
        raise InputError(
            root / "imagesTr",
            found=f"{len(training)} cases",
            expected=f"{count} cases, the numTraining in dataset.json",
            remedy="copy the folder again, or correct numTraining",
        )
    labelled, more, left_out = split_by_label(training, unlabelled, root / "labelsTr")
    notes: list[str] = []
    file_of_folds = _find_splits(root, splits) if keep_folds else None
    if file_of_folds is not None:
        labelled, notes = _add_folds(labelled, file_of_folds)
    described = {"name": re.sub(r"^(Dataset|Task)[0-9]{3}_", "", root.name)} | kept_entries(content)
    if named_channels:
        described["modality"] = named_channels
    return Found(source, root, labelled, [*more, *test], described, left_out, _WORDS, notes)


def has_channel_files(folder: Path) -> bool:
    """Return whether a folder's `imagesTr` has files named as nnU-Net names them, CASE_0000 and an ending.

    In AMOS 0001 is the number of a case: `labelsTr` has files with the same names.
    """
    images = [path.name for path in image_files(folder / "imagesTr") if _CHANNEL.fullmatch(path.name)]
    labels = {path.name for path in image_files(folder / "labelsTr")}
    return bool(images) and not labels.intersection(images)


def _ending(content: Mapping[str, Any], file: Path) -> str | None:
    ending = content.get("file_ending")
    if ending is not None and not (isinstance(ending, str) and is_image(f"case{ending}")):
        raise InputError(
            file,
            found=f'"file_ending" {ending!r}',
            expected="an ending such as .nii.gz, .nrrd, .mha, .png or .tif",
            remedy="convert the files to one of these formats",
        )
    return ending


def _cases(root: Path, part: str, ending: str | None, channels: int) -> list[Item]:
    """Return the cases of imagesTr or imagesTs; `channels` is 0 if their number is not known."""
    images = root / f"images{part}"
    files = _files_with_ending(images, ending)
    labels = {_stem(path, ending): path for path in _files_with_ending(root / f"labels{part}", ending)}
    by_case: dict[str, dict[int, Path]] = {}
    for path in files:
        match = _CHANNEL.fullmatch(path.name)
        if match is None:
            raise InputError(
                path,
                found="a name without a channel's number",
                expected="names such as CASE_0000.nii.gz, for each channel one file",
                remedy="rename the file, or take it away",
            )
        earlier = by_case.setdefault(match["case"], {}).setdefault(int(match["channel"]), path)
        if earlier != path:
            raise InputError(
                path, found=f"the case and channel of {earlier.name}", expected="one file", remedy="take one away"
            )
    if channels > 1 and _are_in_one_file(by_case, channels):
        channels = 1
    wanted = list(range(channels or max((len(found) for found in by_case.values()), default=0)))
    _check_complete(images, by_case, wanted)
    without = [path.name for case, path in labels.items() if case not in by_case]
    if without:
        raise InputError(
            root / f"labels{part}",
            found=f"label maps without an image: {join_names(without)}",
            expected=f"CASE_0000 in images{part} for each",
            remedy="copy the images, or take these label maps away",
        )
    return [Item(tuple(found[channel] for channel in wanted), labels.get(case)) for case, found in by_case.items()]


def _are_in_one_file(by_case: Mapping[str, Mapping[int, Path]], channels: int) -> bool:
    """Return whether every case is one picture, CASE_0000, and the first that can be read has all channels.

    nnU-Net reads pictures in colour so.
    """
    files = [path for found in by_case.values() for path in found.values()]
    if any(list(found) != [0] for found in by_case.values()) or not all(map(is_picture, files)):
        return False
    for path in files:
        try:
            return read_header(path).channels == channels
        except InputError:
            continue
    return False


def _files_with_ending(folder: Path, ending: str | None) -> list[Path]:
    if ending is None:
        return image_files(folder)
    found = sorted(folder.glob(f"*{ending}"), key=natural_order) if folder.is_dir() else []
    return [path for path in found if not is_hidden(path)]


def _stem(path: Path, ending: str | None) -> str:
    return path.name.removesuffix(ending) if ending else scan_name(path)


def _check_complete(folder: Path, by_case: Mapping[str, Mapping[int, Path]], wanted: Sequence[int]) -> None:
    wrong = [
        f"{case} ({', '.join(f'{channel:04d}' for channel in sorted(found))})"
        for case, found in by_case.items()
        if sorted(found) != wanted
    ]
    if wrong:
        raise InputError(
            folder,
            found=f"{len(wrong)} of {len(by_case)} cases with other channels: {join_names(wrong)}",
            expected=f"the channels {', '.join(f'{channel:04d}' for channel in wanted)} for every case",
            remedy="copy the missing files, or remove these cases",
        )


def _item_of_entry(root: Path, file: Path, name: str, entry: Any) -> Item:
    images = entry.get("images") if isinstance(entry, Mapping) else None
    if not isinstance(images, list) or not images or not isinstance(entry.get("label", ""), str):
        raise InputError(
            file,
            found=f'dataset "{name}" {entry!r}',
            expected='{"images": [one file per channel], "label": file}',
            remedy="correct this entry",
        )
    label = entry.get("label")
    return Item(tuple(root / path for path in images), root / label if label else None, place=f'dataset "{name}"')


def _find_splits(root: Path, splits: str | Path | None) -> Path | None:
    if splits is not None:
        return Path(splits).expanduser()
    # The folder itself, whatever its links: nnUNet_raw and nnUNet_preprocessed are siblings.
    preprocessed = root.parent.parent / "nnUNet_preprocessed" / root.name
    return next((folder / _SPLITS for folder in (root, preprocessed) if (folder / _SPLITS).is_file()), None)


def _add_folds(items: Iterable[Item], file: Path) -> tuple[list[Item], list[str]]:
    """Return the cases with their folds, and what to tell the user.

    A case's fold is the number of the split that validates on it. A single split is fold 0 for the cases that it
    validates on, and fold 1 for all others.
    """
    items = list(items)
    splits = read_json(file)
    try:
        parts = [(set(split["train"]), list(split["val"])) for split in splits]
    except (TypeError, KeyError) as error:
        raise _splits_error(file, "splits of another form") from error
    if not all(isinstance(name, str) for trained, validated in parts for name in [*trained, *validated]):
        raise _splits_error(file, "a case whose name is no text")
    names = {_case_name(item) for item in items}
    fold_of = {name: fold for fold, (_, validated) in enumerate(parts) for name in validated}
    notes = [f"folds of {file}"] if file.parent not in (items[0].images[0].parents if items else ()) else []
    if len(parts) == 1:
        fold_of |= dict.fromkeys(parts[0][0] - set(fold_of), 1)
        notes.append(f"{file.name} has one split: fold 0 validates, and fold 1 is all other cases")
    if set(fold_of) != names:
        odd = sorted(set(fold_of) ^ names, key=natural_order)
        raise _splits_error(file, f"cases that are in the splits or in the folder, but not in both: {join_names(odd)}")
    if sum(len(validated) for _, validated in parts) > len(names):
        raise _splits_error(file, "a case that several splits validate on")
    if any(trained != names - set(validated) for trained, validated in parts):
        raise _splits_error(file, 'a split whose "train" is not all cases outside its "val"')
    return [replace(item, fold=fold_of[_case_name(item)]) for item in items], notes


def _case_name(item: Item) -> str:
    match = _CHANNEL.fullmatch(item.images[0].name)
    return match["case"] if match else _stem(item.images[0], None)


def _splits_error(file: Path, found: str) -> InputError:
    return InputError(
        file,
        found=found,
        expected='[{"train": […], "val": […]}, …], with each case in "val" of one split and in "train" of all others',
        remedy="correct the splits, or make new folds with --folds N (--fold-count N for lightskip fit)",
    )

"""Folders without a description: the names of the files say which is a case's image and which its label map.

Either each case has a folder, in which the files are called alike (`s0001/ct.nii.gz`, `s0001/seg.nii.gz`), or images
and label maps have the same name but for a word (`volume-7.nii`, `segmentation-7.nii`; `images/7.png`, `masks/7.png`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..check_grid import largest_distance
from ..datalist import require_folder
from ..errors import InputError
from ..images.door import read_header
from ..images.endings import scan_name
from ..images.files import natural_order
from ..modalities import find_modality
from .found import Found, Item, Unlabelled, join_names, split_by_label
from .images_below import hidden_folders, images_below
from .odd_files import list_roles, role_in_folder
from .parts import split_parts
from .words import channel_word, is_label_path, part_of, split_roles

__all__ = ["find_folders", "has_cases"]

_MAX_DEPTH = 4
_BRATS = re.compile(r"(BraTS-[A-Za-z]+-[0-9]+)-[0-9]+")  # of subject and time point


@dataclass(frozen=True)
class _Reading:
    """One way to read a folder.

    Args:
        images: the images of each case by their role, such as `*_t1.nii.gz`.
        labels: the label map of each case that has one.
        roles: the roles of the channels, in order.
        words: the layout, for the user.
        has_scans_of_one_folder: whether several cases may be in one folder.
    """

    images: Mapping[str, Mapping[str, Path]]
    labels: Mapping[str, Path]
    roles: Sequence[str]
    words: str
    has_scans_of_one_folder: bool = False


def find_folders(folder: str | Path, *, unlabelled: Unlabelled = "refuse", keep_folds: bool = True) -> Found:
    """Return the cases of a folder that no file describes.

    Tried in this order: a folder for each case, at any depth, in which files are called alike; images and label maps
    whose paths differ only in words such as `image`, `volume`, `label` and `seg`; the same with several channels, whose
    names are words such as `t1` and `flair`. Folders called train, val and test, or `imagesTr`, `imagesVa` and
    `imagesTs`, divide the cases as `split_parts` does.

    Args:
        folder: the dataset's folder.
        unlabelled: how to treat cases without a label map that are in no test folder; see `split_by_label`. "ignore"
            leaves out those in a test folder as well, if others there have one.
        keep_folds: whether to keep the division into training and validation.

    Raises:
        InputError: several files of a case may be its label map, channels are missing, the channels of the first case
            have different grids, or no label map is recognised; the message lists what was found.
    """
    root = require_folder(folder)
    files = images_below(root)
    reading = _read(files)
    if reading is None:
        raise InputError(
            root,
            found=list_roles(files) if files else "no image",
            expected="for each case its images and one label map, whose name or folder says so (seg, label, mask, gt)",
            remedy="name the files by patterns, such as --images '*/ct.nii.gz' --labels '*/liver.nii.gz' with "
            f"--dataset_dir {root}, or list them in a CSV with columns image and label",
        )
    _check_channels(root, reading)
    subjects = _subjects(reading)
    items: dict[str, list[Item]] = {"": [], "training": [], "validation": [], "test": []}
    for case in sorted(reading.images, key=natural_order):
        paths = [reading.images[case][role] for role in reading.roles]
        label = reading.labels.get(case)
        item = Item(
            tuple(root / path for path in paths),
            None if label is None else root / label,
            subject=subjects[case],
        )
        items[part_of(paths[0].parent.parts)].append(item)
    training, more, left_out = split_by_label([*items[""], *items["training"]], unlabelled, root)
    test = items["test"]
    if unlabelled == "ignore" and any(item.is_labelled for item in test):
        # Where some test cases have label maps, the others are what is ignored elsewhere, such as ACDC's 4D files.
        test, _, without = split_by_label(test, unlabelled, root)
        left_out += without
    test = [*test, *more]
    if hidden := hidden_folders(root):
        left_out.append(f"{len(hidden)} hidden folder{'s' * (len(hidden) > 1)} with images ({join_names(hidden)})")
    training, test, notes = split_parts(training, items["validation"], test, keep_folds=keep_folds)
    described: dict[str, Any] = {"name": root.name}
    names = [channel_word(scan_name(role)) for role in reading.roles]
    if len(set(names)) == len(names) and all(names) and (len(names) > 1 or find_modality(names[0])):
        described["modality"] = names
    return Found(root, root, training, test, described, left_out, reading.words, notes)


def has_cases(folder: Path) -> bool:
    """Return whether `find_folders` recognises images and label maps in a folder."""
    return _read(images_below(folder)) is not None


def _read(files: Sequence[Path]) -> _Reading | None:
    deepest = min(_MAX_DEPTH, max((len(path.parts) - 1 for path in files), default=0))
    readings = (
        *(_by_case_folder(files, depth) for depth in range(deepest, 0, -1)),
        *(_by_name(files, channels=channels) for channels in (False, True)),
    )
    return next((reading for reading in readings if reading is not None), None)


def _by_case_folder(files: Sequence[Path], depth: int) -> _Reading | None:
    """Return the cases if the first folders of a path identify the case, and the rest says what the file is."""
    of_case: dict[str, dict[str, Path]] = {}
    for path in files:
        folders = path.parts[:depth]
        # Folders called images, labels and Training are no cases.
        if len(path.parts) <= depth or is_label_path(folders[-1]) or not split_roles(folders[-1:], channels=True)[0]:
            return None
        of_case.setdefault("/".join(folders), {})[role_in_folder(path, depth)] = path
    counts = Counter(role for case in of_case.values() for role in case)
    labels = [role for role in counts if is_label_path(role)]
    roles = sorted((role for role in counts if role not in labels), key=natural_order)
    if len(labels) != 1 or not roles or part_of(list(of_case)):
        return None
    # A file that only some cases have is no channel.
    if any(counts[role] < len(of_case) for role in roles):
        return None
    shown = join_names(roles)
    return _Reading(
        {case: {role: paths[role] for role in roles} for case, paths in of_case.items()},
        {case: paths[labels[0]] for case, paths in of_case.items() if labels[0] in paths},
        roles,
        f"a folder for each case, with {shown} and {labels[0]}",
    )


def _subjects(reading: _Reading) -> dict[str, str | None]:
    """Return the subject of each case, where the names of folders say it.

    Of scans patient1_frame01 and _frame12 in the folder patient1, and of BraTS-GLI-00000-000 and -001. A folder such as
    img, with img0001, names no subject, and neither does the only folder of a dataset.
    """
    folders = {case: next(iter(paths.values())).parent for case, paths in reading.images.items()}
    if not reading.has_scans_of_one_folder:
        matches = {case: _BRATS.fullmatch(folder.name) for case, folder in folders.items()}
        return {case: match[1] if match else None for case, match in matches.items()}
    names = {
        case: folder.name
        for case, folder in folders.items()
        if re.search(r"\d", split_roles([folder.name], channels=True)[0])
        and not part_of([folder.name])
        and folder.name in scan_name(next(iter(reading.images[case].values())))
    }
    return {case: names.get(case) if len(set(folders.values())) > 1 else None for case in folders}


def _by_name(files: Sequence[Path], *, channels: bool) -> _Reading | None:
    """Return the cases if images and label maps have equal paths but for words that say what the file is."""
    images: dict[str, dict[str, Path]] = {}
    labels: dict[str, Path] = {}
    for path in files:
        case, words = split_roles((*path.parts[:-1], scan_name(path)), channels=channels)
        is_label = is_label_path(words)
        if (is_label and case in labels) or (not is_label and words in images.get(case, {})):
            return None
        if is_label:
            labels[case] = path
        else:
            images.setdefault(case, {})[words] = path
    usual = set(next(iter(images.values()), {}))
    if not labels or not images or not set(labels) <= set(images):
        return None
    # One image per case, whatever its words; or the same channels in every case.
    single = all(len(roles) == 1 for roles in images.values())
    if not single and any(set(roles) != usual for roles in images.values()):
        return None
    if single:
        images = {case: dict.fromkeys([""], *roles.values()) for case, roles in images.items()}
    case = next(iter(labels))
    roles = sorted(images[case], key=natural_order)
    example = f"{join_names(images[case][role].as_posix() for role in roles)} and {labels[case].as_posix()}"
    return _Reading(images, labels, roles, f"images and label maps with equal names, such as {example}", True)


def _check_channels(root: Path, reading: _Reading) -> None:
    """Refuse channels with different grids in the first case: they may be other images than channels."""
    case = min(reading.images, key=natural_order)
    paths = [root / reading.images[case][role] for role in reading.roles]
    if len(paths) < 2:
        return
    headers = [read_header(path) for path in paths]
    first = headers[0]
    for path, header in zip(paths[1:], headers[1:], strict=True):
        if (
            header.spatial_shape == first.spatial_shape
            and largest_distance(header.affine, first.affine, first.spatial_shape) <= max(first.spacing) / 10
        ):
            continue
        raise InputError(
            path,
            found=f"another grid than that of {paths[0].name}: shape {header.spatial_shape} instead of "
            f"{first.spatial_shape}, or another place; the images of a case are {', '.join(reading.roles)}",
            expected="one grid for all channels of a case",
            remedy="choose the images with --images and --labels, such as --images "
            + " ".join(f"'*/{role}'" for role in reading.roles[:2])
            + f" --dataset_dir {root}; `lightskip check --fix` resamples channels of other grids",
        )

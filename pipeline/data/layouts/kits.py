"""KiTS's layout: `case_00000/imaging.nii.gz` with `segmentation.nii.gz`, and `kits.json` with facts about the cases."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..datalist import read_json, require_folder
from ..errors import InputError
from .found import Found, Item, Unlabelled, join_names, split_by_label

__all__ = ["find_kits", "has_kits_cases"]

_CASE = re.compile(r"case_[0-9]{5}")
_IMAGE = "imaging.nii.gz"
# KiTS21 has several annotations of each structure; the majority's is the one that its organisers evaluate.
_LABELS = ("segmentation.nii.gz", "aggregated_MAJ_seg.nii.gz")
# Folders of KiTS21 and KiTS23, which have cysts as a class of their own. KiTS19 has not.
_WITH_CYSTS = ("segmentations", "instances", "raw")
_KITS19_LABELLED = 210
_FACTS_REMEDY = "download it again, or delete it: it is needed only to stratify by its facts"


def find_kits(folder: str | Path, *, unlabelled: Unlabelled = "refuse") -> Found:
    """Return the cases of the Kidney Tumor Segmentation challenges of 2019, 2021 and 2023.

    Cases without a label map are test cases, as in the challenge of 2019. Of KiTS21 the majority's label maps are
    read. The single facts of `kits.json`, such as age and gender, are columns of the cases.

    Args:
        folder: the dataset's folder.
        unlabelled: "ignore" leaves cases without a label map out.

    Raises:
        InputError: a case with a label map has no image, or `kits.json` has another form.
    """
    root = require_folder(folder)
    cases = [path for path in sorted(root.iterdir()) if _CASE.fullmatch(path.name) and path.is_dir()]
    facts = _read_facts(root)
    without = [path.name for path in cases if not (path / _IMAGE).exists()]
    if without:
        raise InputError(
            root,
            found=f"{len(without)} of {len(cases)} cases without {_IMAGE}: {join_names(without)}",
            expected=f"{_IMAGE} in each folder case_00000",
            remedy="download the images with the script of the challenge, or take these folders away",
        )
    items = [
        Item(
            (case / _IMAGE,),
            next((case / name for name in _LABELS if (case / name).exists()), None),
            columns=facts.get(case.name, {}),
        )
        for case in cases
    ]
    training, test = [item for item in items if item.label], [item for item in items if not item.label]
    cysts = len(training) > _KITS19_LABELLED or any((case / name).is_dir() for case in cases for name in _WITH_CYSTS)
    labels = {"background": 0, "kidney": 1, "tumor": 2} | ({"cyst": 3} if cysts else {})
    described = {"name": root.name, "modality": {"0": "CT"}, "labels": labels}
    left_out = _list_other_folders(root)
    if unlabelled == "ignore":
        _, test, ignored = split_by_label(items, unlabelled, root)
        left_out += ignored
    notes = []
    if test:
        notes.append(f"{len(test)} {'case' if len(test) == 1 else 'cases'} without a label map, kept for testing")
    words = f"KiTS's, {cases[0].name}/{_IMAGE} with {training[0].label.name if training and training[0].label else ''}"
    return Found(root, root, training, test, described, left_out, layout=words, notes=notes)


def has_kits_cases(folder: Path) -> bool:
    """Return whether a folder has a subfolder case_00000 with KiTS's image."""
    return any(_CASE.fullmatch(path.name) and (path / _IMAGE).exists() for path in folder.iterdir())


def _list_other_folders(root: Path) -> list[str]:
    """Return a line about folders with KiTS's image that have another name, if there are any."""
    found = [path.parent.name for path in sorted(root.glob(f"*/{_IMAGE}")) if not _CASE.fullmatch(path.parent.name)]
    return [f"folders that are not called case_00000: {join_names(found)}"] if found else []


def _read_facts(root: Path) -> dict[str, dict[str, str]]:
    """Return the single facts about each case, from `kits.json` in the folder or next to it."""
    file = next((path for path in (root / "kits.json", root.parent / "kits.json") if path.is_file()), None)
    if file is None:
        return {}
    content = read_json(file, noun="facts about the cases", remedy=_FACTS_REMEDY)
    entries = content if isinstance(content, list) else []
    if not entries or not all(isinstance(entry, Mapping) and "case_id" in entry for entry in entries):
        raise InputError(
            file,
            found="JSON of another form",
            expected='[{"case_id": "case_00000", …}, …]',
            remedy=_FACTS_REMEDY,
        )
    return {str(entry["case_id"]): _single(entry) for entry in entries}


def _single(entry: Mapping[str, Any]) -> dict[str, str]:
    return {
        key: str(value)
        for key, value in entry.items()
        if key != "case_id" and isinstance(value, str | int | float) and value is not None
    }

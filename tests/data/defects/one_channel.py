"""A dataset of one channel in which nearly every case has a defect."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .builder import Builder
from .expected import Seeded
from .files import File, pack
from .oddities import oddities
from .table import case_defects


def seed_defects(source: Path, target: Path, *, untouched: int = 12, seed: int = 0) -> Seeded:
    """Make a one-channel dataset in which nearly every case has a defect, one per file.

    Args:
        source: a dataset of sound 3D cases in MSD layout, with labels 0, 1 and 2 at least.
        target: the folder to make.
        untouched: how many cases stay as they are, beside those that are only written in an odd way.
        seed: decides which case gets which defect, and where in it.
    """
    builder = Builder(source, target, seed, {"0": "MRI"})
    for _ in range(untouched):
        builder.seeded.clean |= dict.fromkeys(builder.add_case({}).values(), "untouched")
    for what, (roles, change) in oddities().items():
        paths = builder.add_case(dict.fromkeys(roles, change))
        builder.seeded.clean |= dict.fromkeys(paths.values(), what)
    builder.seeded.clean |= dict.fromkeys(builder.add_case({}, suffix=" ä (2)").values(), "a name with spaces")
    _add_clean_relations(builder)
    for what, defect in case_defects().items():
        paths = builder.add_case(dict.fromkeys(defect.where, defect.change), part=defect.part)
        builder.allow(tuple(paths.values()), {*defect.also_allowed})
        for role in defect.where:
            builder.expect(what, defect.kinds, (paths[role],))
    _add_file_lists(builder)
    _add_checksums(builder)
    _add_duplicates(builder)
    _add_copies_of_labels(builder)
    _add_leakage(builder)
    for value, name in (("11", "ghost"), ("12", "phantom")):
        builder.labels = builder.labels | {value: name}
    # One finding may name both labels.
    builder.expect("declared labels in no case", ("label-unused",), (None,))
    builder.expect("declared labels 11 and 12", ("labels-not-consecutive",), (None,))
    return builder.finish()


def _add_clean_relations(builder: Builder) -> None:
    """Two scans of one subject in one fold, and a test scan given by its path alone: both as they should be."""
    for _ in range(2):
        paths = builder.add_case({}, fold=1, subject="came twice")
        builder.seeded.clean |= dict.fromkeys(paths.values(), "one of two scans of a subject")
    paths = builder.add_case({}, part="test")
    builder.items["test"][-1] = f"./{paths['image']}"
    builder.seeded.clean[paths["image"]] = "test scan without a subject"


def _add_file_lists(builder: Builder) -> None:
    """Cases with two image files where one channel is declared."""
    for part in ("training", "test"):
        paths = builder.add_case({}, part=part)
        second = builder.write(file := builder.case().files["image"], file, "imagesTr", f"second_of_{part}")
        builder.items[part][-1]["image"] = [f"./{paths['image']}", f"./{second}"]
        files = (paths["image"], second)
        builder.expect(f"two image files ({part})", ("channels",), (*files, None))
        builder.allow(files, {"shape-differs", "origin-differs", "spacing-differs", "direction-differs"})


def _add_checksums(builder: Builder) -> None:
    """Files that are no longer those that the datalist was made of, and some that are."""
    for changed in ((), ("image",), ("label",)):
        for role, path in builder.add_case({}).items():
            digest = hashlib.sha256((builder.target / path).read_bytes()).hexdigest()
            builder.checksums[path] = digest[::-1] if role in changed else digest
            if role in changed:
                builder.expect(f"another {role} than was listed", ("checksum",), (path,))
            elif not changed:
                builder.seeded.clean[path] = "its checksum is listed"


def _add_duplicates(builder: Builder) -> None:
    """The same voxels under another name: other compression, other number type, other place in the split."""
    ways: dict[str, Callable[[File], tuple[File, bytes]]] = {
        "other compression": lambda file: (file, pack(file.raw(), 9)),
        "other number type": lambda file: ((new := _as_double(file)), new.stored()),
        "other fold": lambda file: (file, file.stored()),
    }
    for what, way in ways.items():
        case = builder.case()
        pair = []
        for again in (False, True):
            name = f"again_{case.name}" if again else case.name
            file = case.files["image"]
            file, content = way(file) if again else (file, file)
            label = builder.write(case.files["label"], case.files["label"], "labelsTr", name)
            pair.append(builder.write(file, content, "imagesTr", name))
            builder.add(name, pair[-1], label, fold=3 if again and what == "other fold" else 2)
        for image in pair:
            builder.expect(f"duplicate, {what}", ("duplicate",), (image,))
        if what == "other fold":
            builder.expect("the same voxels in two folds", ("leakage",), (*pair, None))
            builder.allow(tuple(pair), {"leakage", "duplicate"})
    case = builder.case()
    image, label = (builder.write(file, file, f"{role}sTr", case.name) for role, file in case.files.items())
    again = builder.write(case.files["image"], case.files["image"], "imagesTs", case.name)
    builder.add(case.name, image, label)
    builder.add("another subject", again)
    builder.expect("the same voxels in training and test", ("leakage",), (image, again, None))
    builder.allow((image, again), {"leakage", "duplicate"})


def _add_copies_of_labels(builder: Builder) -> None:
    """The label map in place of the image: the same bytes, and the same values in another number type."""
    for what, way in (("the same bytes", lambda file: file), ("another number type", _as_double)):
        case = builder.case()
        label = builder.write(case.files["label"], case.files["label"], "labelsTr", case.name)
        copy = way(case.files["label"])
        image = builder.write(copy, copy, "imagesTr", case.name)
        builder.add(case.name, image, label)
        builder.expect(f"label map as image, {what}", ("image-is-label",), (image,))
        builder.allow((image, label), {"image-few-values", "label-misplaced", "intensity-units"})


def _as_double(file: File) -> File:
    return file.with_voxels(file.voxels.astype(np.float64), suffix=".nii")


def _add_leakage(builder: Builder) -> None:
    """One subject, or one file, where the split should keep apart."""
    for what, part, fold in (("two folds", "training", {"fold": 1}), ("training and test", "test", {})):
        one = builder.add_case({}, fold=0, subject=f"subject in {what}")
        other = builder.add_case({}, part=part, subject=f"subject in {what}", **fold)
        builder.expect(f"a subject in {what}", ("leakage",), (one["image"], other["image"], None))
        builder.allow((one["image"], other["image"]), {"leakage"})
    same = builder.add_case({}, fold=0)
    # Spelled otherwise, it is the same file.
    again = same["image"].replace("imagesTr/", "labelsTr/../imagesTr/")
    builder.add("another name", again, same["label"], fold=1)
    builder.expect("a file in two folds", ("leakage",), (same["image"], again, None), frozenset({"duplicate"}))
    same = builder.add_case({}, fold=0)
    builder.add("yet another name", same["image"])
    builder.expect("a file in training and test", ("leakage",), (same["image"], None), frozenset({"duplicate"}))

"""Make a datalist: the cases of a dataset in folds, with subjects and checksums."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..files import write_text
from .errors import InputError
from .folds import make_folds
from .images.files import natural_order, parts_of
from .label_entries import LabelOptions, make_label_entries
from .label_keys import LABEL_KEYS, read_annotated, read_label_keys
from .layouts.checksums import checksums_of
from .layouts.find import find
from .layouts.found import Found, Item
from .layouts.items import add_subjects, check_items, groups_of, strata_of
from .layouts.names import channels_by_index
from .masks import Overlaps, merge_dataset

__all__ = ["make_datalist", "write_json"]

_DEFAULT_FOLDS = 5


def make_datalist(
    source: Found | str | Path,
    *,
    relative_to: str | Path | None = None,
    folds: int | None = None,
    seed: int = 0,
    subject: str | None = None,
    group: str | None = None,
    stratify: Sequence[str] = (),
    label_names: Sequence[str] | None = None,
    channel_names: Sequence[str] | None = None,
    regions: Sequence[str] | None = None,
    region_order: Sequence[str] | None = None,
    ignore: Sequence[int] | None = None,
    checksums: bool = True,
    extra: Mapping[str, Any] | None = None,
    merge_into: str | Path | None = None,
    overlaps: Overlaps = "auto",
) -> dict[str, Any]:
    """Return a datalist with folds.

    The source's folds are kept, unless `folds` asks for new ones. Otherwise `pipeline.data.folds.make_folds` makes
    them: the same cases always get the same folds, and all scans of a subject are in one fold.

    Args:
        source: the result of a layout's reader, or a folder, table or datalist for `pipeline.data.layouts.find`.
        relative_to: folder that the JSON file will be in. The entry `folder` is the path from there to the dataset;
            without `relative_to` it is left out, and users of the datalist must name the dataset's folder.
        folds: number of folds, from 2 to the number of subjects; by default those of the source, else 5.
        seed: seed of the folds.
        subject: regular expression whose first group is a case's subject. It is searched for in the name of the
            case's first file, then in its path inside the dataset. By default the source's subjects.
        group: column whose equal values stay in one fold, such as family; subjects are not divided either.
        stratify: properties to spread evenly over the folds: columns of the source, or `shape` (number of voxels) and
            `spacing` (the coarsest, mm) from the header of each case's first image. More than ten different numbers
            are replaced by their quarters; several properties are combined.
        label_names: names of the values 0, 1, 2 … or words VALUE=NAME, instead of the source's.
        channel_names: names of the channels, instead of the source's.
        regions: words REGION=LABEL,LABEL, of values or names of labels, instead of the source's.
        region_order: words REGION=LABEL: what each region writes into a label map, the first one first.
        ignore: values in the label maps that mark voxels without annotation, instead of the source's.
        checksums: whether to add the SHA-256 of every file, by its path inside the dataset folder.
        extra: further top-level entries (source, licence, citation), which replace those of the source.
        merge_into: folder for the label maps that are merged from one mask file per class; see
            `pipeline.data.masks.merge_masks`. Needed for a source with such masks.
        overlaps: what to do about masks that overlap.

    Returns:
        The datalist: the source's description, `folder`, `modality`, `labels`, `regions`, `region_order`, `ignore`,
        `seed`, `folds` (in words), `numTraining`, `numTest`, `training`, `test` and `checksums`; cases in natural
        order of their file names. Of masks per class also `merged`, in words.

    Raises:
        InputError: a file is missing, named twice or belongs to two cases, cases differ in their number of channels, a
            subject is in two folds or in training and test, or a name, a column or the number of folds is wrong.
    """
    found = source if isinstance(source, Found) else find(source, keep_folds=folds is None)
    parts = {
        part: sorted(add_subjects(items, subject, found), key=lambda item: natural_order(_names(item, found)[0]))
        for part, items in (("training", found.training), ("test", found.test))
    }
    training, test = parts["training"], parts["test"]
    check_items(training, test, found)
    fold_of, made = _folds(training, found, folds, seed, group, stratify)
    if found.classes:
        _channel_entry(found, training[0], channel_names)  # its errors before the masks are read
        found, training, test = merge_dataset(
            replace(found, training=training, test=test),
            merge_into,
            names=label_names,
            overlaps=overlaps,
            portable=relative_to is None,
        )
        label_names = None
    result = {key: value for key, value in found.described.items() if key not in ("modality", *LABEL_KEYS)}
    result |= extra or {}
    if relative_to is not None:
        result["folder"] = _relative_folder(Path(relative_to), found.folder)
    labels = make_label_entries(found.described, found.source, LabelOptions(label_names, regions, region_order, ignore))
    result |= _channel_entry(found, training[0], channel_names) | labels | made
    result |= {"numTraining": len(training), "numTest": len(test)}
    result["training"] = [
        _entry(item, found) | {"fold": fold} | _subject(item) | _annotated(item, result, found)
        for item, fold in zip(training, fold_of, strict=True)
    ]
    if test:
        result["test"] = [_entry(item, found) | _subject(item) | _annotated(item, result, found) for item in test]
    if checksums:
        paths = [path for item in [*training, *test] for path in (*item.images, item.label) if path is not None]
        files = {relative_path(part, found.folder): part for path in paths for part in parts_of(path)}
        result["checksums"] = checksums_of(dict(sorted(files.items())))
    return result


def write_json(data: Mapping[str, Any], path: str | Path) -> None:
    """Write a JSON object, one entry of each top-level list or mapping per line, completely or not at all."""
    write_text(path, _one_entry_per_line(data))


def relative_path(path: Path, folder: Path) -> str:
    """Return a path relative to the dataset folder, or absolute if it is on another drive."""
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # Windows
        return path.as_posix()


def _folds(
    training: Sequence[Item], found: Found, folds: int | None, seed: int, group: str | None, stratify: Sequence[str]
) -> tuple[list[int], dict[str, Any]]:
    """Return each training case's fold, and the datalist's entries about them."""
    own = [item.fold for item in training if item.fold is not None]
    if folds is None and own:
        _check_source_folds(training, own, found, asked=bool(group or stratify))
        return own, {"folds": f"{len(set(own))} folds, those of {found.source.name}"}
    folds = _DEFAULT_FOLDS if folds is None else folds
    groups = groups_of(training, group, found)
    strata = strata_of(training, stratify, found)
    names = [_names(item, found) for item in training]
    fold_of = make_folds(names, folds=folds, seed=seed, groups=groups, strata=strata, where=found.source)
    sentence = f"{folds} folds" + (f", stratified by {' and '.join(stratify)}" if stratify else "")
    if group or any(groups):
        sentence += f", grouped by {group or 'subject'}"
    return fold_of, {"seed": seed, "folds": sentence}


def _check_source_folds(training: Sequence[Item], own: Sequence[int], found: Found, *, asked: bool) -> None:
    """Raise an InputError if the source's folds cannot be used."""
    if asked:
        raise InputError(
            found.source,
            found="folds, which are kept by default",
            expected="no folds, because --group and --stratify make new ones",
            remedy="give the number of new folds, such as --folds 5",
        )
    if len(own) < len(training):
        first = next(item for item in training if item.fold is None)
        place = first.place or first.images[0].name
        problem = f"{len(training) - len(own)} of {len(training)} cases without a fold, the first is {place}"
    elif len(set(own)) < 2:
        problem = f"all cases in fold {own[0]}"
    else:
        fold_of: dict[str, int] = {}
        split = (
            item for item in training if item.subject and fold_of.setdefault(item.subject, item.fold or 0) != item.fold
        )
        name = next((item.subject for item in split), None)
        if name is None:
            return
        problem = f"the subject {name} in two folds"
    raise InputError(
        found.source,
        found=problem,
        expected="a fold for every case, at least two folds, and each subject in one",
        remedy="add labelled cases: some train, others validate"
        if len(training) < 2
        else "make new folds with --folds N (--fold-count N for lightskip fit), or correct the source's folds",
    )


def _channel_entry(found: Found, item: Item, channel_names: Sequence[str] | None) -> dict[str, dict[str, str]]:
    """Return the names of the channels, from the argument or the source, if there are any."""
    result = {}
    channels = channel_names or found.described.get("modality")
    if channels:
        where = "--channel-names" if channel_names else found.source
        result["modality"] = channels_by_index(channels, where)
        # One file may hold several channels; several files hold one each.
        if len(item.images) not in (1, len(result["modality"])):
            raise InputError(
                where,
                found=f"{len(result['modality'])} channel names for {len(item.images)} images per case",
                expected="one name for each image",
                remedy="name every channel with --channel-names",
            )
    return result


def _names(item: Item, found: Found) -> list[str]:
    return [relative_path(path, found.folder) for path in item.images]


def _entry(item: Item, found: Found) -> dict[str, Any]:
    images = [_add_dot(relative_path(path, found.folder)) for path in item.images]
    entry: dict[str, Any] = {"image": images if len(images) > 1 else images[0]}
    return entry if item.label is None else entry | {"label": _add_dot(relative_path(item.label, found.folder))}


def _add_dot(path: str) -> str:
    return path if path.startswith("../") or Path(path).is_absolute() else f"./{path}"


def _subject(item: Item) -> dict[str, str]:
    return {} if item.subject is None else {"subject": item.subject}


def _annotated(item: Item, datalist: Mapping[str, Any], found: Found) -> dict[str, list[str]]:
    if item.annotated is None:
        return {}
    place = item.place or item.images[0].name
    names = read_annotated(item.annotated, read_label_keys(datalist, found.source), found.source, place=place)
    return {} if names is None else {"annotated": list(names)}


def _relative_folder(start: Path, folder: Path) -> str:
    # Through a link, `..` is the parent of the link's target, so the relative path starts at the real folder.
    return relative_path(folder, Path(os.path.realpath(start.expanduser())))


def _one_entry_per_line(data: Mapping[str, Any]) -> str:
    lines = []
    for key, value in data.items():
        if isinstance(value, Mapping) and value:
            entries = [f"{_json(str(name))}: {_json(entry)}" for name, entry in value.items()]
            text = "{\n  " + ",\n  ".join(entries) + "\n }"
        elif isinstance(value, list | tuple) and value:
            text = "[\n  " + ",\n  ".join(map(_json, value)) + "\n ]"
        else:
            text = _json(value)
        lines.append(f" {_json(key)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    # A file name that is not valid UTF-8 can only be written with escapes.
    return text if text.encode(errors="replace").decode() == text else json.dumps(value, allow_nan=False)

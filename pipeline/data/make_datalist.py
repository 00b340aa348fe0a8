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
from .layouts.checksums import checksums_of
from .layouts.find import find
from .layouts.found import Found, Item, join_names
from .layouts.items import add_subjects, check_items, groups_of, strata_of
from .layouts.names import channels_by_index, labels_by_value, parse_label_names
from .masks import Overlaps, merge_masks

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
        checksums: whether to add the SHA-256 of every file, by its path inside the dataset folder.
        extra: further top-level entries (source, licence, citation), which replace those of the source.
        merge_into: folder for the label maps that are merged from one mask file per class; see
            `pipeline.data.masks.merge_masks`. Needed for a source with such masks.
        overlaps: what to do about masks that overlap.

    Returns:
        The datalist: the source's description, `folder`, `modality`, `labels`, `seed`, `folds` (in words),
        `numTraining`, `numTest`, `training`, `test` and `checksums`; cases in natural order of their file names. Of
        masks per class also `merged` (in words), and if classes overlap `regions` and `region_order`.

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
        _given_names(found, training[0], None, channel_names)  # its errors before the masks are read
        folder = _folder_for_labels(merge_into, found, portable=relative_to is None)
        items, classes = _rename_classes([*training, *test], found, label_names)
        merged = merge_masks(items, classes, folder, overlaps=overlaps)
        training, test, label_names = merged.items[: len(training)], merged.items[len(training) :], None
        found = replace(found, described={**found.described, **merged.entries, "merged": "; ".join(merged.words)})
    result = {key: value for key, value in found.described.items() if key not in ("modality", "labels")}
    result |= extra or {}
    if relative_to is not None:
        result["folder"] = _relative_folder(Path(relative_to), found.folder)
    result |= _given_names(found, training[0], label_names, channel_names) | made
    result |= {"numTraining": len(training), "numTest": len(test)}
    result["training"] = [
        _entry(item, found) | {"fold": fold} | _facts(item) for item, fold in zip(training, fold_of, strict=True)
    ]
    if test:
        result["test"] = [_entry(item, found) | _facts(item) for item in test]
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


def _folder_for_labels(folder: str | Path | None, found: Found, *, portable: bool) -> Path:
    """Return the absolute folder for merged label maps; refuse one that a portable datalist cannot name."""
    if folder is None:
        where, problem, remedy = "merge_into", "none", "name a folder for the label maps that are merged from masks"
    else:
        path = Path(folder).expanduser().absolute()
        if not portable or path.is_relative_to(found.folder):
            return path
        where, problem = str(path), "a folder for merged label maps outside the dataset's, with --portable"
        remedy = "leave out --portable, or write the datalist into the dataset's folder with -o"
    expected = f"a folder in {found.folder}" if portable else "a folder"
    raise InputError(where, found=problem, expected=expected, remedy=remedy)


def _rename_classes(
    items: Sequence[Item], found: Found, label_names: Sequence[str] | None
) -> tuple[list[Item], list[str]]:
    """Return the cases and the classes of their masks with the names of --label-names, which count from 1."""
    if not label_names:
        return list(items), list(found.classes)
    named = {value: name for value, name in parse_label_names(label_names).items() if name.lower() != "background"}
    if sorted(map(int, named)) != list(range(1, len(found.classes) + 1)):
        raise InputError(
            "--label-names",
            found=f"names of the values {', '.join(named) or 'none'}",
            expected=f"background and {len(found.classes)} classes, 1 to {len(found.classes)}: "
            f"{join_names(found.classes)}",
            remedy="name each class, or leave --label-names out: the names of the masks are the names of the classes",
        )
    new = {old: named[str(value)] for value, old in enumerate(found.classes, start=1)}
    renamed = [
        replace(item, masks={new[old]: path for old, path in item.masks.items()}) if item.masks else item
        for item in items
    ]
    return renamed, list(new.values())


def _given_names(
    found: Found, item: Item, label_names: Sequence[str] | None, channel_names: Sequence[str] | None
) -> dict[str, dict[str, str]]:
    """Return the names of channels and labels, from the arguments or the source, as far as there are any."""
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
    if label_names:
        result["labels"] = parse_label_names(label_names)
    elif found.described.get("labels"):
        result["labels"] = labels_by_value(found.described["labels"], found.source)
    return result


def _names(item: Item, found: Found) -> list[str]:
    return [relative_path(path, found.folder) for path in item.images]


def _entry(item: Item, found: Found) -> dict[str, Any]:
    images = [_add_dot(relative_path(path, found.folder)) for path in item.images]
    entry: dict[str, Any] = {"image": images if len(images) > 1 else images[0]}
    return entry if item.label is None else entry | {"label": _add_dot(relative_path(item.label, found.folder))}


def _add_dot(path: str) -> str:
    return path if path.startswith("../") or Path(path).is_absolute() else f"./{path}"


def _facts(item: Item) -> dict[str, Any]:
    """Return an item's subject and what was annotated in it, as far as they are known."""
    facts: dict[str, Any] = {} if item.subject is None else {"subject": item.subject}
    return facts if item.annotated is None else facts | {"annotated": list(item.annotated)}


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

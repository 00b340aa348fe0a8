"""A datalist as a dataset: its folder, channels and labels, and its cases with their names."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .case_names import name_cases
from .datalist import TEST_PARTS, as_list, has_only_test_cases, read_json, require_folder, test_items, training_items
from .errors import InputError
from .label_keys import LabelKeys, read_annotated, read_label_keys

__all__ = [
    "Case",
    "Dataset",
    "annotated_in_datalist",
    "datalist_folder",
    "list_cases",
    "locate",
    "names_in_datalist",
    "read_dataset",
    "report_name",
    "subjects_in_datalist",
]

_WHOLE = re.compile(r"-?[0-9]+")


@dataclass(frozen=True)
class Case:
    """One case of a datalist; paths as the datalist has them.

    Args:
        name: see `name_cases`; unique in its dataset.
        part: "training" or "test".
        images: one file, or one per channel.
        label: the label map; None if there is none, as for most test cases.
        fold: number of its fold; None if it has none.
        subject: whose scan it is; None if the datalist does not say.
        annotated: names of the labels or regions that were annotated in this case; None if all were.
    """

    name: str
    part: str
    images: tuple[str, ...]
    label: str | None
    fold: int | None
    subject: str | None
    annotated: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Dataset:
    """The content of a datalist.

    Args:
        file: the datalist.
        folder: where its relative paths start.
        name: of the dataset.
        channels: names of the images' channels; None if the datalist names none.
        labels: value in the files by name, without ignored values; None if the datalist names none.
        cases: training cases, then test cases, each in the datalist's order.
        described: the datalist's other entries, such as licence and reference.
        regions: values in the files by region, which may overlap; None if the datalist has no regions.
        region_order: the value that each region writes into a label map, the first one first; None if none is given.
        ignored: values in the files that mark voxels without annotation.
    """

    file: Path
    folder: Path
    name: str
    channels: list[str] | None
    labels: dict[str, int] | None
    cases: list[Case]
    described: dict[str, Any]
    regions: dict[str, tuple[int, ...]] | None = None
    region_order: dict[str, int] | None = None
    ignored: tuple[int, ...] = ()

    @property
    def sha256(self) -> str:
        """SHA-256 of the datalist's bytes, as hexadecimal digits."""
        return hashlib.sha256(self.file.read_bytes()).hexdigest()

    @property
    def files_per_case(self) -> int:
        """Number of image files of most cases."""
        return Counter(len(case.images) for case in self.cases).most_common(1)[0][0]


def read_dataset(
    datalist: str | Path, dataset_dir: str | Path | None = None, *, needs_training: bool = True
) -> Dataset:
    """Return the content of a datalist.

    Args:
        datalist: JSON file in the MSD/MONAI form, as `make_datalist` writes it.
        dataset_dir: folder that relative paths start from; by default the datalist's entry "folder" (relative to the
            datalist itself), else the folder that it is in.
        needs_training: whether a datalist of test cases alone is refused.

    Raises:
        InputError: the datalist is missing or malformed, its labels or regions contradict each other (see
            `read_label_keys`), or the folder does not exist. Missing files are not noticed here.
    """
    file = Path(datalist).expanduser()
    training = training_items(file) if needs_training or not has_only_test_cases(file) else []
    content = read_json(file)
    folder = require_folder(_folder(content, file) if dataset_dir is None else dataset_dir)
    keys = read_label_keys(content, file)
    return Dataset(
        file=file,
        folder=folder,
        name=str(content.get("name") or file.stem),
        channels=_channels(content, file),
        labels=keys.labels,
        cases=_cases(_items(training, file), folder, keys, file),
        described={key: value for key, value in content.items() if key not in ("training", *TEST_PARTS)},
        regions=keys.regions,
        region_order=keys.order,
        ignored=keys.ignored,
    )


def list_cases(datalist: str | Path, dataset_dir: str | Path | None = None) -> list[Case]:
    """Return the cases of a datalist with absolute paths, even if its folder does not exist.

    Arguments and errors are those of `read_dataset`, except that the folder may be missing.
    """
    file = Path(datalist).expanduser()
    training = training_items(file)
    content = read_json(file)
    folder = Path(_folder(content, file) if dataset_dir is None else dataset_dir).expanduser().absolute()
    return [
        replace(case, images=tuple(str(locate(folder, path)) for path in case.images))
        for case in _cases(_items(training, file), folder, read_label_keys(content, file), file)
    ]


def datalist_folder(datalist: str | Path) -> Path:
    """Return the folder that a datalist's relative paths start from: the one that it names, else its own."""
    content = read_json(datalist)
    file = Path(datalist)
    return _folder(content, file) if isinstance(content, Mapping) else file.parent


def names_in_datalist(datalist: str | Path, dataset_dir: str | Path | None = None) -> dict[str, str]:
    """Return the names of a datalist's cases by the absolute path of the first image; see `list_cases`."""
    return {case.images[0]: case.name for case in list_cases(datalist, dataset_dir)}


def subjects_in_datalist(datalist: str | Path, dataset_dir: str | Path | None = None) -> dict[str, str]:
    """Return the subjects of a datalist's cases by the absolute path of the first image, of those that have one."""
    cases = list_cases(datalist, dataset_dir)
    return {case.images[0]: case.subject for case in cases if case.subject is not None}


def annotated_in_datalist(datalist: str | Path, dataset_dir: str | Path | None = None) -> dict[str, tuple[str, ...]]:
    """Return the annotated labels or regions of a datalist's cases by the absolute path of the first image.

    Cases of which all labels were annotated are not in it.
    """
    cases = list_cases(datalist, dataset_dir)
    return {case.images[0]: case.annotated for case in cases if case.annotated is not None}


def locate(folder: Path, path: str) -> Path:
    """Return the path of a file that a datalist names; "~/" is the user's home, "~x" an ordinary name."""
    return folder / (Path(path).expanduser() if path.startswith("~/") else path)


def report_name(path: str) -> str:
    """Return the name of a datalist's file in reports: without a leading "./"."""
    return path.removeprefix("./")


def _folder(content: Mapping[str, Any], file: Path) -> Path:
    """Return the folder that a datalist names, else the folder that it is in."""
    named = content.get("folder", ".")
    if not isinstance(named, str):
        raise _entry_error(file, f'"folder" {named!r}', "the dataset's folder, relative to this file")
    return file.parent / Path(named).expanduser()


def _items(training: list[dict[str, Any]], file: Path) -> list[tuple[Mapping[str, Any], str, str]]:
    """Return a datalist's items, each with its part, "training" or "test", and its place in the datalist."""
    parts = {"training": training, "test": test_items(file)}
    return [(item, part, f"{part}[{number}]") for part, items in parts.items() for number, item in enumerate(items)]


def _cases(items: list[tuple[Mapping[str, Any], str, str]], folder: Path, keys: LabelKeys, file: Path) -> list[Case]:
    images = [[str(path) for path in as_list(item["image"])] for item, _, _ in items]
    names = name_cases([[locate(folder, path) for path in paths] for paths in images])
    return [
        Case(
            name=name,
            part=part,
            images=tuple(paths),
            label=str(item["label"]) if item.get("label") else None,
            fold=item["fold"] if isinstance(item.get("fold"), int) else None,
            subject=None if item.get("subject") is None else str(item["subject"]),
            annotated=read_annotated(item.get("annotated"), keys, file, place=place),
        )
        for (item, part, place), paths, name in zip(items, images, names, strict=True)
    ]


def _channels(content: Mapping[str, Any], file: Path) -> list[str] | None:
    named = content.get("modality", content.get("channel_names"))
    if named is None:
        return None
    if isinstance(named, Mapping) and named and all(_WHOLE.fullmatch(key) for key in named):
        return [str(named[key]) for key in sorted(named, key=int)]
    raise _entry_error(file, f'"modality" {named!r}', '"modality": {"0": "CT", …}, one entry per channel')


def _entry_error(file: Path, found: str, expected: str) -> InputError:
    return InputError(file, found=found, expected=expected, remedy="correct this entry of the datalist")

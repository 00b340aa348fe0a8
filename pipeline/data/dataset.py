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
from .datalist import TEST_PARTS, as_list, read_json, require_folder, test_items, training_items
from .errors import InputError

__all__ = [
    "Case",
    "Dataset",
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
    """

    name: str
    part: str
    images: tuple[str, ...]
    label: str | None
    fold: int | None
    subject: str | None


@dataclass(frozen=True)
class Dataset:
    """The content of a datalist.

    Args:
        file: the datalist.
        folder: where its relative paths start.
        name: of the dataset.
        channels: names of the images' channels; None if the datalist names none.
        labels: value in the files by name; None if the datalist names none.
        cases: training cases, then test cases, each in the datalist's order.
        described: the datalist's other entries, such as licence and reference.
    """

    file: Path
    folder: Path
    name: str
    channels: list[str] | None
    labels: dict[str, int] | None
    cases: list[Case]
    described: dict[str, Any]

    @property
    def sha256(self) -> str:
        """SHA-256 of the datalist's bytes, as hexadecimal digits."""
        return hashlib.sha256(self.file.read_bytes()).hexdigest()

    @property
    def files_per_case(self) -> int:
        """Number of image files of most cases."""
        return Counter(len(case.images) for case in self.cases).most_common(1)[0][0]


def read_dataset(datalist: str | Path, dataset_dir: str | Path | None = None) -> Dataset:
    """Return the content of a datalist.

    Args:
        datalist: JSON file in the MSD/MONAI form, as `make_datalist` writes it.
        dataset_dir: folder that relative paths start from; by default the datalist's entry "folder" (relative to the
            datalist itself), else the folder that it is in.

    Raises:
        InputError: the datalist is missing or malformed, two labels have one value, or the folder does not exist.
            Missing files are not noticed here.
    """
    file = Path(datalist).expanduser()
    training = training_items(file)
    content = read_json(file)
    folder = require_folder(_folder(content, file) if dataset_dir is None else dataset_dir)
    return Dataset(
        file=file,
        folder=folder,
        name=str(content.get("name") or file.stem),
        channels=_channels(content, file),
        labels=_labels(content, file),
        cases=_cases(_items(training, file), folder),
        described={key: value for key, value in content.items() if key not in ("training", *TEST_PARTS)},
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
        for case in _cases(_items(training, file), folder)
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


def _items(training: list[dict[str, Any]], file: Path) -> list[tuple[Mapping[str, Any], str]]:
    """Return a datalist's items, each with its part, "training" or "test"."""
    return [*((item, "training") for item in training), *((item, "test") for item in test_items(file))]


def _cases(items: list[tuple[Mapping[str, Any], str]], folder: Path) -> list[Case]:
    images = [[str(path) for path in as_list(item["image"])] for item, _ in items]
    names = name_cases([[locate(folder, path) for path in paths] for paths in images])
    return [
        Case(
            name=name,
            part=part,
            images=tuple(paths),
            label=str(item["label"]) if item.get("label") else None,
            fold=item["fold"] if isinstance(item.get("fold"), int) else None,
            subject=None if item.get("subject") is None else str(item["subject"]),
        )
        for (item, part), paths, name in zip(items, images, names, strict=True)
    ]


def _channels(content: Mapping[str, Any], file: Path) -> list[str] | None:
    named = content.get("modality", content.get("channel_names"))
    if named is None:
        return None
    if isinstance(named, Mapping) and named and all(_WHOLE.fullmatch(key) for key in named):
        return [str(named[key]) for key in sorted(named, key=int)]
    raise _entry_error(file, f'"modality" {named!r}', '"modality": {"0": "CT", …}, one entry per channel')


def _labels(content: Mapping[str, Any], file: Path) -> dict[str, int] | None:
    """Return labels from {"1": "liver"} (MSD) or {"liver": 1} (nnU-Net): the background first, then by value."""
    named = content.get("labels")
    if named is None:
        return None
    pairs = list(named.items()) if isinstance(named, Mapping) else []
    if pairs and all(_WHOLE.fullmatch(key) and isinstance(value, str) for key, value in pairs):
        by_name = [(value, int(key)) for key, value in pairs]
    elif pairs and all(type(value) is int for _, value in pairs):
        by_name = [(str(key), value) for key, value in pairs]
    else:
        expected = '"labels": {"0": "background", "1": "liver"} or {"background": 0, "liver": 1}, one value per name'
        raise _entry_error(file, f'"labels" {named!r}', expected)
    labels = dict(by_name)
    if len(labels) < len(by_name) or len(set(labels.values())) < len(labels):
        raise _entry_error(file, f'"labels" {named!r}', "every name once and every value once")
    # 0 is the background whatever its name (bg, unlabelled), unless another value is named background.
    called = [name for name in labels if name.lower() == "background"] or [n for n in labels if labels[n] == 0]
    if not called:
        labels["background"] = 0
    elif "background" not in called:
        labels = {"background" if name == called[0] else name: value for name, value in labels.items()}
    return dict(sorted(labels.items(), key=lambda item: (item[0] != "background", item[1])))


def _entry_error(file: Path, found: str, expected: str) -> InputError:
    return InputError(file, found=found, expected=expected, remedy="correct this entry of the datalist")

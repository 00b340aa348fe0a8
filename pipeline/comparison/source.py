"""Where label maps come from: a folder, the labels of a datalist's cases, or those of a bundle's datalist."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..bundle.at_hand.find import find_bundle
from ..bundle.launch_checks import config_files, config_given, evaluate_key
from ..data.dataset import Case, locate, read_dataset
from ..data.errors import InputError
from ..data.images.endings import scan_name
from .folder_maps import exact_name, find_scans, list_label_maps, own_name
from .label_tables import read_folder_keys, read_folder_table

__all__ = ["PARTS", "LabelMap", "Source", "find_path", "read_source"]

PARTS = ("test", "training")
"""Parts of a datalist that have a name; the number of a fold is a part too."""


@dataclass(frozen=True)
class LabelMap:
    """One label map of a source.

    Attributes:
        name: name of its case; unique in the source.
        path: its file, or the folder of a Zarr store.
        others: further names that a file of the same case may have.
        image: the case's scan; None if the source has none.
        subject: whose scan it is; None if the source does not say.
        annotated: names of the labels or regions that were annotated; None for all.
    """

    name: str
    path: Path
    others: tuple[str, ...] = ()
    image: Path | None = None
    subject: str | None = None
    annotated: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Source:
    """The label maps of a reference or a set.

    Attributes:
        path: as the user named it.
        kind: ``folder``, ``datalist`` or ``bundle``.
        maps: its label maps.
        labels: value in the files by name; None if the source does not say.
        network_labels: value in a bundle's network by name, which its predictions have; None without a bundle.
        table: name by value, from files next to the label maps of a folder; a name may be missing.
        tolerance_mm: the plan's tolerance of the NSD; None without a bundle.
        part: the part of a datalist; None for all of its cases.
        fold: the fold of a datalist; None for another part.
        notes: what a user should know.
        regions: names of each region's labels; None without regions.
        ignored: values in the files that count in no metric.
    """

    path: Path
    kind: str
    maps: list[LabelMap]
    labels: dict[str, int] | None = None
    network_labels: dict[str, int] | None = None
    table: dict[int, str] = field(default_factory=dict)
    tolerance_mm: float | None = None
    part: str | None = None
    fold: int | None = None
    notes: tuple[str, ...] = ()
    regions: dict[str, tuple[str, ...]] | None = None
    ignored: tuple[int, ...] = ()


def find_path(path: str | Path) -> Path:
    """Return a path as it is if it exists, else the folder of the bundle of this name, if there is one."""
    place = Path(path).expanduser()
    if place.exists():
        return place
    try:
        return find_bundle(path)
    except InputError:
        return place


def read_source(
    path: Path, *, part: str | None = None, fold: int | None = None, dataset_dir: str | Path | None = None
) -> Source:
    """Return the label maps that a path stands for.

    Args:
        path: a folder of label maps, a datalist (``.json``), or a bundle's folder, which stands for the label maps of
            its datalist.
        part: cases of a datalist: ``test``, ``training``, or the number of a fold. Without it all that have a label
            map, of a bundle those of the fold that it validates on.
        fold: the number of a fold, as another way to name the part.
        dataset_dir: folder that the datalist's paths start from; by default the one that the datalist or the bundle
            names.

    Raises:
        InputError: the path does not exist or is neither of these, a folder has no label map, the datalist is
            malformed, the part has no case with a label map, or one is missing.
    """
    part, fold = _read_part(part, fold)
    if not path.exists():
        raise InputError(
            path,
            found="no such file or folder",
            expected="a folder of label maps, a datalist, or a bundle by its folder or name",
            remedy="check the path; lightskip bundles lists the bundles at hand",
        )
    if path.is_file():
        if path.suffix.lower() != ".json":
            raise InputError(
                path,
                found="a file",
                expected="a folder of label maps, a datalist (.json) or a bundle's folder",
                remedy=f"name the folder that it is in: {path.parent}",
            )
        return _read_datalist(path, path, "datalist", part, fold, dataset_dir)
    if (path / "configs").is_dir() and ((path / "plan.yaml").is_file() or (path / "configs" / "train.json").is_file()):
        return _read_bundle(path, part, fold, dataset_dir)
    return _read_folder(path)


def _read_part(part: str | None, fold: int | None) -> tuple[str | None, int | None]:
    if part is not None and part.removeprefix("fold_").isdecimal():
        number = int(part.removeprefix("fold_"))
        if fold not in (None, number):
            raise InputError(
                "--part", found=f"{part}, and --fold {fold}", expected="one part", remedy="leave one of the two out"
            )
        return None, number
    if part is not None and part not in PARTS:
        raise InputError(
            "--part", found=part, expected="test, training, or the number of a fold", remedy="name one of these"
        )
    if part is not None and fold is not None:
        raise InputError(
            "--part", found=f"{part}, and --fold {fold}", expected="one part", remedy="leave one of the two out"
        )
    return part, fold


def _read_folder(folder: Path) -> Source:
    files, notes = list_label_maps(folder)
    stems = [scan_name(path) for path in files]
    names = [own_name(stem) for stem in stems]
    counts = Counter(names)
    # Names that LightSkip's ending alone tells apart stay as they are; `join` reports two files of one case.
    names = [name if counts[name] == 1 else exact_name(stem) for name, stem in zip(names, stems, strict=True)]
    if len(set(names)) < len(names):
        names = [path.name for path in files]
    scans = find_scans(folder, files)
    maps = [
        LabelMap(name, path, (stem,), scans.get(path)) for name, path, stem in zip(names, files, stems, strict=True)
    ]
    table, keys = read_folder_table(folder), read_folder_keys(folder)
    return Source(
        folder,
        "folder",
        maps,
        table=table,
        notes=tuple(notes),
        regions=None if keys is None else _name_regions(keys.regions, keys.labels),
        ignored=() if keys is None else keys.ignored,
    )


def _read_bundle(bundle: Path, part: str | None, fold: int | None, dataset_dir: str | Path | None) -> Source:
    files = config_files("train", bundle)
    given = {} if dataset_dir is None else {"dataset_dir": str(Path(dataset_dir).expanduser().absolute())}
    known = {key: evaluate_key(files, bundle, given, key) for key in ("datalist", "dataset_dir", "fold")}
    if part is None and fold is None:
        fold = int(known["fold"])
    source = _read_datalist(bundle, Path(known["datalist"]), "bundle", part, fold, known["dataset_dir"])
    keys = ("label_values" if "label_values" in config_given(files, {}) else "labels", "labels")
    in_files, labels = (dict(evaluate_key(files, bundle, given, key)) for key in keys)
    evaluation = config_files("evaluate", bundle)
    measured, regions, ignored = (
        evaluate_key(evaluation, bundle, given, key) if key in config_given(evaluation, {}) else None
        for key in ("tolerance_mm", "regions", "ignored_values")
    )
    return Source(
        bundle,
        "bundle",
        source.maps,
        labels={str(name): int(value) for name, value in in_files.items()},
        network_labels={str(name): int(value) for name, value in labels.items()},
        tolerance_mm=None if measured is None else float(measured),
        part=source.part,
        fold=source.fold,
        notes=source.notes,
        regions=_name_regions(regions, labels),
        ignored=tuple(ignored or ()),
    )


def _read_datalist(
    path: Path, file: Path, kind: str, part: str | None, fold: int | None, dataset_dir: str | Path | None
) -> Source:
    dataset = read_dataset(file, dataset_dir)
    chosen = [case for case in dataset.cases if _belongs(case, part, fold)]
    labelled = [(case, case.label) for case in chosen if case.label is not None]
    if not labelled:
        raise _no_case_error(file, dataset.cases, chosen, part, fold)
    maps = [_as_label_map(case, label, dataset.folder) for case, label in labelled]
    missing = [one.path for one in maps if not one.path.exists()]
    if missing:
        more = f" (and {len(missing) - 1} more are missing)" * (len(missing) > 1)
        raise InputError(
            missing[0],
            found=f"no such file{more}",
            expected=f"every label map that {file} names",
            remedy="name the dataset's folder with --dataset_dir, or copy the files there",
        )
    without = len(chosen) - len(labelled)
    notes = (f"{file}: {without} of {len(chosen)} cases left out, as they have no label map.",) if without else ()
    return Source(
        path,
        kind,
        maps,
        labels=dataset.labels,
        part=part,
        fold=fold,
        notes=notes,
        regions=_name_regions(dataset.regions, dataset.labels),
        ignored=dataset.ignored,
    )


def _name_regions(
    regions: Mapping[str, Sequence[int]] | None, labels: Mapping[str, int] | None
) -> dict[str, tuple[str, ...]] | None:
    """Return regions with the names of their labels instead of the values."""
    names = {value: name for name, value in (labels or {}).items()}
    return {region: tuple(names[value] for value in values) for region, values in regions.items()} if regions else None


def _belongs(case: Case, part: str | None, fold: int | None) -> bool:
    if fold is not None:
        return case.part == "training" and case.fold == fold
    return part is None or case.part == part


def _as_label_map(case: Case, label: str, folder: Path) -> LabelMap:
    path, image = locate(folder, label), locate(folder, case.images[0])
    others = tuple(dict.fromkeys((scan_name(image), scan_name(path))))
    return LabelMap(case.name, path, others, image, case.subject, case.annotated)


def _no_case_error(file: Path, cases: list[Case], chosen: list[Case], part: str | None, fold: int | None) -> InputError:
    where = f"fold {fold}" if fold is not None else f"the part {part}" if part else "the datalist"
    labelled = [case for case in cases if case.label is not None]
    folds = sorted({case.fold for case in labelled if case.fold is not None})
    parts = [*(one for one in PARTS if any(case.part == one for case in labelled)), *map(str, folds)]
    found = (
        f"no case in {where}"
        if not chosen
        else f"{len(chosen)} case{'s' * (len(chosen) != 1)} in {where}, none with a label map"
    )
    return InputError(
        file,
        found=found,
        expected='cases {"image": …, "label": …}; test cases may have a label too',
        remedy=f"choose a part: {', '.join(parts)}" if parts else "name a datalist with label maps",
    )

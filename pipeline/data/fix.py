"""`lightskip check --fix`: repairs what is safe to repair, in a copy."""

from __future__ import annotations

import gzip
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from ..files import whole_file
from .check_file import WHOLE_NUMBER_TOLERANCE
from .dataset import Case, Dataset
from .errors import InputError
from .findings import FIXABLE
from .make_datalist import write_json
from .volumes import is_nifti

__all__ = ["fix_dataset"]

_LABEL_KINDS = {"label-rounding", "label-float"}


def fix_dataset(dataset: Dataset, report: Mapping[str, Any], folder: str | Path) -> tuple[Path, list[str], list[str]]:
    """Write repaired copies of the files that can be repaired without looking at them, and a datalist that names them.

    Label maps of whole numbers stored as floating point become integers; a file whose place differs from that of its
    case's first image by no more than rounding gets that image's qform and sform. Nothing else is touched, nothing is
    changed in place. The new datalist names repaired files in the folder, and all others where they lie.

    Args:
        dataset: the datalist that was checked.
        report: what `check_dataset` gave for it.
        folder: a folder that does not exist yet, or an empty one.

    Returns:
        The new datalist; the files repaired; and those that have a repairable finding but are not NIfTI.

    Raises:
        InputError: the folder holds something or cannot be written to.
    """
    target = Path(folder).expanduser().absolute()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(
            target,
            found="a folder that is not empty" if target.is_dir() else "a file",
            expected="a folder that does not exist yet, or an empty one",
            remedy="name another folder: --fix FOLDER",
        )
    kinds = _fixable(report)
    unable = sorted(file for file in kinds if not is_nifti(file))
    fixed: list[str] = []
    try:
        target.mkdir(parents=True, exist_ok=True)
        for case in dataset.cases:
            for file in [*case.images, *([case.label] if case.label else [])]:
                name = file.removeprefix("./")
                if name in kinds and name not in unable:
                    _fix(case, file, kinds[name], dataset.folder, target / _inside(name))
                    fixed.append(name)
        written = _write_datalist(dataset, target, set(fixed))
    except OSError as error:
        raise InputError(
            target,
            found=f"a folder that cannot be written to ({error.strerror})",
            expected="a folder for the repaired files",
            remedy="name another one, or make room: --fix FOLDER",
        ) from error
    return written, fixed, unable


def _fixable(report: Mapping[str, Any]) -> dict[str, set[str]]:
    """Kinds of the repairable findings by file; not of files that have another problem as well."""
    kinds: dict[str, set[str]] = {}
    for finding in report["findings"]:
        if finding["file"] is not None:
            kinds.setdefault(finding["file"], set()).add(finding["kind"])
    spoilt = {finding["file"] for finding in report["findings"] if finding["severity"] == "problem"}
    return {file: found & FIXABLE for file, found in kinds.items() if found & FIXABLE and file not in spoilt}


def _fix(case: Case, file: str, kinds: set[str], folder: Path, target: Path) -> None:
    image = nibabel.load(folder / file)
    voxels: np.ndarray = np.asanyarray(image.dataobj)
    header = image.header.copy()
    if kinds & _LABEL_KINDS:
        whole = np.rint(voxels)
        if np.abs(voxels - whole).max(initial=0) > WHOLE_NUMBER_TOLERANCE:
            raise InputError(
                folder / file,
                found="label values that are not whole numbers",
                expected="the file as it was when it was checked",
                remedy="run the check again",
            )
        smallest = np.promote_types(np.min_scalar_type(int(whole.min())), np.min_scalar_type(int(whole.max())))
        # Label maps of 64-bit integers are refused by some tools, and no label needs them.
        voxels = whole.astype(smallest if smallest.itemsize <= 4 else np.int32)
        header.set_data_dtype(voxels.dtype)
        header.set_slope_inter(1, 0)
    repaired = type(image)(voxels, image.affine, header)
    if "grid-rounding" in kinds:
        _copy_place(nibabel.load(folder / case.images[0]), repaired)
    with whole_file(target) as temporary:
        if str(target).lower().endswith(".gz"):
            with temporary.open("wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as stream:
                repaired.to_stream(stream)
        else:
            repaired.to_filename(temporary)


def _copy_place(source: Any, target: Any) -> None:
    """Give a NIfTI image the qform and the sform of another, codes and all."""
    target.set_sform(source.get_sform(), code=int(source.header["sform_code"]))
    target.set_qform(source.get_qform(), code=int(source.header["qform_code"]))


def _inside(name: str) -> Path:
    """Give the path of a file inside the new folder: its own, or for one from elsewhere its name."""
    path = Path(name)
    return path if not path.is_absolute() and ".." not in path.parts else Path("elsewhere") / path.name


def _write_datalist(dataset: Dataset, target: Path, fixed: set[str]) -> Path:
    def named(file: str) -> str:
        name = file.removeprefix("./")
        if name in fixed:
            return f"./{_inside(name).as_posix()}"
        return Path(os.path.relpath(dataset.folder / Path(file).expanduser(), target)).as_posix()

    content: dict[str, Any] = {
        key: value for key, value in dataset.described.items() if key not in ("folder", "checksums")
    }
    for part in ("training", "test"):
        content[part] = [_item(case, named) for case in dataset.cases if case.part == part]
    path = target / "datalist.json"
    write_json({key: value for key, value in content.items() if value != []}, path)
    return path


def _item(case: Case, named: Any) -> dict[str, Any]:
    images = [named(image) for image in case.images]
    item: dict[str, Any] = {"image": images if len(images) > 1 else images[0]}
    for key, value in (("label", case.label and named(case.label)), ("fold", case.fold), ("subject", case.subject)):
        if value is not None:
            item[key] = value
    return item

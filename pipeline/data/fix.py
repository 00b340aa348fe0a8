"""`lightskip check --fix`: repairs files in a copy, if the repair is safe."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from ..files import name_disk
from ..leftovers import temporary_path
from .check_file import WHOLE_NUMBER_TOLERANCE
from .datalist import as_list, read_json
from .dataset import Dataset, locate, report_name
from .errors import InputError
from .find_repairs import Repair, find_repairs
from .fix_grids import resample_file
from .images.endings import COMPRESSED_NIFTI, scan_name
from .images.nifti_forms import SINGULAR
from .images.nifti_header import nifti_class
from .make_datalist import write_json
from .resample import Change

__all__ = ["FixResult", "fix_dataset", "require_new_folder"]

_LABEL_KINDS = {"label-rounding", "label-float"}
# The fields of a NIfTI header that place the volume; the first four of "pixdim" do so as well.
_PLACE_FIELDS = ("qform_code", "sform_code", *(f"quatern_{axis}" for axis in "bcd"))
_PLACE_FIELDS += (*(f"qoffset_{axis}" for axis in "xyz"), *(f"srow_{axis}" for axis in "xyz"))


@dataclass(frozen=True)
class FixResult:
    """The result of a repair.

    Args:
        datalist: the new datalist; None if nothing could be repaired, and nothing was written.
        repaired: kinds of the repaired findings, by file as the old datalist names it.
        unable: why a file with a repairable finding was not repaired, by file.
        resampled: how the grid of a resampled file differed from the new one, by file.
    """

    datalist: Path | None
    repaired: dict[str, list[str]]
    unable: dict[str, str]
    resampled: dict[str, Change] = field(default_factory=dict)


def fix_dataset(dataset: Dataset, report: Mapping[str, Any], folder: str | Path) -> FixResult:
    """Write repaired copies of the files that can be repaired without a person, and a datalist that names them.

    Label maps of whole numbers stored as floating point become integers. A file whose place differs from that of its
    case's first image only by rounding gets that image's qform and sform. An sform that places nothing becomes a copy
    of the qform. Nothing else of a file changes, and no original is changed. Channels in another grid than the first
    one, and label maps in the grid of such a channel, are resampled to the first channel's grid; `resampled.json` says
    how they differed. The new datalist names repaired files in the folder, and all others where they are.

    Args:
        dataset: the datalist that was checked.
        report: the result of `check_dataset`.
        folder: a folder that does not exist yet, or an empty one; it is written completely or not at all.

    Raises:
        InputError: the folder is not empty or cannot be written to, or a file has changed since the check.
    """
    target = require_new_folder(folder)
    repairs, unable = find_repairs(dataset, report)
    if not repairs:
        return FixResult(None, {}, unable)
    new_paths = _choose_paths(repairs)
    changes = {name: repair.resampling.change for name, repair in repairs.items() if repair.resampling is not None}
    try:
        with _new_folder(target) as temporary:
            for name, repair in repairs.items():
                (temporary / new_paths[name]).parent.mkdir(parents=True, exist_ok=True)
                (temporary / new_paths[name]).write_bytes(_repair_file(repair))
            if changes:
                # Lists of lengths are short, and read best on one line.
                write_json({name: asdict(change) for name, change in changes.items()}, temporary / "resampled.json")
            write_json(_new_datalist(dataset, new_paths, target), temporary / "datalist.json")
    except OSError as error:
        raise InputError(
            target,
            found=f"a folder that cannot be written to ({error.strerror})",
            expected="a folder for the repaired files",
            remedy="free some space, or name another folder with --fix FOLDER",
        ) from error
    repaired = {name: sorted(repair.kinds) for name, repair in repairs.items()}
    return FixResult(target / "datalist.json", repaired, unable, changes)


def require_new_folder(folder: str | Path) -> Path:
    """Return the absolute path of a folder that does not exist yet or is empty; raise InputError for any other."""
    target = Path(folder).expanduser().absolute()
    if not os.path.lexists(target) or (target.is_dir() and not any(target.iterdir())):
        return target
    raise InputError(
        target,
        found="a folder that is not empty" if target.is_dir() else "a file",
        expected="a folder that does not exist yet, or an empty one",
        remedy="name another folder with --fix FOLDER",
    )


def _choose_paths(repairs: Mapping[str, Repair]) -> dict[str, str]:
    """Return a path in the new folder for each file: its own, or below "elsewhere" if it is outside the dataset."""
    new_paths: dict[str, str] = {}
    for name, repair in repairs.items():
        path = PurePosixPath(Path(name).as_posix())
        if repair.resampling is not None:
            path = path.with_name(scan_name(path) + COMPRESSED_NIFTI)
        if path.is_absolute() or ".." in path.parts or name.startswith("~/"):
            path = PurePosixPath("elsewhere", *(part for part in path.parts if part not in ("..", "/", "~")))
        free, number = path, 1
        while str(free) in new_paths.values():
            number += 1
            free = path.parent / str(number) / path.name
        new_paths[name] = str(free)
    return new_paths


@contextmanager
def _new_folder(target: Path) -> Iterator[Path]:
    """Yield a temporary folder that becomes the target if the block succeeds, and is deleted otherwise."""
    temporary = temporary_path(target)
    try:
        temporary.mkdir(parents=True)
        with name_disk(target, temporary):
            yield temporary
        if target.exists():
            target.rmdir()
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _repair_file(repair: Repair) -> bytes:
    if repair.resampling is not None:
        return resample_file(repair.resampling)
    raw = _read(repair.file)
    if repair.kinds & _LABEL_KINDS:
        raw = _store_as_integers(raw, repair.file)
    if SINGULAR in repair.kinds:
        raw = _copy_qform(raw)
    if "grid-rounding" in repair.kinds:
        raw = _copy_place(raw, _read(repair.reference))
    return gzip.compress(raw, mtime=0) if repair.file.name.lower().endswith(".gz") else raw


def _read(file: Path) -> bytes:
    try:
        raw = file.read_bytes()
        return gzip.decompress(raw) if file.name.lower().endswith(".gz") else raw
    except (OSError, EOFError, ValueError) as error:
        raise _changed_error(file, f"a file that cannot be read ({error})") from error


def _store_as_integers(raw: bytes, file: Path) -> bytes:
    image = nifti_class(raw).from_bytes(raw)
    voxels: np.ndarray = np.asanyarray(image.dataobj)
    whole = np.rint(voxels)
    if not np.abs(voxels - whole).max(initial=0) <= WHOLE_NUMBER_TOLERANCE:
        raise _changed_error(file, "label values that are not whole numbers")
    smallest = np.promote_types(np.min_scalar_type(int(whole.min())), np.min_scalar_type(int(whole.max())))
    header = image.header.copy()
    header.set_data_dtype(smallest)
    header.set_slope_inter(1, 0)
    stored: bytes = type(image)(whole.astype(smallest), image.affine, header).to_bytes()
    return stored


def _copy_place(raw: bytes, model: bytes) -> bytes:
    """Return a NIfTI file with qform, sform and codes of another; all other bytes stay the same."""
    headers = [nifti_class(each).header_class for each in (raw, model)]
    header, source = (
        kind(each[: kind.sizeof_hdr], check=False) for kind, each in zip(headers, (raw, model), strict=True)
    )
    for key in _PLACE_FIELDS:
        header[key] = source[key]
    header["pixdim"][:4] = source["pixdim"][:4]
    return bytes(header.binaryblock) + raw[header.sizeof_hdr :]


def _copy_qform(raw: bytes) -> bytes:
    """Return a NIfTI file with its qform as sform; all other bytes stay the same."""
    kind = nifti_class(raw).header_class
    header = kind(raw[: kind.sizeof_hdr], check=False)
    header["sform_code"] = header["qform_code"]
    for axis, row in zip("xyz", header.get_qform(), strict=False):
        header[f"srow_{axis}"] = row
    return bytes(header.binaryblock) + raw[header.sizeof_hdr :]


def _changed_error(file: Path, found: str) -> InputError:
    return InputError(file, found=found, expected="the file as it was during the check", remedy="run the check again")


def _new_datalist(dataset: Dataset, new_paths: Mapping[str, str], target: Path) -> dict[str, Any]:
    """Return the datalist with new paths, without the old one's checksums and folder."""
    # Through a link, `..` is the parent of the link's target, so the relative path starts at the real folder.
    start = os.path.realpath(target)

    def named(file: str) -> str:
        if report_name(file) in new_paths:
            return f"./{new_paths[report_name(file)]}"
        return Path(os.path.relpath(locate(dataset.folder, file), start)).as_posix()

    content = {key: value for key, value in read_json(dataset.file).items() if key not in ("folder", "checksums")}
    for part in ("training", "validation", "test", "testing"):
        if part in content:
            content[part] = [_rename_files(item, named) for item in content[part] or []]
    return content


def _rename_files(item: Any, named: Callable[[str], str]) -> Any:
    if not isinstance(item, Mapping):
        return named(item)
    new = dict(item)
    for key in ("image", "label"):
        if key in item:
            files = [named(file) for file in as_list(item[key])]
            new[key] = files if isinstance(item[key], list) else files[0]
    return new

"""Find the scans to segment: those of a folder, or those that a datalist names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .case_names import case_stems
from .datalist import (
    as_list,
    check_datalist_keys,
    read_json,
    require_files,
    require_folder,
    require_paths,
    resolve_paths,
)
from .errors import InputError
from .folder_scans import list_folder_scans
from .images.endings import scan_name
from .known_keys import ITEM_KEYS, check_keys
from .outside import refuse_outside

_PARTS_OF_A_DATALIST = ("training", "validation", "test", "testing")


def find_scans(
    dataset_dir: str | Path,
    datalist: Sequence[str | Path | Mapping[str, Any]] | str | Path | None = None,
    *,
    channels: int = 1,
    outside: bool = False,
) -> list[dict[str, Any]]:
    """Return the scans to segment.

    Args:
        dataset_dir: folder with the scans; see `find_folder_scans` for what is a scan.
        datalist: the scans by name, instead of all in the folder: a list of paths (relative ones start from
            `dataset_dir`) or of items `{"image": …}`; one such path, if it has the ending of a scan; or a JSON file
            with such a list or an MSD datalist, of which all parts are used (training, validation, test, testing).
        channels: of a scan; if more than one, files called NAME_0000, NAME_0001, … are one scan of the folder.
        outside: whether a datalist that is a file may name files outside the folder; see `find_outside`. What a list
            names was asked for.

    Returns:
        Items `{"image": path or list of paths}`: the folder's scans sorted by name, or those of the datalist in its
        order. Outputs of prediction in the folder are left out: `NAME_seg.nii.gz`, `NAME_prob.nii.gz`,
        `NAME_entropy.nii.gz`, `NAME.seg.nrrd`, `NAME_seg.nrrd`, `NAME_seg.dcm`, `NAME_seg.png` and
        `NAME_preview.png` next to a scan NAME of any format (with or without its folders' names in front), and files
        in the records of `lightskip predict`. A datalist may name them.

    Raises:
        InputError: the folder is missing, empty or without scans, a named file is missing or outside the folder, a
            scan of the folder lacks a channel, or the outputs of two scans would have the same name.
    """
    if datalist is None:
        scans = list_folder_scans(_folder_of_scans(dataset_dir), channels=channels)
    else:
        is_typed = not isinstance(datalist, str | Path) or _is_scan_file(datalist)
        scans = read_named_scans(dataset_dir, datalist, outside=outside or is_typed)
        require_files((path for scan in scans for path in as_list(scan["image"])), _name_of(datalist))
    _refuse_shared_names(scans)
    return scans


def _folder_of_scans(dataset_dir: str | Path) -> Path:
    path = Path(dataset_dir).expanduser().absolute()
    if path.is_file() and _is_scan_file(path):
        raise InputError(
            path,
            found="a file",
            expected="a folder with scans",
            remedy=f"give its folder, and name the file: --dataset_dir {path.parent} --datalist \"['{path.name}']\"",
        )
    return require_folder(path)


def _is_scan_file(path: str | Path) -> bool:
    return scan_name(path) != Path(path).name


def read_named_scans(
    dataset_dir: str | Path,
    datalist: Sequence[str | Path | Mapping[str, Any]] | str | Path,
    *,
    outside: bool = True,
    option: str = "--outside True",
) -> list[dict[str, Any]]:
    """Return the items of the scans that a datalist names, with absolute paths, even if files are missing.

    Arguments are those of `find_scans`; `option` is what asks for files outside the folder, for the message.

    Raises:
        InputError: the folder is needed and missing, or the datalist is missing, names no scan, or has an item without
            a file.
    """
    if isinstance(datalist, str | Path) and _is_scan_file(datalist):
        datalist = [datalist]
    named_by = _name_of(datalist)
    content = read_json(datalist) if isinstance(datalist, str | Path) else datalist
    if isinstance(content, Mapping):
        check_datalist_keys(content, named_by)
        parts = [content.get(part) or [] for part in _PARTS_OF_A_DATALIST]
        content = [item for part in parts for item in part] if all(isinstance(part, list) for part in parts) else None
    if not isinstance(content, Sequence) or isinstance(content, str) or not content:
        raise InputError(
            named_by,
            found="no scan named",
            expected='a list of paths or of {"image": path}, or an MSD datalist',
            remedy="name at least one scan, or leave out the datalist to use every scan of dataset_dir",
        )
    items = [item if isinstance(item, Mapping) else {"image": item} for item in content]
    for number, item in enumerate(items):
        if isinstance(item, Mapping):
            check_keys(item, ITEM_KEYS, named_by, place=f"item {number}")
        require_paths(item, "image", named_by, place=f"item {number}")
    # If all paths are absolute, the folder is not used and may be anything.
    relative = any(not Path(path).expanduser().is_absolute() for item in items for path in as_list(item["image"]))
    folder = _folder_of_scans(dataset_dir) if relative else Path(dataset_dir)
    if not outside:
        paths = [path for item in items for path in as_list(item["image"])]
        refuse_outside(paths, folder.expanduser().absolute(), named_by, option)
    return [{"image": resolve_paths(folder, item["image"])} for item in items]


def _name_of(datalist: object) -> str | Path:
    return datalist if isinstance(datalist, str | Path) and not _is_scan_file(datalist) else "datalist"


def _refuse_shared_names(scans: Iterable[Mapping[str, Any]]) -> None:
    """Raise an InputError if the outputs of two scans, named after the scan's first file, would have the same name."""
    items = [as_list(scan["image"]) for scan in scans]
    first_of: dict[str, str] = {}
    for files, name in zip(items, case_stems(items), strict=True):
        if name in first_of:
            raise InputError(
                files[0],
                found=f"the same name as {first_of[name]}",
                expected="scans with different names, because the label maps are named after them",
                remedy="rename one of the two, or use different output folders",
            )
        first_of[name] = files[0]

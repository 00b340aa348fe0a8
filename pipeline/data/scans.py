"""Finding the scans to segment: those of a folder, or those that a datalist names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .datalist import as_list, existing_folder, read_json, require_files, require_paths, resolved
from .errors import InputError
from .volumes import is_nifti, scan_name

_OUTPUT_ENDINGS = ("_seg.nii.gz", "_prob.nii.gz")
_PARTS_OF_A_DATALIST = ("training", "validation", "test", "testing")


def find_scans(
    dataset_dir: str | Path, datalist: Sequence[str | Path | Mapping[str, Any]] | str | Path | None = None
) -> list[dict[str, Any]]:
    """Find the scans to segment.

    Args:
        dataset_dir: folder with the scans; its subfolders are not searched.
        datalist: the scans by name instead of all NIfTI files of the folder: a list of paths (relative ones start
            from `dataset_dir`) or of items `{"image": …}`, one such path alone if it has the ending of a scan, or the
            JSON file that holds such a list or an MSD datalist, of which every part counts (training, validation,
            test, testing).

    Returns:
        Items `{"image": path or list of paths}`: the folder's `.nii` and `.nii.gz` files sorted by name, or the scans
        of the datalist in its order. Of the folder's files, those that inference wrote are left out:
        `NAME_seg.nii.gz` and `NAME_prob.nii.gz` beside a scan NAME of any format. A datalist may name them.

    Raises:
        InputError: the folder is missing, empty or without NIfTI files, a named file is not there, or two scans
            would share the name of their output.
    """
    scans = _nifti_files(_folder_of_scans(dataset_dir)) if datalist is None else _named_scans(dataset_dir, datalist)
    _refuse_shared_names(scans)
    return scans


def _folder_of_scans(dataset_dir: str | Path) -> Path:
    path = Path(dataset_dir).expanduser().absolute()
    if path.is_file() and _is_scan_file(path):
        raise InputError(
            path,
            found="a file",
            expected="a folder with scans",
            remedy=f"give its folder and name the file: --dataset_dir {path.parent} --datalist \"['{path.name}']\"",
        )
    return existing_folder(path)


def _is_scan_file(path: str | Path) -> bool:
    return scan_name(path) != Path(path).name


def _nifti_files(folder: Path) -> list[dict[str, Any]]:
    visible = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    files = [path for path in visible if path.is_file() and _is_scan_file(path)]
    outputs = {scan_name(path) + ending for path in files for ending in _OUTPUT_ENDINGS}
    scans = [{"image": str(path)} for path in files if is_nifti(path) and path.name not in outputs]
    if not scans:
        names = [path.name + "/" * path.is_dir() for path in visible]
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        raise InputError(
            folder,
            found=f"no NIfTI scan; the folder holds {shown or 'hidden files only'}",
            expected="scans as .nii or .nii.gz files, directly in the folder",
            remedy="give the folder that holds the scans themselves, or name them in a datalist",
        )
    return scans


def _named_scans(
    dataset_dir: str | Path, datalist: Sequence[str | Path | Mapping[str, Any]] | str | Path
) -> list[dict[str, Any]]:
    if isinstance(datalist, str | Path) and _is_scan_file(datalist):
        datalist = [datalist]
    named_by = datalist if isinstance(datalist, str | Path) else "datalist"
    content = read_json(datalist) if isinstance(datalist, str | Path) else datalist
    if isinstance(content, Mapping):
        content = [item for part in _PARTS_OF_A_DATALIST for item in content.get(part) or []]
    if not isinstance(content, Sequence) or isinstance(content, str) or not content:
        raise InputError(
            named_by,
            found="no scan named",
            expected='a list of paths or of {"image": path}, or an MSD datalist',
            remedy="name at least one scan, or leave the datalist out to take every NIfTI file of dataset_dir",
        )
    items = [item if isinstance(item, Mapping) else {"image": item} for item in content]
    for number, item in enumerate(items):
        require_paths(item, "image", named_by, place=f"item {number}")
    # With absolute paths alone the folder plays no part, and may be anything.
    relative = any(not Path(path).expanduser().is_absolute() for item in items for path in as_list(item["image"]))
    folder = _folder_of_scans(dataset_dir) if relative else Path(dataset_dir)
    scans = [{"image": resolved(folder, item["image"])} for item in items]
    require_files((path for scan in scans for path in as_list(scan["image"])), named_by)
    return scans


def _refuse_shared_names(scans: Iterable[Mapping[str, Any]]) -> None:
    """Raise an InputError where two scans' outputs, named after the scan's (first) file, would overwrite each other."""
    first_of: dict[str, str] = {}
    for scan in scans:
        path = as_list(scan["image"])[0]
        name = scan_name(path)
        if name in first_of:
            raise InputError(
                path,
                found=f"the same name as {first_of[name]}",
                expected="scans with different names, because the label maps are named after them",
                remedy="rename one of the two, or predict them into different folders",
            )
        first_of[name] = path

"""Find the cases of a dataset in any supported layout."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

from ..datalist import read_json, require_folder
from ..errors import InputError
from ..images.files import is_hidden
from .bids import find_bids
from .folders import find_folders, has_cases
from .found import Found, Unlabelled, join_names
from .globs import find_globs
from .images_below import images_below
from .kits import find_kits, has_kits_cases
from .msd import find_msd
from .nnunet import find_nnunet, has_channel_files
from .odd_files import list_roles
from .table import find_table
from .totalsegmentator import find_totalsegmentator, has_mask_folders
from .zipped import is_zip, unpack_dataset

__all__ = ["Layout", "find", "layout_of"]

Layout = Literal["msd", "nnunet", "bids", "table", "totalsegmentator", "kits", "folders"]


def find(
    source: str | Path | None = None,
    *,
    images: Sequence[str] = (),
    labels: str | None = None,
    layout: Layout | None = None,
    dataset_dir: str | Path | None = None,
    suffixes: Sequence[str] = (),
    label_suffix: str | None = None,
    derivatives: str | None = None,
    unlabelled: Unlabelled = "refuse",
    keep_folds: bool = True,
    splits: str | Path | None = None,
    unpack_to: str | Path | None = None,
) -> Found:
    """Return the cases of a dataset: from a folder, a zip of one, a table, a JSON file, or patterns.

    Args:
        source: a folder in a layout of `Layout`, a zip of one, a CSV or TSV, or a datalist; None with patterns.
        images: patterns of the images, one per channel, instead of a source; see `find_globs`.
        labels: pattern of the label maps; with a folder in TotalSegmentator's layout the classes to take, in braces.
        layout: how to read the source; by default the result of `layout_of`.
        dataset_dir: folder that the paths of a table, a datalist or patterns start from.
        suffixes: channels of a BIDS dataset; see `find_bids`.
        label_suffix: end of the names of its label maps.
        derivatives: folder of its label maps.
        unlabelled: how to treat cases without a label map; see `split_by_label`.
        keep_folds: whether to read the source's folds.
        splits: the file of an nnU-Net dataset's folds, if it is elsewhere.
        unpack_to: folder for the content of a zip; by default the zip's path without its ending.

    Raises:
        InputError: an option does not belong to this layout, the layout is not recognised, or its reader found a
            mistake.
    """
    options = {"dataset_dir": dataset_dir, "suffixes": tuple(suffixes) or None}
    options |= {"label_suffix": label_suffix, "derivatives": derivatives}
    options |= {"splits": splits}
    given = {name for name, value in options.items() if value is not None}
    if images or (labels is not None and source is None):
        if source is not None:
            raise _usage_error(
                source, "a source and patterns", "either a source or patterns", "leave out one of the two"
            )
        _check_options(given, "patterns", {"dataset_dir"})
        return find_globs(images, labels, dataset_dir=dataset_dir, unlabelled=unlabelled)
    if source is None:
        remedy = "name the dataset's folder or table, or give patterns"
        raise _usage_error("source", "none", "a folder, a table, or patterns (--images, --labels)", remedy)
    archive = Path(source).expanduser()
    unpacked = None
    if is_zip(archive):
        unpacked = unpack_dataset(archive, Path(unpack_to) if unpack_to is not None else archive.with_suffix(""))
        source = _dataset_folder(unpacked)
    found = _find(
        source,
        layout or layout_of(source),
        {name: value for name, value in options.items() if value is not None},
        labels=labels,
        unlabelled=unlabelled,
        keep_folds=keep_folds,
    )
    if unpacked is None:
        return found
    # A name that is that of the folder says nothing about the dataset.
    name = {"name": archive.stem} if found.described.get("name") == unpacked.name else {}
    notes = [f"{archive.name} is unpacked in {unpacked}", *found.notes]
    return replace(found, described={**found.described, **name}, notes=notes)


def _find(
    source: str | Path,
    layout: str,
    given: Mapping[str, Any],
    *,
    labels: str | None,
    unlabelled: Unlabelled,
    keep_folds: bool,
) -> Found:
    """Return the cases of a source in a layout; `given` has the options of single layouts."""
    if labels is not None and layout != "totalsegmentator":
        expected = "either a source or patterns; a source with a folder of masks per case may have both"
        raise _usage_error(source, "a source and patterns", expected, "leave out one of the two")
    words, known = _USED_OPTIONS.get(layout, ("", set()))
    if not words:
        raise _usage_error("layout", repr(layout), " or ".join(get_args(Layout)), "choose one of these")
    _check_options(set(given), words, known)
    if layout == "msd":
        return find_msd(source, unlabelled=unlabelled, keep_folds=keep_folds, **given)
    if layout == "kits":
        return find_kits(source, unlabelled=unlabelled)
    if layout == "totalsegmentator":
        return find_totalsegmentator(source, labels=labels, unlabelled=unlabelled, keep_folds=keep_folds)
    if layout == "bids":
        return find_bids(source, unlabelled=unlabelled, **given)
    find_in = {"table": find_table, "nnunet": find_nnunet, "folders": find_folders}[layout]
    found: Found = find_in(source, unlabelled=unlabelled, keep_folds=keep_folds, **given)  # type: ignore[operator]
    return found


def layout_of(source: str | Path) -> Layout:
    """Return the layout of a source: of a table or datalist by its ending, of a folder by its content.

    nnU-Net's: a `dataset.json` with `channel_names`, or files named CASE_0000 that `dataset.json` does not name, or
    a folder `imagesTr` with such files and no `dataset.json`. MSD's: any other `dataset.json`. BIDS: a
    `dataset_description.json`, or folders sub-XX. KiTS's: `case_00000/imaging.nii.gz`. TotalSegmentator's: in each
    case's folder an image and a folder of masks. Any other folder whose images and label maps `find_folders` can tell
    apart: "folders".

    Raises:
        InputError: it is none of these; the message names what was looked for.
    """
    path = Path(source).expanduser()
    if path.is_file() and path.suffix.lower() in (".csv", ".tsv", ".json"):
        return "msd" if path.suffix.lower() == ".json" else "table"
    if path.is_file():
        expected = "a folder, a zip, a table (.csv, .tsv) or a datalist (.json)"
        raise _usage_error(
            path, "a file of another kind", expected, "give one of these, or patterns with --images and --labels"
        )
    found = _layout_of_folder(require_folder(path))
    if found is not None:
        return found
    if has_cases(path):
        return "folders"
    inside = next((sub for sub in sorted(path.iterdir()) if sub.is_dir() and _layout_of_folder(sub)), None)
    inside = inside or next((sub for sub in sorted(path.iterdir()) if is_zip(sub) and not is_hidden(sub)), None)
    files = [] if inside else images_below(path)
    raise InputError(
        path,
        found="no known layout; the folder contains "
        + (join_names(sorted(_shown_name(sub) for sub in path.iterdir() if not is_hidden(sub))) or "nothing")
        + (f"; {list_roles(files)}" if files else ""),
        expected="a dataset.json (MSD or nnU-Net), imagesTr with files CASE_0000 (nnU-Net), a dataset_description.json "
        "or folders sub-XX (BIDS), or for each case images and one label map, whose name says so (seg, label, …)",
        remedy=f"give the {'zip' if is_zip(inside) else 'folder'} {inside}"
        if inside
        else f"give patterns, such as --dataset_dir {path} --images '*/ct.nii.gz' --labels '*/organs.nii.gz', or a CSV "
        "with columns image and label",
    )


def _layout_of_folder(folder: Path) -> Layout | None:
    if (folder / "dataset.json").is_file():
        return "nnunet" if _describes_nnunet(folder) else "msd"
    if (folder / "dataset_description.json").is_file() or any(folder.glob("sub-*/")):
        return "bids"
    if has_channel_files(folder):
        return "nnunet"
    if has_kits_cases(folder):
        return "kits"
    return "totalsegmentator" if has_mask_folders(folder) else None


def _dataset_folder(folder: Path) -> Path:
    """Return the folder below which everything in a folder is, if its layout is known; else the folder itself."""
    inner = folder
    while _layout_of_folder(inner) is None:
        inside = [path for path in inner.iterdir() if not path.name.startswith(".")]
        if len(inside) != 1 or not inside[0].is_dir():
            return folder
        inner = inside[0]
    return inner


def _describes_nnunet(folder: Path) -> bool:
    content = read_json(folder / "dataset.json")
    if not isinstance(content, Mapping):
        return False
    if "channel_names" in content:
        return True
    # In version 1 the list names imagesTr/CASE.nii.gz, but only the files of its channels exist.
    items = content.get("training")
    if items is None:
        return has_channel_files(folder)
    first = items[0].get("image") if isinstance(items, list) and items and isinstance(items[0], Mapping) else None
    return isinstance(first, str) and not (folder / first).exists() and has_channel_files(folder)


def _shown_name(path: Path) -> str:
    return path.name + "/" * path.is_dir()


# Options as users type them.
_OPTIONS = {"suffixes": "--suffix", "label_suffix": "--label-suffix", "derivatives": "--derivatives"}
_OPTIONS |= {"dataset_dir": "--dataset_dir", "splits": "--splits"}
# The name of each layout for users, and the options that it uses.
_USED_OPTIONS: dict[str, tuple[str, set[str]]] = {
    "msd": ("MSD", {"dataset_dir"}),
    "table": ("table", {"dataset_dir"}),
    "nnunet": ("nnU-Net", {"splits"}),
    "bids": ("BIDS", {"suffixes", "label_suffix", "derivatives"}),
    "totalsegmentator": ("TotalSegmentator", set()),
    "kits": ("KiTS", set()),
    "folders": ("folders", set()),
}


def _option_names(names: Iterable[str], between: str) -> str:
    return between.join(_OPTIONS.get(name, name) for name in names)


def _check_options(given: set[str], layout: str, known: set[str]) -> None:
    strange = sorted(given - known)
    if strange:
        raise _usage_error(
            layout,
            f"the option {_option_names(strange, ' and ')}, which this layout does not use",
            _option_names(sorted(known), " or ") or "none of these options",
            "leave it out",
        )


def _usage_error(where: str | Path, found: str, expected: str, remedy: str) -> InputError:
    return InputError(where, found=found, expected=expected, remedy=remedy)

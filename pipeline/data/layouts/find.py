"""Find the cases of a dataset in any supported layout."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

from ..datalist import read_json, require_folder
from ..errors import InputError
from .bids import find_bids
from .found import Found, Unlabelled, join_names
from .globs import find_globs
from .msd import find_msd
from .nnunet import find_nnunet, has_channel_files
from .table import find_table

__all__ = ["Layout", "find", "layout_of"]

Layout = Literal["msd", "nnunet", "bids", "table"]


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
) -> Found:
    """Return the cases of a dataset: from a folder, a table, a JSON file, or patterns.

    Args:
        source: a folder in MSD's, nnU-Net's or BIDS's layout, a CSV or TSV, or a datalist; None with patterns.
        images: patterns of the images, one per channel, instead of a source; see `find_globs`.
        labels: pattern of the label maps.
        layout: how to read the source; by default the result of `layout_of`.
        dataset_dir: folder that the paths of a table, a datalist or patterns start from.
        suffixes: channels of a BIDS dataset; see `find_bids`.
        label_suffix: end of the names of its label maps.
        derivatives: folder of its label maps.
        unlabelled: how to treat cases without a label map; see `split_by_label`.
        keep_folds: whether to read the source's folds.

    Raises:
        InputError: an option does not belong to this layout, the layout is not recognised, or its reader found a
            mistake.
    """
    options = {"dataset_dir": dataset_dir, "suffixes": tuple(suffixes) or None}
    options |= {"label_suffix": label_suffix, "derivatives": derivatives}
    given = {name for name, value in options.items() if value is not None}
    if images or labels is not None:
        if source is not None:
            raise _usage_error(
                source, "a source and patterns", "either a source or patterns", "leave out one of the two"
            )
        _check_options(given, "patterns", {"dataset_dir"})
        return find_globs(images, labels, dataset_dir=dataset_dir, unlabelled=unlabelled)
    if source is None:
        remedy = "name the dataset's folder or table, or give patterns"
        raise _usage_error("source", "none", "a folder, a table, or patterns (--images, --labels)", remedy)
    chosen = layout or layout_of(source)
    if chosen == "msd":
        _check_options(given, "MSD", {"dataset_dir"})
        return find_msd(source, dataset_dir=dataset_dir, keep_folds=keep_folds)
    if chosen == "table":
        _check_options(given, "table", {"dataset_dir"})
        return find_table(source, dataset_dir=dataset_dir, unlabelled=unlabelled, keep_folds=keep_folds)
    if chosen == "nnunet":
        _check_options(given, "nnU-Net", set())
        return find_nnunet(source, unlabelled=unlabelled, keep_folds=keep_folds)
    if chosen == "bids":
        _check_options(given, "BIDS", {"suffixes", "label_suffix", "derivatives"})
        return find_bids(
            source, suffixes=suffixes, label_suffix=label_suffix, derivatives=derivatives, unlabelled=unlabelled
        )
    raise _usage_error("layout", repr(chosen), " or ".join(get_args(Layout)), "choose one of these")


def layout_of(source: str | Path) -> Layout:
    """Return the layout of a source: of a table or datalist by its ending, of a folder by its content.

    nnU-Net's: a `dataset.json` with `channel_names`, or files named CASE_0000 that `dataset.json` does not name, or
    a folder `imagesTr` with such files and no `dataset.json`. MSD's: any other `dataset.json`. BIDS: a
    `dataset_description.json`, or folders sub-XX.

    Raises:
        InputError: it is none of these; the message names what was looked for.
    """
    path = Path(source).expanduser()
    if path.is_file() and path.suffix.lower() in (".csv", ".tsv", ".json"):
        return "msd" if path.suffix.lower() == ".json" else "table"
    if path.is_file():
        expected = "a folder, a table (.csv, .tsv) or a datalist (.json)"
        raise _usage_error(
            path, "a file of another kind", expected, "give one of these, or patterns with --images and --labels"
        )
    found = _layout_of_folder(require_folder(path))
    if found is None:
        inside = next((sub for sub in sorted(path.iterdir()) if sub.is_dir() and _layout_of_folder(sub)), None)
        raise InputError(
            path,
            found=f"no known layout; the folder contains "
            f"{join_names(sorted(_shown_name(sub) for sub in path.iterdir()))}",
            expected="a dataset.json (MSD or nnU-Net), imagesTr with files CASE_0000 (nnU-Net), or a "
            "dataset_description.json or folders sub-XX (BIDS)",
            remedy=f"give the folder {inside}"
            if inside
            else "give patterns, such as --images 'images/*.nii.gz' --labels 'labels/*.nii.gz', or a CSV with columns "
            "image and label",
        )
    return found


def _layout_of_folder(folder: Path) -> Layout | None:
    if (folder / "dataset.json").is_file():
        return "nnunet" if _describes_nnunet(folder) else "msd"
    if (folder / "dataset_description.json").is_file() or any(folder.glob("sub-*/")):
        return "bids"
    return "nnunet" if has_channel_files(folder) else None


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
_OPTIONS |= {"dataset_dir": "--dataset_dir"}


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

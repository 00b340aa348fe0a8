"""BIDS datasets: `sub-XX/anat/sub-XX_T1w.nii.gz`, with label maps in `derivatives/` or next to the scans."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..datalist import read_json, require_folder
from ..errors import InputError
from ..known_keys import check_keys
from .bids_files import BidsFile, Key, files_below, is_label_map, is_probability, key_order, key_words, pair_label_maps
from .bids_labels import label_names
from .found import Found, Item, Unlabelled, join_names, split_by_label
from .table import read_table

__all__ = ["find_bids"]

_NO_SCANS = {"sourcedata", "code", "stimuli", "phenotype"}


def find_bids(
    folder: str | Path,
    *,
    suffixes: Sequence[str] = (),
    label_suffix: str | None = None,
    derivatives: str | None = None,
    unlabelled: Unlabelled = "refuse",
) -> Found:
    """Return the scans of a BIDS dataset with their label maps.

    Files of the same subject, session and run are one case. Label maps are in `derivatives/` or next to the scans;
    their suffix is dseg, mask, seg or roi, or their name has `label-…`. Columns of `participants.tsv` become columns
    of the cases. Label names come from a `*_dseg.tsv` (index, name) or a JSON sidecar's `LabelMap`. A mask's labels
    are background and the value of its `label-…`.

    Args:
        folder: the dataset's root.
        suffixes: the end of the file names, one per channel, such as T1w FLAIR, or acq-high_T1w; by default the one
            suffix that every scan with a label map has.
        label_suffix: the end of the label maps' names, such as label-lesion_mask, if there are several kinds.
        derivatives: folder in `derivatives/` with the label maps; by default all folders, and the scans' own.
        unlabelled: how to treat scans without a label map; see `split_by_label`.

    Raises:
        InputError: there is no scan or no label map, the suffix is ambiguous, a scan lacks a channel, has two files
            for one channel, or has several label maps.
    """
    root = require_folder(folder)
    labels = _find_label_maps(root, label_suffix, derivatives)
    scans = _find_scans(root, labels)
    if not scans or not labels:
        raise InputError(
            root,
            found=f"{len(scans)} scans and {len(labels)} label maps",
            expected="sub-XX/[ses-YY/]anat/sub-XX_T1w.nii.gz, and label maps such as "
            f"derivatives/{derivatives or 'NAME'}/sub-XX/anat/sub-XX_{label_suffix or 'dseg'}.nii.gz",
            remedy="give the dataset's root; for label maps with other names, use --label-suffix",
        )
    wanted = list(suffixes) or [_shared_suffix(scans, set(pair_label_maps(labels, scans, root)), root)]
    scans = [file for file in scans if any(file.ends_with(suffix) for suffix in wanted)]
    if any("run-" in suffix for suffix in wanted):
        scans, labels = _without_runs(scans), _without_runs(labels)
    label_of = pair_label_maps(labels, scans, root, wanted)
    chosen = _choose_files(scans, wanted, root)
    participants = _read_participants(root / "participants.tsv")
    items = [
        Item(
            images=images,
            label=label_of[key].path if key in label_of else None,
            subject=f"sub-{key[0]}",
            columns=participants.get(f"sub-{key[0]}", {}),
        )
        for key, images in chosen.items()
    ]
    training, test, left_out = split_by_label(items, unlabelled, root)
    described = _read_description(root) | {"modality": [suffix.rpartition("_")[2] for suffix in wanted]}
    named = label_names([item.label for item in training if item.label is not None], root)
    return Found(root, root, training, test, described | ({"labels": named} if named else {}), left_out)


def _find_label_maps(root: Path, label_suffix: str | None, derivatives: str | None) -> list[BidsFile]:
    start = root if derivatives is None else root / "derivatives" / derivatives
    if not start.is_dir():
        there = sorted(path.name for path in (root / "derivatives").glob("*") if path.is_dir())
        raise InputError(
            start,
            found="no such folder",
            expected=f"one of the folders in derivatives/: {join_names(there) or 'none'}",
            remedy="correct --derivatives",
        )
    files = files_below(start, skip=_NO_SCANS)
    if label_suffix is None:
        return [file for file in files if is_label_map(file)]
    return [file for file in files if file.ends_with(label_suffix)]


def _find_scans(root: Path, labels: Sequence[BidsFile]) -> list[BidsFile]:
    files = files_below(root, skip={"derivatives", *_NO_SCANS})
    no_scans = {label.path for label in labels}
    return [file for file in files if not (file.path in no_scans or is_label_map(file) or is_probability(file))]


def _without_runs(files: Iterable[BidsFile]) -> list[BidsFile]:
    return [replace(file, key=(*file.key[:2], "")) for file in files]


def _shared_suffix(scans: Sequence[BidsFile], keys: set[Key], root: Path) -> str:
    with_suffix = {(file.suffix, file.key) for file in scans if file.key in keys}
    counts = Counter(suffix for suffix, _ in with_suffix)
    everywhere = [suffix for suffix, count in counts.items() if count == len(keys)]
    if len(everywhere) != 1:
        shown = ", ".join(f"{suffix} ({count})" for suffix, count in sorted(counts.items()))
        raise InputError(
            root,
            found=f"{len(everywhere) or 'no'} suffixes shared by all {len(keys)} scans with a label map "
            f"(suffixes found: {shown or 'none'})",
            expected="one shared suffix, or --suffix",
            remedy="name the channels in their order, such as --suffix T1w FLAIR",
        )
    return everywhere[0]


def _choose_files(scans: Sequence[BidsFile], suffixes: Sequence[str], root: Path) -> dict[Key, tuple[Path, ...]]:
    """Return the files of each scan, one per suffix, in the order of subject, session and run."""
    by_key: dict[Key, list[BidsFile]] = {}
    for file in scans:
        by_key.setdefault(file.key, []).append(file)
    chosen = {}
    for key in sorted(by_key, key=key_order):
        files = [[file.path for file in by_key[key] if file.ends_with(suffix)] for suffix in suffixes]
        for suffix, found in zip(suffixes, files, strict=True):
            if len(found) != 1:
                names = f": {join_names(path.name for path in found)}" if found else ""
                raise InputError(
                    root,
                    found=f"{len(found) or 'no'} files that end in _{suffix} for {key_words(key)}{names}",
                    expected="one file",
                    remedy="give a longer --suffix, such as acq-high_T1w" if found else "give other suffixes",
                )
        chosen[key] = tuple(found[0] for found in files)
    return chosen


def _read_participants(file: Path) -> dict[str, dict[str, str]]:
    if not file.is_file():
        return {}
    columns, rows = read_table(file)
    check_keys(columns, ("participant_id",), file, line=1)
    if "participant_id" not in columns:
        raise InputError(
            file,
            found=f"the columns {join_names(columns)}",
            expected="a column participant_id",
            remedy="correct this table",
        )
    named = [(row.pop("participant_id"), row) for _, row in rows]
    return {name if name.startswith("sub-") else f"sub-{name}": row for name, row in named}


def _read_description(root: Path) -> dict[str, Any]:
    file = root / "dataset_description.json"
    content = read_json(file) if file.is_file() else {}
    content = content if isinstance(content, Mapping) else {}
    links = content.get("ReferencesAndLinks") or []
    entries = {
        "name": content.get("Name") or root.name,
        "reference": "; ".join(map(str, [links] if isinstance(links, str) else links)) or content.get("DatasetDOI"),
        "licence": content.get("License"),
    }
    return {key: value for key, value in entries.items() if value}

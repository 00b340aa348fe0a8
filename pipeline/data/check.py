"""The gate of training, evaluation and prediction: files are read whole, and all problems are reported at once.

It refuses what `lightskip check` calls a problem, and nothing else: both go through `inspect_case`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from .compare_splits import find_copies, find_split_subjects, group_copies, split_of
from .datalist import as_list
from .dataset import Case, list_cases
from .errors import InputError
from .findings import Finding
from .inspect_case import hash_images, inspect_case
from .inspection import Inspection, blank_record
from .wanted import Wanted, declared_values

__all__ = ["check_cases", "check_scans", "raise_problems"]

MIN_CASES_WITH_PROGRESS = 50
_ANYWHERE = Path()  # paths are absolute, or start from the working directory


def check_cases(
    cases: Sequence[Mapping[str, Any]],
    *,
    labels: Mapping[str, int] | Sequence[int] | None,
    channels: int = 1,
    spatial_dims: int = 3,
    workers: int | None = None,
    progress: bool = True,
    datalist: str | Path | None = None,
    dataset_dir: str | Path | None = None,
) -> None:
    """Read every image and label map of the cases whole, and return only if nothing is wrong with them.

    Refused is what `findings.SEVERITIES` calls a problem: files that are missing, empty, Git LFS pointers, truncated,
    corrupt or no image; complex or RGB voxels; axes or channels that MONAI would read as others than meant; NaN and
    infinite voxels; images with one value in every voxel, or with values beyond ±1e18; a spacing in metres or
    micrometres, one outside 0.01 to 100 mm, an affine that is zero or not finite; one file for two roles of a case;
    files of one case that differ in shape or place; label values that are not whole numbers (to 0.001) or not
    declared. Two files lie in the same place when their affines move no corner of the volume apart by more than
    0.001 mm or 0.001 of the smallest spacing, whichever is larger. With a datalist, leakage too: one image or one
    subject on both sides of a split.

    Args:
        cases: items `{"image": path, "label": path}`; a list of paths where each channel of an image has its own file.
        labels: the declared label values, by name or alone; 0, the background, is always allowed, unless another
            value is named "background". With None any whole number is.
        channels: channels of an image: as many files, or the length of the last axis of its only file.
        spatial_dims: axes in space, 2 or 3, of every file.
        workers: cases read at the same time, each held in memory; by default the number of CPUs, 4 at most.
        progress: whether to show a progress bar on stderr (from 50 cases on).
        datalist: names the folds and subjects of the cases; None looks for no leakage. Its test scans are not read.
        dataset_dir: folder that the datalist's relative paths start from; by default the one it names.

    Raises:
        InputError: the first problem in full, and a line for each of up to ten more files. A file is named once, with
            the first of its problems.
    """
    background = labels.get("background", 0) if isinstance(labels, Mapping) else 0
    wanted = Wanted(channels, spatial_dims, None if labels is None else declared_values(labels), background)
    listed = [] if datalist is None else list_cases(datalist, dataset_dir)
    own = _add_splits(_as_cases(cases, labelled=True), listed)
    inspections = _inspect(own, wanted, workers=workers, progress=progress)
    raise_problems(inspections, _find_leakage(inspections, listed) if listed else ())


def check_scans(
    scans: Sequence[Mapping[str, Any]],
    *,
    channels: int = 1,
    spatial_dims: int = 3,
    workers: int | None = None,
    progress: bool = True,
) -> None:
    """Do for scans without label maps what `check_cases` does for cases; arguments and error are the same."""
    wanted = Wanted(channels, spatial_dims, None)
    inspections = _inspect(_as_cases(scans, labelled=False), wanted, workers=workers, progress=progress)
    raise_problems(inspections)


def _as_cases(items: Sequence[Mapping[str, Any]], *, labelled: bool) -> list[Case]:
    """Return items as cases without a fold or subject, called by their first file."""
    return [
        Case(images[0], "training", images, str(item["label"]) if labelled else None, None, None)
        for item in items
        for images in [tuple(map(str, as_list(item["image"])))]
    ]


def _add_splits(cases: Sequence[Case], listed: Iterable[Case]) -> list[Case]:
    """Return the cases with name, fold and subject as the datalist has them; a case that it does not name as it is."""
    by_images: dict[tuple[str, ...], list[Case]] = {}
    for case in listed:
        by_images.setdefault(_key(case), []).append(case)
    result = []
    for case in cases:
        # A datalist may name a file twice, each time in another fold.
        same = by_images.get(_key(case), [])
        own = (same.pop(0) if len(same) > 1 else same[0]) if same else None
        result.append(case if own is None else replace(case, name=own.name, fold=own.fold, subject=own.subject))
    return result


def _key(case: Case) -> tuple[str, ...]:
    return tuple(os.path.abspath(path) for path in case.images)  # noqa: PTH100 - pathlib leaves ".." in


def _inspect(cases: Sequence[Case], wanted: Wanted, *, workers: int | None, progress: bool) -> list[Inspection]:
    def inspect(case: Case) -> Inspection:
        return inspect_case(case, _ANYWHERE, wanted, measure=False)

    # None: nothing is drawn into a log file.
    silent = None if progress and len(cases) >= MIN_CASES_WITH_PROGRESS else True
    executor = ThreadPoolExecutor(workers or min(4, os.cpu_count() or 1))
    try:
        results = executor.map(inspect, cases)
        return list(tqdm(results, total=len(cases), desc="Checking", unit="case", disable=silent))
    finally:
        # After Ctrl-C the cases not begun are not read any more.
        executor.shutdown(cancel_futures=True)


def _find_leakage(inspections: Sequence[Inspection], listed: Sequence[Case]) -> list[Finding]:
    """Return the leakage among the cases that were read, and between their subjects and those of the test scans."""
    names = {case.name for case in listed}
    own = [inspection for inspection in inspections if inspection.record["name"] in names]
    read = {inspection.record["name"] for inspection in own}
    others = [blank_record(case) for case in listed if case.name not in read]
    found = [*find_copies(_confirm_copies(own)), *find_split_subjects([*(each.record for each in own), *others])]
    return [finding for finding in found if finding.kind == "leakage" and finding.case in read]


def _confirm_copies(inspections: Iterable[Inspection]) -> list[Inspection]:
    """Return the inspections whose samples agree across a split, with the hash of all voxels instead."""
    confirmed = []
    for records in group_copies(inspections):
        if len({split_of(record) for record in records}) < 2:
            continue
        for record in records:
            case = Case(record["name"], record["part"], tuple(record["images"]), None, None, None)
            confirmed.append(Inspection([], dict(record), hash_images(case, _ANYWHERE)))
    return confirmed


def raise_problems(inspections: Iterable[Inspection], more: Iterable[Finding] = ()) -> None:
    """Raise an InputError with the first problem of each file, the images of a case before its label map."""
    findings = [finding for inspection in inspections for finding in _sort_findings(inspection)]
    problems: dict[str | None, InputError] = {}
    for finding in (*findings, *more):
        if finding.is_problem:
            problems.setdefault(finding.file, finding.error())
    if problems:
        first, *others = problems.values()
        raise InputError(
            first.where,
            found=first.found,
            expected=first.expected,
            remedy=first.remedy,
            kind=first.kind,
            others=others,
        )


def _sort_findings(inspection: Inspection) -> list[Finding]:
    """Return a case's findings in the order of its files, the images first."""
    files = [*inspection.record["images"], inspection.record["label"]]
    return sorted(inspection.findings, key=lambda finding: files.index(finding.file))

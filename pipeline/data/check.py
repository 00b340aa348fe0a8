"""The check before training, evaluation and prediction: files are read whole, and all problems are reported at once.

It refuses exactly what `lightskip check` calls a problem: both use `inspect_case`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from .check_memory import MemoryGate, default_limit, estimate_case
from .compare_splits import find_copies, find_split_subjects, group_copies, split_of
from .compare_units import find_mixed_units
from .datalist import as_list
from .dataset import Case, list_cases
from .errors import InputError, raise_together
from .findings import Finding
from .inspect_case import hash_images, inspect_case
from .inspection import Inspection, blank_record, refused_case
from .wanted import Wanted, declared_values

__all__ = ["check_cases", "check_scans", "raise_problems"]

MIN_CASES_WITH_PROGRESS = 50
_WORKING_FOLDER = Path()

logger = logging.getLogger(__name__)


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
    ignored: Sequence[int] = (),
    validation: Sequence[Mapping[str, Any]] | None = None,
) -> None:
    """Read every image and label map of the cases whole, and raise an error if there are problems.

    The problems are those of `findings.SEVERITIES`:

    - files that are missing, empty, Git LFS pointers, truncated, corrupt or no image;
    - complex or RGB voxels, NaN and infinite voxels, values beyond ±1e18, one value in every voxel of an image;
    - axes or channels that MONAI would read differently;
    - a spacing in metres or micrometres or outside 0.01 to 100 mm, an affine that is zero or not finite;
    - one file twice in a case, and files of one case that differ in shape or place. Two files are in the same place
      if the corners of the volume differ by at most 0.001 mm or 0.001 of the smallest spacing, whichever is larger;
    - lengths in mm in one case and in pixels in another;
    - label values that are not whole numbers (to 0.001) or not declared;
    - with a datalist, leakage: one image or one subject on both sides of a split;
    - with `validation`: training or validation cases of which none has a labelled voxel.

    Args:
        cases: items `{"image": path, "label": path}`; a list of paths if each channel of an image has its own file.
        labels: the declared label values, by name or alone. 0, the background, is always allowed, unless another
            value is named "background". None allows any whole number.
        channels: channels of an image: as many files, or the length of the last axis of its only file.
        spatial_dims: axes in space, 2 or 3, of every file.
        workers: cases read at the same time, each held in memory; by default the number of CPUs, 4 at most.
        progress: whether to show a progress bar on stderr (from 50 cases on).
        datalist: names the folds and subjects of the cases; None skips the search for leakage. Its test scans are not
            read.
        dataset_dir: folder that the datalist's relative paths start from; by default the one it names.
        ignored: values of voxels without annotation, which label maps may have besides those of labels.
        validation: cases that are checked as well: those that validate the training on `cases`, none for a training
            without validation. None: the cases belong to no training.

    Raises:
        InputError: there are problems. The message has the first one in full, and a line for each of up to ten more
            files. Each file is named once, with its first problem.
    """
    background = labels.get("background", 0) if isinstance(labels, Mapping) else 0
    wanted = Wanted(
        channels, spatial_dims, None if labels is None else declared_values(labels), background, tuple(ignored)
    )
    listed = [] if datalist is None else list_cases(datalist, dataset_dir)
    own = _add_splits(_as_cases([*cases, *(validation or ())], labelled=True), listed)
    inspections = _inspect(own, wanted, workers=workers, progress=progress)
    mixed = find_mixed_units(inspection.record for inspection in inspections)
    raise_problems(inspections, [*mixed, *(_find_leakage(inspections, listed) if listed else ())])
    if validation is not None:
        _require_labels(inspections[: len(cases)], "training")
        _require_labels(inspections[len(cases) :], "validation")


def check_scans(
    scans: Sequence[Mapping[str, Any]],
    *,
    channels: int = 1,
    spatial_dims: int = 3,
    workers: int | None = None,
    progress: bool = True,
) -> None:
    """Check scans without label maps; arguments and error are those of `check_cases`."""
    wanted = Wanted(channels, spatial_dims, None)
    inspections = _inspect(_as_cases(scans, labelled=False), wanted, workers=workers, progress=progress)
    raise_problems(inspections)


def _as_cases(items: Sequence[Mapping[str, Any]], *, labelled: bool) -> list[Case]:
    """Return items as cases without a fold or subject, named by the path of their first file."""
    return [
        Case(images[0], "training", images, str(item["label"]) if labelled else None, None, None)
        for item in items
        for images in [tuple(map(str, as_list(item["image"])))]
    ]


def _add_splits(cases: Sequence[Case], listed: Iterable[Case]) -> list[Case]:
    """Return the cases with their name, fold and subject from the datalist; others stay unchanged."""
    by_images: dict[tuple[str, ...], list[Case]] = {}
    for case in listed:
        by_images.setdefault(_key(case), []).append(case)
    result = []
    for case in cases:
        # A datalist may name a file twice, in different folds.
        same = by_images.get(_key(case), [])
        own = (same.pop(0) if len(same) > 1 else same[0]) if same else None
        result.append(case if own is None else replace(case, name=own.name, fold=own.fold, subject=own.subject))
    return result


def _key(case: Case) -> tuple[str, ...]:
    return tuple(os.path.abspath(path) for path in case.images)  # noqa: PTH100 - pathlib leaves ".." in


def _inspect(cases: Sequence[Case], wanted: Wanted, *, workers: int | None, progress: bool) -> list[Inspection]:
    gate = MemoryGate(default_limit())

    def inspect(case: Case) -> Inspection:
        try:
            with gate.enter(estimate_case(case, _WORKING_FOLDER, measure=False), case.images[0]):
                return inspect_case(case, _WORKING_FOLDER, wanted, measure=False)
        except InputError as error:
            return refused_case(case, error)

    # With None, tqdm draws nothing into a log file.
    silent = None if progress and len(cases) >= MIN_CASES_WITH_PROGRESS else True
    executor = ThreadPoolExecutor(workers or min(4, os.cpu_count() or 1))
    try:
        results = executor.map(inspect, cases)
        return list(tqdm(results, total=len(cases), desc="Checking", unit="case", disable=silent))
    finally:
        # After Ctrl-C no further case is started.
        executor.shutdown(cancel_futures=True)


def _require_labels(inspections: Sequence[Inspection], part: str) -> None:
    """Raise an InputError if all label maps are empty: nothing would be learnt, or every validation would be alike."""
    empty = [next((each for each in one.findings if each.kind == "label-empty"), None) for one in inspections]
    if not empty or not all(empty) or (first := empty[0]) is None:
        return
    several = len(empty) > 1
    raise InputError(
        f"the {len(empty)} {part} cases" if several else f"the {part} case",
        found=f"{'only empty label maps, the first ' if several else ''}{first.where or first.file}: {first.found}",
        expected="at least one label map with a labelled voxel among them",
        remedy="use another --fold, spread the cases over other folds (`lightskip datalist … --seed N`), or correct "
        "the label maps",
        kind="labels-absent",
    )


def _find_leakage(inspections: Sequence[Inspection], listed: Sequence[Case]) -> list[Finding]:
    """Return leakage among the cases that were read, and between their subjects and those of the test scans."""
    names = {case.name for case in listed}
    own = [inspection for inspection in inspections if inspection.record["name"] in names]
    read = {inspection.record["name"] for inspection in own}
    others = [blank_record(case) for case in listed if case.name not in read]
    found = [*find_copies(_confirm_copies(own)), *find_split_subjects([*(each.record for each in own), *others])]
    return [finding for finding in found if finding.kind == "leakage" and finding.case in read]


def _confirm_copies(inspections: Iterable[Inspection]) -> list[Inspection]:
    """Return the inspections of possible copies across a split, with the hash of all voxels instead of a sample's."""
    confirmed = []
    for records in group_copies(inspections):
        if len({split_of(record) for record in records}) < 2:
            continue
        for record in records:
            case = Case(record["name"], record["part"], tuple(record["images"]), None, None, None)
            confirmed.append(Inspection([], dict(record), hash_images(case, _WORKING_FOLDER)))
    return confirmed


def raise_problems(inspections: Iterable[Inspection], more: Iterable[Finding] = ()) -> None:
    """Raise an InputError with the first problem of each file, if there are any; images come before label maps."""
    findings = [finding for inspection in inspections for finding in _sort_findings(inspection)]
    problems: dict[str | None, InputError] = {}
    for finding in (*findings, *more):
        if finding.is_problem:
            problems.setdefault(finding.file, finding.error())
    raise_together(problems.values())


def _sort_findings(inspection: Inspection) -> list[Finding]:
    """Return a case's findings in the order of its files: images first."""
    files = [*inspection.record["images"], inspection.record["label"]]
    return sorted(inspection.findings, key=lambda finding: files.index(finding.file))

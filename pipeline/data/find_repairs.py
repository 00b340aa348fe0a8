"""Find the files of a dataset that `lightskip check --fix` can repair, and why it leaves others alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .dataset import Case, Dataset, locate, report_name
from .findings import FIXABLE, RESAMPLED
from .fix_grids import Resampling, find_resampling
from .images.endings import is_nifti
from .images.nifti_forms import SINGULAR

__all__ = ["Repair", "find_repairs"]

# Kinds of files whose place in space readers may take differently.
_DOUBTFUL_PLACES = frozenset({"form-conflict", "form-missing", SINGULAR})


@dataclass
class Repair:
    """One file to repair.

    Attributes:
        file: its path.
        reference: the image whose place it gets.
        kinds: of its findings that are repaired.
        resampling: how to resample it; None if its grid stays.
    """

    file: Path
    reference: Path
    kinds: set[str]
    resampling: Resampling | None = None


def find_repairs(dataset: Dataset, report: Mapping[str, Any]) -> tuple[dict[str, Repair], dict[str, str]]:
    """Return the repairs to make, and the reasons for files left out, both by the file's name in the report."""
    kinds: dict[str, set[str]] = {}
    for finding in report["findings"]:
        kinds.setdefault(finding["file"], set()).add(finding["kind"])
    unusable = {
        finding["file"]
        for finding in report["findings"]
        if finding["severity"] == "problem" and finding["kind"] not in FIXABLE | RESAMPLED
    }
    repairs: dict[str, Repair] = {}
    unable: dict[str, str] = {}
    for case in dataset.cases:
        image = report_name(case.images[0])
        for file in filter(None, [*case.images, case.label]):
            name = report_name(file)
            known = kinds.get(name, set())
            wanted = known & FIXABLE
            moved = known & RESAMPLED and len(case.images) > 1 and name != image
            reference = locate(dataset.folder, case.images[0])
            if moved and name in repairs and repairs[name].reference != reference:
                del repairs[name]
                unable[name] = "several cases have it, with different first channels"
            # A file that two cases share is repaired once, for the first.
            if not (wanted or moved) or name in repairs or name in unable:
                continue
            if moved:
                found = _find_resampling(case, file, dataset, kinds, unusable, report["spatial_dims"])
                if isinstance(found, str):
                    unable[name] = found
                else:
                    repairs[name] = Repair(locate(dataset.folder, file), reference, wanted | known & RESAMPLED, found)
                continue
            if name in unusable or known & RESAMPLED or not is_nifti(name):
                unable[name] = "it is not NIfTI" if not is_nifti(name) else "it has another problem"
                continue
            if "grid-rounding" in wanted and (why := _why_no_reference(image, kinds.get(image, set()), unusable)):
                unable[name] = why
                wanted = wanted - {"grid-rounding"}
            if wanted:
                repairs[name] = Repair(locate(dataset.folder, file), reference, wanted)
    return repairs, unable


def _find_resampling(
    case: Case, file: str, dataset: Dataset, kinds: Mapping[str, set[str]], unusable: set[str], spatial_dims: int
) -> Resampling | str:
    """Return how to resample a file of a case to its first image's grid, or why that is not possible."""
    for path in (case.images[0], file):
        name = report_name(path)
        if name in unusable or kinds.get(name, set()) & _DOUBTFUL_PLACES:
            return "it has another problem" if path == file else "its first channel has problems too"
    return find_resampling(case, file, dataset, spatial_dims=spatial_dims)


def _why_no_reference(image: str, kinds: set[str], unusable: set[str]) -> str:
    """Return why an image's place cannot be copied to another file; empty if it can."""
    if not is_nifti(image):
        return "its image is not NIfTI, so there is no qform or sform to copy"
    if image in unusable or kinds & _DOUBTFUL_PLACES:
        return "the header of its image has problems too"
    return ""

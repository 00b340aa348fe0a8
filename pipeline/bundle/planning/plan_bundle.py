"""`lightskip plan` from beginning to end: the check's report, the plan, the bundle."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...data.amounts import parse_memory
from ...data.check_dataset import check_dataset
from ...data.dataset import Dataset, read_dataset
from ...data.errors import InputError
from ...data.measure_case import Draw
from .make_plan import Planned, make_plan
from .new_bundle import require_new, write_bundle
from .resources import GIB, Resources

__all__ = ["plan_bundle"]


def plan_bundle(
    datalist: str | Path,
    name: str,
    output: str | Path,
    *,
    check: str | Path | None = None,
    dataset_dir: str | Path | None = None,
    hours: float = 1.0,
    memory: str | None = None,
    device: str | None = None,
    skip: str = "sat4",
    spacing: list[float] | None = None,
    modality: str | None = None,
    draw: Draw | None = None,
) -> str:
    """Plan a bundle for a dataset and write it.

    Args:
        datalist: JSON file, as `lightskip datalist` writes it.
        name: of the bundle, letters, digits and _.
        output: folder of bundles; the bundle is the folder `name` in it.
        check: folder of the report of `lightskip check`; what it has of this datalist is not read again.
        dataset_dir: where the datalist's paths start, if not where it says.
        hours: that training may take.
        memory: that training may take, such as "8GB"; by default 80 % of what is free.
        device: "cpu" or "cuda"; by default a GPU if there is one.
        skip: a file of ``configs/skips``.
        spacing: mm per axis to resample to; by default chosen.
        modality: what the images are; by default chosen.
        draw: draws the pictures of the check's page for what has to be read: see `check_dataset`.

    Returns:
        What was made, and what is left to do, in words.

    Raises:
        InputError: an argument is wrong, the dataset is not fit for training, or there is such a bundle already.
    """
    if re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) is None:
        raise InputError(
            "--name", found=name, expected="letters, digits and _, such as liver_ct", remedy="give another name"
        )
    bundle = Path(output) / name
    require_new(bundle)
    resources = Resources(memory=None if memory is None else parse_memory(memory), device=device, hours=hours)
    resources.skip_argument(skip)
    dataset = read_dataset(datalist, dataset_dir)
    # What the check has read already it does not read again, but for files that have changed since.
    report = check_dataset(datalist, check, dataset_dir=dataset_dir, draw=draw)
    if spacing is not None and (len(spacing) != report["spatial_dims"] or not all(0 < each < 1e4 for each in spacing)):
        raise InputError(
            "--spacing",
            found=" ".join(map(str, spacing)),
            expected=f"{report['spatial_dims']} numbers above 0, mm",
            remedy="give one per axis: right-left, posterior-anterior, inferior-superior",
        )
    planned = make_plan(
        dataset, report, name, bundle, resources=resources, skip=skip, spacing=spacing, modality=modality
    )
    write_bundle(bundle, planned)
    return "\n".join(_told(bundle, planned, dataset, report["findings"], resources))


def _told(
    bundle: Path, planned: Planned, dataset: Dataset, findings: Sequence[Mapping[str, Any]], resources: Resources
) -> list[str]:
    size = planned.size
    lines = [
        f"{bundle}/plan.yaml, with the reason of every choice",
        f"  patch {' x '.join(map(str, size.levels.patch))}, {size.batch} patches per step, widths "
        f"{'-'.join(map(str, size.channels))}; training takes about {planned.memory / GIB:.2g} GiB on "
        f"{resources.device} and {planned.hours:.2g} hours",
    ]
    problems = Counter(finding["kind"] for finding in findings if finding["severity"] == "problem")
    if problems:
        kinds = ", ".join(f"{kind} ({count})" for kind, count in sorted(problems.items()))
        lines.append(f"  the dataset has problems: {kinds}; cases that cannot be read did not count")
        lines.append("  see what `lightskip check` says before training on it: training refuses cases with a problem")
    if planned.hours > resources.hours:
        lines.append(
            f"  {resources.hours:g} hours are too few for two epochs and a validation; training ends after one or two"
        )
    if planned.to_fill_in:
        lines.append(f"to fill in by hand: {', '.join(planned.to_fill_in)} in plan.yaml, and docs/")
        lines.append(f"  then: lightskip render {bundle}")
    where = "" if "folder" in dataset.described else f" --dataset_dir {dataset.folder}"
    lines.append(f"next: lightskip train {bundle}{where}")
    return lines

"""Run `lightskip plan`: check the dataset, make the plan, write the bundle."""

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
from ...data.outside import refuse_outside
from ..words import lightskip_command
from .make_plan import PlannedBundle, make_plan
from .networks import find_rule
from .new_bundle import require_new, write_bundle
from .regions import require_region_order
from .resources import GIB, Resources
from .skips import choose_skip

__all__ = ["plan_bundle"]


def plan_bundle(
    datalist: str | Path,
    name: str,
    output: str | Path,
    *,
    folder: str | None = None,
    check: str | Path | None = None,
    dataset_dir: str | Path | None = None,
    hours: float = 1.0,
    memory: str | None = None,
    device: str | None = None,
    network: str = "vnet",
    skip: str = "sat4",
    spacing: list[float] | None = None,
    modality: str | None = None,
    outside: bool = False,
    draw: Draw | None = None,
) -> str:
    """Plan a bundle for a dataset and write it.

    Args:
        datalist: JSON file, as `lightskip datalist` writes it.
        name: the bundle's name: letters, digits and _.
        output: folder of bundles.
        folder: name of the bundle's folder in it, the bundle's name by default.
        check: folder of a report of `lightskip check`; unchanged scans in it are not read again.
        dataset_dir: the folder that the datalist's paths are relative to, instead of the datalist's own.
        hours: limit for the training.
        memory: limit for the training, such as "8GB"; by default 80 % of the free memory.
        device: "cpu" or "cuda"; by default a GPU if there is one.
        network: a name in `planning.networks.RULES`.
        skip: see `choose_skip`.
        spacing: mm per axis to resample to; None chooses it.
        modality: the images' modality; None chooses it.
        outside: whether the datalist may name files outside the dataset's folder; see `find_outside`.
        draw: draws the pictures of the check's page for scans that are read: see `check_dataset`.

    Returns:
        Summary of the plan and the next steps, for the terminal.

    Raises:
        InputError: an argument is wrong, the dataset cannot be trained on, or the bundle exists already.
    """
    if re.fullmatch(r"[A-Za-z_]\w{0,99}", name, re.ASCII) is None:
        raise InputError(
            "--name",
            found=name,
            expected="at most 100 letters, digits and _, such as liver_ct",
            remedy="choose another name",
        )
    bundle = Path(output) / (folder or name)
    require_new(bundle)
    resources = Resources(memory=None if memory is None else parse_memory(memory), device=device, hours=hours)
    # Before minutes of reading.
    find_rule(network)
    choose_skip(skip)
    dataset = read_dataset(datalist, dataset_dir)
    require_region_order(dataset)
    if not outside:
        paths = (path for case in dataset.cases for path in (*case.images, case.label) if path)
        refuse_outside(paths, dataset.folder, dataset.file, "--outside")
    # Reads only files that are not in the report or have changed since.
    report = check_dataset(datalist, check, dataset_dir=dataset_dir, draw=draw)
    if spacing is not None and (len(spacing) != report["spatial_dims"] or not all(0 < each < 1e4 for each in spacing)):
        raise InputError(
            "--spacing",
            found=" ".join(map(str, spacing)),
            expected=f"{report['spatial_dims']} numbers above 0, {report.get('unit') or 'mm'}",
            remedy="write one number per axis: right-left, posterior-anterior, inferior-superior",
        )
    planned = make_plan(
        dataset,
        report,
        name,
        bundle,
        resources=resources,
        network=network,
        skip=skip,
        spacing=spacing,
        modality=modality,
        outside=outside,
    )
    write_bundle(bundle, planned)
    return "\n".join(_summary_lines(bundle, planned, dataset, report["findings"], resources))


def _summary_lines(
    bundle: Path, planned: PlannedBundle, dataset: Dataset, findings: Sequence[Mapping[str, Any]], resources: Resources
) -> list[str]:
    size = planned.size
    lines = [
        f"wrote {bundle}/plan.yaml, with a reason for every choice",
        f"  patch {' x '.join(map(str, size.levels.patch))}, {size.batch} patches per step, channels "
        f"{'-'.join(map(str, planned.channels))}; training takes about {planned.memory / GIB:.2g} GiB on "
        f"{resources.device} and {60 * resources.hours:.3g} minutes{_threads_text(resources)}",
    ]
    problems = Counter(finding["kind"] for finding in findings if finding["severity"] == "problem")
    if problems:
        kinds = ", ".join(f"{kind} ({count})" for kind, count in sorted(problems.items()))
        lines.append(f"  problems in the dataset: {kinds}; unreadable cases were left out")
        lines.append("  correct them before training, which refuses cases with a problem: `lightskip check` lists them")
    if planned.to_fill_in:
        lines.append(f"fill in by hand: {', '.join(planned.to_fill_in)} in plan.yaml, and docs/")
        lines.append(f"  then: {lightskip_command('render', bundle)}")
    where = {} if "folder" in dataset.described else {"dataset_dir": str(dataset.folder)}
    lines.append(f"next: {lightskip_command('train', bundle, where)}")
    return lines


def _threads_text(resources: Resources) -> str:
    threads = resources.threads
    return f", timed with {threads} thread{'s' * (threads > 1)} (OMP_NUM_THREADS)" if threads else ""

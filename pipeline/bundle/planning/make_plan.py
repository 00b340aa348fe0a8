"""Make the plan of a checked dataset for `lightskip plan`, with a reason for every choice."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...data.dataset import Dataset
from ...networks import Networks
from ..network_check import build_on_meta, explain_refusal
from .choice import Choice, format_numbers
from .coarser import choose_coarser_spacing
from .describe import describe
from .fingerprint import Fingerprint, make_fingerprint
from .geometry import check_spacing, choose_spacing, count_windows, shape_at
from .intensity import choose_modality, choose_normalisation
from .networks import explain_network, find_rule, network_spec
from .regions import choose_annotation, choose_regions
from .resources import GIB, Resources
from .scans import describe_scans
from .schedule import choose_cases_per_step, choose_schedule
from .short import count_patches_per_case, mirror_if_long
from .sides import choose_mirror_axes, find_sided_axes
from .size import Size, choose_size
from .skips import choose_skip

__all__ = ["PlannedBundle", "make_plan"]

# Of the median scan, at an overlap of half a window: above this, inference on a CPU takes a smaller overlap.
_MAX_CPU_WINDOWS = 16
_MOSTLY_FOREGROUND = 0.25

Plan = dict[str, Any]


@dataclass(frozen=True)
class PlannedBundle:
    """A plan, with the numbers behind it.

    Args:
        content: keys and values of plan.yaml; values are plain, `Choice`, or mappings of these.
        fingerprint: the dataset's numbers.
        size: width, patch and batch.
        channels: channels of the encoder's feature maps, finest first.
        memory: estimated memory of the device in training (bytes).
        to_fill_in: keys that only a person can fill in.
    """

    content: Plan
    fingerprint: Fingerprint
    size: Size
    channels: tuple[int, ...]
    memory: int
    to_fill_in: list[str]


def make_plan(
    dataset: Dataset,
    report: Mapping[str, Any],
    name: str,
    bundle: Path,
    *,
    resources: Resources,
    network: str = "vnet",
    skip: str = "sat4",
    spacing: list[float] | None = None,
    modality: str | None = None,
    outside: bool = False,
) -> PlannedBundle:
    """Plan a bundle for a dataset.

    Args:
        dataset: the datalist.
        report: the report of `check_dataset`.
        name: the bundle's name.
        bundle: the bundle's folder; the plan's paths of datalist and scans are relative to it.
        resources: memory, device and hours to plan for.
        network: a name in `planning.networks.RULES`.
        skip: see `choose_skip`.
        spacing: mm per axis; None chooses it.
        modality: the plan's modality; None chooses it.
        outside: whether trainings may read files of the datalist that are outside the dataset's folder.

    Raises:
        InputError: the dataset cannot be trained on (`make_fingerprint`), regions lack an order, the spacing leaves
            hardly any voxels of a scan, there is too little memory for any network or too little time for a validation,
            or the network does not take the skip connections.
    """
    fingerprint = make_fingerprint(report)
    regions = choose_regions(dataset)
    modality_choice = (
        Choice(modality, "set by --modality") if modality else choose_modality(fingerprint.channels, fingerprint)
    )
    chosen = check_spacing(spacing, fingerprint) if spacing else choose_spacing(fingerprint)
    mirror = choose_mirror_axes(fingerprint)

    rule, skips = find_rule(network), choose_skip(skip)

    def spec(size: Size) -> dict[str, Any]:
        inputs = len(fingerprint.channels)
        own = network_spec(
            size, dims=fingerprint.dims, in_channels=inputs, out_channels=fingerprint.outputs, network=network
        )
        return own | {"skip": skips.fitted(len(size.levels.strides))}

    def size_at(spacing: list[float]) -> Size:
        resources.plan_for(fingerprint, spacing, spec)
        return choose_size(
            shape_at(fingerprint, spacing).tolist(),
            spacing,
            memory=resources.memory_of,
            memory_limit=resources.memory,
            seconds=resources.seconds_of,
            seconds_limit=resources.hours * 3600,
            uncut=find_sided_axes(mirror, fingerprint.dims),
            widths=rule.widths,
            timed_first=rule.timed_first,
        )

    with explain_refusal(f"--network {network}, --skip {skip}"):
        size = size_at(chosen.value)
        if spacing is None:
            chosen, size = choose_coarser_spacing(chosen, fingerprint, size, size_at, resources)
        built = build_on_meta(spec(size) | {"skip": skips.argument})
    resources.require_enough(size)
    overlap = _choose_overlap(size, fingerprint, chosen.value, resources)
    schedule = choose_schedule(fingerprint, size, resources, overlap=overlap.value)
    memory = resources.planned_memory(size)
    words = describe(name, dataset, fingerprint, modality_choice.value, network=Networks[network], skip=skips.argument)
    content: Plan = {
        **words.head,
        "data": {
            **_choose_paths(dataset, bundle, outside=outside),
            **words.data,
            "modality": modality_choice,
            **_choose_unit(fingerprint),
            "channels": Choice(fingerprint.channels, "in the order of the files, named by the datalist"),
            **({} if (scans := describe_scans(fingerprint)) is None else {"scans": scans}),
        },
        **_choose_labels(fingerprint),
        **regions,
        **choose_annotation(dataset, fingerprint),
        "orientation": Choice("RAS", _ORIENTATION[fingerprint.dims]),
        "spacing": chosen,
        **choose_normalisation(modality_choice.value, fingerprint),
        "patch": _explain_patch(
            size, fingerprint, chosen.value, resources, sided=bool(find_sided_axes(mirror, fingerprint.dims))
        ),
        "window": Choice(size.levels.patch, "voxels; the same as the patch"),
        "window_overlap": overlap,
        "batch": _choose_batch(fingerprint, size, resources),
        "mirror_axes": mirror_if_long(mirror, fingerprint, count_patches_per_case(fingerprint, size, resources)),
        "class_ratios": _choose_class_ratios(fingerprint),
        "network": explain_network(
            spec(size),
            size,
            chosen.value,
            width_reason=resources.width_reason(size),
            memory=f"{memory / GIB:.2g} GiB",
            unit=fingerprint.unit,
        ),
        "skip": skips.choice(built),
        "training": schedule,
        "evaluation": {"tolerance_mm": _choose_tolerance(chosen.value, fingerprint.unit)},
    }
    return PlannedBundle(content, fingerprint, size, built.channels, memory, words.to_fill_in)


def _choose_unit(fingerprint: Fingerprint) -> Plan:
    """Return the unit of lengths, if it is not mm."""
    own = "the pictures have no spacing" if fingerprint.unit == "px" else "the pictures' own"
    reason = f"of spacing and tolerance: {own}"
    return {} if fingerprint.unit == "mm" else {"unit": Choice(fingerprint.unit, reason)}


def _choose_tolerance(spacing: list[float], unit: str) -> Choice:
    voxel = float(f"{min(spacing):.3g}")
    if unit == "mm":
        return Choice(max(1.0, voxel), "mm; of a surface, for NSD: one voxel, at least 1 mm")
    return Choice(voxel, f"{unit}; of a surface, for NSD: one voxel")


_ORIENTATION = {
    2: "no effect in 2D: pictures are not turned",
    3: "every scan is turned to this orientation; axis 0 is left-right",
}


def _choose_paths(dataset: Dataset, bundle: Path, *, outside: bool) -> Plan:
    places: Plan = {"manifest": _relative_path(dataset.file, bundle)}
    if "folder" in dataset.described:
        places["folder"] = Choice(_relative_path(dataset.folder, bundle), "folder of the scans on this machine")
    if outside:
        places["outside"] = Choice(True, "set by --outside: absolute paths and links may lead out of this folder")
    return places


def _relative_path(path: Path, folder: Path) -> str:
    # Not resolved: the parent of a link is not the parent of its target.
    return Path(os.path.relpath(path.absolute(), folder.resolve())).as_posix()


def _choose_labels(fingerprint: Fingerprint) -> Plan:
    labels = {name: index for index, name in enumerate(fingerprint.labels)}
    if labels == fingerprint.labels:
        return {"labels": Choice(labels, "as in the dataset's files")}
    return {
        "labels": Choice(labels, "in the network, and in the label maps that it writes"),
        "label_values": Choice(fingerprint.labels, "in the dataset's files"),
    }


def _explain_patch(
    size: Size, fingerprint: Fingerprint, spacing: list[float], resources: Resources, *, sided: bool
) -> Choice:
    median = shape_at(fingerprint, spacing)
    covers = min(1.0, float(np.prod(np.minimum(size.levels.patch, median)) / np.prod(median)))
    part = f"voxels; {covers:.0%} of the median scan ({format_numbers(median)})"
    reasons = {
        "nothing": f"voxels; the whole median scan ({format_numbers(median)})",
        "worth": f"{part}; a larger patch costs more than it adds",
        "memory": f"{part}, the most for {resources.memory / GIB:.3g} GiB",
        "time": f"{part}, the most for {resources.hours:g} h",
    }
    is_uncut = sided and size.levels.patch[0] >= median[0]
    side = ", with all of its left-right axis as labels have a side" if is_uncut else ""
    divisor = format_numbers(size.levels.divisor)
    return Choice(size.levels.patch, f"{reasons[size.limited_by]}{side}; sides must divide by {divisor}")


def _choose_overlap(size: Size, fingerprint: Fingerprint, spacing: list[float], resources: Resources) -> Choice:
    windows = count_windows(shape_at(fingerprint, spacing).tolist(), size.levels.patch, 0.5)
    if resources.device == "cpu" and windows > _MAX_CPU_WINDOWS:
        return Choice(0.25, f"of a window; 0.5 would take {windows} windows for the median scan, too slow on a CPU")
    return Choice(0.5, "of a window; every voxel is away from the border of some window")


def _choose_batch(fingerprint: Fingerprint, size: Size, resources: Resources) -> Choice:
    cases = choose_cases_per_step(fingerprint, size, resources)
    if cases == size.batch == 2:
        return Choice(
            cases, "cases per step; the smallest batch for a loss over the batch leaves room for a large patch"
        )
    return Choice(cases, f"cases per step: {size.batch} patches, {size.batch * size.voxels:,} voxels in all")


def _choose_class_ratios(fingerprint: Fingerprint) -> Choice:
    structures = fingerprint.structures
    smallest = min((each for each in structures if each.cases), key=lambda each: each.share)
    if fingerprint.foreground >= _MOSTLY_FOREGROUND:
        return Choice(
            [1] * (len(structures) + 1),
            f"{fingerprint.foreground:.0%} of a scan is labelled, so patches centre on all labels equally often, "
            "background included",
        )
    return Choice(
        [len(structures), *[1] * len(structures)],
        f"half of the patches centre on a label, each label equally often (the smallest, {smallest.name}, is "
        f"{smallest.share:.2%} of a scan); the Dice loss needs no class weights",
    )

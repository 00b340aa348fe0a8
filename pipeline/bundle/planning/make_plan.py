"""`lightskip plan`: from a checked dataset to a plan, every choice with its reason."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...data.dataset import Dataset
from .choice import Choice, listed
from .describe import describe
from .fingerprint import Fingerprint, make_fingerprint
from .geometry import choose_spacing, shape_at
from .intensity import choose_modality, choose_normalisation
from .memory import MemoryEstimate
from .resources import GIB, Resources
from .schedule import cases_per_step, choose_schedule
from .sides import choose_mirror_axes, sided_axes
from .size import Size, choose_size, network_arguments

__all__ = ["Planned", "make_plan"]

# A scan is worked at the spacing at which it has at most so many patches; else a network never sees enough of it.
_MOST_PATCHES_PER_SCAN = 64
_MANY_WINDOWS = 27
_MOSTLY_FOREGROUND = 0.25

Plan = dict[str, Any]


@dataclass(frozen=True)
class Planned:
    """A plan as it was made.

    Args:
        content: keys and values of plan.yaml; values are plain, `Choice`, or mappings of these.
        fingerprint: the numbers that it was made from.
        size: width, patch and batch.
        memory: what training is estimated to take.
        hours: what training is estimated to take, at most the hours given.
        to_fill_in: keys that only a person can fill in.
    """

    content: Plan
    fingerprint: Fingerprint
    size: Size
    memory: MemoryEstimate
    hours: float
    to_fill_in: list[str]


def make_plan(
    dataset: Dataset,
    report: Mapping[str, Any],
    name: str,
    bundle: Path,
    *,
    resources: Resources,
    skip: str = "sat4",
    spacing: list[float] | None = None,
    modality: str | None = None,
) -> Planned:
    """Plan a bundle for a dataset.

    Args:
        dataset: the datalist.
        report: what `check_dataset` found and measured.
        name: of the bundle.
        bundle: its folder, from which the plan names datalist and scans.
        resources: memory, device and hours to plan for.
        skip: a file of ``configs/skips``.
        spacing: mm per axis to work at, instead of a choice.
        modality: the plan's word for what the images are, instead of a choice.

    Raises:
        InputError: the dataset is not fit for training (`make_fingerprint`), or memory is too small for any network.
    """
    fingerprint = make_fingerprint(report)
    modalities = Choice(modality, "as given") if modality else choose_modality(fingerprint.channels, fingerprint)
    chosen = Choice(spacing, "mm; as given") if spacing else choose_spacing(fingerprint)
    classes = len(fingerprint.labels)
    mirror = choose_mirror_axes(fingerprint)

    def arguments(size: Size) -> dict[str, Any]:
        network = network_arguments(
            size, dims=fingerprint.dims, in_channels=len(fingerprint.channels), out_channels=classes
        )
        return network | {"skip": resources.skip_argument(skip)}

    def sized(at: list[float]) -> Size:
        resources.at(fingerprint, at, arguments)
        return choose_size(
            shape_at(fingerprint, at).tolist(),
            at,
            memory=resources.memory_of,
            memory_limit=resources.memory,
            seconds=resources.seconds_of,
            seconds_limit=resources.hours * 3600,
            uncut=sided_axes(mirror, fingerprint.dims),
        )

    size = sized(chosen.value)
    if spacing is None:
        coarser = _coarser(chosen, fingerprint, size)
        if coarser is not None:
            chosen, size = coarser, sized(coarser.value)
    resources.require_enough(size)
    schedule, hours = choose_schedule(fingerprint, size, resources)
    estimate = resources.estimate(size)
    network = arguments(size)
    words = describe(name, dataset, fingerprint, modalities.value)
    content: Plan = {
        **words.head,
        "data": {
            **_places(dataset, bundle),
            **words.data,
            "modality": modalities,
            "channels": fingerprint.channels,
        },
        **_labels(fingerprint),
        "orientation": "RAS",
        "spacing": chosen,
        **choose_normalisation(modalities.value, fingerprint),
        "patch": _patch(size, fingerprint, chosen.value, resources, sided=bool(sided_axes(mirror, fingerprint.dims))),
        "window": Choice(size.levels.patch, "voxels; in inference the same as in training"),
        "window_overlap": _overlap(size, fingerprint, chosen.value, resources),
        "batch": _batch(fingerprint, size, resources),
        "mirror_axes": mirror,
        "class_ratios": _class_ratios(fingerprint),
        "network": _network(network, size, chosen.value, resources, estimate),
        "skip": Choice(skip, _SKIP_REASONS.get(skip, "as given")),
        "training": schedule,
        "evaluation": {
            "tolerance_mm": Choice(
                max(1.0, float(f"{min(chosen.value):.3g}")), "of a surface, for NSD: one voxel, and at least 1 mm"
            )
        },
    }
    return Planned(content, fingerprint, size, estimate, hours, words.to_fill_in)


_SKIP_REASONS = {"sat4": "the lightest within .002 of concatenation at equal minutes: docs/speed.md of LightSkip"}


def _places(dataset: Dataset, bundle: Path) -> Plan:
    places: Plan = {"manifest": _relative(dataset.file, bundle)}
    if "folder" in dataset.described:
        folder = dataset.file.parent / Path(str(dataset.described["folder"])).expanduser()
        places["folder"] = Choice(_relative(folder, bundle), "where the scans lie on this machine")
    return places


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path.absolute(), folder.absolute())).as_posix()


def _labels(fingerprint: Fingerprint) -> Plan:
    labels = {name: index for index, name in enumerate(fingerprint.labels)}
    if labels == fingerprint.labels:
        return {"labels": labels}
    return {
        "labels": Choice(labels, "the network's; label maps that it writes have these values"),
        "label_values": Choice(fingerprint.labels, "the values in the dataset's files, which are others"),
    }


def _coarser(chosen: Choice, fingerprint: Fingerprint, size: Size) -> Choice | None:
    """Give a coarser spacing where a scan has too many patches; None where it has not."""
    ratio = float(np.prod(shape_at(fingerprint, chosen.value)) / size.voxels)
    if ratio <= _MOST_PATCHES_PER_SCAN:
        return None
    # A thick axis stays as it is: there is nothing to throw away.
    spacing = np.asarray(chosen.value)
    fine = spacing < 2 * spacing.min()
    factor = (ratio / _MOST_PATCHES_PER_SCAN) ** (1 / fine.sum())
    coarse = np.where(fine, np.maximum(spacing * factor, spacing), spacing)
    return Choice(
        [float(f"{each:.3g}") for each in coarse],
        f"mm; coarser than the scans' median ({listed(chosen.value)}), at which a scan would have {ratio:.0f} patches: "
        "in the given time and memory the network would see too little of each",
    )


def _patch(size: Size, fingerprint: Fingerprint, spacing: list[float], resources: Resources, *, sided: bool) -> Choice:
    median = shape_at(fingerprint, spacing)
    shape = f"the median scan has {listed(median)}"
    covers = min(1.0, float(np.prod(np.minimum(size.levels.patch, median)) / np.prod(median)))
    reasons = {
        "nothing": f"voxels; {shape}: whole",
        "side": f"voxels; {shape}; a longer side costs more than it shows",
        "memory": f"voxels; {shape}, of which this is {covers:.0%}: what {resources.memory / GIB:.3g} GiB allow",
        "time": f"voxels; {shape}, of which this is {covers:.0%}: what {resources.hours:g} h let it see often",
    }
    side = ", its left-right axis uncut as labels have a side" if sided and size.levels.patch[0] >= median[0] else ""
    divisor = listed(size.levels.divisor)
    return Choice(size.levels.patch, f"{reasons[size.limited_by]}{side}; sides divide by {divisor}")


def _overlap(size: Size, fingerprint: Fingerprint, spacing: list[float], resources: Resources) -> Choice:
    windows = float(np.prod(np.ceil(shape_at(fingerprint, spacing) / size.levels.patch * 2)))
    if resources.device == "cpu" and windows > _MANY_WINDOWS:
        return Choice(0.25, f"half a window would make about {windows:.0f} windows of a scan, too many for a CPU")
    return Choice(0.5, "of a window: every voxel is seen away from a window's border")


def _batch(fingerprint: Fingerprint, size: Size, resources: Resources) -> Choice:
    cases = cases_per_step(fingerprint, size, resources)
    if size.batch == 2:
        return Choice(cases, "cases per step; the fewest for a loss over a batch, so that the patch may be large")
    together = f"{size.batch} patches, {size.batch * size.voxels:,} voxels together"
    return Choice(cases, f"cases per step: {together}")


def _class_ratios(fingerprint: Fingerprint) -> Choice:
    structures = fingerprint.structures
    smallest = min(structures, key=lambda each: each.share)
    if fingerprint.foreground >= _MOSTLY_FOREGROUND:
        return Choice(
            [1] * (len(structures) + 1),
            f"{fingerprint.foreground:.0%} of a scan is labelled: all labels in turn, the background too",
        )
    return Choice(
        [len(structures), *[1] * len(structures)],
        f"half of the patches on the labels in turn, small ones too ({smallest.name} is {smallest.share:.2%} of a "
        "scan); the Dice loss needs no further class weights",
    )


def _network(
    network: Mapping[str, Any], size: Size, spacing: list[float], resources: Resources, estimate: MemoryEstimate
) -> Plan:
    keys = ("convs_per_level", "decoder_convs_per_level", "norm", "act", "dropout", "residual")
    plain = {key: network[key] for key in keys}
    levels = len(size.channels)
    kernels: Plan = {"kernel_size": network["kernel_size"]}
    if isinstance(network["kernel_size"], list):
        reason = f"per level; 1 across voxels ({listed(spacing)} mm) until they are less than twice the finest side"
        kernels["kernel_size"] = Choice(network["kernel_size"], reason)
    if network["strides"] is not None:
        kernels["strides"] = Choice(network["strides"], "per level; an axis that is coarse, or short, is not halved")
    gib = estimate.total / GIB
    return {
        "channels": Choice(
            size.channels,
            f"{levels} levels, down to about 4 voxels a side; {size.width} at the finest: {resources.width_reason()}. "
            f"Training takes about {gib:.2g} GiB",
        ),
        "convs_per_level": plain.pop("convs_per_level"),
        "decoder_convs_per_level": plain.pop("decoder_convs_per_level"),
        **kernels,
        **plain,
    }

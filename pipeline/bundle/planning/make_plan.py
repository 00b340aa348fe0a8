"""`lightskip plan`: from a checked dataset to a plan, every choice with its reason."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...data.dataset import Dataset
from ...networks import Networks
from .choice import Choice, listed
from .coarser import coarsened
from .describe import describe
from .fingerprint import Fingerprint, make_fingerprint
from .geometry import choose_spacing, given_spacing, shape_at, windows_of
from .intensity import choose_modality, choose_normalisation
from .resources import GIB, Resources
from .schedule import cases_per_step, choose_schedule
from .sides import choose_mirror_axes, sided_axes
from .size import Size, choose_size, network_spec

__all__ = ["Planned", "make_plan"]

# Of the median scan, at an overlap of half a window.
_MANY_WINDOWS = 16
_MOSTLY_FOREGROUND = 0.25

Plan = dict[str, Any]


@dataclass(frozen=True)
class Planned:
    """A plan as it was made.

    Args:
        content: keys and values of plan.yaml; values are plain, `Choice`, or mappings of these.
        fingerprint: the numbers that it was made from.
        size: width, patch and batch.
        memory: bytes of the device that training is estimated to take.
        hours: that training is estimated to take; more than those given only where these are too few for two epochs.
        to_fill_in: keys that only a person can fill in.
    """

    content: Plan
    fingerprint: Fingerprint
    size: Size
    memory: int
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
        InputError: the dataset is not fit for training (`make_fingerprint`), the spacing leaves next to no
            voxels of a scan, or memory is too small for any network.
    """
    fingerprint = make_fingerprint(report)
    modalities = Choice(modality, "as given") if modality else choose_modality(fingerprint.channels, fingerprint)
    chosen = given_spacing(spacing, fingerprint) if spacing else choose_spacing(fingerprint)
    classes = len(fingerprint.labels)
    mirror = choose_mirror_axes(fingerprint)

    def spec(size: Size) -> dict[str, Any]:
        network = network_spec(size, dims=fingerprint.dims, in_channels=len(fingerprint.channels), out_channels=classes)
        return network | {"skip": resources.skip_argument(skip)}

    def sized(at: list[float]) -> Size:
        resources.at(fingerprint, at, spec)
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
        chosen, size = coarsened(chosen, fingerprint, size, sized, resources)
    resources.require_enough(size)
    schedule, hours = choose_schedule(fingerprint, size, resources)
    memory = resources.planned_memory(size)
    network = spec(size)
    words = describe(name, dataset, fingerprint, modalities.value, network=Networks[network["name"]])
    content: Plan = {
        **words.head,
        "data": {
            **_places(dataset, bundle),
            **words.data,
            "modality": modalities,
            "channels": Choice(fingerprint.channels, "in the order of the files, by the datalist's names"),
        },
        **_labels(fingerprint),
        "orientation": Choice("RAS", _ORIENTATION[fingerprint.dims]),
        "spacing": chosen,
        **choose_normalisation(modalities.value, fingerprint),
        "patch": _patch(size, fingerprint, chosen.value, resources, sided=bool(sided_axes(mirror, fingerprint.dims))),
        "window": Choice(size.levels.patch, "voxels; in inference the same as in training"),
        "window_overlap": _overlap(size, fingerprint, chosen.value, resources),
        "batch": _batch(fingerprint, size, resources),
        "mirror_axes": mirror,
        "class_ratios": _class_ratios(fingerprint),
        "network": _network(network, size, chosen.value, resources, memory),
        "skip": Choice(skip, _SKIP_REASONS.get(skip, "as given")),
        "training": schedule,
        "evaluation": {
            "tolerance_mm": Choice(
                max(1.0, float(f"{min(chosen.value):.3g}")), "of a surface, for NSD: one voxel, and at least 1 mm"
            )
        },
    }
    return Planned(content, fingerprint, size, memory, hours, words.to_fill_in)


_ORIENTATION = {
    2: "of no effect: pictures are taken as they lie",
    3: "every scan is turned to it, so that an axis means the same in all; axis 0 is left-right",
}
# What is the same in every plan, and why; what was measured is in docs/speed.md of LightSkip.
_NETWORK_REASONS = {
    "convs_per_level": "the fewest at the finest level, where each costs most",
    "decoder_convs_per_level": "likewise, and one less: the skips bring what the encoder has made",
    "norm": "of every patch by itself, as a batch is small; with a learned scale and shift",
    "act": "with PReLU a step takes 1.4 times as long",
    "dropout": "none: patches are augmented, weights decay and are averaged",
    "residual": "a stage is no wider than its level, whatever the skip hands over: a step takes .64 of the time",
}
_SKIP_REASONS = {"sat4": "the lightest within .002 of concatenation at equal minutes: docs/speed.md of LightSkip"}


def _places(dataset: Dataset, bundle: Path) -> Plan:
    places: Plan = {"manifest": _relative(dataset.file, bundle)}
    if "folder" in dataset.described:
        places["folder"] = Choice(_relative(dataset.folder, bundle), "where the scans lie on this machine")
    return places


def _relative(path: Path, folder: Path) -> str:
    # What is above a link is not what is above the folder that it leads to.
    return Path(os.path.relpath(path.absolute(), folder.resolve())).as_posix()


def _labels(fingerprint: Fingerprint) -> Plan:
    labels = {name: index for index, name in enumerate(fingerprint.labels)}
    if labels == fingerprint.labels:
        return {"labels": Choice(labels, "the values in the dataset's files, which need no mapping")}
    return {
        "labels": Choice(labels, "the network's; label maps that it writes have these values"),
        "label_values": Choice(fingerprint.labels, "the values in the dataset's files, which are others"),
    }


def _patch(size: Size, fingerprint: Fingerprint, spacing: list[float], resources: Resources, *, sided: bool) -> Choice:
    median = shape_at(fingerprint, spacing)
    shape = f"the median scan has {listed(median)}"
    covers = min(1.0, float(np.prod(np.minimum(size.levels.patch, median)) / np.prod(median)))
    reasons = {
        "nothing": f"voxels; {shape}: whole",
        "worth": f"voxels; {shape}, of which this is {covers:.0%}; more costs more than it shows",
        "memory": f"voxels; {shape}, of which this is {covers:.0%}: what {resources.memory / GIB:.3g} GiB allow",
        "time": f"voxels; {shape}, of which this is {covers:.0%}: what {resources.hours:g} h let it see often",
    }
    side = ", its left-right axis uncut as labels have a side" if sided and size.levels.patch[0] >= median[0] else ""
    divisor = listed(size.levels.divisor)
    return Choice(size.levels.patch, f"{reasons[size.limited_by]}{side}; sides divide by {divisor}")


def _overlap(size: Size, fingerprint: Fingerprint, spacing: list[float], resources: Resources) -> Choice:
    windows = windows_of(shape_at(fingerprint, spacing).tolist(), size.levels.patch, 0.5)
    if resources.device == "cpu" and windows > _MANY_WINDOWS:
        return Choice(0.25, f"of a window: half would make {windows} windows of the median scan, too many for a CPU")
    return Choice(0.5, "of a window: every voxel is seen away from a window's border")


def _batch(fingerprint: Fingerprint, size: Size, resources: Resources) -> Choice:
    cases = cases_per_step(fingerprint, size, resources)
    if cases == size.batch == 2:
        return Choice(cases, "cases per step; the fewest for a loss over a batch, so that the patch may be large")
    together = f"{size.batch} patches, {size.batch * size.voxels:,} voxels together"
    return Choice(cases, f"cases per step: {together}")


def _class_ratios(fingerprint: Fingerprint) -> Choice:
    structures = fingerprint.structures
    smallest = min((each for each in structures if each.cases), key=lambda each: each.share)
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


def _network(network: Mapping[str, Any], size: Size, spacing: list[float], resources: Resources, memory: int) -> Plan:
    constant = {key: Choice(network[key], reason) for key, reason in _NETWORK_REASONS.items()}
    levels = len(size.channels)
    kernels: Plan = {
        "kernel_size": Choice(network["kernel_size"], "along every axis: none is twice as coarse as another")
    }
    if isinstance(network["kernel_size"], list):
        reason = f"per level; 1 across voxels ({listed(spacing)} mm) until they are less than twice the finest side"
        kernels["kernel_size"] = Choice(network["kernel_size"], reason)
    if network["strides"] is not None:
        kernels["strides"] = Choice(network["strides"], "per level; an axis that is coarse, or short, is not halved")
    deepest = [side // step for side, step in zip(size.levels.patch, size.levels.divisor, strict=True)]
    return {
        "channels": Choice(
            size.channels,
            f"{levels} levels, down to {listed(deepest)} voxels; {size.width} at the finest: "
            f"{resources.width_reason(size)}. Training takes about {memory / GIB:.2g} GiB",
        ),
        "convs_per_level": constant.pop("convs_per_level"),
        "decoder_convs_per_level": constant.pop("decoder_convs_per_level"),
        **kernels,
        **constant,
    }

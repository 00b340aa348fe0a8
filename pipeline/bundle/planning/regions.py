"""Choose how a plan treats regions, ignored values and cases in which only some labels were annotated."""

from __future__ import annotations

from typing import Any

from ...data.dataset import Dataset
from ...data.errors import InputError
from ...data.region_table import find_order
from .choice import Choice
from .fingerprint import Fingerprint

__all__ = ["choose_annotation", "choose_regions", "require_region_order"]


def require_region_order(dataset: Dataset) -> None:
    """Raise InputError where overlapping regions have no order in which one label map takes them."""
    if dataset.regions is None or dataset.region_order is not None or find_order(dataset.regions) is not None:
        return
    example = ", ".join(f'"{name}": {min(values)}' for name, values in dataset.regions.items())
    raise InputError(
        dataset.file,
        found="regions that overlap without one containing the other, or that have no label of their own, and no order",
        expected='"region_order": the label that each region writes into a label map, later ones over earlier ones',
        remedy=f'add it to the datalist, such as "region_order": {{{example}}}, the first one first',
    )


def choose_regions(dataset: Dataset) -> dict[str, Choice]:
    """Return the plan's keys about regions, by names of labels; none without regions.

    Raises:
        InputError: see `require_region_order`.
    """
    require_region_order(dataset)
    if dataset.regions is None or dataset.labels is None:
        return {}
    names = {value: name for name, value in dataset.labels.items()}
    order, reason = dataset.region_order, "the datalist's"
    if order is None:
        order, reason = find_order(dataset.regions) or {}, "larger regions first, each with its label that no other has"
    regions = {region: [names[value] for value in values] for region, values in dataset.regions.items()}
    return {
        "regions": Choice(
            regions, "from the datalist: the network predicts each on its own, with a sigmoid; they may overlap"
        ),
        "region_order": Choice(
            {region: names[value] for region, value in order.items()},
            f"the label that each region writes into a label map, later ones over earlier ones: {reason}",
        ),
    }


def choose_annotation(dataset: Dataset, fingerprint: Fingerprint) -> dict[str, Any]:
    """Return the plan's keys about voxels and labels that were not annotated, as far as there are any."""
    chosen: dict[str, Any] = {}
    if dataset.ignored:
        share = f", {fingerprint.ignored:.0%} of a scan" if fingerprint.ignored else ", in no case so far"
        chosen["ignored_values"] = Choice(
            list(dataset.ignored),
            f"in the files: voxels without annotation{share}; no loss, metric or patch counts them",
        )
    if fingerprint.partial_cases:
        chosen["partial_labels"] = Choice(
            True,
            f"{fingerprint.partial_cases} of {fingerprint.cases} cases name the labels that were annotated; the loss "
            "leaves out the others",
        )
    return chosen

"""Write the texts of a plan, from the datalist where it has them; a person fills in the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...data.dataset import Dataset
from ...networks import Network
from ..skip_words import introduce_skip, list_skip_references
from .choice import Choice
from .fingerprint import Fingerprint

__all__ = ["TO_FILL_IN", "PlanTexts", "describe"]

TO_FILL_IN = "TO FILL IN"
_SOURCES = ("source", "reference", "description", "name")
_MODALITIES = {
    "MRI": "MRI",
    "CT": "CT",
    "US": "ultrasound",
    "EM": "electron microscopy",
    "synthetic": "synthetic images",
}


@dataclass(frozen=True)
class PlanTexts:
    """The texts of a plan.

    Args:
        head: the plan's first keys, in order.
        data: ``source`` and ``licence`` of its ``data``.
        to_fill_in: dotted keys whose value is `TO_FILL_IN`.
    """

    head: dict[str, Any]
    data: dict[str, Any]
    to_fill_in: list[str]


def describe(
    name: str, dataset: Dataset, fingerprint: Fingerprint, modality: str, *, network: type[Network], skip: Any
) -> PlanTexts:
    """Return the texts of a plan, from the datalist where it has them.

    Args:
        name: the bundle's name.
        dataset: the datalist; its entries description, reference, source, licence and citation are used.
        fingerprint: the source of the labels, regions and channels.
        modality: the plan's modality.
        network: the plan's network.
        skip: its argument ``skip``.
    """
    described = dataset.described
    structures = list(fingerprint.regions) or [structure.name for structure in fingerprint.structures]
    images = _MODALITIES.get(modality, "images")
    shown = ", ".join(structures[:6]) + (f" and {len(structures) - 6} more" if len(structures) > 6 else "")
    datalist_name = _one_line(dataset.name)
    title = datalist_name if datalist_name not in ("", "dataset", "datalist") else name.replace("_", " ")
    dims = f"{fingerprint.dims}D"
    citation = described.get("citation") or []
    references = [*list_skip_references(skip), *filter(None, [network.reference])]
    references += [_one_line(each) for each in (citation if isinstance(citation, list) else [citation])]
    source = next(filter(None, (_one_line(described.get(key) or "") for key in _SOURCES)), title)
    licence = _one_line(described.get("licence") or described.get("license") or "")
    to_fill_in = ["authors", "copyright", "intended_use"]
    if not licence:
        to_fill_in.append("data.licence")
    head: dict[str, Any] = {
        "name": name,
        "title": f"{title} in {images}",
        "version": "0.1.0",
        "changelog": {"0.1.0": "planned from its dataset by LightSkip"},
        "task": f"{dims} segmentation of {shown} in {images}",
        "description": f"A {dims} {network.title} with {introduce_skip(skip)} that segments {shown} in {images}.",
        "intended_use": f"Research. Not a medical device. {TO_FILL_IN}: for which scans of which patients.",
        "authors": TO_FILL_IN,
        "copyright": f"{TO_FILL_IN}: Copyright (c) year and owner",
        "references": references,
    }
    data: dict[str, Any] = {
        "source": source,
        "licence": Choice(licence, "from the datalist; check that it allows sharing the weights")
        if licence
        else Choice(
            f"{TO_FILL_IN}: the licence of the data",
            "the datalist names no licence; without one, do not share the weights",
        ),
    }
    return PlanTexts(head, data, to_fill_in)


def _one_line(text: Any) -> str:
    """Return a datalist's value, of any type, as text on one line."""
    line = " ".join("".join(each if each.isprintable() else " " for each in str(text)).split())
    # In MONAI's configs these characters start an expression, a reference or a macro.
    return line.lstrip("$@% ")

"""The entries of a comparison's summary that say what was compared, and with what."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

from ..evaluation.metric_names import choose_metrics, list_metrics, name_in_unit
from ..evaluation.summary import summarise
from ..version import installed_version
from .choose_labels import Labels
from .inputs import Inputs
from .measure import Measuring
from .output import relative_to
from .prepare import PreparedCases
from .probabilities import Probabilities
from .read_map import MapFacts

__all__ = ["describe_inputs", "list_versions", "summarise_lesions"]

_PACKAGES = ("lightskip", "numpy", "scipy", "nibabel")

Rows = Sequence[Mapping[str, Any]]


def describe_inputs(
    inputs: Inputs, prepared: PreparedCases, labels: Labels, measuring: Measuring, rows: Rows
) -> dict[str, Any]:
    """Return what was compared: the paths, labels, metrics and cases.

    Args:
        inputs: what the options name.
        prepared: the cases.
        labels: the labels.
        measuring: what was measured.
        rows: rows of all sets and cases.
    """
    out, reference, checked = inputs.request.output, inputs.reference, prepared.checked
    dims, unit = len(checked[0].reference.grid.shape), checked[0].reference.unit
    asked = {name_in_unit(name, unit) for name in inputs.request.metrics}
    default = {name_in_unit(name, unit) for name in choose_metrics(None)}
    return {
        "reference": {
            "path": relative_to(out, reference.path),
            "kind": reference.kind,
            "part": reference.part,
            "fold": reference.fold,
            "labels": labels.in_reference,
        },
        "sets": [
            {
                "name": one.name,
                "path": relative_to(out, one.path),
                "kind": inputs.sets[one.name].kind,
                "arm": one.arm,
                "seed": one.seed,
                "labels": prepared.values[one.name],
            }
            for one in inputs.named
        ],
        "labels": labels.values,
        "labels_from": labels.origin,
        **({"regions": labels.region_names} if labels.regions else {}),
        **({"ignored_values": list(labels.ignored)} if labels.ignored else {}),
        "spatial_dims": dims,
        name_in_unit("tolerance_mm", unit): measuring.tolerance_mm,
        "metrics": [
            {
                "name": one.name,
                "title": one.title,
                "unit": one.find_unit(dims),
                "better": one.better,
                "asked": one.name in asked or one.name not in default,
            }
            for one in list_metrics(rows)
        ],
        "cases": [
            {
                "case": one.case.name,
                "subject": one.case.subject,
                **({} if one.case.annotated is None else {"annotated": list(one.case.annotated)}),
                "image": relative_to(out, one.case.image),
                "reference": relative_to(out, one.case.reference),
                "reference_sha256": one.reference.sha256,
                "predictions": {
                    name: None if facts is None else _describe_prediction(out, facts, one.probabilities.get(name))
                    for name, facts in one.predictions.items()
                },
            }
            for one in checked
        ],
        "missing": inputs.joined.missing,
        "surplus": {name: [path.name for path in paths] for name, paths in inputs.joined.surplus.items()},
    }


def _describe_prediction(out: Path, facts: MapFacts, probabilities: Probabilities | None) -> dict[str, str | None]:
    described = {"path": relative_to(out, facts.path), "sha256": facts.sha256}
    if probabilities is not None:
        described |= {
            "probabilities": relative_to(out, probabilities.path),
            "probabilities_sha256": probabilities.sha256,
        }
    return described


def summarise_lesions(rows: Rows, iou: float) -> dict[str, Any]:
    """Return the metrics of lesions by set, label and class of sizes, and the numbers of lesions of all cases.

    Args:
        rows: rows by set, case, label and class of sizes.
        iou: the IoU from which lesions were matched.
    """
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["set"], row["label"]), []).append({**row, "label": row["size_class"]})
    found: dict[str, Any] = {}
    for (name, label), group in groups.items():
        entries = summarise(group)["labels"]
        for size, entry in entries.items():
            own = [row for row in group if row["label"] == size]
            entry |= {
                key: sum(row[key] for row in own) for key in ("reference_lesions", "predicted_lesions", "matched")
            }
        found.setdefault(name, {})[label] = entries
    return {"lesions": {"iou": iou, "sets": found}} if found else {}


def list_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that the numbers depend on."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = installed_version(package)
    return found

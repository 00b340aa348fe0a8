"""Write a planned bundle: the plan, its configs, the documents and the licence of the code."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from ...data.errors import InputError
from ...data.length_units import shown_unit, size_in_unit
from ...files import name_disk, write_text
from ...leftovers import temporary_path
from ...networks import Networks
from ..plan import load_plan
from ..render import read_skip, recipes_folder, write_rendered
from ..schema import Plan
from ..skip_words import introduce_skip
from .choice import format_numbers
from .make_plan import PlannedBundle
from .write import plan_text

__all__ = ["require_new", "write_bundle"]

_HEADING = (
    "The settings of this task, written by `lightskip plan` with a reason for each choice. This file is yours now: "
    "edit it, then run `lightskip render` on this bundle."
)


def require_new(bundle: Path) -> None:
    """Raise InputError where the folder of the new bundle is not empty."""
    if bundle.exists() and (not bundle.is_dir() or any(bundle.iterdir())):
        raise InputError(
            bundle,
            found="a bundle or another folder with files" if bundle.is_dir() else "a file",
            expected="no existing bundle: an edited plan is not overwritten",
            remedy="choose another --name or -o, or move the existing folder away",
        )


def write_bundle(bundle: Path, planned: PlannedBundle) -> list[Path]:
    """Write a new bundle, whole or not at all.

    Args:
        bundle: the bundle's folder, missing or empty.
        planned: the plan.

    Returns:
        The files written.

    Raises:
        InputError: the folder is not empty, or cannot be written to.
    """
    require_new(bundle)
    # In the same parent folder, since the plan's paths of datalist and scans are relative to the bundle.
    partial = temporary_path(bundle)
    try:
        with name_disk(bundle, partial):
            _write_files(partial, planned)
        if bundle.exists():
            bundle.rmdir()
        partial.replace(bundle)
    except OSError as error:
        raise InputError(
            bundle,
            found=f"a folder that cannot be written ({error.strerror})",
            expected="a writable folder for the new bundle",
            remedy="choose another folder with -o FOLDER",
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return sorted(path for path in bundle.rglob("*") if path.is_file())


def _write_files(bundle: Path, planned: PlannedBundle) -> None:
    """Write all files of a new bundle into a folder."""
    write_text(bundle / "plan.yaml", plan_text(planned.content, heading=_HEADING))
    write_rendered(bundle)
    words = _document_values(load_plan(bundle), planned)
    templates = recipes_folder() / "templates"
    for name in ("README.md", "data_license.txt"):
        write_text(bundle / "docs" / name, (templates / name).read_text(encoding="utf-8").format(**words))
    shutil.copyfile(templates / "LICENSE", bundle / "LICENSE")


def _document_values(plan: Plan, planned: PlannedBundle) -> dict[str, Any]:
    fingerprint = planned.fingerprint
    unit = shown_unit(size_in_unit(plan.data.unit, plan.spatial_dims))
    rows = [
        f"| {_escape_cell(each.name)} | {each.value} | {each.cases} of {fingerprint.cases} | {each.size:.3g} {unit} |"
        for each in fingerprint.structures
    ]
    channels, network = plan.data.channels, Networks[plan.network.name]
    return {
        "title": plan.title,
        "description": plan.description,
        "dims": plan.spatial_dims,
        "network": f"{network.title} ({network.publication})",
        "channels": "-".join(map(str, planned.channels)),
        "skips": _describe_skips(plan),
        "inputs": f"{len(channels)} channel{'s' * (len(channels) > 1)} ({', '.join(channels)})",
        "spacing": format_numbers(plan.spacing),
        "unit": plan.data.unit,
        "patch": format_numbers(plan.patch),
        "labels": ", ".join(f"{value} {name}{_in_files(plan, name)}" for name, value in plan.labels.items())
        + _describe_regions(plan),
        "source": plan.data.source,
        "licence": plan.data.licence,
        "cases": fingerprint.cases,
        "folds": fingerprint.folds,
        "spacings": _format_range(fingerprint.spacings),
        "shapes": _format_range(fingerprint.shapes),
        "structures": "\n".join(rows),
        "intended_use": plan.intended_use,
    }


def _describe_skips(plan: Plan) -> str:
    argument = read_skip(plan.skip, recipes_folder() / "skips", Path("plan.yaml"))["skip"]
    named = plan.skip if isinstance(plan.skip, str) else json.dumps(argument)
    return f"{introduce_skip(argument, markdown=True)}, `skip: {named}`"


def _in_files(plan: Plan, name: str) -> str:
    return f" ({plan.label_values[name]} in the dataset's files)" if plan.label_values else ""


def _describe_regions(plan: Plan) -> str:
    """Return what more there is to say about a plan's labels: regions and ignored values."""
    regions = ", ".join(f"{name} ({', '.join(labels)})" for name, labels in (plan.regions or {}).items())
    ignored = ", ".join(map(str, plan.ignored_values))
    parts = {"predicted as regions": regions, "ignored in the dataset's files": ignored}
    return "".join(f"; {title}: {words}" for title, words in parts.items() if words)


def _escape_cell(text: str) -> str:
    """Return a text that is safe in a table's cell."""
    return " ".join(text.split()).replace("|", "\\|")


def _format_range(values: np.ndarray) -> str:
    low, middle, high = values.min(axis=0), np.median(values, axis=0), values.max(axis=0)
    return (
        format_numbers(middle)
        if (low == high).all()
        else f"{format_numbers(middle)}, {format_numbers(low)} to {format_numbers(high)}"
    )

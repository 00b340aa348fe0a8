"""Writes a planned bundle: the plan, its configs, the documents and the licence of the code."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path
from typing import Any

import numpy as np

from ...data.errors import InputError
from ...files import write_text
from ...networks import Networks
from ..plan import load_plan
from ..render import recipes_folder, write_rendered
from ..schema import Plan
from .choice import listed
from .fingerprint import Fingerprint
from .make_plan import Planned
from .write import plan_text

__all__ = ["require_new", "write_bundle"]

_HEADING = (
    "What is particular to this task. Written by `lightskip plan`, with the reason of each choice; yours from now on: "
    "edit here, then `lightskip render` this bundle."
)


def require_new(bundle: Path) -> None:
    """Raise InputError where the folder of a bundle that is to be made holds something."""
    if bundle.exists() and (not bundle.is_dir() or any(bundle.iterdir())):
        raise InputError(
            bundle,
            found="a bundle or another folder with files" if bundle.is_dir() else "a file",
            expected="no such folder yet: a plan that was edited is not overwritten",
            remedy="give another --name or -o, or move the old one away",
        )


def write_bundle(bundle: Path, planned: Planned) -> list[Path]:
    """Write a new bundle, whole or not at all.

    Args:
        bundle: its folder, which does not exist yet or is empty.
        planned: the plan.

    Returns:
        The files written.

    Raises:
        InputError: the folder holds something, or cannot be written to.
    """
    require_new(bundle)
    # Beside its place: the plan names datalist and scans by how they lie from there.
    partial = bundle.with_name(f".{bundle.name}.{uuid.uuid4().hex}")
    try:
        write_text(partial / "plan.yaml", plan_text(planned.content, heading=_HEADING))
        write_rendered(partial)
        words = _words(load_plan(partial), planned.fingerprint)
        templates = recipes_folder() / "templates"
        for name in ("README.md", "data_license.txt"):
            write_text(partial / "docs" / name, (templates / name).read_text(encoding="utf-8").format(**words))
        shutil.copyfile(templates / "LICENSE", partial / "LICENSE")
        if bundle.exists():
            bundle.rmdir()
        partial.replace(bundle)
    except OSError as error:
        raise InputError(
            bundle,
            found=f"a folder that cannot be written ({error.strerror})",
            expected="a place for the new bundle",
            remedy="give another folder: -o FOLDER",
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return sorted(path for path in bundle.rglob("*") if path.is_file())


def _words(plan: Plan, fingerprint: Fingerprint) -> dict[str, Any]:
    unit = "ml" if plan.spatial_dims == 3 else "mm²"
    rows = [
        f"| {_cell(each.name)} | {each.value} | {each.cases} of {fingerprint.cases} | {each.size:.3g} {unit} |"
        for each in fingerprint.structures
    ]
    channels, network = plan.data.channels, Networks[plan.network.name]
    return {
        "title": plan.title,
        "description": plan.description,
        "dims": plan.spatial_dims,
        "network": f"{network.title} ({network.publication})",
        "channels": "-".join(map(str, plan.network.settings()["channels"])),
        "skip": plan.skip if isinstance(plan.skip, str) else "of its own",
        "inputs": f"{len(channels)} channel{'s' * (len(channels) > 1)} ({', '.join(channels)})",
        "spacing": listed(plan.spacing),
        "patch": listed(plan.patch),
        "labels": ", ".join(f"{value} {name}{_in_files(plan, name)}" for name, value in plan.labels.items()),
        "source": plan.data.source,
        "licence": plan.data.licence,
        "cases": fingerprint.cases,
        "folds": fingerprint.folds,
        "spacings": _range(fingerprint.spacings),
        "shapes": _range(fingerprint.shapes),
        "structures": "\n".join(rows),
        "intended_use": plan.intended_use,
    }


def _in_files(plan: Plan, name: str) -> str:
    return f" ({plan.label_values[name]} in the dataset's files)" if plan.label_values else ""


def _cell(text: str) -> str:
    """Give a text as a table's cell may hold it."""
    return " ".join(text.split()).replace("|", "\\|")


def _range(values: np.ndarray) -> str:
    low, middle, high = values.min(axis=0), np.median(values, axis=0), values.max(axis=0)
    return listed(middle) if (low == high).all() else f"{listed(middle)}, {listed(low)} to {listed(high)}"

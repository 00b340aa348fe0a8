"""Find the dataset of a bundle's trainings as they will: the folder, the datalist, and what it may name."""

from __future__ import annotations

from pathlib import Path

from ..bundle.launch_checks import read
from ..bundle.plan import load_plan
from .arms import Arm

__all__ = ["allows_outside", "datalist_of"]


def datalist_of(bundle: Path, dataset: Path | None) -> tuple[Path, Path]:
    """Return the datalist that a bundle's trainings read, and the folder of its dataset.

    Args:
        bundle: folder of the bundle.
        dataset: folder that the study names; None for the plan's, or ``data`` in the bundle.
    """
    planned = load_plan(bundle).data.folder
    folder = dataset or (bundle / "data" if planned is None else Path(bundle, planned).resolve())
    own = bundle / "configs" / "datalist.json"
    return (own if own.is_file() else folder / "dataset.json"), folder


def allows_outside(arm: Arm) -> bool:
    """Return whether an arm may read files outside the dataset's folder: the plan or the study asks for them."""
    config = read(arm.bundle / "configs" / "train.json")
    return arm.overrides.get("outside", config.get("outside")) is True

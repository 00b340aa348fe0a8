"""The ensemble of a bundle: the trainings whose probabilities `lightskip predict` averages if none is named."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from ..data.errors import InputError
from ..data.json_file import load_json
from ..files import write_text
from .trainings import Training, find_training

__all__ = ["ENSEMBLE", "read_ensemble", "write_ensemble"]

ENSEMBLE = "ensemble.json"


def write_ensemble(bundle: Path, names: Sequence[str]) -> Path:
    """Write ``models/ensemble.json``: the names of trainings in the bundle's ``runs``.

    Args:
        bundle: the bundle's folder.
        names: the trainings, each with weights.

    Returns:
        The file.

    Raises:
        InputError: a training does not exist or has no weights.
    """
    for name in names:
        find_training(bundle, name)
    file = bundle / "models" / ENSEMBLE
    write_text(file, json.dumps({"trainings": list(names)}, indent=2) + "\n")
    return file


def read_ensemble(bundle: Path) -> list[Training]:
    """Return the trainings of a bundle's ensemble; none if it has no ensemble.

    Raises:
        InputError: the file is damaged, or a training of it is missing.
    """
    file = bundle / "models" / ENSEMBLE
    if not file.is_file():
        return []
    try:
        names = load_json(file)["trainings"]
    except (OSError, ValueError, KeyError, TypeError):
        names = None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise InputError(
            file,
            found="no list of trainings",
            expected='{"trainings": ["fold_0", …]}, as lightskip fit writes it',
            remedy="delete it, and name the weights: --training NAME …",
        )
    try:
        return [find_training(bundle, name) for name in names]
    except InputError as error:
        raise InputError(
            file,
            found=f"a training that cannot be used: {error.found} ({error.where})",
            expected="trainings in the bundle's runs, each with its weights",
            remedy="copy it there, name other weights with --training NAME …, or delete this file",
        ) from error

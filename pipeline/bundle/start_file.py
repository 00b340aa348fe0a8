"""Find the weights that a training starts from: a file, or those of a bundle. Needs neither torch nor MONAI."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..data.errors import InputError
from ..data.images.file_start import is_lfs_pointer
from ..data.json_file import load_json
from .at_hand.find import find_bundle
from .trainings import find_weights, own_weights
from .words import lightskip_command, shorten_path

__all__ = ["STARTED", "bundle_of", "find_start", "read_channel_names", "read_started", "settings_of"]

_ENDINGS = (".pt", ".pth", ".ckpt")
STARTED = "started_from.json"  # in the folder of a training; see pipeline.training.StartedFrom


def find_start(named: str | Path) -> Path:
    """Return the file of weights to start from.

    Args:
        named: a file of weights; the folder of a training; a bundle's folder, or the name of a bundle at hand. Of a
            bundle these are its own weights, or those of its only training.

    Raises:
        InputError: there is no such file or bundle, or it has no weights.
    """
    path = Path(named).expanduser()
    if path.is_dir() and (path / "model.pt").is_file():
        path /= "model.pt"
    if (not path.exists() and len(path.parts) > 1) or (path.suffix in _ENDINGS and not path.is_file()):
        raise InputError(
            f"--from {named}",
            found="no such file",
            expected="a file of weights, or a bundle",
            remedy="correct the path; lightskip bundles lists the bundles at hand",
        )
    if not path.is_file():
        bundle = find_bundle(named)
        weights = find_weights(bundle)
        if weights is None:
            raise InputError(
                f"--from {named}",
                found=f"no weights in {shorten_path(own_weights(bundle))}, and no training",
                expected="a bundle with weights",
                remedy=f"train it first ({lightskip_command('train', shorten_path(bundle))}), or name another one",
            )
        path = weights.file
    if is_lfs_pointer(path):
        raise InputError(
            path, found="a Git-LFS pointer", expected="weights", remedy="fetch the real file with `git lfs pull`"
        )
    return path


def bundle_of(weights: Path) -> Path | None:
    """Return the bundle whose folder has these weights, in ``models`` or in a training; None if there is none."""
    folders = list(weights.absolute().parents)[:4]
    return next((folder for folder in folders if (folder / "configs" / "metadata.json").is_file()), None)


def read_channel_names(bundle: Path | None) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    """Return the names of a bundle's input and output channels, from its metadata; None where it does not have them."""
    formats = _read(bundle, "metadata").get("network_data_format")
    inputs, outputs = (_names(formats, key) for key in ("inputs", "outputs"))
    return inputs, outputs


def settings_of(bundle: Path | None) -> dict[str, str]:
    """Return in words how a bundle prepares scans: modality, orientation, spacing and normalisation, where known."""
    metadata, config = _read(bundle, "metadata"), _read(bundle, "inference")
    found = {}
    scans = _first(_mapping(metadata.get("network_data_format")).get("inputs"))
    if isinstance(scans.get("modality"), str):
        found["modality"] = scans["modality"]
    steps = _mapping(config.get("preprocessing")).get("transforms")
    normalised = []
    for step in map(_mapping, steps if isinstance(steps, list) else ()):
        target = str(step.get("_target_")).rpartition(".")[2]
        if target == "Orientationd":
            found["orientation"] = str(step.get("axcodes"))
        elif target == "Spacingd":
            found["spacing"] = json.dumps(step.get("pixdim"))
        elif "Intensity" in target:
            options = {key: value for key, value in step.items() if key not in ("_target_", "keys")}
            normalised.append(f"{target} {json.dumps(options)}")
    if normalised:
        found["normalisation"] = ", ".join(normalised)
    return found


def read_started(folder: Path) -> dict[str, Any]:
    """Return what a training in a folder started from; empty if from new weights."""
    try:
        content = load_json(folder / STARTED)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _names(formats: Any, key: str) -> tuple[str, ...] | None:
    names = _mapping(_first(_mapping(formats).get(key)).get("channel_def"))
    if not names or not all(str(place).isdecimal() and isinstance(name, str) for place, name in names.items()):
        return None
    ordered = sorted((int(place), name) for place, name in names.items())
    return tuple(name for _, name in ordered) if [place for place, _ in ordered] == list(range(len(names))) else None


def _read(bundle: Path | None, name: str) -> Mapping[str, Any]:
    if bundle is None:
        return {}
    try:
        return _mapping(load_json(bundle / "configs" / f"{name}.json"))
    except (OSError, ValueError, RecursionError):
        return {}


def _first(value: Any) -> Mapping[str, Any]:
    return next((_mapping(one) for one in _mapping(value).values()), {})


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}

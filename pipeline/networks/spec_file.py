"""Write and read the file that names the network of some weights: ``model.json`` next to ``model.pt``.

It contains the network's spec and the SHA-256 of the weights. So weights that replaced others are not taken for the
network of those others.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..files import whole_file, write_text

__all__ = ["read_spec", "save_weights", "spec_file", "spec_text"]


def spec_file(weights: Path) -> Path:
    """Return the path of the spec next to the weights: ``model.json`` for ``model.pt``."""
    return weights.with_suffix(".json")


def save_weights(weights: Mapping[str, Any], path: Path, spec: Mapping[str, Any] | None) -> None:
    """Write weights, and next to them the spec of their network.

    The two files match even after a kill: the spec is written first, and is valid for the new weights and for those
    that they replace.

    Args:
        weights: a state dict.
        path: the file.
        spec: spec of the network. If None, no spec file is written.
    """
    with whole_file(path) as temporary:
        torch.save(weights, temporary)
        if spec is not None:
            replaced = [_sha256(path)] if _is_of(path, spec) else []
            write_text(spec_file(path), spec_text(spec, [_sha256(temporary), *replaced]))


def read_spec(weights: Path) -> dict[str, Any] | None:
    """Return the spec of the weights' network, or None if no file has it for exactly these weights.

    Raises:
        ValueError: the file is not JSON.
        OSError: it cannot be read.
    """
    file = spec_file(weights)
    if not (file.is_file() and weights.is_file()):
        return None
    content = json.loads(file.read_text(encoding="utf-8"))
    spec = content.get("network") if isinstance(content, dict) else None
    if not isinstance(spec, dict) or not isinstance(spec.get("name"), str):
        return None  # written by another program
    sums = content.get("weights_sha256")
    return spec if isinstance(sums, list) and _sha256(weights) in sums else None


def spec_text(spec: Mapping[str, Any], sha256: list[str]) -> str:
    """Return the content of the file.

    Args:
        spec: spec of the network.
        sha256: SHA-256 of the weights, and of those that they replace.
    """
    return json.dumps({"network": spec, "weights_sha256": sha256}, indent=2) + "\n"


def _is_of(weights: Path, spec: Mapping[str, Any]) -> bool:
    try:
        return read_spec(weights) == spec
    except (OSError, ValueError):
        return False


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()

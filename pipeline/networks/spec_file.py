"""The file that says which network weights are of: ``model.json`` next to ``model.pt``.

It holds the network's spec and the SHA-256 of the weights, so that weights which were copied over others do not get the
other ones' network.
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
    """Return the file of the spec, next to that of the weights: ``model.json`` for ``model.pt``."""
    return weights.with_suffix(".json")


def save_weights(weights: Mapping[str, Any], path: Path, spec: Mapping[str, Any] | None) -> None:
    """Write weights, and next to them the spec of their network.

    A kill at any moment leaves a pair that belongs together: the spec, which is written first, is valid for the new
    weights and for those that they replace.

    Args:
        weights: a state dict.
        path: the file.
        spec: of the network; None for one that has none, and no file is written then.
    """
    with whole_file(path) as temporary:
        torch.save(weights, temporary)
        if spec is not None:
            replaced = [_sha256(path)] if _is_of(path, spec) else []
            write_text(spec_file(path), spec_text(spec, [_sha256(temporary), *replaced]))


def read_spec(weights: Path) -> dict[str, Any] | None:
    """Return the spec of the network that weights are of; None where no file says it of these very weights.

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
        return None  # a file of another program
    sums = content.get("weights_sha256")
    return spec if isinstance(sums, list) and _sha256(weights) in sums else None


def spec_text(spec: Mapping[str, Any], sha256: list[str]) -> str:
    """Return the content of the file.

    Args:
        spec: of the network.
        sha256: of the weights.
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

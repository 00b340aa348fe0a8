"""Write and read the file that names the network of some weights: ``model.json`` next to ``model.pt``.

It contains the network's spec, the names of its output channels and the SHA-256 of the weights. So weights that
replaced others are not taken for the network of those others.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ..files import whole_file, write_text

__all__ = ["read_outputs", "read_spec", "save_weights", "spec_file", "spec_text"]


def spec_file(weights: Path) -> Path:
    """Return the path of the spec next to the weights: ``model.json`` for ``model.pt``."""
    return weights.with_suffix(".json")


def save_weights(
    weights: Mapping[str, Any], path: Path, spec: Mapping[str, Any] | None, outputs: Sequence[str] | None = None
) -> None:
    """Write weights, and next to them the spec of their network.

    The two files match even after a kill: the spec is written first, and is valid for the new weights and for those
    that they replace.

    Args:
        weights: a state dict.
        path: the file.
        spec: spec of the network. If None, no spec file is written.
        outputs: names of the output channels, labels or regions; None if they are not known.
    """
    with whole_file(path) as temporary:
        # Into a stream: a zip of PyTorch has the name of its file in it, which is another one each time.
        with temporary.open("wb") as stream:
            torch.save(weights, stream)
        if spec is not None:
            replaced = [_sha256(path)] if _is_of(path, spec) else []
            write_text(spec_file(path), spec_text(spec, [_sha256(temporary), *replaced], outputs))


def read_spec(weights: Path) -> dict[str, Any] | None:
    """Return the spec of the weights' network, or None if no file has it for exactly these weights.

    Raises:
        ValueError: the file is not JSON.
        OSError: it cannot be read.
    """
    content = _read_content(weights)
    spec = content.get("network")
    return spec if isinstance(spec, dict) and isinstance(spec.get("name"), str) else None


def read_outputs(weights: Path) -> list[str] | None:
    """Return the names of the output channels of the weights' network, or None if no file has them for these weights.

    Raises:
        ValueError: the file is not JSON.
        OSError: it cannot be read.
    """
    outputs = _read_content(weights).get("outputs")
    return outputs if isinstance(outputs, list) and all(isinstance(name, str) for name in outputs) else None


def spec_text(spec: Mapping[str, Any], sha256: list[str], outputs: Sequence[str] | None = None) -> str:
    """Return the content of the file.

    Args:
        spec: spec of the network.
        sha256: SHA-256 of the weights, and of those that they replace.
        outputs: names of the output channels; None if they are not known.
    """
    names = {} if outputs is None else {"outputs": list(outputs)}
    return json.dumps({"network": spec, **names, "weights_sha256": sha256}, indent=2) + "\n"


def _read_content(weights: Path) -> dict[str, Any]:
    """Return the content of the spec file; empty if there is none, another program's, or that of other weights."""
    file = spec_file(weights)
    if not (file.is_file() and weights.is_file()):
        return {}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError(f"{file}: more levels than any network has") from error
    sums = content.get("weights_sha256") if isinstance(content, dict) else None
    return content if isinstance(sums, list) and _sha256(weights) in sums else {}


def _is_of(weights: Path, spec: Mapping[str, Any]) -> bool:
    try:
        return read_spec(weights) == spec
    except (OSError, ValueError):
        return False


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()

"""Compare the other forms of an exported network with the network in PyTorch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["MAX_DIFFERENCE", "compare_forms", "load_form", "round_up"]

# Between float32 logits of two forms that count as the same network.
MAX_DIFFERENCE = 1e-4
Form = Callable[[Tensor], Tensor]


def load_form(file: Path) -> Form:
    """Load a form of a network. Call it with float32 (N, C, *spatial); it returns logits.

    Args:
        file: ``model.ts``, ``model.pt2`` or ``model.onnx``.

    Raises:
        ValueError: the file has another ending.
    """
    if file.suffix == ".ts":
        scripted: Form = torch.jit.load(file, map_location="cpu").eval()
        return scripted
    if file.suffix == ".pt2":
        program: Form = torch.export.load(file).module()
        return program
    if file.suffix == ".onnx":
        return _load_onnx(file)
    msg = f"{file}: expected a TorchScript (.ts), exported program (.pt2) or ONNX (.onnx) file"
    raise ValueError(msg)


def compare_forms(network: nn.Module, files: Iterable[Path], shape: Iterable[int]) -> dict[str, float]:
    """Return the largest difference between each form's logits and the network's.

    Batches of two windows and of one, with normally distributed voxels, are compared.

    Args:
        network: in evaluation mode.
        files: the forms.
        shape: shape of a window, (C, *spatial).

    Returns:
        The difference by file name, without forms whose runtime is not installed.

    Raises:
        ValueError: logits are not finite.
    """
    found = {}
    generator = torch.Generator().manual_seed(0)
    windows = [torch.randn(cases, *shape, generator=generator) for cases in (2, 1)]
    with torch.inference_mode():
        expected = [network(window) for window in windows]
        for file in files:
            try:
                form = load_form(file)
            except ImportError:
                continue
            pairs = zip(windows, expected, strict=True)
            found[file.name] = max(_max_difference(form(window), logits) for window, logits in pairs)
    return found


def _max_difference(found: Tensor, expected: Tensor) -> float:
    difference = float((found - expected).abs().max())
    if not math.isfinite(difference):
        # A later max() of several differences can drop a NaN.
        msg = "logits that are not finite numbers"
        raise ValueError(msg)
    return difference


def round_up(difference: float) -> float:
    """Return the difference rounded up to a power of ten, because rounding errors differ between machines."""
    return 0.0 if difference == 0 else float(f"1e{math.ceil(math.log10(difference))}")


def _load_onnx(file: Path) -> Form:
    import onnxruntime  # type: ignore[import-untyped]  # noqa: PLC0415

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session: Any = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(window: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {name: window.numpy()})[0])

    return run

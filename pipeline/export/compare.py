"""How far the forms of an exported network are from PyTorch's own."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["LARGEST", "differences", "load_form", "rounded_up"]

# Of logits, in float32, for the forms to count as the same network.
LARGEST = 1e-4
Form = Callable[[Tensor], Tensor]


def load_form(file: Path) -> Form:
    """Load a network in one of its forms, to be called with float32 (N, C, *spatial) for logits.

    Args:
        file: ``model.ts``, ``model.pt2`` or ``model.onnx``.

    Raises:
        ValueError: it is none of these.
    """
    if file.suffix == ".ts":
        scripted: Form = torch.jit.load(file, map_location="cpu").eval()
        return scripted
    if file.suffix == ".pt2":
        program: Form = torch.export.load(file).module()
        return program
    if file.suffix == ".onnx":
        return _onnx(file)
    msg = f"{file} is no TorchScript, exported program or ONNX file"
    raise ValueError(msg)


def differences(network: nn.Module, files: Iterable[Path], shape: Iterable[int]) -> dict[str, float]:
    """The largest difference of each form's logits from the network's own.

    Args:
        network: in evaluation mode.
        files: the forms.
        shape: of a window, (C, *spatial). Batches of two and of one are tried, of normally distributed numbers.

    Returns:
        By the file's name; a form whose runtime is not installed is left out.

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
            found[file.name] = max(_difference(form(window), logits) for window, logits in pairs)
    return found


def _difference(found: Tensor, expected: Tensor) -> float:
    difference = float((found - expected).abs().max())
    if not math.isfinite(difference):
        # Of a maximum of several, one that is no number may be lost.
        msg = "logits that are not finite numbers"
        raise ValueError(msg)
    return difference


def rounded_up(difference: float) -> float:
    """The power of ten that a difference is not above: rounding differs from one machine to the next."""
    return 0.0 if difference == 0 else float(f"1e{math.ceil(math.log10(difference))}")


def _onnx(file: Path) -> Form:
    import onnxruntime  # type: ignore[import-untyped]  # noqa: PLC0415

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session: Any = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(window: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {name: window.numpy()})[0])

    return run

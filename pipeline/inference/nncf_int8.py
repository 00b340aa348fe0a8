"""Quantise a network to int8 with NNCF, after training."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..data.errors import InputError
from .runtimes import import_openvino, no_telemetry, trace_network
from .signal_stack import keep_signal_stack

__all__ = ["quantize_network", "require_nncf"]

_PACKAGES = ("openvino", "nncf")


def require_nncf() -> None:
    """Raise InputError if a package for quantising is not installed."""
    missing = [package for package in _PACKAGES if find_spec(package) is None]
    if missing:
        raise InputError(
            "lightskip quantize",
            found=f"no package {' and no '.join(missing)}",
            expected="OpenVINO and NNCF",
            remedy="install them: pip install 'lightskip[quantize]'",
        )


def quantize_network(network: nn.Module, windows: Sequence[Tensor]) -> Callable[[Path], Any]:
    """Quantise a network's convolutions to int8, calibrated on windows, without training.

    Weights use half of int8's range, 7 bits. Processors without VNNI add pairs of products in 16 bits, which larger
    weights overflow: see docs/speed.md, "int8".

    Args:
        network: on the CPU, with its final weights, ready for inference.
        windows: prepared windows of scans that the network was trained on, each (1, C, *spatial) of one shape.

    Returns:
        A function that writes the model for OpenVINO to the path that it is called with (``.xml``), and its numbers
        next to it (``.bin``).

    Raises:
        InputError: a package is missing, or the network cannot be quantised.
    """
    require_nncf()
    shape = list(windows[0].shape)
    with keep_signal_stack():
        try:
            model = trace_network(network, torch.zeros(shape))
            model.reshape(shape)
            made = _quantize(model, windows)
        except Exception as error:
            raise InputError(
                "lightskip quantize",
                found=f"a network that cannot be quantised ({type(error).__name__}: {error})"[:300],
                expected="layers that OpenVINO and NNCF support",
                remedy="use another network, or --runtime openvino",
            ) from error

    def save(path: Path) -> None:
        import_openvino().save_model(made, str(path), compress_to_fp16=False)

    return save


def _quantize(model: Any, windows: Sequence[Tensor]) -> Any:
    with no_telemetry():
        import nncf  # noqa: PLC0415

    logging.getLogger("nncf").setLevel(logging.WARNING)
    # Its progress bar is no result.
    with redirect_stdout(sys.stderr):
        return nncf.quantize(
            model,
            nncf.Dataset([window.numpy() for window in windows]),
            preset=nncf.QuantizationPreset.PERFORMANCE,
            subset_size=len(windows),
            advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=nncf.OverflowFix.ENABLE),
        )

"""MONAI's inferers in the number format that the device computes fastest.

``amp: true`` of a MONAI engine is CUDA autocast only. On a CPU with bfloat16 instructions the same network runs
much faster in bfloat16. These inferers use autocast on any device, for training and for inference.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from monai.inferers.inferer import SimpleInferer, SlidingWindowInferer
from torch import Tensor

from ..data.errors import InputError
from ..data.faults import is_out_of_memory
from ..networks.precision import cpu_has_bfloat16
from ..networks.small_grids import Float32OnSmallGrids
from .finite import require_finite
from .smaller_batches import with_smaller_batches

__all__ = ["PrecisionInferer", "PrecisionSlidingWindowInferer", "apply_precision", "choose_precision"]

logger = logging.getLogger(__name__)

_FORMATS = ("bfloat16", "float16", "float32")


def choose_precision(device: torch.device | str, precision: str = "auto") -> str:
    """Return the number format for convolutions.

    Args:
        device: where the network runs.
        precision: ``"auto"``, or a fixed format. Auto is bfloat16 where the device computes in it (CPU with
            AVX512-BF16 or AMX, GPU from Ampere on), float16 on an older GPU (training then needs a gradient scaler:
            ``amp: true`` of MONAI's trainer), else float32.

    Returns:
        ``"bfloat16"``, ``"float16"`` or ``"float32"``.

    Raises:
        InputError: the precision is unknown, or float16 on a CPU, where it is many times slower than float32.
    """
    device = torch.device(device)
    if precision != "auto":
        _check_format(precision, ("auto", *_FORMATS))
        if precision == "float16" and device.type == "cpu":
            raise InputError(
                "precision",
                found="float16 on a CPU, where it is many times slower than float32",
                expected="auto, bfloat16 or float32",
                remedy="leave precision out: auto chooses what the device computes fastest",
            )
        return precision
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"
    return "bfloat16" if device.type == "cpu" and cpu_has_bfloat16() else "float32"


class PrecisionInferer(SimpleInferer):
    """MONAI's ``SimpleInferer`` under autocast, with float32 output.

    Args:
        precision: ``"bfloat16"``, ``"float16"`` or ``"float32"``, as from :func:`choose_precision`.

    Raises:
        InputError: the precision is none of these. ``"auto"`` is refused, because an inferer does not know its device.
    """

    def __init__(self, precision: str = "float32") -> None:
        super().__init__()
        self.precision = _check_format(precision, _FORMATS)

    def __call__(self, inputs: Tensor, network: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run the network on inputs (N, C, *spatial)."""
        return super().__call__(inputs, apply_precision(network, inputs, self.precision), *args, **kwargs)


class PrecisionSlidingWindowInferer(SlidingWindowInferer):
    """MONAI's ``SlidingWindowInferer`` with every window under autocast. Windows are combined in float32.

    Args:
        precision: as in :class:`PrecisionInferer`.
        **kwargs: arguments of ``SlidingWindowInferer``: roi_size (voxels), sw_batch_size, overlap, mode, ...

    Raises:
        InputError: as in :class:`PrecisionInferer`.
    """

    device: torch.device | str | None  # where windows are joined

    def __init__(self, precision: str = "float32", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.precision = _check_format(precision, _FORMATS)

    def __call__(self, inputs: Tensor, network: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run the network window by window on inputs (N, C, *spatial).

        Where memory does not suffice, the windows are computed in smaller batches, and then joined on the CPU.

        Raises:
            InputError: the output has NaN or infinity in it.
        """
        output = self._join_windows(inputs, network, *args, **kwargs)
        if isinstance(output, Tensor):
            require_finite(output)
        return output

    def _join_windows(self, inputs: Tensor, network: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        run = apply_precision(network, inputs, self.precision)
        work = partial(super().__call__, inputs, run, *args, **kwargs)
        try:
            return with_smaller_batches(self, work)
        except Exception as error:
            if inputs.device.type == "cpu" or self.device is not None or not is_out_of_memory(error):
                raise
        torch.cuda.empty_cache()
        logger.warning("too little memory to join windows on the GPU: they are joined on the CPU from now on")
        self.device = torch.device("cpu")
        return work()


def _check_format(precision: str, known: tuple[str, ...]) -> str:
    if precision not in known:
        raise InputError(
            "precision",
            found=repr(precision),
            expected=f"one of {', '.join(known)}",
            remedy="leave precision out, or choose one of these",
        )
    return precision


def apply_precision(network: Callable[..., Any], inputs: Tensor, precision: str) -> Callable[..., Any]:
    """Return the network under autocast on the device of `inputs`, with float32 output.

    Where gradients are recorded on a CPU, convolutions on grids smaller than their kernel are computed in float32.
    """
    if precision == "float32":
        return network

    trains = inputs.device.type == "cpu" and torch.is_grad_enabled()

    def run(x: Tensor, *args: Any, **kwargs: Any) -> Any:
        guard = Float32OnSmallGrids() if trains else nullcontext()
        with torch.autocast(inputs.device.type, dtype=getattr(torch, precision)), guard:
            output = network(x, *args, **kwargs)
        return [item.float() for item in output] if isinstance(output, list) else output.float()

    return run

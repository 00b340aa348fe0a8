"""The runtime of an evaluation, which a bundle's evaluation config asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..data.dropout_samples import check_dropout_samples
from ..data.errors import InputError
from ..data.int8_file import find_int8
from ..runtime_names import RUNTIMES
from .choose_runtime import RuntimeChoice, choose_runtime, load_on_runtime
from .dropout_average import ONLY_PYTORCH, average_dropout
from .gpu_ways import choose_gpu_way
from .weights_file import read_weights
from .windows import find_window_size

__all__ = ["choose_evaluation_runtime"]


def choose_evaluation_runtime(
    network: nn.Module,
    checkpoint: str | Path,
    *,
    runtime: str,
    inferer: Any,
    channels: int,
    cases: int,
    dropout_samples: int = 1,
    sigmoid: bool = False,
) -> RuntimeChoice:
    """Return the network with its weights on a runtime, for an evaluation.

    Args:
        network: the network of the weights, on its device.
        checkpoint: file of the weights.
        runtime: ``"pytorch"``, ``"openvino"``, ``"int8"`` (see `int8_file`), or ``"auto"``: the one of the first two
            that ends soonest; on a GPU PyTorch, in the way that ends soonest.
        inferer: sliding windows, with their number format in ``precision``.
        channels: channels of a scan.
        cases: number of cases, each of at least one window.
        dropout_samples: passes with dropout whose probabilities are averaged, see `DropoutAveraged`; more than one are
            computed by PyTorch. 1: one pass without.
        sigmoid: whether the network's channels are regions.

    Raises:
        InputError: the runtime is unknown, is not for this device, or cannot compute the network; or the network has no
            dropout.
    """
    if runtime not in RUNTIMES:
        raise InputError(
            "--runtime", found=str(runtime), expected=f"one of {', '.join(RUNTIMES)}", remedy="leave it out"
        )
    check_dropout_samples(dropout_samples, runtime)
    if dropout_samples > 1:
        return RuntimeChoice("pytorch", average_dropout(network, dropout_samples, sigmoid=sigmoid), reason=ONLY_PYTORCH)
    device = next(network.parameters(), torch.empty(0)).device.type
    if runtime == "pytorch" or (runtime == "auto" and device not in ("cpu", "cuda")):
        return RuntimeChoice("pytorch", network)
    if runtime != "auto" and device != "cpu":
        raise InputError(
            f"--runtime {runtime}",
            found="a network on a GPU",
            expected="a CPU: LightSkip uses this runtime only there",
            remedy="leave --runtime out, or evaluate on the CPU",
        )
    network.load_state_dict(read_weights(checkpoint, network))
    network.eval()
    shape = (channels, *find_window_size(inferer, [64] * len(inferer.roi_size)))
    precision = str(getattr(inferer, "precision", "float32"))
    if runtime != "auto":
        model = find_int8(checkpoint, shape=shape) if runtime == "int8" else None
        return load_on_runtime(network, runtime, shape=shape, precision=precision, model=model)
    if device == "cuda":
        batch = inferer.sw_batch_size
        # Each case is at least one batch.
        return choose_gpu_way(network, shape=shape, precision=precision, windows=cases * batch, batch=batch)
    return choose_runtime(network, shape=shape, precision=precision, windows=cases, batch=1)

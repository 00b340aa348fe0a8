"""Compute a network's forward pass: on a CPU with PyTorch, OpenVINO or ONNX Runtime, on a GPU in PyTorch's ways."""

from __future__ import annotations

import copy
import logging
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec

import torch
from torch import Tensor, nn

from pipeline.inference.gpu import Gpu, fix_kernels
from pipeline.inference.gpu_ways import PLAIN, WAYS, GpuWays, UnusableWayError
from pipeline.inference.inferers import apply_precision, choose_precision
from pipeline.inference.runtimes import OpenVINONetwork
from pipeline.networks.precision import cpu_has_bfloat16

__all__ = ["FLOAT32", "PACKAGES", "Way", "build_gpu_ways", "build_ways", "is_installed", "is_plain"]

FLOAT32 = "PyTorch float32"
PACKAGES = {"OpenVINO": ("openvino",), "ONNX Runtime": ("onnxruntime", "onnx", "onnxscript")}
Way = Callable[[Tensor], Tensor]


def is_installed(runtime: str) -> bool:
    """Return whether all packages of a runtime in `PACKAGES` are installed."""
    return all(find_spec(package) for package in PACKAGES[runtime])


def is_plain(way: str) -> bool:
    """Return whether a way is PyTorch as it is, in any number format."""
    return way.startswith("PyTorch") and "," not in way


def build_gpu_ways(
    network: nn.Module, shape: Sequence[int], gpu: Gpu, *, on_problem: Callable[[str], object]
) -> tuple[dict[str, Way], dict[str, float]]:
    """Return PyTorch's ways of computing a network's logits on a GPU, and the seconds of starting each, by name.

    Args:
        network: on the GPU.
        shape: shape of a batch of windows, (N, C, *spatial).
        gpu: the GPU.
        on_problem: called with a line about each way that is left out.
    """
    found: dict[str, Way] = {}
    spent: dict[str, float] = {}
    for precision in dict.fromkeys(("float32", choose_precision(gpu.device))):
        ways = GpuWays(network, shape=shape[1:], batch=shape[0], precision=precision, gpu=gpu)
        for way in WAYS:
            name = f"PyTorch {precision}" + ("" if way == PLAIN else f", {way}")
            start = time.perf_counter()
            try:
                prepared = ways.prepare(way)
            except UnusableWayError as problem:
                on_problem(f"{name} is left out: {problem}")
                continue
            spent[name] = time.perf_counter() - start
            found[name] = partial(_pytorch, prepared, precision, torch.contiguous_format)
    return found, spent


def build_ways(network: nn.Module, shape: Sequence[int], threads: int) -> dict[str, Way]:
    """Return every way of computing a network's logits for windows (N, C, *spatial), by name.

    Ways whose packages are not installed, or in bfloat16 on a CPU without it, are left out.
    """
    formats = ("float32", "bfloat16") if cpu_has_bfloat16() else ("float32",)
    last = _channels_last(network)
    found: dict[str, Way] = {}
    for precision in formats:
        found[f"PyTorch {precision}"] = partial(_pytorch, network, precision, torch.contiguous_format)
        found[f"PyTorch {precision}, channels last"] = partial(
            _pytorch, last, precision, torch.channels_last_3d if len(shape) == 5 else torch.channels_last
        )
        if is_installed("OpenVINO"):
            found[f"OpenVINO {precision}"] = OpenVINONetwork(
                network, shape=shape[1:], precision=precision, threads=threads
            )
    if is_installed("ONNX Runtime"):
        found["ONNX Runtime float32"] = _onnx_runtime(network, torch.zeros(tuple(shape)), threads)
    return found


def _pytorch(network: nn.Module, precision: str, form: torch.memory_format, x: Tensor) -> Tensor:
    with torch.inference_mode(), fix_kernels():
        found: Tensor = apply_precision(network, x, precision)(x.to(memory_format=form))
    return found


def _channels_last(network: nn.Module) -> nn.Module:
    volumes = any(one.ndim == 5 for one in network.parameters())
    form = torch.channels_last_3d if volumes else torch.channels_last
    return copy.deepcopy(network).to(memory_format=form)  # type: ignore[call-overload]


def _onnx_runtime(network: nn.Module, x: Tensor, threads: int) -> Way:
    import onnxruntime  # noqa: PLC0415

    # It would list optional packages.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(network, (x,), dynamo=True, input_names=["image"], verbose=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        program.model_proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda x: torch.from_numpy(session.run(None, {"image": x.numpy()})[0])

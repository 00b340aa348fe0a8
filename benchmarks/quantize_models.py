"""Networks as OpenVINO's models in float32 and quantised to int8 by NNCF, and how they are compiled and run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.inference.runtimes import import_openvino, no_telemetry, trace_network
from pipeline.inference.signal_stack import keep_signal_stack

__all__ = ["PACKAGES", "VARIANTS", "CompiledModel", "convert", "is_installed", "quantize", "save"]

PACKAGES = ("openvino", "nncf")
# What NNCF is told, by the variant's name.
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "int8": {},
    "int8, first and last layer in float": {"ends_in_float": True},
    "int8, accurate bias correction": {"fast_bias_correction": False},
    "int8, mixed preset": {"mixed": True},
    "int8, weights of 7 bits": {"narrow_weights": True},
}
_LAYERS = ("Convolution", "Deconvolution")


def is_installed() -> bool:
    """Return whether OpenVINO and NNCF are installed."""
    return all(find_spec(package) for package in PACKAGES)


def convert(network: nn.Module, shape: Sequence[int]) -> Any:
    """Return OpenVINO's float32 model of a network for one window (1, C, *spatial)."""
    model = trace_network(network, torch.zeros(tuple(shape)))
    model.reshape(list(shape))
    return model


def quantize(
    model: Any,
    windows: Sequence[Tensor],
    *,
    ends_in_float: bool = False,
    fast_bias_correction: bool = True,
    mixed: bool = False,
    narrow_weights: bool = False,
) -> Any:
    """Return a model with int8 convolutions, calibrated on windows, without training.

    Args:
        model: of `convert`; it is unchanged.
        windows: prepared windows (1, C, *spatial).
        ends_in_float: whether the first and the last convolution stay in float.
        fast_bias_correction: NNCF's faster correction of biases instead of the accurate one.
        mixed: symmetric weights and asymmetric activations, instead of both symmetric.
        narrow_weights: whether weights use half of int8's range in every layer, not only in the first. Without VNNI,
            pairs of products are added in 16 bits, which larger weights overflow.
    """
    with no_telemetry():
        import nncf  # noqa: PLC0415

    overflow_fix = nncf.OverflowFix.ENABLE if narrow_weights else nncf.OverflowFix.FIRST_LAYER
    ends = [op.get_friendly_name() for op in model.get_ordered_ops() if op.get_type_name() == "Convolution"]
    return nncf.quantize(
        model.clone(),
        nncf.Dataset([window.numpy() for window in windows]),
        preset=nncf.QuantizationPreset.MIXED if mixed else nncf.QuantizationPreset.PERFORMANCE,
        subset_size=len(windows),
        fast_bias_correction=fast_bias_correction,
        advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=overflow_fix),
        ignored_scope=nncf.IgnoredScope(names=[ends[0], ends[-1]]) if ends_in_float else nncf.IgnoredScope(),
    )


def save(model: Any, file: Path) -> None:
    """Write a model with weights in their own type."""
    import_openvino().save_model(model, str(file), compress_to_fp16=False)


class CompiledModel:
    """A model that OpenVINO runs on the CPU, window by window.

    Args:
        model: a model, or the file of one.
        precision: number format of the layers that are not quantised, ``"float32"`` or ``"bfloat16"``.
        threads: number of CPU threads.

    Attributes:
        precision: the number format that OpenVINO chose: float32 where the CPU has no bfloat16.
    """

    def __init__(self, model: Any, *, precision: str = "float32", threads: int = 1) -> None:
        openvino = import_openvino()
        wanted = {"float32": openvino.Type.f32, "bfloat16": openvino.Type.bf16}
        with keep_signal_stack():
            core = openvino.Core()
            self._compiled = core.compile_model(
                core.read_model(str(model)) if isinstance(model, Path) else model,
                "CPU",
                {
                    "INFERENCE_PRECISION_HINT": wanted[precision],
                    "INFERENCE_NUM_THREADS": threads,
                    "NUM_STREAMS": 1,
                    "ENABLE_CPU_PINNING": False,
                },
            )
        chosen = self._compiled.get_property("INFERENCE_PRECISION_HINT")
        self.precision = next((name for name, kind in wanted.items() if kind == chosen), str(chosen))
        self._request = self._compiled.create_infer_request()

    def __call__(self, x: Tensor) -> Tensor:
        """Return logits (N, K, *spatial), float32, of windows (N, C, *spatial)."""
        windows = x.detach().to("cpu", torch.float32).split(1)
        return torch.cat([torch.from_numpy(self._request.infer({0: one.numpy()})[0].copy()) for one in windows])

    def primitives(self) -> dict[str, int]:
        """Return how many convolutions OpenVINO runs with each of its kernels, such as brgconv_avx2_f32."""
        found: Counter[str] = Counter()
        for op in self._compiled.get_runtime_model().get_ordered_ops():
            kind, kernel = (op.get_rt_info()[key].astype(str) for key in ("layerType", "primitiveType"))
            if kind in _LAYERS:
                found[kernel] += 1
        return dict(sorted(found.items()))

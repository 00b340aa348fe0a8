"""Run a network on OpenVINO, which computes the same as PyTorch in less time on a CPU.

`docs/prediction.md` has the times, and the reason why ONNX Runtime is not offered.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..data.errors import InputError
from ..memory import give_back
from .inferers import apply_precision
from .signal_stack import keep_signal_stack

__all__ = ["RUNTIMES", "OpenVINONetwork", "load_on_runtime"]

RUNTIMES = ("pytorch", "openvino")
_FORMATS = {"float32": "f32", "bfloat16": "bf16"}
# Share of the logits' norm. Rounding alone gives .0004 and .02 (random weights), a wrong layer about 1.
_MAX_DIFFERENCE = {"float32": 0.02, "bfloat16": 0.25}
_REMEDY = "leave --runtime out, so that PyTorch runs the network"


def load_on_runtime(network: nn.Module, runtime: str, *, shape: Sequence[int], precision: str) -> nn.Module:
    """Return the network on a runtime. For PyTorch, that is the network itself.

    Args:
        network: see `OpenVINONetwork`.
        runtime: one of `RUNTIMES`.
        shape: shape of a window, (C, *spatial).
        precision: number format of the network's layers.

    Raises:
        InputError: see `OpenVINONetwork`.
    """
    return network if runtime == "pytorch" else OpenVINONetwork(network, shape=shape, precision=precision)


class OpenVINONetwork(nn.Module):
    """A network that OpenVINO runs on the CPU. It is converted in memory and compared with PyTorch on one window.

    Windows are computed one by one: on a CPU, batches are not faster and need several times the memory.

    Args:
        network: on the CPU, with its final weights. It takes (N, C, *spatial) and returns logits (N, K, *spatial).
        shape: shape of a window, (C, *spatial). The network is converted again when a window has another shape.
        precision: number format of the layers, ``"float32"`` or ``"bfloat16"``. Input and output are float32.
        threads: number of CPU threads; None: as many as PyTorch uses.

    Raises:
        InputError: OpenVINO cannot convert the network, returns other logits than PyTorch, or does not compute in this
            precision on this CPU.
    """

    def __init__(
        self, network: nn.Module, *, shape: Sequence[int], precision: str = "float32", threads: int | None = None
    ) -> None:
        super().__init__()
        self.network = network.eval()
        self.precision = precision
        self.threads = threads or torch.get_num_threads()
        self._prepare(shape)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, K, *spatial), float32."""
        windows = x.detach().to("cpu", torch.float32)
        if tuple(windows.shape[1:]) != self._shape:
            self._prepare(windows.shape[1:])
        logits = torch.empty((len(windows), *self._output_shape))
        for output, window in zip(logits, windows.split(1), strict=True):
            # The runtime reuses its output buffer, so each output is copied.
            output.copy_(torch.from_numpy(self._infer(window)[0]))
        return logits

    def _prepare(self, shape: Sequence[int]) -> None:
        """Convert and compile the network for windows of this shape, (C, *spatial), and compare it with PyTorch."""
        # Compare on another window than the traced one, since tracing turns values computed in Python to constants.
        example, other = torch.randn((2, 1, *shape), generator=torch.Generator().manual_seed(0))
        try:
            self._request = self._compile(_convert(self.network, example), example.shape).create_infer_request()
            found = torch.from_numpy(self._infer(other))
            with torch.inference_mode():
                expected = apply_precision(self.network, other, self.precision)(other)
            if not isinstance(expected, Tensor):
                raise _make_error(f"a network that returns a {type(expected).__name__}", "one tensor of logits")
        except InputError:
            raise
        except Exception as error:
            raise _make_error(
                f"a network that OpenVINO cannot convert ({_first_line(error)})", "layers that OpenVINO supports"
            ) from error
        limit = _MAX_DIFFERENCE[self.precision]
        # `not <=` instead of `>`, so that NaN is refused too.
        if not float((found - expected).norm()) <= limit * float(expected.norm()):
            raise _make_error("other logits than PyTorch's for the same window", f"a difference of at most {limit:.0%}")
        self._shape, self._output_shape = tuple(shape), tuple(found.shape[1:])
        # Return the memory of the conversion, about as much as PyTorch needs for a window.
        give_back()

    def _infer(self, window: Tensor) -> Any:
        return self._request.infer({0: window.numpy()}, share_inputs=True, share_outputs=True)[0]

    def _compile(self, model: Any, shape: Sequence[int]) -> Any:
        openvino = _import_openvino()
        model.reshape(list(shape))
        wanted = getattr(openvino.Type, _FORMATS[self.precision])
        with keep_signal_stack():
            compiled = openvino.Core().compile_model(
                model,
                "CPU",
                {
                    "INFERENCE_PRECISION_HINT": wanted,
                    "INFERENCE_NUM_THREADS": self.threads,
                    "NUM_STREAMS": 1,
                    # With pinning, several processes on one machine would all use its first cores.
                    "ENABLE_CPU_PINNING": False,
                },
            )
        if compiled.get_property("INFERENCE_PRECISION_HINT") != wanted:
            raise InputError(
                "--runtime openvino",
                found=f"a CPU on which OpenVINO does not compute in {self.precision}",
                expected="a CPU on which it does",
                remedy="choose another format with --set precision=float32, or leave --runtime out",
            )
        return compiled


def _convert(network: nn.Module, example: Tensor) -> Any:
    """Return OpenVINO's model of a network for windows of the example's shape.

    A trace is used because `torch.export` gives the same model in four times the time.
    """
    _import_openvino()
    from openvino.frontend import FrontEndManager  # noqa: PLC0415
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder  # noqa: PLC0415

    with torch.no_grad(), warnings.catch_warnings():
        # Warnings that sizes become constants (they are the same for all windows), and that torch.jit is deprecated.
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(network, example, check_trace=False)
    frontend = FrontEndManager().load_by_framework("pytorch")
    decoder = TorchScriptPythonDecoder(traced)
    # The variable keeps the decoder alive, which the model reads from until it is converted.
    read = frontend.load(decoder)
    return frontend.convert(read)


def _import_openvino() -> Any:
    """Import OpenVINO without its telemetry, which reports every import and use to its maker over the network.

    If the telemetry package is missing, OpenVINO uses a stub.
    """
    name = "openvino_telemetry"
    known = {name: sys.modules[name]} if name in sys.modules else {}
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        import openvino  # noqa: PLC0415
    finally:
        del sys.modules[name]
        sys.modules.update(known)
    return openvino


def _make_error(found: str, expected: str) -> InputError:
    return InputError("--runtime openvino", found=found, expected=expected, remedy=_REMEDY)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"[:200]

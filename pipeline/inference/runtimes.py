"""A network on another runtime than PyTorch: OpenVINO computes the same in less time on a CPU.

How much less, and why ONNX Runtime is not offered, says `docs/prediction.md`.
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
from .inferers import in_precision
from .signal_stack import own_signal_stack

__all__ = ["RUNTIMES", "OpenVINONetwork", "on_runtime"]

RUNTIMES = ("pytorch", "openvino")
_FORMATS = {"float32": "f32", "bfloat16": "bf16"}
# Of the logits' norm; rounding alone gives .0004 and .02 (networks with random weights), a wrong layer about 1.
_MOST_DIFFERENT = {"float32": 0.02, "bfloat16": 0.25}
_REMEDY = "leave --runtime out: PyTorch runs it"


def on_runtime(network: nn.Module, runtime: str, *, shape: Sequence[int], precision: str) -> nn.Module:
    """Return a network that computes on the runtime of this name, one of `RUNTIMES`; for PyTorch the network itself.

    Args:
        network: as `OpenVINONetwork` takes it.
        runtime: its name.
        shape: of a window, (C, *spatial).
        precision: number format of the network's layers.

    Raises:
        InputError: as `OpenVINONetwork` does.
    """
    return network if runtime == "pytorch" else OpenVINONetwork(network, shape=shape, precision=precision)


class OpenVINONetwork(nn.Module):
    """A network that OpenVINO computes on the CPU, converted in memory and compared with PyTorch on one window.

    Windows go through it one by one: several at a time take no less time on a CPU, and as many times the memory.

    Args:
        network: on the CPU, with its weights, which must not change any more. It takes (N, C, *spatial) and gives
            logits (N, K, *spatial).
        shape: of a window, (C, *spatial). For windows of another shape it is converted again when they come.
        precision: ``"float32"`` or ``"bfloat16"``, in which the layers compute; what comes and goes is float32.
        threads: CPU threads; None: as many as PyTorch has.

    Raises:
        InputError: OpenVINO cannot convert the network, gives other logits than PyTorch, or does not compute in this
            precision here.
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
        logits = torch.empty((len(windows), *self._gives))
        for output, window in zip(logits, windows.split(1), strict=True):
            # The runtime writes every output to the same place: it is copied before the next one.
            output.copy_(torch.from_numpy(self._infer(window)[0]))
        return logits

    def _prepare(self, shape: Sequence[int]) -> None:
        """Convert and compile for windows of this shape, (C, *spatial), and compare one with PyTorch."""
        # Not the same window twice: what was calculated in Python of the first one has become a constant.
        example, other = torch.randn((2, 1, *shape), generator=torch.Generator().manual_seed(0))
        try:
            self._request = self._compiled(_converted(self.network, example), example.shape).create_infer_request()
            found = torch.from_numpy(self._infer(other))
            with torch.inference_mode():
                expected = in_precision(self.network, other, self.precision)(other)
            if not isinstance(expected, Tensor):
                raise _unfit(f"a network that gives a {type(expected).__name__}", "one tensor of logits")
        except InputError:
            raise
        except Exception as error:
            raise _unfit(f"a network that it cannot convert ({_first_line(error)})", "layers that it knows") from error
        most = _MOST_DIFFERENT[self.precision]
        # Not a number is not at most anything.
        if not float((found - expected).norm()) <= most * float(expected.norm()):
            raise _unfit("other logits than PyTorch's for the same window", f"a difference of at most {most:.0%}")
        self._shape, self._gives = tuple(shape), tuple(found.shape[1:])
        # What the conversion took, as much as PyTorch takes for a window, is not needed again.
        give_back()

    def _infer(self, window: Tensor) -> Any:
        return self._request.infer({0: window.numpy()}, share_inputs=True, share_outputs=True)[0]

    def _compiled(self, model: Any, shape: Sequence[int]) -> Any:
        openvino = _silent_openvino()
        model.reshape(list(shape))
        wanted = getattr(openvino.Type, _FORMATS[self.precision])
        with own_signal_stack():
            compiled = openvino.Core().compile_model(
                model,
                "CPU",
                {
                    "INFERENCE_PRECISION_HINT": wanted,
                    "INFERENCE_NUM_THREADS": self.threads,
                    "NUM_STREAMS": 1,
                    # Several processes on one machine would all be bound to its first cores.
                    "ENABLE_CPU_PINNING": False,
                },
            )
        if compiled.get_property("INFERENCE_PRECISION_HINT") != wanted:
            raise InputError(
                "--runtime openvino",
                found=f"a CPU on which OpenVINO does not compute in {self.precision}",
                expected="one on which it does",
                remedy="insist on another format, --set precision=float32, or leave --runtime out",
            )
        return compiled


def _converted(network: nn.Module, example: Tensor) -> Any:
    """Return OpenVINO's model of a network for windows of the example's shape.

    `torch.export` instead of a trace gives the same model and takes four times as long.
    """
    _silent_openvino()
    from openvino.frontend import FrontEndManager  # noqa: PLC0415
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder  # noqa: PLC0415

    with torch.no_grad(), warnings.catch_warnings():
        # Of sizes that become constants: they are those of these windows. Of torch.jit, which is to go some day.
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(network, example, check_trace=False)
    frontend = FrontEndManager().load_by_framework("pytorch")
    decoder = TorchScriptPythonDecoder(traced)
    # Names of their own: the model is read from the decoder until it is converted.
    read = frontend.load(decoder)
    return frontend.convert(read)


def _silent_openvino() -> Any:
    """Import OpenVINO without its telemetry, which tells the maker over the net, unasked, when it is imported or used.

    Without the package for that it takes a stub of its own.
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


def _unfit(found: str, expected: str) -> InputError:
    return InputError("--runtime openvino", found=found, expected=expected, remedy=_REMEDY)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"[:200]

"""Run a network on OpenVINO, which computes the same as PyTorch in less time on a CPU.

`docs/prediction.md` has the times, and the reason why ONNX Runtime is not offered.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..data.errors import InputError
from ..memory import give_back
from .buffers import Buffers
from .inferers import apply_precision
from .runtime_cache import RuntimeCache
from .signal_stack import keep_signal_stack

__all__ = ["OpenVINONetwork", "import_openvino", "no_telemetry", "trace_network"]

_FORMATS = {"float32": "f32", "bfloat16": "bf16"}
# Share of the logits' norm. Rounding alone gives .0004 and .02 (random weights), a wrong layer about 1.
_MAX_DIFFERENCE = {"float32": 0.02, "bfloat16": 0.25, "int8": 0.5}
_REMEDY = "leave --runtime out, so that PyTorch runs the network"
_REMEDY_OF_INT8 = "make it again: lightskip quantize; or leave int8 out"


class OpenVINONetwork(nn.Module):
    """A network that OpenVINO runs on the CPU. It is converted in memory and compared with PyTorch on one window.

    Windows are computed one by one: on a CPU, batches are not faster and need several times the memory.

    Args:
        network: on the CPU, with its final weights. It takes (N, C, *spatial) and returns logits (N, K, *spatial).
        shape: shape of a window, (C, *spatial). The network is converted again when a window has another shape.
        precision: number format of the layers, ``"float32"`` or ``"bfloat16"``. Input and output are float32.
        threads: number of CPU threads; None: as many as PyTorch uses.
        cache: where the converted network is kept for the next start; None: it is not kept.
        model: file of the network in int8, for windows of this shape, instead of a conversion: see `int8_file`. Layers
            that are not quantised compute in the precision.

    Attributes:
        reuses_output: whether the next call may overwrite the logits of the last one. Fetching memory for the logits of
            many classes from the system, page by page, takes a tenth of the network's time.

    Raises:
        InputError: OpenVINO cannot convert the network, returns other logits than PyTorch, or does not compute in this
            precision on this CPU.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        shape: Sequence[int],
        precision: str = "float32",
        threads: int | None = None,
        cache: RuntimeCache | None = None,
        model: Path | None = None,
    ) -> None:
        super().__init__()
        self.network = network.eval()
        self.precision = precision
        self.threads = threads or torch.get_num_threads()
        self._model = model
        self.reuses_output = False
        self._room = Buffers(torch.device("cpu"))
        self._prepare(shape, cache)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, K, *spatial), float32."""
        windows = x.detach().to("cpu", torch.float32)
        if tuple(windows.shape[1:]) != self._shape:
            self._prepare(windows.shape[1:])
        shape = (len(windows), *self._output_shape)
        logits = self._room.get("logits", shape) if self.reuses_output else torch.empty(shape)
        for output, window in zip(logits.split(1), windows.split(1), strict=True):
            self._infer(window, output)
        return logits

    def _prepare(self, shape: Sequence[int], cache: RuntimeCache | None = None) -> None:
        """Read or convert the network for windows of this shape, (C, *spatial), and compare it with PyTorch."""
        # Compare on another window than the traced one, since tracing turns values computed in Python to constants.
        example, other = torch.randn((2, 1, *shape), generator=torch.Generator().manual_seed(0))
        kept = None if cache is None else cache.find_model()
        if self._model is not None:
            found = self._start(self._read_model, other)
        elif kept is None or cache is None:
            found = self._start(_convert(self.network, example, cache), other)
        else:
            try:
                found = self._start(lambda openvino: openvino.Core().read_model(str(kept)), other)
            except InputError:
                # Its checksum was right, and still it is not this network.
                cache.forget_model()
                found = self._start(_convert(self.network, example, cache), other)
        self._shape, self._output_shape = tuple(shape), tuple(found.shape[1:])
        # Return the memory of the conversion, about as much as PyTorch needs for a window.
        give_back()

    def _read_model(self, openvino: Any) -> Any:
        return openvino.Core().read_model(str(self._model))

    def _start(self, read: Callable[[Any], Any], window: Tensor) -> Tensor:
        """Compile a model and return its logits for a window, after a comparison with PyTorch's.

        Args:
            read: returns OpenVINO's model; called with the package.
            window: (1, C, *spatial).

        Raises:
            InputError: OpenVINO cannot compute the network, or returns other logits.
        """
        try:
            self._request = self._compile(read(import_openvino())).create_infer_request()
            with torch.inference_mode():
                expected = apply_precision(self.network, window, self.precision)(window)
            if not isinstance(expected, Tensor):
                raise self._make_error(f"a network that returns a {type(expected).__name__}", "one tensor of logits")
            found = torch.empty(expected.shape)
            self._infer(window, found)
        except InputError:
            raise
        except Exception as error:
            what, needed = "convert", "layers that OpenVINO supports"
            if self._model is not None:
                what, needed = "read", "the int8 network of these weights"
            raise self._make_error(f"a network that OpenVINO cannot {what} ({_first_line(error)})", needed) from error
        limit = _MAX_DIFFERENCE[self.precision if self._model is None else "int8"]
        # `not <=` instead of `>`, so that NaN is refused too.
        if not float((found - expected).norm()) <= limit * float(expected.norm()):
            raise self._make_error(
                "other logits than PyTorch's for the same window", f"a difference of at most {limit:.0%}"
            )
        return found

    def _infer(self, window: Tensor, output: Tensor) -> None:
        """Write the logits of a window (1, C, *spatial) to `output`, (1, K, *spatial)."""
        tensor = import_openvino().Tensor
        # The variable keeps the voxels alive, which OpenVINO only refers to.
        voxels = np.ascontiguousarray(window.numpy())
        self._request.set_input_tensor(tensor(voxels, shared_memory=True))
        self._request.set_output_tensor(tensor(output.numpy(), shared_memory=True))
        self._request.infer()

    def _compile(self, model: Any) -> Any:
        openvino = import_openvino()
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

    def _make_error(self, found: str, expected: str) -> InputError:
        if self._model is not None:
            return InputError(self._model, found=found, expected=expected, remedy=_REMEDY_OF_INT8)
        return InputError("--runtime openvino", found=found, expected=expected, remedy=_REMEDY)


def _convert(network: nn.Module, example: Tensor, cache: RuntimeCache | None) -> Callable[[Any], Any]:
    """Return a function that converts a network, and puts the model into the cache."""

    def convert(openvino: Any) -> Any:
        model = trace_network(network, example)
        model.reshape(list(example.shape))
        if cache is not None:
            cache.keep_model(lambda path: openvino.save_model(model, str(path), compress_to_fp16=False))
        return model

    return convert


def trace_network(network: nn.Module, example: Tensor) -> Any:
    """Return OpenVINO's model of a network for windows of the example's shape.

    A trace is used because `torch.export` gives the same model in four times the time.
    """
    import_openvino()
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


def import_openvino() -> Any:
    """Import OpenVINO without its telemetry."""
    with no_telemetry():
        import openvino  # noqa: PLC0415
    return openvino


@contextmanager
def no_telemetry() -> Iterator[None]:
    """Import OpenVINO's packages without their telemetry, which reports every import and use over the network.

    If the telemetry package is missing, they use a stub.
    """
    name = "openvino_telemetry"
    known = {name: sys.modules[name]} if name in sys.modules else {}
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]
        sys.modules.update(known)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"[:200]

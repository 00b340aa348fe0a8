"""The calls to a GPU that choosing a way needs: its name, its memory, waiting for it, capturing work in a CUDA graph.

All of `torch.cuda` that a test without a GPU has to replace is in one class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import torch
from torch import Tensor

__all__ = ["Captured", "Gpu", "fix_kernels"]

_WARM_UPS = 3  # calls before a capture, in which libraries choose kernels and get their working memory


class Captured(NamedTuple):
    """Work in a CUDA graph.

    Attributes:
        replay: does the work again.
        output: holds the output after each replay.
        kept_bytes: memory that the graph keeps for itself.
    """

    replay: Callable[[], Any]
    output: Tensor
    kept_bytes: int


class Gpu:
    """A GPU.

    Args:
        device: the GPU, ``"cuda"`` or ``"cuda:N"``.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._stream: torch.cuda.Stream | None = None

    def name(self) -> str:
        """Return the GPU's model, and the versions of CUDA and cuDNN."""
        model = torch.cuda.get_device_name(self.device)
        return f"{model}, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"

    def synchronise(self) -> None:
        """Wait until all work on the GPU is done."""
        torch.cuda.synchronize(self.device)

    def give_back(self) -> None:
        """Return freed memory to the GPU."""
        torch.cuda.empty_cache()

    def make_pool(self) -> Any:
        """Return the name of a new part of the memory, which some graphs share."""
        return torch.cuda.graph_pool_handle()

    def warm_up(self, call: Callable[[], Tensor]) -> Tensor:
        """Call a function on the stream of later captures, and return its last output.

        Args:
            call: computes on this GPU.

        Raises:
            RuntimeError: the function waits for the GPU, as control flow that depends on data does. A capture would
                fail with it, and would have to be undone.
        """
        stream = self._find_stream()
        stream.wait_stream(torch.cuda.current_stream(self.device))
        mode = torch.cuda.get_sync_debug_mode()
        with torch.cuda.device(self.device), torch.cuda.stream(stream):
            for _ in range(_WARM_UPS):
                call()
            try:
                torch.cuda.set_sync_debug_mode("error")
                output = call()
            finally:
                torch.cuda.set_sync_debug_mode(mode)
        self.synchronise()
        return output

    def capture(self, call: Callable[[], Tensor], pool: Any) -> Captured:
        """Capture a function's work in a CUDA graph.

        Args:
            call: computes on this GPU from tensors that stay alive; `warm_up` was called with it.
            pool: the memory for it, from `make_pool`. Graphs that share it have to stay alive together, and an output
                has to be used before the next replay of any of them.

        Raises:
            RuntimeError: the work cannot be captured, or the memory does not suffice.
        """
        graph = torch.cuda.CUDAGraph()
        stream = self._find_stream()
        self.synchronise()
        self.give_back()
        before = torch.cuda.memory_reserved(self.device)
        try:
            # The outer context restores the stream, which the inner one does not do where a capture failed. Other
            # threads, which read and write scans, must not disturb the capture.
            with (
                torch.cuda.device(self.device),
                torch.cuda.stream(stream),
                torch.cuda.graph(graph, pool=pool, stream=stream, capture_error_mode="thread_local"),
            ):
                output = call()
        except BaseException:
            self._undo_capture(pool)
            raise
        return Captured(graph.replay, output, torch.cuda.memory_reserved(self.device) - before)

    def _undo_capture(self, pool: Any) -> None:
        """End the use of a pool after a capture that failed.

        PyTorch's allocator otherwise takes the capture for unfinished, and the next call that returns memory fails.
        """
        index = torch.cuda.current_device() if self.device.index is None else self.device.index
        # The first call fails where the capture has ended as it should, and nothing is left to do. PyTorch has no
        # public function for these two.
        with suppress(AttributeError, RuntimeError):
            torch._C._cuda_endAllocateToPool(index, pool)
            torch._C._cuda_releasePool(index, pool)

    def _find_stream(self) -> torch.cuda.Stream:
        # One stream for all, since graphs share memory only if they were captured on the same one.
        if self._stream is None:
            self._stream = torch.cuda.Stream(self.device)
        return self._stream


@contextmanager
def fix_kernels() -> Iterator[None]:
    """Choose cuDNN's kernels as in a prediction: deterministic ones, without trying several."""
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
        yield

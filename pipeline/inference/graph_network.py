"""Run a network by replaying CUDA graphs: the GPU's work for a batch is recorded once, and started with one call.

Small windows need little time on a GPU. Starting their many kernels one by one then takes longer than computing them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .gpu import Captured, Gpu, fix_kernels
from .inferers import apply_precision
from .logits import explain_difference

__all__ = ["GraphNetwork", "count_graph_bytes"]

logger = logging.getLogger(__name__)

_MAX_GRAPHS = 4  # of one network: one per number of windows in a batch


class _Graph(NamedTuple):
    """Captured work, and the buffer that it reads."""

    input: Tensor
    work: Captured


class GraphNetwork(nn.Module):
    """A network whose work for a batch of windows is captured in a CUDA graph and replayed.

    A batch of another size is captured when it comes a second time. All else is computed as without graphs: windows of
    another shape, a batch that came once, one that cannot be captured, and training.

    Args:
        network: on the GPU, with its final weights. It takes (N, C, *spatial) and returns logits (N, K, *spatial).
            Its weights may be overwritten in place, and must not be replaced.
        example: the first batch to capture, (N, C, *spatial), float32, on the GPU.
        precision: number format of the layers. It is part of what is captured. Input and output are float32.
        gpu: the GPU.

    Attributes:
        graph_bytes: memory of the GPU that the graphs keep for themselves.

    Raises:
        RuntimeError: the network cannot be captured, for example because it waits for the GPU, or because the memory
            does not suffice; or the graph returns other logits than the network.
    """

    def __init__(self, network: nn.Module, example: Tensor, *, precision: str, gpu: Gpu) -> None:
        super().__init__()
        self.network = network
        self.eval()
        self.precision = precision
        self.graph_bytes = 0
        self._gpu, self._pool = gpu, gpu.make_pool()
        self._shape: Sequence[int] = tuple(example.shape[1:])
        self._graphs: dict[int, _Graph] = {}
        self._seen: set[int] = set()
        self._refused: set[int] = set()
        self._graphs[len(example)] = self._capture(example)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, K, *spatial), float32. Later calls do not overwrite them."""
        graph = self._find_graph(x)
        if graph is None:
            return self._run(x)
        with torch.no_grad():
            graph.input.copy_(x)
            graph.work.replay()
            # The next replay, of this graph or another one, writes into the same memory.
            return graph.work.output.clone()

    def _find_graph(self, x: Tensor) -> _Graph | None:
        """Return the graph for a batch, which may be captured now; None if there is none."""
        count = len(x)
        if self.training or tuple(x.shape[1:]) != self._shape or x.dtype != torch.float32:
            return None
        if count in self._graphs or count in self._refused:
            return self._graphs.get(count)
        if count not in self._seen or len(self._graphs) >= _MAX_GRAPHS:
            # A capture takes the time of several batches. It pays only for a size that repeats.
            self._seen.add(count)
            return None
        try:
            self._graphs[count] = self._capture(x)
        except RuntimeError as error:
            self._refused.add(count)
            logger.warning("batches of %d windows run without a CUDA graph: %s", count, error)
        return self._graphs.get(count)

    def _capture(self, x: Tensor) -> _Graph:
        """Capture the network's work for a batch (N, C, *spatial), and compare it with the network."""
        # Buffers made in inference mode could not be written to outside it.
        with torch.inference_mode(False), torch.no_grad(), fix_kernels(), _disable_autocast_cache():
            # As an inferer's batches, not in the memory format of the example.
            buffer = torch.empty(x.shape, dtype=torch.float32, device=x.device)
            buffer.copy_(x)
            expected = self._gpu.warm_up(lambda: self._run(buffer))
            if not isinstance(expected, Tensor):
                raise RuntimeError(f"found a network that returns a {type(expected).__name__}; expected one tensor")
            expected = expected.clone()
            captured = self._gpu.capture(lambda: self._run(buffer), self._pool)
            captured.replay()
            different = explain_difference(captured.output, expected, self.precision)
        if different:
            raise RuntimeError(different)
        self.graph_bytes += captured.kept_bytes
        return _Graph(buffer, captured)

    def _run(self, x: Tensor) -> Tensor:
        """Return the logits as without a graph."""
        logits: Tensor = apply_precision(self.network, x, self.precision)(x)
        return logits


def count_graph_bytes(network: nn.Module) -> int:
    """Return the memory of the GPU, in bytes, that the graphs of a network and its parts keep for themselves."""
    return sum(part.graph_bytes for part in network.modules() if isinstance(part, GraphNetwork))


@contextmanager
def _disable_autocast_cache() -> Iterator[None]:
    """Convert weights anew at each use.

    A converted weight that was kept from before a capture is freed while the graph still reads it. One that was kept
    from a capture is read by others before the graph has ever computed it.
    """
    before = torch.is_autocast_cache_enabled()
    torch.set_autocast_cache_enabled(False)
    try:
        yield
    finally:
        torch.set_autocast_cache_enabled(before)

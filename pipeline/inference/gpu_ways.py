"""Choose how PyTorch runs a network on a GPU: as it is, channels last, from a CUDA graph, or both, by timing a batch.

It was built without a GPU at hand. Which way is the fastest, and by how much, is measured where it runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .channels_last import ChannelsLastNetwork
from .choose_runtime import RuntimeChoice
from .gpu import Gpu, fix_kernels
from .graph_network import GraphNetwork
from .inferers import apply_precision
from .logits import explain_difference
from .runtime_cache import RuntimeCache

__all__ = ["PLAIN", "WAYS", "GpuWays", "UnusableWayError", "choose_gpu_way", "time_call", "time_ways"]

PLAIN, CHANNELS_LAST, GRAPH, BOTH = "pytorch", "channels last", "CUDA graph", "channels last, CUDA graph"
WAYS = (PLAIN, CHANNELS_LAST, GRAPH, BOTH)

# Batches that plain PyTorch computes in the time of a way's start: copying the weights, warming up, comparing.
_START = {PLAIN: 0, CHANNELS_LAST: 4, GRAPH: 8, BOTH: 9}
_MIN_START = min(_START[way] for way in WAYS if way != PLAIN)
# Batches in the time of measuring all ways. The times are kept for later starts.
_MEASURING = 40
_TOO_FEW = "too few windows to win back the start of another way"
_LEFT_OUT_BEFORE = "left out at an earlier start"
_REPEATS = 5  # timed calls after a first one
_MAX_TIMING = 2.0  # seconds after which no more calls are timed


class UnusableWayError(Exception):
    """A way cannot run a network here; the text says why.

    Attributes:
        lasting: whether that is so at the next start, too: memory may suffice then.
    """

    def __init__(self, reason: str, *, lasting: bool = True) -> None:
        super().__init__(reason)
        self.lasting = lasting


class GpuWays:
    """The ways of running one network on a GPU for batches of one size.

    Args:
        network: on the GPU, with its final weights. It takes (N, C, *spatial) and returns logits (N, K, *spatial).
        shape: shape of a window, (C, *spatial).
        batch: windows at a time.
        precision: number format of the layers.
        gpu: the GPU.
    """

    def __init__(self, network: nn.Module, *, shape: Sequence[int], batch: int, precision: str, gpu: Gpu) -> None:
        self.network, self.precision, self.gpu = network, precision, gpu
        self._dims = len(shape) - 1
        device = next(network.parameters()).device
        windows = torch.randn((2, batch, *shape), generator=torch.Generator().manual_seed(0)).to(device)
        # What is captured from the first batch is compared and timed with the second: a value that was computed in
        # Python while capturing is a constant of the graph.
        self._first, self._second = windows
        self._expected: Tensor | None = None

    def prepare(self, way: str) -> nn.Module:
        """Return the network on a way, compared with plain PyTorch for one batch.

        Args:
            way: one of `WAYS`.

        Raises:
            UnusableWayError: it cannot run the network, or returns other logits.
        """
        if way == PLAIN:
            return self.network
        if self._expected is None:
            # Problems of the network itself are no reason to leave a way out.
            self._expected = self.compute(self.network)
        try:
            network = self._build(way)
            found = self.compute(network)
            self.gpu.synchronise()
            different = explain_difference(found, self._expected, self.precision)
        except torch.OutOfMemoryError as error:
            raise UnusableWayError("the memory of the GPU does not suffice", lasting=False) from error
        except Exception as error:
            raise UnusableWayError(_first_line(error)) from error
        if different:
            raise UnusableWayError(different)
        return network

    def compute(self, network: nn.Module) -> Tensor:
        """Return the logits (N, K, *spatial) of one batch, as in a prediction."""
        with torch.inference_mode(), fix_kernels():
            logits: Tensor = apply_precision(network, self._second, self.precision)(self._second)
        return logits

    def _build(self, way: str) -> nn.Module:
        network = self.network
        if way in (CHANNELS_LAST, BOTH):
            network = ChannelsLastNetwork(network, self._dims)
        if way in (GRAPH, BOTH):
            network = GraphNetwork(network, self._first, precision=self.precision, gpu=self.gpu)
        return network


def choose_gpu_way(
    network: nn.Module,
    *,
    shape: Sequence[int],
    precision: str,
    windows: float | None,
    batch: int = 1,
    gpu: Gpu | None = None,
    cache: RuntimeCache | None = None,
) -> RuntimeChoice:
    """Return the network on the way that computes some windows soonest on a GPU, its start included.

    The times of a window are measured once, and kept per GPU, versions of CUDA and cuDNN, network, window, batch and
    number format. At every start the logits of the chosen way are compared with plain PyTorch's for one batch. A way
    that cannot be used is left out, and the reason says why.

    Args:
        network: on the GPU, ready for inference. It takes (N, C, *spatial) and returns logits (N, K, *spatial).
        shape: shape of a window, (C, *spatial).
        precision: number format of the network's layers.
        windows: number of windows to compute; None: many.
        batch: windows at a time.
        gpu: the GPU; None: that of the network.
        cache: where times are kept; None: in the user's cache folder.
    """
    batches = None if windows is None else windows / batch
    if batches is not None and batches <= _MIN_START:
        return RuntimeChoice("pytorch", network, reason=_TOO_FEW, way=PLAIN)
    gpu = gpu or Gpu(next(network.parameters()).device)
    cache = cache or RuntimeCache(network, shape)
    name = f"{gpu.name()}, {precision}, {batch} at a time"
    kept = cache.read_times(name)
    times = {way: kept[way] for way in WAYS if way in kept}
    # Plain PyTorch is always timed, and times are kept only of all ways together.
    left_out = dict.fromkeys([way for way in WAYS if way not in times], _LEFT_OUT_BEFORE)
    ways = GpuWays(network, shape=shape, batch=batch, precision=precision, gpu=gpu)
    if PLAIN not in times:
        if batches is not None and batches < _MEASURING:
            return RuntimeChoice("pytorch", network, reason=_TOO_FEW, way=PLAIN)
        times, problems = time_ways(ways, batch=batch)
        left_out = {way: str(problem) for way, problem in problems.items()}
        if all(problem.lasting for problem in problems.values()):
            cache.write_times(name, times)
    for way in sorted(times, key=lambda way: _estimate(way, times, batches)):
        start = time.perf_counter()
        try:
            chosen = ways.prepare(way)
        except UnusableWayError as problem:
            left_out[way] = str(problem)
            gpu.give_back()
            continue
        spent = 0.0 if way == PLAIN else time.perf_counter() - start
        return RuntimeChoice("pytorch", chosen, times, spent, _explain(way, times, left_out), way=way)
    raise AssertionError("plain PyTorch is never left out")


def time_ways(
    ways: GpuWays, *, batch: int = 1, clock: Callable[[], float] = time.perf_counter
) -> tuple[dict[str, float], dict[str, UnusableWayError]]:
    """Return the seconds of a window on each way, and why the others are left out.

    Args:
        ways: the ways of a network. Each is freed before the next one is made.
        batch: windows at a time.
        clock: returns the time in seconds.
    """
    times: dict[str, float] = {}
    problems: dict[str, UnusableWayError] = {}
    for way in WAYS:
        try:
            network = ways.prepare(way)
            call = _make_call(ways, network)
            times[way] = time_call(call, synchronise=ways.gpu.synchronise, clock=clock) / batch
            del network, call
        except UnusableWayError as problem:
            # Without the traceback, which keeps the network that failed in memory.
            problems[way] = UnusableWayError(str(problem), lasting=problem.lasting)
        ways.gpu.give_back()
    return times, problems


def time_call(
    call: Callable[[], Any], *, synchronise: Callable[[], Any], clock: Callable[[], float] = time.perf_counter
) -> float:
    """Return the seconds of a call: the least of some calls after a first one.

    Args:
        call: starts work on a GPU.
        synchronise: waits until that work is done.
        clock: returns the time in seconds.
    """
    times: list[float] = []
    synchronise()
    while len(times) <= _REPEATS and sum(times) < _MAX_TIMING:
        start = clock()
        call()
        synchronise()
        times.append(clock() - start)
    return min(times[1:] or times)


def _make_call(ways: GpuWays, network: nn.Module) -> Callable[[], Tensor]:
    return lambda: ways.compute(network)


def _estimate(way: str, times: Mapping[str, float], batches: float | None) -> float:
    """Return the time of all batches on a way with its start, in seconds of a window; of one batch if they are many."""
    if batches is None:
        return times[way]
    return batches * times[way] + _START[way] * times[PLAIN]


def _explain(way: str, times: Mapping[str, float], left_out: Mapping[str, str]) -> str:
    """Return why a way was chosen, and why others could not be."""
    others = {name: value for name, value in times.items() if name != PLAIN and name not in left_out}
    if way != PLAIN:
        reason = f"{way} takes {times[way] / times[PLAIN]:.2f} of plain PyTorch's time for a window"
    elif others:
        best = min(others, key=lambda name: others[name])
        ratio = others[best] / times[PLAIN]
        reason = f"{best} takes {ratio:.2f} of plain PyTorch's time for a window"
        reason += f", {_TOO_FEW}" if ratio < 1 else ""
    else:
        reason = "no other way can be used"
    return "; ".join([reason, *(f"{name} is left out: {why}" for name, why in left_out.items())])


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"[:200]

"""Measure what a network with its skips costs: parameters, multiply-adds, bytes, peak memory, seconds."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..bench.counting import MultiplyAdds
from ..bench.live_memory import device_peak, live_peak
from ..bench.machine import synchronise
from ..bundle.network_check import build_on_meta
from ..bundle.planning.step_loss import step_loss
from ..inference import PrecisionInferer, choose_precision
from ..networks import build_network
from ..training import Muon, SparseSkipLoss, keep_memory, parameter_groups

__all__ = ["Task", "measure_cost", "measure_skip_bytes", "time_step"]

_FLOAT_BYTES = 4
_WARMUP, _TIMED = 1, 5
_RATE, _DECAY = 1e-3, 1e-2


class Task:
    """The input of a network: sizes in voxels, and where and how it computes.

    Args:
        spec: the network's spec with its skip, and the numbers of dimensions and channels.
        sparsity: weight of the sparsity term.
        patch: size of a training patch.
        window: size of a window of inference.
        batch: patches in a training step.
        device: ``cpu``, ``cuda:0``, ...
        precision: number format, or ``auto``.
        threads: CPU threads.
    """

    def __init__(
        self,
        spec: dict[str, Any],
        *,
        sparsity: float,
        patch: tuple[int, ...],
        window: tuple[int, ...],
        batch: int,
        device: str = "cpu",
        precision: str = "float32",
        threads: int = 1,
    ) -> None:
        self.spec = spec
        self.sparsity = sparsity
        self.patch = patch
        self.window = window
        self.batch = batch
        self.device = torch.device(device)
        self.precision = choose_precision(self.device, precision)
        self.threads = threads


def measure_cost(task: Task) -> dict[str, Any]:
    """Return the costs of a network on random input.

    Returns:
        ``parameters``; ``step_multiply_adds`` of a training step and ``window_multiply_adds`` of a window, by
        `MultiplyAdds`; ``skip_bytes_handed`` and ``skip_bytes_kept``, the sums over levels of `measure_skip_bytes`;
        ``training_peak_bytes`` and ``inference_peak_bytes``, weights and batch included (CPU: live bytes of PyTorch's
        allocator, the same in every run; GPU: PyTorch's peak); ``step_seconds`` and ``window_seconds``, medians of
        five (CPU: of the processor; GPU: of the wall clock).
    """
    skips = measure_skip_bytes(task.spec, task.window)
    work = _Work(task)
    weights = _bytes_of([*work.network.parameters(), *work.network.buffers()])
    inference_peak = weights + _bytes_of([work.window]) + _peak(work.infer, task.device)
    # The first two steps: the second one has the optimiser's state from its start.
    training_peak = _peak(partial(_twice, work.step), task.device)
    return {
        "parameters": sum(parameter.numel() for parameter in work.network.parameters()),
        **_count_multiply_adds(task),
        "skip_bytes_handed": sum(level["handed_bytes"] for level in skips),
        "skip_bytes_kept": sum(level["kept_bytes"] for level in skips),
        "training_peak_bytes": weights + _bytes_of([work.images, work.labels]) + training_peak,
        "inference_peak_bytes": inference_peak,
        "step_seconds": _time(work.step, task.device, _TIMED),
        "window_seconds": _time(work.infer, task.device, _TIMED),
    }


def time_step(task: Task) -> float:
    """Return the seconds of a training step on random input, the median of three."""
    return _time(_Work(task).step, task.device, 3)


class _Work:
    """A network, a random batch and a random window."""

    def __init__(self, task: Task) -> None:
        keep_memory()
        torch.set_num_threads(task.threads)
        torch.manual_seed(0)
        self.network = build_network(task.spec).to(task.device)
        channels, classes = int(task.spec["in_channels"]), int(task.spec["out_channels"])
        self.images = torch.randn(task.batch, channels, *task.patch, device=task.device)
        self.labels = torch.randint(classes, (task.batch, 1, *task.patch), device=task.device)
        self.window = torch.randn(1, channels, *task.window, device=task.device)
        self.loss = SparseSkipLoss(step_loss(classes, batch=True), self.network, task.sparsity)
        self.optimizer = Muon(parameter_groups(self.network, _DECAY), lr=_RATE)
        self.inferer = PrecisionInferer(task.precision)

    def step(self) -> None:
        """Do a training step: forward, loss, backward, optimiser."""
        self.network.train()
        self.optimizer.zero_grad(set_to_none=True)
        self.loss(self.inferer(self.images, self.network), self.labels).backward()
        self.optimizer.step()

    def infer(self) -> None:
        """Do an inference of the window."""
        self.network.eval()
        with torch.inference_mode():
            self.inferer(self.window, self.network)


def measure_skip_bytes(spec: dict[str, Any], window: tuple[int, ...]) -> list[dict[str, int]]:
    """Return what each skip keeps and hands over for one window in float32, finest level first.

    ``kept_bytes`` wait for the decoder; ``handed_bytes`` are those of what `transfer` gives to the decoder. Nothing is
    computed: the network has shapes only.

    Args:
        spec: the network's spec.
        window: size in voxels.
    """
    network = build_on_meta(spec)
    seen: list[dict[str, int]] = []
    for level, skip in enumerate(network.skips().values()):
        found = {"level": level, "handed_bytes": 0, "kept_bytes": 0}
        seen.append(found)
        _watch(skip, found)
    with torch.device("meta"):
        network.eval()(torch.empty(1, int(spec["in_channels"]), *window))
    return seen


def _watch(skip: Any, found: dict[str, int]) -> None:
    """Record the bytes of what a skip keeps, and of what it transfers at that grid."""
    keep = skip.keep

    def watched(encoder: Tensor) -> Tensor:
        kept: Tensor = keep(encoder)
        places = encoder[0, 0].numel()
        found["handed_bytes"] = _FLOAT_BYTES * skip.transferred_channels * places
        # A skip without channels keeps an empty tensor or none of its channels.
        found["kept_bytes"] = _FLOAT_BYTES * kept.numel() if skip.transferred_channels else 0
        return kept

    skip.keep = watched


def _count_multiply_adds(task: Task) -> dict[str, int]:
    network = build_on_meta(task.spec)
    channels = int(task.spec["in_channels"])
    with torch.device("meta"):
        window = torch.empty(1, channels, *task.window)
        batch = torch.empty(task.batch, channels, *task.patch)

    def infer() -> None:
        with torch.no_grad():
            network.eval()(window)

    def step() -> None:
        network.train()(batch).sum().backward()

    return {"step_multiply_adds": _count(step), "window_multiply_adds": _count(infer)}


def _count(work: Callable[[], object]) -> int:
    counter = MultiplyAdds()
    counter.start()
    try:
        work()
    finally:
        counter.stop()
    return counter.total


def _twice(work: Callable[[], object]) -> None:
    work()
    work()


def _bytes_of(tensors: list[Any]) -> int:
    return sum(tensor.untyped_storage().nbytes() for tensor in tensors)


def _peak(work: Callable[[], object], device: torch.device) -> int:
    return live_peak(work) if device.type == "cpu" else device_peak(work, str(device))


def _time(work: Callable[[], object], device: torch.device, times: int) -> float:
    """Return the median seconds of a call: of the processor on a CPU, of the wall clock on a GPU."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    seconds = []
    for _ in range(_WARMUP + times):
        synchronise(device)
        start = clock()
        work()
        synchronise(device)
        seconds.append(clock() - start)
    return statistics.median(seconds[_WARMUP:])

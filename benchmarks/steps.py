"""Measure the time and the memory peak of a training step and of an inference."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import torch
from arms import Arm, Task
from measure import rounds_in_time, seconds
from monai.losses import DiceCELoss

from pipeline.bench.live_memory import device_peak, live_peak
from pipeline.inference import PrecisionInferer
from pipeline.training import Muon, SparseSkipLoss, keep_memory, parameter_groups

__all__ = ["PHASES", "Work", "measure_peaks", "time_rounds", "warm_up"]

PHASES = ("train", "infer")
_LEARNING_RATE = 1e-3
_WEIGHT_DECAY = 1e-2
_SPARSITY = 1e-4


class Work:
    """A network with a random batch of the task: images (N, C, *patch) and label maps (N, 1, *patch)."""

    def __init__(self, arm: Arm, task: Task) -> None:
        patch = arm.patch(task)
        self.network = arm.build(task).to(task.device)
        self.images = torch.randn(task.batch, task.in_channels, *patch, device=task.device)
        self.labels = torch.randint(task.out_channels, (task.batch, 1, *patch), device=task.device)
        self.inferer = PrecisionInferer(task.precision)
        # The loss of configs/train.yaml.
        loss = DiceCELoss(softmax=True, to_onehot_y=True, batch=True, smooth_nr=1e-5, smooth_dr=1e-5)
        self.loss = SparseSkipLoss(loss, self.network, _SPARSITY)
        self.optimizer = Muon(parameter_groups(self.network, _WEIGHT_DECAY), lr=_LEARNING_RATE)

    @property
    def held_bytes(self) -> int:
        """Bytes of weights and batch, which are allocated before any step."""
        tensors = [*self.network.parameters(), *self.network.buffers(), self.images, self.labels]
        return sum(tensor.untyped_storage().nbytes() for tensor in tensors)

    def train(self) -> None:
        """Do a training step: forward under autocast, loss, backward, Muon."""
        self.network.train()
        self.optimizer.zero_grad(set_to_none=True)
        self.loss(self.inferer(self.images, self.network), self.labels).backward()
        self.optimizer.step()

    def infer(self) -> None:
        """Do an inference of the batch under autocast."""
        self.network.eval()
        with torch.inference_mode():
            self.inferer(self.images, self.network)

    def phase(self, name: str) -> Callable[[], None]:
        """Return `train` or `infer` by name."""
        return {"train": self.train, "infer": self.infer}[name]


def warm_up(task: Task) -> None:
    """Set the threads and run a tiny network, so that libraries allocate their own memory before it is measured."""
    torch.set_num_threads(task.threads)
    tiny = Work(Arm("concat", "concat"), task.resized(width=0.1, levels=2, patch=(8,) * len(task.patch)))
    for phase in PHASES:
        tiny.phase(phase)()


def measure_peaks(arm: Arm, task: Task, phase: str) -> Iterator[dict[str, int]]:
    """Yield the peak (bytes) of the first two steps above weights and batch. Run it in a fresh process.

    Gradients and the optimiser's state are part of a training's peak.

    Yields:
        ``held`` (weights and batch) and ``live``, see :mod:`pipeline.bench.live_memory`.
    """
    if phase == "train":
        # As configs/train.yaml does. configs/inference.yaml does not.
        keep_memory()
    warm_up(task)
    work = Work(arm, task)
    step = partial(_twice, work.phase(phase))
    yield {
        "held": work.held_bytes,
        "live": live_peak(step) if task.device == "cpu" else device_peak(step, task.device),
    }


def time_rounds(
    pairs: Mapping[str, tuple[Arm, Task]], *, minutes: float, repeats: int, clock: str = "wall"
) -> Iterator[dict[str, dict[str, float]]]:
    """Yield the times (s) of a training step and of an inference, round after round. Run it in a fresh process.

    malloc keeps freed memory, as in configs/train.yaml.

    Args:
        pairs: networks and their tasks, by name. Device, threads and seed are the first task's.
        minutes: time for the rounds. There are at least three.
        repeats: calls in a round, whose median is used.
        clock: see :func:`measure.seconds`.

    Yields:
        For each name ``{"train": seconds, "infer": seconds}``.
    """
    task = next(iter(pairs.values()))[1]
    keep_memory()
    warm_up(task)

    def both(work: Work) -> dict[str, float]:
        return {phase: seconds(work.phase(phase), task.device, repeats=repeats, clock=clock) for phase in PHASES}

    calls = {name: partial(both, Work(*pair)) for name, pair in pairs.items()}
    yield from rounds_in_time(calls, minutes=minutes, at_least=3, seed=task.seed)


def _twice(step: Callable[[], None]) -> None:
    step()
    step()

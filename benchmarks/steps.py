"""A training step and an inference: their times, and their peaks of memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import torch
from arms import Arm, Task
from measure import rounds_in_time, seconds
from memory import device_peak, live_peak
from monai.losses import DiceCELoss

from pipeline.inference import PrecisionInferer
from pipeline.training import Muon, SparseSkipLoss, keep_memory, parameter_groups

__all__ = ["PHASES", "Work", "begin", "peaks", "timed_rounds"]

PHASES = ("train", "infer")
_LEARNING_RATE = 1e-3
_WEIGHT_DECAY = 1e-2
_SPARSITY = 1e-4


class Work:
    """A network at work on a random batch of the task: images (N, C, *patch) and label maps (N, 1, *patch)."""

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
        """Weights and batch: what is there before anything is computed."""
        tensors = [*self.network.parameters(), *self.network.buffers(), self.images, self.labels]
        return sum(tensor.untyped_storage().nbytes() for tensor in tensors)

    def train(self) -> None:
        """One training step: forward under autocast, loss, backward, Muon."""
        self.network.train()
        self.optimizer.zero_grad(set_to_none=True)
        self.loss(self.inferer(self.images, self.network), self.labels).backward()
        self.optimizer.step()

    def infer(self) -> None:
        """One inference of the batch under autocast."""
        self.network.eval()
        with torch.inference_mode():
            self.inferer(self.images, self.network)

    def phase(self, name: str) -> Callable[[], None]:
        """``train`` or ``infer`` by its name."""
        return {"train": self.train, "infer": self.infer}[name]


def begin(task: Task) -> None:
    """Set the threads, and let libraries start theirs and make their tables: no network's memory, at the first use."""
    torch.set_num_threads(task.threads)
    tiny = Work(Arm("concat", "concat"), task.resized(width=0.1, levels=2, patch=(8,) * len(task.patch)))
    for phase in PHASES:
        tiny.phase(phase)()


def peaks(arm: Arm, task: Task, phase: str) -> Iterator[dict[str, int]]:
    """Peak (bytes) of the first two steps above weights and batch; for a fresh process.

    Gradients and the optimiser's state are part of a training's peak.

    Yields:
        ``held`` (weights and batch) and ``live``, see :mod:`memory`.
    """
    if phase == "train":
        # As configs/train.yaml does; configs/inference.yaml does not.
        keep_memory()
    begin(task)
    work = Work(arm, task)
    step = partial(_twice, work.phase(phase))
    yield {
        "held": work.held_bytes,
        "live": live_peak(step) if task.device == "cpu" else device_peak(step, task.device),
    }


def timed_rounds(
    pairs: Mapping[str, tuple[Arm, Task]], *, minutes: float, repeats: int, clock: str = "wall"
) -> Iterator[dict[str, dict[str, float]]]:
    """Times (s) of a training step and of an inference, round after round; for a fresh process.

    malloc keeps what is freed, as configs/train.yaml has it.

    Args:
        pairs: networks and what they compute on, by name; device, threads and seed are the first one's.
        minutes: time for the rounds; at least three are made.
        repeats: calls in a row, of which a round takes the median.
        clock: see :func:`measure.seconds`.

    Yields:
        For each name ``{"train": seconds, "infer": seconds}``.
    """
    task = next(iter(pairs.values()))[1]
    keep_memory()
    begin(task)

    def both(work: Work) -> dict[str, float]:
        return {phase: seconds(work.phase(phase), task.device, repeats=repeats, clock=clock) for phase in PHASES}

    calls = {name: partial(both, Work(*pair)) for name, pair in pairs.items()}
    yield from rounds_in_time(calls, minutes=minutes, at_least=3, seed=task.seed)


def _twice(step: Callable[[], None]) -> None:
    step()
    step()

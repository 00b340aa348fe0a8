"""Handlers that seed a training's epochs, validate its last epoch, and decide when it ends."""

from __future__ import annotations

import logging
import random
import time
from typing import Any

import ignite.distributed as idist
import numpy as np
import torch
from ignite.engine import Engine, Events
from monai.data.utils import set_rnd

__all__ = ["EndInTime", "EpochSeed", "StopWithoutProgress", "ValidateLastEpoch"]

logger = logging.getLogger(__name__)


class EpochSeed:
    """Seed every random number generator from (seed, epoch) when an epoch starts.

    The shuffling, augmentation and dropout of an epoch then do not depend on what ran before it. A resumed training
    draws the same numbers as an uninterrupted one. PyTorch seeds data loader workers from the same generator.

    In distributed training every process has its own seed, so that the processes do not repeat each other's
    augmentations.

    Args:
        seed: seed of the run. Each epoch's seed is made from it, the epoch and the process's rank.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def attach(self, engine: Engine) -> None:
        """Register with a MONAI trainer."""
        engine.add_event_handler(Events.EPOCH_STARTED, self)

    def __call__(self, engine: Engine) -> None:
        """Seed for ``engine.state.epoch``."""
        rank = idist.get_rank()
        # Rank 0 draws the same numbers as a training in one process.
        entropy = (self.seed, engine.state.epoch, rank) if rank > 0 else (self.seed, engine.state.epoch)
        seed = int(np.random.SeedSequence(entropy).generate_state(1)[0])
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002  MONAI's transforms fall back on the global generator
        torch.manual_seed(seed)
        set_rnd(engine.data_loader.dataset, seed=seed)
        for part in (engine.data_loader.dataset, getattr(engine.data_loader, "sampler", None)):
            # PyTorch's DistributedSampler and PreparedDataset seed themselves by the epoch.
            if part is not None and hasattr(part, "set_epoch"):
                part.set_epoch(engine.state.epoch)


class ValidateLastEpoch:
    """Validate after the last epoch if MONAI's ``ValidationHandler`` does not.

    That handler validates every ``interval`` epochs. The last epoch has the lowest learning rate and is usually the
    best. With an interval longer than the training there would be no best weights at all.

    Args:
        validator: MONAI evaluator, the same as the ``ValidationHandler``'s.
        interval: epochs between two validations, the same as the ``ValidationHandler``'s.
    """

    def __init__(self, validator: Engine, interval: int) -> None:
        self.validator = validator
        self.interval = interval

    def attach(self, engine: Engine) -> None:
        """Register with a MONAI trainer, right after its ``ValidationHandler``."""
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Run the validator if this epoch is the last and has not been validated."""
        epoch = engine.state.epoch
        if epoch == engine.state.max_epochs and epoch % self.interval != 0:
            self.validator.run(epoch)


class EndInTime:
    """End a training, and its learning rate schedule, within a number of minutes.

    After every epoch it estimates how many more epochs fit, from the time that epochs and validations took so far. If
    fewer fit than ``epochs``, it lowers the number of epochs of the trainer and of the schedule. The clock starts with
    this run, after the data were read. A resumed training gets the full minutes again. How many epochs fit depends on
    the machine, so two such trainings differ. Set ``epochs`` instead for a reproducible training.

    For :class:`~pipeline.training.Progress`, ``engine.state.minutes`` is the limit, and ``engine.state.is_shortened``
    says whether it lowered the number of epochs (None before the first estimate).

    Args:
        minutes: more than 0, or None for no limit.
        lr_scheduler: MONAI's ``WarmupCosineSchedule``, in epochs. Its warm-up is limited to a quarter of its length.

    Raises:
        ValueError: minutes is not above 0.
    """

    def __init__(self, minutes: float | None, lr_scheduler: Any) -> None:
        if minutes is not None and minutes <= 0:
            msg = f"minutes is {minutes}; expected a number above 0, or None for no limit"
            raise ValueError(msg)
        self.minutes = minutes
        self.lr_scheduler = lr_scheduler
        self._validation = 0.0
        self._epochs: list[float] = []

    def attach(self, engine: Engine) -> None:
        """Register with a MONAI trainer: after its ``ValidationHandler``, before handlers of the last epoch."""
        if self.minutes is None:
            return
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.EPOCH_STARTED, self._start_epoch)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._step)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Lower the number of epochs to the number that fits."""
        now = time.monotonic()
        self._epochs.append(self._last_step - self._epoch_started)
        self._validation = max(self._validation, now - self._last_step)
        elapsed = now - self._started
        # The last epoch is always validated: reserve the time for it.
        left = 60 * float(self.minutes or 0) - elapsed - self._validation
        per_epoch = max(elapsed / len(self._epochs), *self._epochs[-3:])
        # The slowest process decides, because all must end with the same epoch.
        last = engine.state.epoch + int(idist.all_reduce(max(left / per_epoch, 0.0), "MIN"))
        engine.state.max_epochs = min(last, self._asked)
        engine.state.is_shortened = last < self._asked
        # Recomputed after every epoch: a slow first epoch must not shorten the training for good.
        self.lr_scheduler.t_total = last if last < self._asked else self._length
        # A warm-up longer than the training would leave no time for the rate to fall.
        self.lr_scheduler.warmup_steps = min(self._warmup, self.lr_scheduler.t_total // 4)

    def _start(self, engine: Engine) -> None:
        self._asked = engine.state.max_epochs
        engine.state.minutes = self.minutes
        engine.state.is_shortened = None  # not known before the first epoch has ended
        self._length, self._warmup = self.lr_scheduler.t_total, self.lr_scheduler.warmup_steps
        self._started = time.monotonic()
        self._epochs = []

    def _start_epoch(self, _: Engine) -> None:
        self._epoch_started = time.monotonic()

    def _step(self, _: Engine) -> None:
        self._last_step = time.monotonic()


class StopWithoutProgress:
    """End the training when the validation's key metric has not improved for a number of epochs.

    MONAI's ``EarlyStopHandler`` has a counter of its own that a resume would have to restore. It also needs the trainer
    inside the validator's handlers, which is a circular reference in a config. The validator already knows its best
    epoch, and :class:`~pipeline.training.ResumableCheckpoint` restores it. If a training that ended this way is
    resumed, it continues to its next validation.

    Args:
        validator: MONAI evaluator that a ``ValidationHandler`` runs, with a key metric.
        patience: epochs without improvement after which to stop. 0 never stops.
    """

    def __init__(self, validator: Engine, patience: int) -> None:
        self.validator = validator
        self.patience = patience

    def attach(self, engine: Engine) -> None:
        """Register with a MONAI trainer, after its ``ValidationHandler``."""
        if self.patience > 0:
            engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Terminate the engine if the best epoch is too long ago."""
        # Decide only after a validation: a patience shorter than the interval must not stop in between.
        if self.validator.state.epoch != engine.state.epoch:
            return
        best = self.validator.state.best_metric_epoch
        if best > 0 and engine.state.epoch - best >= self.patience:
            logger.info(f"stopping early: no better validation in {self.patience} epochs; the best was in epoch {best}")
            engine.terminate()

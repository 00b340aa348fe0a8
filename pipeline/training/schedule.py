"""When a training changes its random numbers, when it validates last, and when it ends."""

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

    So the shuffling, augmentation and dropout of epoch n do not depend on what ran before it, and a resumed training
    draws what the unbroken one would have drawn. Data loader workers are seeded by PyTorch from the same generator.

    In distributed training every process draws its own: the same augmentations in all of them would be as good as one.

    Args:
        seed: of the run; epoch n uses a stream of its own made from both, and from the process's rank.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def attach(self, engine: Engine) -> None:
        """Register with a MONAI trainer."""
        engine.add_event_handler(Events.EPOCH_STARTED, self)

    def __call__(self, engine: Engine) -> None:
        """Seed for ``engine.state.epoch``."""
        rank = idist.get_rank()
        # The first process, or the only one, draws what a training in one process draws.
        entropy = (self.seed, engine.state.epoch, rank) if rank > 0 else (self.seed, engine.state.epoch)
        seed = int(np.random.SeedSequence(entropy).generate_state(1)[0])
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002  MONAI's transforms fall back on the global generator
        torch.manual_seed(seed)
        set_rnd(engine.data_loader.dataset, seed=seed)
        for part in (engine.data_loader.dataset, getattr(engine.data_loader, "sampler", None)):
            # What seeds itself by the epoch has to be told it: PyTorch's DistributedSampler, our PreparedDataset.
            if part is not None and hasattr(part, "set_epoch"):
                part.set_epoch(engine.state.epoch)


class ValidateLastEpoch:
    """Validate after the last epoch where MONAI's ``ValidationHandler`` does not.

    That handler validates in every ``interval``-th epoch. The last epoch has the lowest learning rate and is as a rule
    the best, and with an interval longer than the training there would be no best weights at all.

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
    """End a training within a number of minutes, its learning rate at the end of its schedule by then.

    After every epoch the epochs that still fit are counted from the time that epochs and validations have taken so far.
    That becomes the number of epochs, of the trainer and of the schedule, when it is smaller than the one asked for.
    The clock runs from the start of this run, after the data were read; a resumed training has the minutes once more.
    How many epochs fit depends on the machine, so two such trainings are not the same: give ``epochs`` for that.

    Args:
        minutes: more than 0, or None for no limit.
        lr_scheduler: MONAI's ``WarmupCosineSchedule``, in epochs; its warm-up is cut to a quarter of its length.

    Raises:
        ValueError: when minutes is not above 0.
    """

    def __init__(self, minutes: float | None, lr_scheduler: Any) -> None:
        if minutes is not None and minutes <= 0:
            msg = f"minutes is {minutes}; it must be above 0, or None for no limit"
            raise ValueError(msg)
        self.minutes = minutes
        self.lr_scheduler = lr_scheduler
        self._validation = 0.0
        self._epochs: list[float] = []

    def attach(self, engine: Engine) -> None:
        """Register with a MONAI trainer: after its ``ValidationHandler``, before what acts on the last epoch."""
        if self.minutes is None:
            return
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.EPOCH_STARTED, self._start_epoch)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._step)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Shorten the training to what fits."""
        now = time.monotonic()
        self._epochs.append(self._last_step - self._epoch_started)
        self._validation = max(self._validation, now - self._last_step)
        elapsed = now - self._started
        # The last epoch is validated, whether its turn or not; its time is kept free.
        left = 60 * float(self.minutes or 0) - elapsed - self._validation
        per_epoch = max(elapsed / len(self._epochs), *self._epochs[-3:])
        # The slowest process decides: all must end with the same epoch.
        last = engine.state.epoch + int(idist.all_reduce(max(left / per_epoch, 0.0), "MIN"))
        engine.state.max_epochs = min(last, self._asked)
        # Set anew each time: a slow first epoch must not shorten the training for good.
        self.lr_scheduler.t_total = last if last < self._asked else self._length
        # A warm-up longer than the training would leave no time to come down.
        self.lr_scheduler.warmup_steps = min(self._warmup, self.lr_scheduler.t_total // 4)

    def _start(self, engine: Engine) -> None:
        self._asked = engine.state.max_epochs
        self._length, self._warmup = self.lr_scheduler.t_total, self.lr_scheduler.warmup_steps
        self._started = time.monotonic()
        self._epochs = []

    def _start_epoch(self, _: Engine) -> None:
        self._epoch_started = time.monotonic()

    def _step(self, _: Engine) -> None:
        self._last_step = time.monotonic()


class StopWithoutProgress:
    """End the training when the validation's key metric has not improved for a number of epochs.

    MONAI's ``EarlyStopHandler`` keeps a counter of its own that a resume would have to restore, and needs the trainer
    inside the validator's handlers, which is a circular reference in a config. The validator already knows its best
    epoch, and :class:`~pipeline.training.ResumableCheckpoint` restores that. A training that was ended so and is
    resumed all the same goes on to its next validation.

    Args:
        validator: MONAI evaluator that a ``ValidationHandler`` runs, with a key metric.
        patience: epochs without improvement after which to stop; 0 never stops.
    """

    def __init__(self, validator: Engine, patience: int) -> None:
        self.validator = validator
        self.patience = patience

    def attach(self, engine: Engine) -> None:
        """Register with a MONAI trainer, after its ``ValidationHandler``."""
        if self.patience > 0:
            engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Terminate the engine if the best epoch lies too far back."""
        # Between two validations nothing is known; a patience shorter than their interval must not stop there.
        if self.validator.state.epoch != engine.state.epoch:
            return
        best = self.validator.state.best_metric_epoch
        if best > 0 and engine.state.epoch - best >= self.patience:
            logger.info(f"stopping early: no better validation in {self.patience} epochs, the best was epoch {best}")
            engine.terminate()

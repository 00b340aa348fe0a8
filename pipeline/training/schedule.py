"""Handlers that seed a training's epochs, validate its last epoch, and stop it without progress."""

from __future__ import annotations

import logging
import random

import ignite.distributed as idist
import numpy as np
import torch
from ignite.engine import Engine, Events
from monai.data.utils import set_rnd

__all__ = ["EpochSeed", "StopWithoutProgress", "ValidateLastEpoch"]

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


class StopWithoutProgress:
    """End the training when the validation's key metric has not improved for a number of epochs.

    MONAI's ``EarlyStopHandler`` has a counter of its own that a resume would have to restore. It also needs the trainer
    inside the validator's handlers, which is a circular reference in a config. The validator already knows its best
    epoch, and :class:`~pipeline.training.ResumableCheckpoint` restores it. If a training that ended this way is
    resumed, it continues to its next validation. If it is lengthened, the patience begins anew.

    Args:
        validator: MONAI evaluator that a ``ValidationHandler`` runs, with a key metric; None without validations.
        patience: epochs without improvement after which to stop. 0 or None never stops.
    """

    def __init__(self, validator: Engine | None, patience: int | None) -> None:
        self.validator = validator
        self.patience = patience or 0

    def attach(self, engine: Engine) -> None:
        """Register with a MONAI trainer, after its ``ValidationHandler``."""
        if self.patience > 0 and self.validator is not None:
            engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Terminate the engine if the best epoch is too long ago."""
        # Decide only after a validation: a patience shorter than the interval must not stop in between.
        if self.validator is None or self.validator.state.epoch != engine.state.epoch:
            return
        best = self.validator.state.best_metric_epoch
        changes = getattr(engine.state, "lengthened", ())
        since = max(best, int(changes[-1]["after_epoch"]) if changes else 0)
        if best > 0 and engine.state.epoch - since >= self.patience:
            logger.info(f"stopping early: no better validation in {self.patience} epochs; the best was in epoch {best}")
            engine.terminate()

"""When a training changes its random numbers, when it validates last, and when it stops."""

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

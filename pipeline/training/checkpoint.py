"""Save checkpoints, and resume a training from one as if it had never been interrupted."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from ..data.errors import InputError
from ..data.finite_weights import require_finite
from ..data.longer import LEAST, Length, Reached, longer_text, refuse_longer_alone
from ..data.weights import require_state
from ..networks.spec_file import save_weights
from .checkpoint_state import advance_schedule, best_so_far, output_names, read_state, save_state
from .earlier_files import BEST, HISTORY, LAST, RUN, copy_files, move_earlier_files
from .identity import check_identity, to_json_values
from .one_training import TrainingLock
from .rates import change_length, restart_schedule
from .state_form import check_optimizer
from .summary import write_summary

__all__ = ["BEST", "HISTORY", "LAST", "RUN", "ResumableCheckpoint"]

_LOWER_RATE = "nothing was written; train with a smaller --learning_rate, or --resume from the epoch before"

logger = logging.getLogger(__name__)


class ResumableCheckpoint:
    """Save the last state and the best weights after every epoch; on request, resume from the last state.

    ``last.pt`` holds the network, optimiser, schedule, gradient scaler, epoch, iteration, and the best metric with its
    epoch; with a time limit also the seconds used, so that a resumed training has what is left. MONAI's
    ``CheckpointSaver`` and ``CheckpointLoader`` do not restore the best metric, so the first validation after a resume
    would overwrite a better model. ``model.pt`` holds the weights of the best validation, or their average if there is
    one. Both files are written under a temporary name and renamed, so a kill leaves no partial file. Both load with
    ``weights_only=True``. ``last.pt``, and ``model.json`` next to ``model.pt``, contain the spec of the network.

    ``training.json`` summarises the training, for choosing among several: see :func:`.summary.write_summary`.

    Without validations ``model.pt`` has the latest weights, or their average.

    A training that is resumed with another number of epochs or minutes needs the way to change its length, `longer`.
    The last and the next learning rate are then logged first. Its files before that are copied to ``previous_1``, ...:
    its later weights replace ``model.pt`` if a validation is better, or had fewer cases, or if there is none.
    ``last.pt`` and ``training.json`` record each change.

    A new training in the folder of an earlier one moves the earlier files, TensorBoard events included, to
    ``previous_1``, ``previous_2``, ...

    Args:
        folder: where to write the files; created if missing.
        network: the network in training.
        optimizer: its optimiser.
        lr_scheduler: its schedule. A resume restores the position in it but not its length, so ``epochs`` can be
            raised.
        validator: the evaluator whose key metric decides the best epoch; None for a training without validations.
        average: the network with averaged weights that the validator runs; None if it runs ``network``.
        resume: continue from ``last.pt``.
        longer: how a resume changes the length of the training: a key of :data:`pipeline.data.longer.WAYS`, or None.
        identity: the settings that must not change on a resume: fold, seed, skip, labels, names of the cases. The
            values must be JSON-able. They are saved, and compared on a resume. Leave out the number of epochs and the
            learning rate, which may change. If this training or the checkpoint has none, nothing is compared.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        network: nn.Module,
        optimizer: Optimizer,
        lr_scheduler: LRScheduler,
        validator: Engine | None,
        average: nn.Module | None = None,
        resume: bool = False,
        longer: str | None = None,
        identity: Mapping[str, Any] | None = None,
    ) -> None:
        self.folder = Path(folder)
        self._lock = TrainingLock(self.folder)
        self.network = network
        self.optimizer = optimizer
        self.lr_scheduler = lr_scheduler
        self.validator = validator
        self.average = average
        self.resume = resume
        self.longer = longer
        self._length = Length(None, None)
        self._rate: float | None = None
        self.identity = None if identity is None else to_json_values(identity)

    def attach(self, engine: Engine) -> None:
        """Register with a MONAI trainer, after its ``ValidationHandler``."""
        engine.add_event_handler(Events.STARTED, self.start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._note_rate)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.save)
        engine.add_event_handler(Events.COMPLETED, self.finish)

    def start(self, engine: Engine) -> None:
        """Resume, or move an earlier training's files to another folder.

        Raises:
            InputError: another training is at work in the folder; or the checkpoint to resume from is missing or
                damaged, or belongs to another training or network, or its length is another one, and `longer` does not
                say how to change it.
        """
        if _is_main(engine):
            self._lock.take()
        if engine.state.epoch > 0:
            # A second run of the same trainer, as in federated learning, continues by itself.
            return
        try:
            self._begin(engine)
        except Exception:
            # It wrote nothing.
            self._lock.release()
            raise

    def _begin(self, engine: Engine) -> None:
        epochs = engine.state.max_epochs
        # With minutes alone, EndInTime has opened the number of epochs.
        self._length = Length(None if epochs == sys.maxsize else epochs, getattr(engine.state, "minutes", None))
        engine.state.lengthened = []
        refuse_longer_alone(self.longer, resume=self.resume, where=self.folder)
        if self.resume:
            self._load(engine)
        elif _is_main(engine):
            self.folder.mkdir(parents=True, exist_ok=True)
            move_earlier_files(self.folder)

    def save(self, engine: Engine) -> None:
        """Write the state after this epoch, and the weights if this epoch's validation is the best so far.

        Raises:
            InputError: a weight is not finite. Nothing is written then.
        """
        if not _is_main(engine):
            return
        weights = _unwrap(self.network).state_dict()
        best_metric, best_epoch = best_so_far(self.validator)
        state = {
            "network": weights,
            "optimizer": self.optimizer.state_dict(),
            "optimizer_type": type(self.optimizer).__qualname__,
            "lr_scheduler": self.lr_scheduler.state_dict(),
            "epoch": engine.state.epoch,
            "iteration": engine.state.iteration,
            "best_metric": best_metric,
            "best_epoch": best_epoch,
            **self._reached(engine).record(),
        }
        # A network that is not LightSkip's has no spec.
        spec = getattr(_unwrap(self.network), "spec", None)
        if spec is not None:
            state["network_spec"] = spec
        if self.identity is not None:
            state["identity"] = self.identity
        if engine.scaler is not None:
            state["scaler"] = engine.scaler.state_dict()
        if getattr(engine.state, "minutes", None):
            state["seconds"] = engine.state.seconds_used
            state["val_cases"] = getattr(engine.state, "val_cases", None)
        best = weights
        if self.average is not None:
            state["average"] = best = self.average.state_dict()
        if getattr(engine.state, "finite_epoch", None) != engine.state.epoch:
            require_finite(self.folder, weights, remedy=_LOWER_RATE)
        if best is not weights:
            require_finite(self.folder, best, remedy=_LOWER_RATE)
        # Best weights first: after a kill between the two writes this epoch is repeated, and its weights are not lost.
        if self.validator is None or best_epoch == engine.state.epoch:
            save_weights(best, self.folder / BEST, spec, output_names(self.identity))
        save_state(state, self.folder / LAST)
        self._summarise(engine, finished=False)

    def finish(self, engine: Engine) -> None:
        """Note that the training came to its end; an interrupted one does not get here."""
        if _is_main(engine) and (self.folder / LAST).is_file():
            self._summarise(engine, finished=True)
        self._lock.release()

    def _summarise(self, engine: Engine, *, finished: bool) -> None:
        write_summary(
            self.folder,
            trainer=engine,
            validator=self.validator,
            identity=self.identity,
            finished=finished,
            reached=self._reached(engine),
            started_from=getattr(_unwrap(self.network), "started_from", None),
        )

    def _note_rate(self, _engine: Engine) -> None:
        # At the end of the epoch the optimiser has the next one's.
        self._rate = float(self.optimizer.param_groups[0]["lr"])

    def _reached(self, engine: Engine) -> Reached:
        seconds = float(getattr(engine.state, "seconds_used", 0.0))
        return Reached(self._length, engine.state.epoch, seconds, self._rate, engine.state.lengthened)

    def _load(self, engine: Engine) -> None:
        path = self.folder / LAST
        require_state(path)
        state = read_state(path, engine.state.device, _unwrap(self.network).state_dict())
        if self.identity is not None and "identity" in state:
            check_identity(path, state["identity"], self.identity)
        try:
            _unwrap(self.network).load_state_dict(state["network"])
            if self.average is not None:
                self.average.load_state_dict(state.get("average", state["network"]))
        except RuntimeError as error:
            raise InputError(
                path,
                found="weights of a network with other layers or widths",
                expected="weights of the network in this config",
                remedy="resume with the settings of the first run (skip, channels, kernel_size, labels)",
            ) from error
        check_optimizer(path, state, self.optimizer)
        reached, change = change_length(
            path, state, length=self._length, longer=self.longer, lr_scheduler=self.lr_scheduler
        )
        engine.state.lengthened = [*reached.changes, *change]
        restarted = Reached(self._length, reached.epoch, reached.seconds, changes=engine.state.lengthened).restarted
        engine.state.restarted = restarted
        restart_schedule(self.lr_scheduler, self._length.epochs, restarted)
        advance_schedule(self.lr_scheduler, 0 if restarted[0] == reached.epoch else state["lr_scheduler"]["last_epoch"])
        self.optimizer.load_state_dict(state["optimizer"])
        for group, rate in zip(self.optimizer.param_groups, self.lr_scheduler.get_last_lr(), strict=True):
            # The rate in the checkpoint is from the first run's schedule: 0 if that schedule had ended.
            group["lr"] = rate
        self._rate = reached.rate
        if engine.scaler is not None and "scaler" in state:
            engine.scaler.load_state_dict(state["scaler"])
        engine.state.epoch = state["epoch"]
        # An epoch that a time limit cut short counts as a whole one: Ignite would begin the next one in its middle.
        length = engine.state.epoch_length or 1
        engine.state.iteration = -(-state["iteration"] // length) * length
        if self.validator is not None:
            self.validator.state.best_metric = state["best_metric"]
            self.validator.state.best_metric_epoch = state["best_epoch"]
        metric, epoch = best_so_far(self.validator)
        known = f"best so far {metric:.4f}" if epoch > 0 else "no validation so far"
        logger.info(f"resuming after epoch {engine.state.epoch}, {known}: {path}")
        if change:
            logger.info(longer_text(reached, self._length, change[0]["way"], change[0]["rate_after"]))
            if _is_main(engine):
                logger.info(f"the files before are in {copy_files(self.folder)}")
        has_time = self._has_time_left(engine, float(state.get("seconds", 0.0)), state.get("val_cases"))
        if has_time and engine.state.epoch >= engine.state.max_epochs:
            # Ignite finds that no epoch is left and ends the run normally.
            logger.warning(
                f"nothing left to do: {engine.state.epoch} of {engine.state.max_epochs} epochs are done; "
                "raise --epochs, and say how with --longer"
            )

    def _has_time_left(self, engine: Engine, seconds: float, cases: int | None) -> bool:
        """Give a training with a time limit the time that its earlier parts left, if it is more than 5 %."""
        minutes = getattr(engine.state, "minutes", None)
        if minutes is None:
            return True
        # Without an epoch left no clock is read.
        engine.state.seconds_before = engine.state.seconds_used = seconds
        if cases is not None:
            engine.state.val_cases = cases
        if seconds < LEAST * 60 * minutes:
            logger.info(f"{seconds / 60:.3g} of {minutes:g} minutes are used")
            return True
        engine.state.max_epochs = engine.state.epoch
        logger.warning(
            f"nothing left to do: {seconds / 60:.3g} of {minutes:g} minutes are used; "
            "raise --minutes, and say how with --longer"
        )
        return False


def _is_main(engine: Engine) -> bool:
    return bool(engine.state.rank == 0)


def _unwrap(network: nn.Module) -> nn.Module:
    return network.module if isinstance(network, nn.parallel.DistributedDataParallel) else network

"""Checkpoints that a training can be resumed from as if it had not been broken."""

from __future__ import annotations

import logging
import os
import socket
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from ..data.errors import InputError
from ..files import whole_file
from ..networks.spec_file import save_weights, spec_file
from .identity import check_identity, plain
from .summary import SUMMARY, write_summary

__all__ = ["BEST", "HISTORY", "LAST", "ResumableCheckpoint"]

LAST = "last.pt"
BEST = "model.pt"
HISTORY = "history.csv"
CURVES = "tensorboard"

_EVENTS = "events.out.tfevents."
_STATE = {"network", "optimizer", "lr_scheduler", "epoch", "iteration", "best_metric", "best_epoch"}

logger = logging.getLogger(__name__)


class ResumableCheckpoint:
    """Save the last state and the best weights after every epoch; on request, resume from the last state.

    ``last.pt`` holds network, optimiser, schedule, gradient scaler, epoch, iteration, and the best metric with its
    epoch, which MONAI's ``CheckpointSaver`` and ``CheckpointLoader`` do not carry over a resume: after one, the first
    validation would overwrite a better model. ``model.pt`` holds the weights of the best validation. Both are written
    under a temporary name and renamed, so that a kill at any moment leaves whole files, and load with
    ``weights_only=True``. With an average of the weights, that is what is validated, and what ``model.pt`` holds.
    ``model.json`` next to it, and ``last.pt`` itself, say which network the weights are of: its spec.

    ``training.json`` sums the training up for who chooses among several; see :func:`.summary.write_summary`.

    A new training in a folder that holds an earlier one moves that one's files to ``previous_1``, ``previous_2``, ...,
    its TensorBoard events among them.

    Args:
        folder: where the files go; made when missing.
        network: the network in training.
        optimizer: its optimiser.
        lr_scheduler: its schedule. A resume restores the position in it, not its length, so that ``epochs`` can be
            raised for a resumed training.
        validator: the evaluator whose key metric tells the best epoch.
        average: the network with the averaged weights that the validator runs; None when it runs ``network``.
        resume: go on from ``last.pt``.
        identity: what makes this training another than others: fold, seed, skip, labels, names of its cases; values
            that JSON can hold. Saved, and compared on a resume. The number of epochs and the learning rate may change
            and do not belong here. Without it, or in a checkpoint without it, nothing is compared.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        network: nn.Module,
        optimizer: Optimizer,
        lr_scheduler: LRScheduler,
        validator: Engine,
        average: nn.Module | None = None,
        resume: bool = False,
        identity: Mapping[str, Any] | None = None,
    ) -> None:
        self.folder = Path(folder)
        self.network = network
        self.optimizer = optimizer
        self.lr_scheduler = lr_scheduler
        self.validator = validator
        self.average = average
        self.resume = resume
        self.identity = None if identity is None else plain(identity)

    def attach(self, engine: Engine) -> None:
        """Register with a MONAI trainer, after its ``ValidationHandler``."""
        engine.add_event_handler(Events.STARTED, self.start)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.save)
        engine.add_event_handler(Events.COMPLETED, self.finish)

    def start(self, engine: Engine) -> None:
        """Resume, or set an earlier training's files aside.

        Raises:
            InputError: when there is nothing to resume from, it is not whole, or it was not made by this training or
                this network.
        """
        if engine.state.epoch > 0:
            # A second run of the same trainer goes on by itself, as in federated learning.
            return
        if self.resume:
            self._load(engine)
        elif _is_main(engine):
            self.folder.mkdir(parents=True, exist_ok=True)
            _set_aside(self.folder)

    def save(self, engine: Engine) -> None:
        """Write the state after this epoch, and the weights when this epoch's validation is the best so far."""
        if not _is_main(engine):
            return
        weights = _unwrapped(self.network).state_dict()
        best_epoch = self.validator.state.best_metric_epoch
        state = {
            "network": weights,
            "optimizer": self.optimizer.state_dict(),
            "optimizer_type": type(self.optimizer).__qualname__,
            "lr_scheduler": self.lr_scheduler.state_dict(),
            "epoch": engine.state.epoch,
            "iteration": engine.state.iteration,
            "best_metric": float(self.validator.state.best_metric),
            "best_epoch": best_epoch,
        }
        # None of a network of another make.
        spec = getattr(_unwrapped(self.network), "spec", None)
        if spec is not None:
            state["network_spec"] = spec
        if self.identity is not None:
            state["identity"] = self.identity
        if engine.scaler is not None:
            state["scaler"] = engine.scaler.state_dict()
        best = weights
        if self.average is not None:
            state["average"] = best = self.average.state_dict()
        # The best weights first: a kill between the two files repeats this epoch rather than losing its weights.
        if best_epoch == engine.state.epoch:
            save_weights(best, self.folder / BEST, spec)
        _save(state, self.folder / LAST)
        self._summarise(engine, finished=False)

    def finish(self, engine: Engine) -> None:
        """Note that the training came to its end; an interrupted one does not get here."""
        if _is_main(engine) and (self.folder / LAST).is_file():
            self._summarise(engine, finished=True)

    def _summarise(self, engine: Engine, *, finished: bool) -> None:
        write_summary(self.folder, trainer=engine, validator=self.validator, identity=self.identity, finished=finished)

    def _load(self, engine: Engine) -> None:
        path = self.folder / LAST
        if not path.is_file():
            raise InputError(
                path,
                found="no checkpoint to resume from",
                expected=f"the {LAST} that a training leaves in its ckpt_dir",
                remedy="check --ckpt_dir, or leave out --resume to start a new training",
            )
        state = _read(path, engine.state.device)
        if self.identity is not None and "identity" in state:
            check_identity(path, state["identity"], self.identity)
        try:
            _unwrapped(self.network).load_state_dict(state["network"])
            if self.average is not None:
                self.average.load_state_dict(state.get("average", state["network"]))
        except RuntimeError as error:
            raise InputError(
                path,
                found="weights of a network with other layers or widths",
                expected="those of the network that this config describes",
                remedy="resume with the settings of the first run (skip, channels, kernel_size, labels)",
            ) from error
        self._check_optimizer(path, state)
        _advance(self.lr_scheduler, state["lr_scheduler"]["last_epoch"])
        self.optimizer.load_state_dict(state["optimizer"])
        for group, rate in zip(self.optimizer.param_groups, self.lr_scheduler.get_last_lr(), strict=True):
            # The checkpoint's own rate is of the first run's schedule: 0 where that one had come to its end.
            group["lr"] = rate
        if engine.scaler is not None and "scaler" in state:
            engine.scaler.load_state_dict(state["scaler"])
        engine.state.epoch = state["epoch"]
        engine.state.iteration = state["iteration"]
        self.validator.state.best_metric = state["best_metric"]
        self.validator.state.best_metric_epoch = state["best_epoch"]
        best = self.validator.state
        known = f"best so far {best.best_metric:.4f}" if best.best_metric_epoch > 0 else "no validation so far"
        logger.info(f"resuming after epoch {engine.state.epoch}, {known}: {path}")
        if engine.state.epoch >= engine.state.max_epochs:
            # Ignite sees for itself that no epoch is left, and ends the run in order.
            logger.warning(
                f"nothing left to do: {engine.state.epoch} of {engine.state.max_epochs} epochs are done; raise --epochs"
            )

    def _check_optimizer(self, path: Path, state: dict[str, Any]) -> None:
        mine = type(self.optimizer).__qualname__
        theirs = state.get("optimizer_type", mine)
        groups = [
            [len(group["params"]) for group in optimizer["param_groups"]]
            for optimizer in (state["optimizer"], self.optimizer.state_dict())
        ]
        if theirs != mine or groups[0] != groups[1]:
            raise InputError(
                path,
                found=f"the state of {theirs} with groups of {groups[0]} parameters",
                expected=f"that of {mine} with groups of {groups[1]}, as this config has it",
                remedy="resume with the first run's optimizer, or leave out --resume to start a new training",
            )


def _is_main(engine: Engine) -> bool:
    return bool(engine.state.rank == 0)


def _unwrapped(network: nn.Module) -> nn.Module:
    return network.module if isinstance(network, nn.parallel.DistributedDataParallel) else network


def _read(path: Path, device: torch.device) -> dict[str, Any]:
    try:
        state: Any = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:
        raise InputError(
            path,
            found=f"a file that PyTorch cannot load ({type(error).__name__})",
            expected="a checkpoint that a training wrote",
            remedy="copy it again if it was copied, or leave out --resume to start a new training",
        ) from error
    missing = sorted(_STATE.difference(state)) if isinstance(state, dict) else sorted(_STATE)
    if missing:
        raise InputError(
            path,
            found=f"no {missing[0]} in it" + (", as in a file of weights alone" if len(missing) == len(_STATE) else ""),
            expected=f"the {LAST} that a training leaves in its ckpt_dir, with {', '.join(sorted(_STATE))}",
            remedy="put that file there, or leave out --resume to start a new training",
        )
    whole: dict[str, Any] = state
    return whole


def _advance(lr_scheduler: LRScheduler, steps: int) -> None:
    """Run a new schedule up to a position, which restores it whatever its length, if it steps without a metric."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Detected call of `lr_scheduler.step\\(\\)` before")
        for _ in range(steps):
            lr_scheduler.step()


def _save(content: dict[str, Any], path: Path) -> None:
    with whole_file(path) as temporary:
        torch.save(content, temporary)


def _set_aside(folder: Path) -> None:
    names = (LAST, BEST, spec_file(Path(BEST)).name, HISTORY, SUMMARY)
    earlier = [folder / name for name in names if (folder / name).exists()]
    if not earlier:
        return
    number = 1
    while (folder / f"previous_{number}").exists():
        number += 1
    aside = folder / f"previous_{number}"
    aside.mkdir()
    last_written = max(path.stat().st_mtime for path in earlier)
    for path in _earlier_events(folder / CURVES, last_written=last_written):
        (aside / CURVES).mkdir(exist_ok=True)
        path.rename(aside / CURVES / path.name)
    for path in earlier:
        path.rename(aside / path.name)
    logger.info(f"an earlier training's files were moved to {aside}")


def _earlier_events(folder: Path, *, last_written: float) -> list[Path]:
    """TensorBoard files of other runs than this one, whose writers made theirs before a training starts.

    They open it by its name at every write: it must stay. A name tells the second, the host and the process; a process
    in a container may have the number of an earlier one, but begins after that one last wrote.
    """
    own = f".{socket.gethostname()}.{os.getpid()}."
    begun = {path: path.name.removeprefix(_EVENTS).partition(".")[0] for path in folder.glob(f"{_EVENTS}*")}
    return [
        path
        for path, second in begun.items()
        if own not in path.name or (second.isdecimal() and int(second) < int(last_written))
    ]

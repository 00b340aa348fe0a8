"""Show a training's progress: a bar, a line per epoch with the time left, and the curve as a CSV file."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events
from tqdm import tqdm

from ..quiet import is_not_interrupt
from .earlier_files import HISTORY, LAST
from .history_rows import read_rows, write_rows
from .training_faults import explain_training, explain_validation, is_handled
from .unfound_labels import OneLabel, UnfoundLabels

__all__ = ["Progress"]

logger = logging.getLogger(__name__)


class Progress:
    """Report a training: a tqdm bar per epoch, one log line per epoch, and ``history.csv``.

    Columns of ``history.csv``, one row per epoch: epoch, train_loss (mean over the epoch's steps), val_mean_dice and
    val_dice_<label> (empty without validation; nan for a label that is in no case), learning_rate (of the epoch),
    seconds (of the epoch with its validation), elapsed_seconds (of the training, resumes included), samples_seen.
    With a time limit (:class:`~pipeline.training.EndInTime`) also val_cases, the number of cases that were validated;
    0 in a training without validations. If its length was changed, also longer: the way, in the first epoch after it.
    The file is rewritten after each epoch and renamed into place. A resume drops the rows of epochs after the
    checkpoint.

    Args:
        folder: where to write ``history.csv``.
        validator: the evaluator that holds the validation's metrics; None for a training without validations.
        labels: name and value of every label, background (0) included.
        per_label_metric: name of the validator's metric that holds one Dice per foreground label.
        planned_threads: threads of the CPU that the plan was timed with; None for a GPU, or if it is not known.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        validator: Engine | None,
        labels: Mapping[str, int],
        per_label_metric: str,
        planned_threads: int | None = None,
    ) -> None:
        self.path = Path(folder) / HISTORY
        self.validator = validator
        self.per_label_metric = per_label_metric
        self.labels = [name for name, value in sorted(labels.items(), key=lambda item: item[1]) if value != 0]
        self.planned_threads = planned_threads
        self.rows: list[dict[str, Any]] = []
        self._unfound = UnfoundLabels(self.labels)
        self._one_label = OneLabel(self.labels)
        self._bar: tqdm[Any] | None = None

    def attach(self, engine: Engine) -> None:
        """Register with a MONAI trainer: after the ``ValidationHandler``, before the checkpoint."""
        for each in (engine, *([] if self.validator is None else [self.validator])):
            each.logger.addFilter(is_not_interrupt)
            each.logger.addFilter(_is_not_explained)
        engine.add_event_handler(Events.EXCEPTION_RAISED, self._fail)
        if self.validator is not None:
            self.validator.add_event_handler(Events.EXCEPTION_RAISED, self._fail_validation)
        if engine.state.rank != 0:
            return
        if self.validator is not None:
            self._one_label.attach(self.validator)
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.EPOCH_STARTED, self._start_epoch)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._step)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._end_epoch)
        engine.add_event_handler(Events.COMPLETED, self._end)

    def _start(self, engine: Engine) -> None:
        cases = len(engine.data_loader.dataset)
        parts = f"{cases} cases, validating on {self._count_cases()}"
        logger.info(
            f"training on {f'all {cases} cases, not validated' if self.validator is None else parts}; "
            f"{_device_text(engine)}, {getattr(engine.inferer, 'precision', 'float32')}; {self.path.parent}"
        )
        self._compare_threads(engine)
        self._run_started = time.monotonic()
        self._epochs_of_this_run = 0

    def _compare_threads(self, engine: Engine) -> None:
        processes = idist.get_world_size()
        threads = torch.get_num_threads() * processes
        if engine.state.device.type != "cpu" or self.planned_threads in (None, threads):
            return
        several = f" in {processes} processes" if processes > 1 else ""
        logger.warning(
            f"this training computes with {_count(threads, 'thread')}{several}, and its plan was timed with "
            f"{self.planned_threads}: it may see more or fewer patches than planned. Set OMP_NUM_THREADS in both"
        )

    def _start_epoch(self, engine: Engine) -> None:
        if self._epochs_of_this_run == 0 and not self.rows:
            self.rows = read_rows(self.path, before_epoch=engine.state.epoch)
        self._epoch_started = time.monotonic()
        self._loss_sum = 0.0
        self._steps = 0
        self._samples = 0
        self._learning_rate = engine.optimizer.param_groups[0]["lr"]
        # No bar in a log file (disable=None). The epoch's line replaces its bar (leave=False).
        title = _epoch_text(engine)
        self._bar = tqdm(total=engine.state.epoch_length, desc=title, unit="step", leave=False, disable=None)

    def _step(self, engine: Engine) -> None:
        loss = engine.state.output["loss"].item()
        self._loss_sum += loss
        self._steps += 1
        self._samples += len(engine.state.output["label"]) * idist.get_world_size()
        if self._bar is not None:
            self._bar.set_postfix(loss=f"{loss:.4f}", refresh=False)
            self._bar.update()

    def _end_epoch(self, engine: Engine) -> None:
        self._close_bar()
        epoch = engine.state.epoch
        seconds = time.monotonic() - self._epoch_started
        previous = self.rows[-1] if self.rows else {"elapsed_seconds": 0.0, "samples_seen": 0}
        row: dict[str, Any] = {
            "epoch": epoch,
            "train_loss": round(self._loss_sum / max(self._steps, 1), 6),
            **self._validation(epoch),
            "learning_rate": f"{self._learning_rate:.6g}",
            "seconds": round(seconds, 2),
            "elapsed_seconds": round(self._elapsed(engine, float(previous["elapsed_seconds"]) + seconds), 2),
            "samples_seen": int(previous["samples_seen"]) + self._samples,
        }
        if hasattr(engine.state, "minutes"):
            row["val_cases"] = getattr(engine.state, "val_cases", "") if row["val_mean_dice"] != "" else ""
        if self.validator is None:
            row["val_cases"] = 0
        for change in getattr(engine.state, "lengthened", ()):
            if change["after_epoch"] == epoch - 1:
                row["longer"] = change["way"]
        self.rows.append(row)
        write_rows(self.path, self.rows)
        self._epochs_of_this_run += 1
        per_epoch = (time.monotonic() - self._run_started) / self._epochs_of_this_run
        seconds_left = per_epoch * (engine.state.max_epochs - epoch)
        if _is_timed(engine):
            seconds_left = min(seconds_left, max(60 * engine.state.minutes - engine.state.seconds_used, 0.0))
        left = timedelta(seconds=round(seconds_left))
        logger.info(
            f"{_epoch_text(engine)}  loss {row['train_loss']:.4f}  {self._dice_text(row)}{seconds:.1f} s  {left} left"
        )
        self._report_unfound(engine, row)

    def _elapsed(self, engine: Engine, of_epochs: float) -> float:
        """Return the seconds of the training; with a time limit, those that it counts, between epochs as well."""
        if not hasattr(engine.state, "seconds_used"):
            return of_epochs
        if self._epochs_of_this_run == 0:
            # An earlier part without a time limit has not counted its seconds.
            counted = engine.state.seconds_before > 0 or not self.rows
            self._uncounted = 0.0 if counted else float(self.rows[-1]["elapsed_seconds"])
        return float(self._uncounted + engine.state.seconds_used)

    def _report_unfound(self, engine: Engine, row: Mapping[str, Any], *, is_last: bool = False) -> None:
        if row["val_mean_dice"] == "":
            return
        self._unfound.add({name: float(row[f"val_dice_{name}"]) for name in self.labels})
        share = max(getattr(engine.state, "share", 0.0), engine.state.epoch / engine.state.max_epochs)
        cases = int(row.get("val_cases") or self._count_cases())
        self._warn(self._unfound.warn(share, cases=cases, is_last=is_last))

    @staticmethod
    def _warn(text: str) -> None:
        if text:
            logger.warning(text)

    def _validation(self, epoch: int) -> dict[str, Any]:
        columns = ["val_mean_dice", *(f"val_dice_{name}" for name in self.labels)]
        if self.validator is None:
            return dict.fromkeys(columns, "")
        state = self.validator.state
        if state.epoch != epoch or state.key_metric_name not in state.metrics:
            return dict.fromkeys(columns, "")
        values = [float(state.metrics[state.key_metric_name])]
        # With one foreground label this is a number instead of a vector.
        values += torch.as_tensor(state.metrics[self.per_label_metric]).flatten().tolist()
        return {name: round(value, 6) for name, value in zip(columns, values, strict=True)}

    def _count_cases(self) -> int:
        return 0 if self.validator is None else len(self.validator.data_loader.dataset)

    def _dice_text(self, row: dict[str, Any]) -> str:
        if self.validator is None or row["val_mean_dice"] == "":
            return ""
        best = f"best {self.validator.state.best_metric:.4f} at epoch {self.validator.state.best_metric_epoch}"
        whole = self._count_cases()
        some = f" on {row['val_cases']} of {whole} cases" if int(row.get("val_cases") or whole) < whole else ""
        return f"validation Dice {row['val_mean_dice']:.4f}{some} ({best})  "

    def _end(self, engine: Engine) -> None:
        self._close_bar()
        if self.validator is None:
            if engine.state.epoch > 0:
                cases = len(engine.data_loader.dataset)
                logger.info(
                    f"trained on all {cases} cases, not validated; "
                    f"the weights of the end, last checkpoint and curve are in {self.path.parent}"
                )
                self._warn(self._one_label.warn_of_step(engine.state.output.get("pred")))
            return
        best = self.validator.state.best_metric_epoch
        if best > 0 and engine.state.epoch > 0:
            logger.info(
                f"best validation Dice {float(self.validator.state.best_metric):.4f} at epoch {best}; "
                f"best weights, last checkpoint and curve are in {self.path.parent}"
            )

        validated = [row for row in self.rows if row["val_mean_dice"] != ""]
        if validated and self._epochs_of_this_run > 0:
            cases = int(validated[-1].get("val_cases") or self._count_cases())
            one_label = self._one_label.warn(f"{cases} validation case{'s' * (cases != 1)}")
            self._warn(one_label)
            if not one_label:
                self._report_unfound(engine, validated[-1], is_last=True)

    def _fail(self, engine: Engine, error: BaseException) -> None:
        self._close_bar()
        if isinstance(error, KeyboardInterrupt) and engine.state.rank == 0:
            logger.warning(self._interrupt_text(engine.state.epoch))
        # Ignite assumes that a handler handles the exception: without this the run would end as if it had finished.
        explained = explain_training(engine, error, self.path.parent)
        if explained is not None:
            raise explained from error
        raise error

    def _fail_validation(self, engine: Engine, error: BaseException) -> None:
        explained = explain_validation(engine, error, self.path.parent)
        if explained is not None:
            raise explained from error
        raise error

    def _interrupt_text(self, epoch: int) -> str:
        checkpoint = self.path.parent / LAST
        if not checkpoint.is_file():
            return f"training interrupted in epoch {epoch}, before its first checkpoint: start it again"
        return f"training interrupted in epoch {epoch}; resume with --resume True (last checkpoint: {checkpoint})"

    def _close_bar(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _epoch_text(engine: Engine) -> str:
    """Return the epoch, of how many or in what time, such as "epoch 8/60" or "epoch 8, 3.2 of 15 min"."""
    state = engine.state
    if _is_timed(engine):
        digits = 1 if state.minutes >= 2 else 2
        return f"epoch {state.epoch}, {state.seconds_used / 60:.{digits}f} of {state.minutes:g} min"
    return f"epoch {state.epoch}/{state.max_epochs}"


def _is_not_explained(_: logging.LogRecord) -> bool:
    """Reject the errors that Ignite logs for one whose message is printed once at the end."""
    return not is_handled()


def _is_timed(engine: Engine) -> bool:
    """Return whether the training ends by the clock: see `EndInTime`."""
    return bool(getattr(engine.state, "is_timed", False))


def _device_text(engine: Engine) -> str:
    device = engine.state.device
    return f"{device} with {_count(torch.get_num_threads(), 'thread')}" if device.type == "cpu" else str(device)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"

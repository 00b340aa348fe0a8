"""A handler that ends a training within its minutes, with its schedule and its validations spread over that time."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any, Literal

import ignite.distributed as idist
from ignite.engine import Engine, Events
from monai.engines import Evaluator

from ..data.errors import InputError
from .time_plan import TimePlan
from .validation_part import count_cases, time_case, validate_on

__all__ = ["CLOCKS", "EndInTime"]

logger = logging.getLogger(__name__)

# Functions of `time`.
CLOCKS = {"wall": "monotonic", "processor": "process_time"}


class EndInTime:
    """Train for a number of minutes: the learning rate, the validations and the end follow the clock.

    The learning rate depends on the share of the time that is used, from step to step. The training ends after the
    step behind which the last validation just fits, also within an epoch. Speeds are measured all the time, so this
    holds whatever else the machine does. The clock starts with this run, after the data were read. A resumed training
    has the minutes that its earlier parts left. How many steps fit depends on the machine, so two such trainings
    differ. Set ``epochs`` without ``minutes`` for a reproducible training.

    Validations: 10 to 18 at equal distances in time, or every `interval` epochs, and one at the end. Where all cases
    take too long, those before the last are on a fixed part of the cases: see
    :func:`~pipeline.training.time_plan.plan_validations`. Means over different cases cannot be compared, so that then
    the weights of the end are the best ones. A validation that is due cuts a long epoch short.

    In the engine's state, for other handlers: ``minutes``; ``seconds_used``, resumed parts included; ``share`` of the
    training that is done, 0 to 1; ``is_timed``, whether the minutes end it and not the epochs; ``val_cases``, the
    number of cases of the latest validation, and so of the best one.

    Args:
        minutes: more than 0, or None for no limit.
        lr_scheduler: MONAI's ``WarmupCosineSchedule``. Its warm-up keeps its share of the length. The rates of another
            schedule are left as they are.
        fill: train until the minutes are over, whatever the trainer's number of epochs. Otherwise both limit it, and
            the learning rate follows whichever is ahead.
        validator: MONAI evaluator, which this handler runs. None if a ``ValidationHandler`` validates.
        interval: epochs between two validations; None spreads them over the time.
        clock: ``wall``; or ``processor``, the time that this process computes, in all its threads. It stands still
            while other programs have the processor, so trainings can be compared on a busy machine. It knows nothing of
            a GPU or of loading processes.

    Raises:
        ValueError: minutes is not above 0, or there is no such clock.
    """

    def __init__(
        self,
        minutes: float | None,
        lr_scheduler: Any,
        *,
        fill: bool = False,
        validator: Evaluator | None = None,
        interval: int | None = None,
        clock: Literal["wall", "processor"] = "wall",
    ) -> None:
        if minutes is not None and minutes <= 0:
            msg = f"minutes is {minutes}; expected a number above 0, or None for no limit"
            raise ValueError(msg)
        if clock not in CLOCKS:
            msg = f"clock is {clock!r}; expected one of {', '.join(CLOCKS)}"
            raise ValueError(msg)
        self.minutes = minutes
        self.clock = clock
        self.lr_scheduler = lr_scheduler
        self.fill = fill
        self.validator = validator
        self.interval = interval

    def attach(self, engine: Engine) -> None:
        """Register with a MONAI trainer: after ``EpochSeed``, before handlers that report or save an epoch."""
        if self.minutes is None:
            return
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.EPOCH_STARTED, self._start_epoch)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._end_step)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._end_epoch)
        if self.validator is not None:
            self.validator.add_event_handler(Events.ITERATION_COMPLETED, self._end_case)

    def _start(self, engine: Engine) -> None:
        self._plan = TimePlan(60 * float(self.minutes or 0))
        self._epochs = sys.maxsize if self.fill else engine.state.max_epochs
        self._is_measured = self._has_validated = self._is_last = self._is_cut = False
        self._cases = self._cases_done = self._first_step = 0
        self._before = 0.0
        self._started = self._now()
        state = engine.state
        state.max_epochs, state.minutes, state.is_timed = self._epochs, self.minutes, self.fill
        # A resume sets the seconds of the earlier parts: ResumableCheckpoint.
        # So does a warm restart.
        state.seconds_used = state.seconds_before = state.share = 0.0
        state.restarted = (0, 0.0)

    def _start_epoch(self, engine: Engine) -> None:
        if self._is_cut:
            # Ignite has made this epoch's iterator before this epoch's seeds were set.
            engine.set_data(engine.state.dataloader)
            self._is_cut = False
        self._first_step = engine.state.iteration
        self._read_clock(engine)
        self._set_rate(engine)

    def _end_step(self, engine: Engine) -> None:
        before, now = engine.state.seconds_used, self._read_clock(engine)
        self._plan.add_step(now - before)
        if not self._is_measured:
            now = self._measure(engine, now)
        self._set_rate(engine)
        left = engine.state.epoch_length - self._count_steps(engine)
        if self._plan.is_over(now):
            self._end(engine)
        # Given epochs are passes over the cases, which end before their time only with the training.
        may_cut = self.fill and self.interval is None and self._plan.is_long(left)
        if left > 0 and (self._is_last or (may_cut and self._is_due(engine, now))):
            self._is_cut = True
            engine.terminate_epoch()

    def _end_epoch(self, engine: Engine) -> None:
        before, now = engine.state.seconds_used, self._read_clock(engine)
        if self.validator is None:
            # Another handler may have validated just now.
            self._plan.add_validation(max(now - before, self._plan.reserve))
        if engine.state.epoch >= self._epochs or self._plan.is_over(now):
            self._end(engine)
        if self.validator is not None and (self._is_last or self._is_due(engine, now)):
            self._validate(engine, self.validator, now)
        self._read_clock(engine)

    def _end(self, engine: Engine) -> None:
        self._is_last = True
        engine.state.max_epochs = engine.state.epoch

    def _measure(self, engine: Engine, now: float) -> float:
        """Plan the validations after the first step; return the time after that."""
        self._is_measured = True
        if self.validator is None:
            return now
        # The slowest process decides in all, because all must do the same.
        self._cases = int(idist.all_reduce(count_cases(self.validator), "MAX"))
        per_case = float(idist.all_reduce(time_case(self.validator, self._now), "MAX"))
        now = self._read_clock(engine)
        self._plan.start_validations(self._plan.share(now), per_case=per_case, cases=self._cases)
        # A resume ends with this step and as many validation cases as fit: it could never be finished otherwise.
        if not self._plan.is_enough(now) and engine.state.seconds_before == 0:
            raise InputError(
                "minutes",
                found=f"{self.minutes:g} for a training whose validation of {self._cases} cases takes about "
                f"{_format(self._plan.reserve)} s, and whose first step took {_format(self._plan.step)} s",
                expected=f"at least {(now + self._plan.reserve) / 60:.2g}, for one step and one validation",
                remedy="set more --minutes, or plan with more --hours",
            )
        self._describe_validations(len(self.validator.data_loader.dataset))
        return now

    def _describe_validations(self, whole: int) -> None:
        if self.interval is not None:
            return
        planned, some = self._plan.validations, ""
        if planned.cases < self._cases:
            cases = min(planned.cases * idist.get_world_size(), whole)
            seconds = _format(self._plan.reserve)
            some = f"; those before the last on {cases} of {whole} cases, as all take about {seconds} s"
        logger.info(f"training for {self.minutes:g} min with {planned.count} validations{some}")

    def _is_due(self, engine: Engine, now: float) -> bool:
        """Return whether to validate now, and later once more for the last time."""
        if self.validator is None:
            return False
        by_share = self.interval is None
        due = self._plan.is_due(engine.state.share) if by_share else engine.state.epoch % self.interval == 0
        return due and self._plan.has_room(now, self._plan.reserve * self._cases_between() / max(self._cases, 1))

    def _cases_between(self) -> int:
        return self._cases if self.interval is not None else self._plan.validations.cases

    def _validate(self, engine: Engine, validator: Evaluator, now: float) -> None:
        cases, whole = self._cases if self._is_last else self._cases_between(), len(validator.data_loader.dataset)
        if getattr(engine.state, "val_cases", whole) != min(cases * idist.get_world_size(), whole):
            # A mean over some cases cannot be compared with one over others.
            validator.state.best_metric = validator.state.best_metric_epoch = -1
        self._plan.has_validated(engine.state.share)
        self._cases_done = 0
        with validate_on(validator, cases):
            validator.run(engine.state.epoch)
        after = self._read_clock(engine)
        self._plan.add_validation((after - now) * self._cases / max(cases, 1))
        if not self._is_last and self.interval is None and not self._has_validated:
            # The first case was timed without its metrics.
            self._plan.plan_again(engine.state.share, per_case=(after - now) / max(cases, 1), cases=self._cases)
        self._has_validated = True
        done = min(int(idist.all_reduce(self._cases_done)), whole)
        engine.state.val_cases = done
        if self._is_last and done < whole:
            logger.warning(
                f"the last validation has {done} of {whole} cases, as the {self.minutes:g} minutes are over; "
                "`lightskip evaluate` measures all"
            )
        if self._is_last and engine.state.epoch < self._epochs and self._plan.is_left(after):
            # It took less time than expected.
            self._is_last = False
            engine.state.max_epochs = self._epochs

    def _end_case(self, validator: Engine) -> None:
        self._cases_done += 1
        is_late = self._is_last and self._local_seconds() > self._plan.last_case_at
        if is_late and validator.state.iteration < (validator.state.epoch_length or 0):
            validator.terminate_epoch()

    def _local_seconds(self) -> float:
        return self._now() - self._started + self._before

    def _now(self) -> float:
        seconds: float = getattr(time, CLOCKS[self.clock])()
        return seconds

    def _read_clock(self, engine: Engine) -> float:
        """Return the seconds used, of the slowest process."""
        self._before = engine.state.seconds_before
        engine.state.seconds_used = float(idist.all_reduce(self._local_seconds(), "MAX"))
        return float(engine.state.seconds_used)

    def _set_rate(self, engine: Engine) -> None:
        """Set the learning rate of the next step, by the clock or by the epochs, whichever is ahead."""
        state = engine.state
        epochs_done = state.epoch - 1 + self._count_steps(engine) / state.epoch_length
        restart_epoch, restart_seconds = state.restarted
        epochs = self._epochs - restart_epoch
        of_epochs = 0.0 if self.fill else (epochs_done - restart_epoch) / epochs
        of_time = self._plan.share_since(state.seconds_used, restart_seconds)
        # Not ahead by less than a step: so only the epochs count, and not the clock, while there is enough time.
        state.is_timed = self.fill or of_time > of_epochs + 1 / (state.epoch_length * epochs)
        # Of the whole training.
        state.share = max(self._plan.share(state.seconds_used), 0.0 if self.fill else epochs_done / self._epochs)
        rate = getattr(self.lr_scheduler, "lr_lambda", None)
        if rate is None:
            return
        position = of_time * self.lr_scheduler.t_total if state.is_timed else self.lr_scheduler.last_epoch
        for group, base in zip(self.lr_scheduler.optimizer.param_groups, self.lr_scheduler.base_lrs, strict=True):
            group["lr"] = base * rate(position)

    def _count_steps(self, engine: Engine) -> int:
        """Return the number of this epoch's steps that are done."""
        return int(engine.state.iteration - self._first_step)


def _format(seconds: float) -> str:
    return f"{seconds:.0f}" if seconds >= 10 else f"{seconds:.2g}"

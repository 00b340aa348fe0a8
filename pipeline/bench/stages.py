"""Run a MONAI engine in stages: a counted iteration, warm-up, timed iterations, profiled iterations."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine, Events

from .clock import OTHER, PhaseClock
from .counting import MultiplyAdds, Operators
from .machine import MemoryPeak

__all__ = ["Stages", "call_around_events", "summarise_seconds"]


class Stages:
    """Run an engine for a number of iterations and stop it before the epoch ends.

    The engine does not do what follows an epoch (validations, checkpoints). The data loader restarts at its end. Every
    iteration is a step of the clock, from the request of its batch to the request of the next.

    Args:
        engine: MONAI trainer or evaluator.
        waiting: the clock's phase in which an iteration waits for its batch.
        warmup: untimed iterations after the first, counted one.
        timed: iterations to time.
        profiled: iterations to profile, after the timed ones.

    Attributes:
        clock: has the timed iterations after `run`. The caller switches its phases during an iteration.
        counted: the multiply-adds. The caller starts and stops it while `counting`.
        cpu_seconds: mean processor time of this process and its threads in a timed iteration.
        peak_bytes: peak memory up to the last timed iteration; None if the system does not report it.
    """

    def __init__(self, engine: Any, *, waiting: str, warmup: int, timed: int, profiled: int) -> None:
        device: torch.device = engine.state.device
        self.engine = engine
        self.clock = PhaseClock(device)
        self.counted = MultiplyAdds()
        self.operators = Operators(on_gpu=device.type == "cuda")
        self.peak_bytes: int | None = None
        self.cpu_seconds = 0.0
        self._waiting = waiting
        self._borders = (1 + warmup, 1 + warmup + timed, 1 + warmup + timed + profiled)
        self._done = -1
        self._profiled: list[float] = []
        self._timed: list[dict[str, float]] = []
        engine.add_event_handler(Events.GET_BATCH_STARTED, self._next)
        engine.add_event_handler(Events.GET_BATCH_COMPLETED, lambda _: self.clock.switch(OTHER))

    @property
    def counting(self) -> bool:
        """Whether the current iteration is the first one, whose multiply-adds are counted."""
        return self._done == 0

    def run(self) -> None:
        """Run all iterations."""
        self.engine.state.epoch_length = self._borders[-1] + 1  # its end is never reached
        self._memory = MemoryPeak(self.engine.state.device)
        try:
            self.engine.run()
        finally:
            self.counted.stop()
            self.operators.stop()
        self.clock.steps = self._timed

    def profile(self, prefix: str) -> dict[str, Any]:
        """Return the operators of the profiled iterations, with the keys that `bench` documents."""
        return self.operators.summary(prefix, self._profiled)

    def _next(self, engine: Engine) -> None:
        self.clock.stop()
        self._done += 1
        warm, timed, last = self._borders
        if self._done == warm:
            self.clock.clear()
            self._cpu_before = time.process_time()
        if self._done == timed:
            self.cpu_seconds = (time.process_time() - self._cpu_before) / (timed - warm)
            self._timed = self.clock.steps
            self.clock.clear()
            self.peak_bytes = self._memory.bytes()
            self.operators.start()
        if self._done == last:
            self.operators.stop()
            self._profiled = self.clock.seconds()
            engine.terminate()
            return
        self.clock.start(self._waiting)


def call_around_events(engine: Any, before: Callable[[Any], None], after: Callable[[Any], None]) -> None:
    """Call functions before and after the handlers of every event that the engine's iteration fires."""
    fire = engine.fire_event

    def fire_event(event: Any) -> None:
        before(event)
        fire(event)
        after(event)

    engine.fire_event = fire_event


def summarise_seconds(prefix: str, seconds: list[float]) -> dict[str, float]:
    """Return median, quartiles and mean of durations in seconds, with the keys that `bench` documents."""
    first, third = np.percentile(seconds, [25, 75])
    return {
        f"{prefix}_seconds_median": statistics.median(seconds),
        f"{prefix}_seconds_quartile_1": float(first),
        f"{prefix}_seconds_quartile_3": float(third),
        f"{prefix}_seconds_mean": statistics.mean(seconds),
    }

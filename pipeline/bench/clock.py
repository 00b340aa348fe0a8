"""A clock that assigns every moment of a step to exactly one phase."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import torch

from .machine import synchronise

__all__ = ["OTHER", "PhaseClock"]

OTHER = "other"


class PhaseClock:
    """Add up the seconds that each step spends in each phase. The phases of a step sum to its duration.

    A GPU computes while Python continues, so on a GPU the clock waits for the device at every change of phase.

    Args:
        device: where the network runs.

    Attributes:
        steps: seconds by phase of every finished step since the last `clear`.
    """

    def __init__(self, device: torch.device) -> None:
        self.steps: list[dict[str, float]] = []
        self._device = device
        self._phase: str | None = None
        self._since = 0.0
        self._current: dict[str, float] = {}

    def start(self, phase: str) -> None:
        """Begin a step in this phase. End the previous step if it is running."""
        self.stop()
        self._since = self._now()
        self._phase = phase

    def stop(self) -> None:
        """End the running step, if there is one."""
        if self._phase is not None:
            self.switch(self._phase)
            self.steps.append(self._current)
        self._phase, self._current = None, {}

    def switch(self, phase: str) -> None:
        """Assign the time since the last change to the current phase, and begin another. Do nothing between steps."""
        if self._phase is None:
            return
        now = self._now()
        self._current[self._phase] = self._current.get(self._phase, 0.0) + now - self._since
        self._phase, self._since = phase, now

    @contextmanager
    def during(self, phase: str) -> Iterator[None]:
        """Assign the time of the block to this phase, then continue with the previous phase."""
        previous = self._phase
        self.switch(phase)
        try:
            yield
        finally:
            self.switch(previous or phase)

    def time_calls(self, function: Callable[..., Any], phase: str) -> Callable[..., Any]:
        """Return the function with its calls timed in this phase."""

        @wraps(function, updated=())
        def call(*args: Any, **kwargs: Any) -> Any:
            with self.during(phase):
                return function(*args, **kwargs)

        return call

    def clear(self) -> None:
        """Forget the finished steps."""
        self.steps = []

    def seconds(self) -> list[float]:
        """Return the duration of every finished step."""
        return [sum(step.values()) for step in self.steps]

    def share(self, *phases: str) -> float:
        """Return these phases' share of the finished steps' time, 0 to 1."""
        total = sum(self.seconds())
        return sum(step.get(phase, 0.0) for step in self.steps for phase in phases) / total if total else 0.0

    def _now(self) -> float:
        synchronise(self._device)
        return time.perf_counter()

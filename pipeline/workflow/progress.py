"""Lines of text about the jobs of a workflow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .events import Event

__all__ = ["Progress"]


class Progress:
    """Says when a job starts, is done or fails.

    Args:
        say: shows a line.
        name: returns a job's name by its target; by default the target.
        folder: the workflow's folder, where the logs are.
        attempts: how often a job is tried.
    """

    def __init__(
        self, say: Callable[[str], None], *, folder: Path, attempts: int = 1, name: Callable[[str], str] = str
    ) -> None:
        self._say, self._name, self._folder, self._attempts = say, name, folder, attempts

    def __call__(self, event: Event) -> None:
        """Say what happened."""
        name = self._name(event.target)
        place = f"[{event.done}/{event.total}] "
        if event.kind == "started":
            self._say(f"{place}started: {name}{' again' * (event.attempt > 1)}")
        elif event.kind == "done":
            self._say(f"{place}done: {name}, {format_time(event.seconds)}")
        else:
            again = "; it is tried again" * (event.attempt < self._attempts)
            log = f"; log: {self._folder / event.log}" if event.log else ""
            self._say(f"{place}failed: {name}{again}{log}")


def format_time(seconds: float) -> str:
    """Return a time as text with its unit."""
    if seconds < 90:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.2f} h"

"""Say what a study will do and what it has done, in lines for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..report.text import count_of
from .estimate import Estimate
from .expand import Run
from .leftovers import Leftover

__all__ = ["Say", "list_names", "say_left_out", "say_runs"]

_MAX_NAMED = 5

Say = Callable[[str], None]


def say_left_out(why: str, files: Sequence[Leftover], say: Say) -> None:
    """Name the first of the results that are left out, after what is wrong with them."""
    if files:
        say(f"left out: {count_of(len(files), 'result')} {why}")
        for one in files[:_MAX_NAMED]:
            say(f"  {one.words}")
        if len(files) > _MAX_NAMED:
            say(f"  and {len(files) - _MAX_NAMED} more")


def say_runs(runs: Sequence[Run], missing: Sequence[Run], estimate: Estimate | None, say: Say) -> None:
    """List the runs with what is left to do, and the hours that takes; there is no estimate if nothing is left."""
    left = {run.id for run in missing}
    for run in runs:
        say(f"{'to do' if run.id in left else 'done ':6}{run.id}")
    if estimate is not None:
        amount = f"about {estimate.hours:.2g} hours, one after the other"
        say(f"{len(missing)} of {len(runs)} runs, {amount}: {estimate.source}")
    else:
        say(f"all {len(runs)} runs are done")


def list_names(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = len(names) - _MAX_NAMED
    return ", ".join(names[:_MAX_NAMED]) + f" and {more} more" * (more > 0)

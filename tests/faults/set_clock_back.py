"""Set a verb's clock back by a day while it works."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from .started_verbs import run_verb
from .tries import Try
from .verb_table import DisturbedVerb
from .workspace import Workspace

__all__ = ["set_clock_back"]

_DAY = 86400.0


def set_clock_back(workspace: Workspace, verb: DisturbedVerb, number: int, seed: int) -> Try:
    """Run a verb whose clock goes back by a day at a random moment, as after a correction by NTP or a time zone's.

    `time.monotonic` is left alone: the system never sets it back. A fault is: it fails, or has other results.
    """
    whole = workspace.undisturbed(verb).seconds
    moment = random.Random(f"{seed} {number}").uniform(0, whole)
    copy, log = workspace.copy(verb), workspace.folder / "log.txt"
    ended = run_verb(verb.words, copy, log, before=_go_back(moment))
    faults = [] if ended.status in verb.status else [f"ends with {ended.status}: {ended.text[-300:]}"]
    faults = faults or workspace.differences(verb, copy)
    return Try("clock set back", verb.name, number, f"after {moment:.2f} of {whole:.2f} s", "done", "; ".join(faults))


def _go_back(moment: float) -> Callable[[], None]:
    def replace() -> None:
        now, until = time.time, time.monotonic() + moment
        time.time = lambda: now() - (_DAY if time.monotonic() > until else 0.0)

    return replace

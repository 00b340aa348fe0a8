"""Kill one worker of a verb that has several: a rank, a process that loads data, a job."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from .started_verbs import StartedVerb, start_verb
from .tries import Try
from .verb_table import SMALL, VERBS, DisturbedVerb
from .workspace import Workspace

__all__ = ["LOSSES", "lose_process"]

# A verb that lost a worker must say so within seconds; a busy machine may need more.
MAX_SECONDS = 120.0
_LOOK_SECONDS = 0.02


@dataclass(frozen=True)
class Loss:
    """A verb with workers, one of which is killed.

    Args:
        words: its words.
        ready: whether the verb, working in a folder, has got so far that a worker is to be killed.
        words_again: the words of the second start, which must succeed.
        status: exit statuses of the second start.
        may_succeed: whether the verb may go on without that worker.
    """

    words: tuple[str, ...]
    ready: Callable[[Path], bool]
    words_again: tuple[str, ...]
    status: tuple[int, ...] = (0,)
    may_succeed: bool = False


def _train(*more: str) -> tuple[str, ...]:
    # Enough epochs that it is still running when the worker is killed.
    epochs = [*SMALL[2:], "--epochs", "8"]
    return ("train", "bundle", "--dataset_dir", "data", *epochs, "--ckpt_dir", "trained", *more)


def _at_once(_folder: Path) -> bool:
    return True


def _trained(folder: Path) -> bool:
    return (folder / "trained" / "last.pt").is_file()


_COHORT = ("cohort", "bundle", "data/imagesTs", "-o", "out", "--shards", "2", "-j", "2", "--runtime", "pytorch")

LOSSES: dict[str, Loss] = {
    "train: a rank": Loss(_train("--processes", "2"), _trained, _train("--processes", "2", "--resume")),
    "train: a loader": Loss(
        _train("--num_workers", "2"), _trained, _train("--num_workers", "2", "--resume"), may_succeed=True
    ),
    "cohort: a job": Loss(_COHORT, _at_once, _COHORT, may_succeed=True),
}


def lose_process(workspace: Workspace, name: str, number: int) -> Try:
    """Kill the youngest worker of a verb, and start the verb again.

    A fault is: it does not end, it reports success although it needs the worker, a traceback, a second start that
    fails.
    """
    loss = LOSSES[name]
    copy, log = workspace.copy(_ANY), workspace.folder / "log.txt"
    started = start_verb(loss.words, copy, log)
    faults: list[str] = []
    before = _kill_worker(started, loss, copy)
    begin = time.monotonic()
    ended = started.wait(MAX_SECONDS)
    seconds = time.monotonic() - begin
    if ended is None:
        started.kill()
        started.wait()
        faults.append(f"it still runs {MAX_SECONDS:.0f} s after the kill")
    elif not before:
        faults.append(f"it had no worker to kill: {ended.status} {ended.text[-200:]}")
    else:
        if ended.status == 0 and not loss.may_succeed:
            faults.append("it reports success")
        if "Traceback" in ended.text:
            faults.append(f"a traceback: {ended.text[-300:]}")
    left = [one for one in before if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
    for one in left:
        one.kill()
    if left:
        faults.append(f"{len(left)} workers stay")
    again = start_verb(loss.words_again, copy, log).wait()
    if again is None or again.status not in loss.status:
        faults.append(f"the second start: {'hangs' if again is None else again.text[-300:]}")
    outcome = f"ended with {ended.status}" if ended else "hung"
    return Try("lost process", name, number, f"ended {seconds:.1f} s after the kill", outcome, "; ".join(faults))


_ANY: DisturbedVerb = VERBS[0]


def _kill_worker(started: StartedVerb, loss: Loss, copy: Path) -> list[psutil.Process]:
    """Kill the youngest worker once the verb is ready; return all workers at that moment."""
    process = psutil.Process(started.process)
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        workers = started.workers()
        if workers and loss.ready(copy):
            try:
                max(workers, key=lambda worker: worker.create_time()).kill()
            except psutil.NoSuchProcess:
                continue
            return workers
        time.sleep(_LOOK_SECONDS)
    return []

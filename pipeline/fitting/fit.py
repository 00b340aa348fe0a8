"""Run the steps of `lightskip fit` that are not done yet."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from ..bundle.ensemble import write_ensemble
from ..bundle.training_facts import BEST, describe_all_cases
from ..bundle.words import as_text
from ..data.errors import InputError
from ..disk import DiskError
from ..process import run_verb
from .options import FitOptions, check_options
from .results import describe_result, read_problems, read_seconds
from .state import State, lock_run, open_state
from .steps import BUNDLE, CHECK, PAGE, Step, list_first_steps, list_folds, list_later_steps

__all__ = ["Runner", "fit"]

Say = Callable[[str], None]
# Runs a verb's words, holding file descriptors, and returns its exit status: see `run_verb`.
Runner = Callable[..., int]

_CHECK_FOUND = 1


@dataclass
class _Run:
    """A start of `lightskip fit`: what runs its verbs, and which steps it has run."""

    state: State
    say: Say
    runner: Runner
    locks: Sequence[int]
    ran: set[str]

    def run(self, steps: Sequence[Step], *, before: int, total: int | None) -> int:
        """Run the steps that are not done; return the exit status of the first that fails, or 0."""
        for number, step in enumerate(steps, before + 1):
            place = f"[{number}/{total or '?'}]"
            if self.state.is_done(step) and self.ran.isdisjoint(step.needs):
                self.say(f"{place} done: {step.name}")
                continue
            status = self._run_step(step, place)
            if status:
                return status
        return 0

    def _run_step(self, step: Step, place: str) -> int:
        command = as_text(["lightskip", *step.words])
        self.say(f"{place} {command if step.words else _describe(step)}")
        if self._has_ended(step, command):
            self.state.add(step, command, 0.0, done=True)
            return 0
        self.ran.add(step.name)
        _clear(step)
        self.state.add(step, command, 0.0, done=False)
        if step.kind == "plan" and step.is_there:
            # At the next start it counts as planned: see `_has_ended`.
            raise _earlier_plan_error(step.output.parent)
        start, status, done = time.monotonic(), 0, False
        try:
            if step.kind == "ensemble":
                write_ensemble(step.output.parents[1], step.trainings)
            else:
                status = self.runner(step.words, locks=self.locks)
            # The same status says that its disk is full.
            done = status == 0 or (step.kind == "check" and status == _CHECK_FOUND and _has_problems(step))
        finally:
            # Of a disk that is full the step has said so itself.
            with nullcontext() if done else suppress(DiskError):
                self.state.add(step, command, time.monotonic() - start, done=done)
        return 0 if done else status

    def _has_ended(self, step: Step, command: str) -> bool:
        """Return whether a plan or a training came to its end in an earlier start that was killed right behind it."""
        earlier = self.state.steps.get(step.name, {}).get("command", "")
        is_same = _without_resume(earlier) == _without_resume(command)
        return step.kind in ("plan", "train") and is_same and self.ran.isdisjoint(step.needs) and step.is_there


def _has_problems(check: Step) -> bool:
    return check.is_there and read_problems(check.output) > 0


def _without_resume(command: str) -> str:
    return command.removesuffix(" --resume")


def fit(options: FitOptions, *, say: Say, runner: Runner = run_verb) -> int:
    """Make a trained, measured bundle and its page from a dataset, in the steps of `steps.py`.

    A second start with the same options continues with the first step that is not done, and an interrupted training
    where it stopped.

    Args:
        options: what to do.
        say: shows a line of text.
        runner: runs a verb; see `run_verb`.

    Returns:
        The exit status: 0; 1 if the check found problems, which a training refuses; that of a step that failed.

    Raises:
        InputError: an option is out of range, the folder has another run or a damaged file, or its bundle was planned
            before the dataset was listed or checked again.
        KeyboardInterrupt: interrupted; the state of the run is written.
    """
    check_options(options)
    # Before its folder is made.
    open_state(options)
    with lock_run(options.output) as locks:
        run = _Run(open_state(options), say, runner, locks, set())
        first = list_first_steps(options)
        status = run.run(first, before=0, total=None)
        if status:
            return status
        if problems := read_problems(options.output / CHECK / "check.json"):
            # The dataset will change, and its list with it.
            run.state.forget("datalist", "check")
            say(_problems_text(options, problems))
            return 1
        later = list_later_steps(options, list_folds(options))
        status = run.run(later, before=len(first), total=len(first) + len(later))
        if status == 0 and (lost := [step for step in (*first, *later) if not step.is_there]):
            # Somebody has removed it meanwhile.
            raise InputError(
                lost[0].output,
                found="no such file, although its step has ended",
                expected="the results of all steps",
                remedy="run the same command again, and leave the folder alone meanwhile",
            )
        if status == 0:
            say(_summary_text(options, run.state, [*first, *later]))
        return status


def _clear(step: Step) -> None:
    """Remove an earlier result of the step, which the verb would not replace."""
    if step.kind == "evaluate":
        shutil.rmtree(step.output.parent, ignore_errors=True)


def _earlier_plan_error(bundle: Path) -> InputError:
    return InputError(
        bundle,
        found="a bundle that was planned before the dataset was listed or checked again",
        expected="no bundle: it would not be overwritten",
        remedy=f"repeat the command to keep the bundle; or delete {bundle} first, to plan and train anew",
    )


def _describe(step: Step) -> str:
    verb = "averages" if len(step.trainings) > 1 else "takes"
    return f"{step.output}: lightskip predict {verb} {', '.join(step.trainings)}"


def _problems_text(options: FitOptions, problems: int) -> str:
    run = options.output
    return (
        f"stopped: {problems} problem{'s' * (problems > 1)} in the dataset, which a training refuses\n"
        f"  {run / 'check' / 'check.html'} shows them\n"
        "  repair the files or leave the cases out, then run the same command again; "
        f"`{as_text(['lightskip', 'check', str(run / 'datalist.json'), '-o', str(run / 'check'), '--fix', 'DIR'])}` "
        "writes repaired copies of what is safe to repair"
    )


def _summary_text(options: FitOptions, state: State, steps: Sequence[Step]) -> str:
    """Return the time of each step, the result, and the next command."""
    bundle = options.output / BUNDLE
    seconds = {step.name: float(state.steps[step.name]["seconds"]) for step in steps}
    computed = sum(read_seconds(step.output.parent / "history.csv") for step in steps if step.kind == "train")
    width = max(map(len, seconds))
    lines = ["", f"{'step':{width}}  {'time':>9}"]
    lines += [f"{name:{width}}  {_format_time(one):>9}" for name, one in seconds.items()]
    lines += [
        f"{'all':{width}}  {_format_time(sum(seconds.values())):>9}",
        f"training itself took {_format_time(computed)} of the {_format_time(3600 * options.hours)} of "
        f"--hours {options.hours:g}",
        "",
        f"bundle:  {bundle}",
        *(f"result:  {describe_result(step.output)}" for step in steps if step.kind == "compare"),
        *([f"model:   {bundle / 'runs' / 'fold_all'}, {_describe_final(bundle)}"] if options.final else []),
        f"page:    {options.output / PAGE}",
        f"next:    {as_text(['lightskip', 'predict', str(bundle), 'SCANS', '-o', 'OUT'])}",
    ]
    return "\n".join(lines)


def _describe_final(bundle: Path) -> str:
    return describe_all_cases(bundle / "runs" / "fold_all" / BEST)


def _format_time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.2f} h"

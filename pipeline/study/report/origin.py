"""Say where the numbers of a study come from: settings, runs with their state, machines, versions, dates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...report.html.parts import Row, Table
from ...report.text import count_of
from .arms import Group, Run, describe_budget, describe_run
from .numbers import NOTHING, format_value
from .values import as_array, mean_known

__all__ = ["Given", "list_facts", "list_lost", "list_origins", "make_run_table"]

_MACHINE = (("cpu", "Processors"), ("device", "Devices"), ("threads", "Threads"), ("precision", "Number format"))
_VERSIONS = (("lightskip", "LightSkip"), ("monai", "MONAI"), ("torch", "PyTorch"))


@dataclass(frozen=True)
class Given:
    """What a report is made from.

    Attributes:
        study: the parsed study file.
        text: its text.
        sha256: its hash.
        runs: JSON of the runs that ended or diverged.
        failed: runs without a result: ``id``, ``settings`` and ``reason``.
        missing: runs that have not been started: ``id`` and ``settings``.
        left_over: run files that no longer fit the study file: the name, and what differs.
        reused: name of the study that a run was taken from, by the run's id.
    """

    study: Mapping[str, Any]
    text: str
    sha256: str
    runs: Sequence[Run]
    failed: Sequence[Run]
    missing: Sequence[Run]
    left_over: Sequence[str]
    reused: Mapping[str, str]

    @property
    def name(self) -> str:
        """The study's name."""
        return str(self.study.get("name", "study"))

    @property
    def question(self) -> str:
        """The study's question; empty without one."""
        return str(self.study.get("question") or "")

    @property
    def about(self) -> str:
        """More about the question; empty without it."""
        return str(self.study.get("about") or "")

    @property
    def baseline(self) -> str:
        """Label of the skip that others are compared with."""
        return str(self.study.get("baseline", "concat"))


def list_facts(given: Given, groups: Sequence[Group]) -> list[str]:
    """Return short facts: how many runs in which state, seeds, folds and budgets."""
    diverged = sum(run.get("state") == "diverged" for run in given.runs)
    done = len(given.runs) - diverged
    planned = len(given.runs) + len(given.failed) + len(given.missing)
    counts = ((diverged, "diverged"), (len(given.failed), "failed"), (len(given.missing), "not run"))
    lost = "".join(f", {number} {words}" for number, words in counts if number)
    facts = [f"{done} of {count_of(planned, 'training')} ended{lost}"]
    for key, title in (("seeds", "seeds"), ("folds", "folds")):
        values = given.study.get(key)
        if values:
            facts.append(f"{title} {', '.join(map(str, values))}")
    budgets = list(dict.fromkeys(group.budget for group in groups))
    if not budgets:
        budgets = [describe_budget(given.study.get("budget"))]
    return [*facts, f"budget {' or '.join(budgets)}"]


def list_origins(given: Given) -> dict[str, str]:
    """Return titles and texts: machines, versions and dates of the runs, and the hash of the study file."""
    found = {}
    for key, title in (*_MACHINE, *_VERSIONS):
        values = _collect(given.runs, key)
        if values:
            found[title] = ", ".join(values)
    dates = sorted(_collect(given.runs, "date"))
    if dates:
        found["Dates of the runs"] = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    reused = sorted(set(given.reused.values()))
    if reused:
        found["Taken from other studies"] = f"{count_of(len(given.reused), 'run')} of {', '.join(reused)}"
    found["SHA-256 of the study file"] = given.sha256
    return found


def list_lost(given: Given) -> list[str]:
    """Return every run that is not in the numbers, with its reason, and every run file that no longer fits."""
    diverged = [run for run in given.runs if run.get("state") == "diverged"]
    lost = [f"{describe_run(run)}: diverged, {run.get('reason') or 'no reason recorded'}" for run in diverged]
    lost += [f"{describe_run(run)}: failed, {run.get('reason') or 'no reason recorded'}" for run in given.failed]
    lost += [f"{describe_run(run)}: not run" for run in given.missing]
    return [*lost, *(f"{one}; left over, does not fit the study file" for one in given.left_over)]


def make_run_table(given: Given) -> Table:
    """Return a row per run: its state, settings, Dice, minutes and origin."""
    rows = [_describe(run, str(run.get("state", "done")), given.reused) for run in given.runs]
    rows += [_describe(run, "failed", given.reused) for run in given.failed]
    rows += [_describe(run, "not run", given.reused) for run in given.missing]
    heads = ["run", "state", "bundle", "network", "skip", "fold", "seed", "Dice", "minutes", "date", "taken from"]
    return Table("Runs", heads, rows)


def measure_dice(run: Run) -> float:
    """Return a run's Dice: the mean over labels of the means over cases; NaN without any."""
    cases = run.get("cases") or {}
    if not cases.get("dice") or run.get("state") == "diverged":
        return float("nan")
    dice = as_array(cases["dice"], (len(cases["names"]), len(cases["labels"])))
    return float(mean_known(mean_known(dice, axis=0), axis=0))


def _describe(run: Run, state: str, reused: Mapping[str, str]) -> Row:
    settings = run.get("settings") or {}
    known = [str(settings.get(key, NOTHING)) for key in ("bundle", "network", "skip", "fold", "seed")]
    seconds = (run.get("cost") or {}).get("training_seconds")
    minutes = NOTHING if seconds is None or not np.isfinite(seconds) else f"{seconds / 60:.1f}"
    name = str(run.get("id", "?"))
    date = str((run.get("machine") or {}).get("date", NOTHING))
    return Row(name, [state, *known, format_value(measure_dice(run)), minutes, date, reused.get(name, "")])


def _collect(runs: Iterable[Run], key: str) -> list[str]:
    values = ((run.get("machine") or {}).get(key, (run.get("settings") or {}).get(key)) for run in runs)
    return list(dict.fromkeys(str(value) for value in values if value is not None))

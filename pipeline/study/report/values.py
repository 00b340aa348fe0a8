"""Collect the values of an arm's trainings as arrays, and choose the cases on which arms can be compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...evaluation.subject_draws import RESAMPLES, SubjectDraws, draw_subjects
from ..check_result import METRICS, as_array
from .arms import Arm, Group

__all__ = [
    "METRICS",
    "ArmValues",
    "Cases",
    "Choice",
    "as_array",
    "collect_arm",
    "collect_cases",
    "list_labels",
    "mean_known",
]

Array = NDArray[np.float64]


@dataclass
class Cases:
    """The cases of a group, and draws of their subjects that all arms share.

    Attributes:
        names: names of the cases.
        subjects: name of each case's subject.
    """

    names: tuple[str, ...]
    subjects: tuple[str, ...]
    _draws: dict[bytes, SubjectDraws] = field(default_factory=dict)

    def draw(self, chosen: NDArray[np.bool_]) -> SubjectDraws:
        """Return draws of the chosen cases' subjects; the same choice has the same draws."""
        key = chosen.tobytes()
        if key not in self._draws:
            self._draws[key] = draw_subjects(self.choose_subjects(chosen), resamples=RESAMPLES)
        return self._draws[key]

    def choose_subjects(self, chosen: NDArray[np.bool_]) -> list[str]:
        """Return the subjects of the chosen cases."""
        return [subject for subject, has in zip(self.subjects, chosen, strict=True) if has]


@dataclass(frozen=True)
class ArmValues:
    """The values of an arm. A training is a seed; with several folds, the runs of a seed in all folds.

    Attributes:
        seeds: seed of each training.
        values: by metric (seeds, cases, labels); NaN is not counted.
        measured: whether each training measured each case, (seeds, cases).
    """

    seeds: tuple[Any, ...]
    values: Mapping[str, Array]
    measured: NDArray[np.bool_]

    @property
    def shared(self) -> NDArray[np.bool_]:
        """Whether all trainings measured a case, (cases,)."""
        return np.asarray(self.measured.all(axis=0))


@dataclass(frozen=True)
class Choice:
    """Columns of labels under a name: one label, or all of them for their mean."""

    name: str
    columns: slice


def collect_cases(runs: Iterable[Mapping[str, Any]], part: str = "cases") -> Cases:
    """Return the cases that any run has, sorted by name.

    Args:
        runs: runs that ended.
        part: ``cases``, or ``robustness``, whose cases have their subjects in ``cases``.
    """
    subjects: dict[str, str] = {}
    names: dict[str, None] = {}
    for run in runs:
        found = run.get("cases") or {}
        own = found.get("names") or ()
        subjects |= dict(zip(map(str, own), map(str, found.get("subjects") or own), strict=True))
        chosen = own if part == "cases" else ((run.get(part) or {}).get("cases") or ())
        names |= dict.fromkeys(map(str, chosen))
    ordered = tuple(sorted(names))
    return Cases(ordered, tuple(subjects.get(name, name) for name in ordered))


def list_labels(group: Group) -> list[str]:
    """Return the labels that all runs of a group have, in the order of the first."""
    by_run = [list(map(str, run["cases"]["labels"])) for run in group.done if run.get("cases")]
    return [label for label in (by_run[0] if by_run else []) if all(label in one for one in by_run)]


def collect_arm(arm: Arm, cases: Cases, labels: Sequence[str]) -> ArmValues | None:
    """Return the values of an arm's trainings; None if no run has cases."""
    places = {name: place for place, name in enumerate(cases.names)}
    runs = [run for run in arm.done if run.get("cases")]
    seeds = list(dict.fromkeys(run["settings"].get("seed") for run in runs))
    if not seeds or not labels:
        return None
    shape = len(seeds), len(cases.names), len(labels)
    values = {metric: np.full(shape, np.nan) for metric in METRICS}
    measured = np.zeros(shape[:2], dtype=bool)
    for run in runs:
        part, row = run["cases"], seeds.index(run["settings"].get("seed"))
        own = list(map(str, part["labels"]))
        rows = [places[str(name)] for name in part["names"]]
        columns = [own.index(label) for label in labels]
        measured[row, rows] = True
        for metric, key in METRICS.items():
            if part.get(key):
                values[metric][row, rows] = as_array(part[key], (len(rows), len(own)))[:, columns]
    return ArmValues(tuple(seeds), values, measured)


def mean_known(values: Array, axis: int) -> Array:
    """Return the mean over an axis of the values that are not NaN; NaN where there is none."""
    known = np.isfinite(values)
    number = known.sum(axis=axis)
    total = np.where(known, values, 0.0).sum(axis=axis)
    mean: Array = np.divide(total, number, out=np.full(np.shape(total), np.nan), where=number > 0)
    return mean

"""Gather everything that a study's report says, once for the page, Markdown and the files for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .arms import Group, sort_runs
from .differences import note_differences
from .fronts import FRONT
from .judge import judge_areas, judge_group, note_rise, say_lost
from .origin import Given
from .results import GroupResult
from .robustness import Robustness, evaluate_robustness
from .statistics import evaluate_group
from .verdict import Verdict, count_verdicts

__all__ = ["Content", "Part", "make_content"]

READING = (
    "Dice is the mean over trainings of the mean over labels, or regions, of the means over cases, with the weights "
    "of the last epoch. Brackets are 95 % intervals over seeds and cases (hierarchical bootstrap, BCa).",
    "A difference is shown if p, after Holm's correction over the skips of one bundle, network and metric, is at most "
    ".05. p is the largest of three: of the bootstrap over seeds and cases, of the signed-rank test over cases, and of "
    "the t-test over seeds, because the bootstrap alone finds too much with few seeds.",
    f"{FRONT} marks a cost on the front: no other skip has both a higher Dice and less of it. It is by the means, "
    "without a test.",
    "“Could have shown” is the difference that this many seeds and cases show with a probability of .8. No difference "
    "shown does not mean that there is none.",
)
"""How to read the numbers."""


@dataclass(frozen=True)
class Part:
    """What a report says about one group.

    Attributes:
        group: the runs.
        result: the numbers.
        robust: the robustness; None if it was not measured.
        verdicts: the verdict on each skip by Dice.
        area_verdicts: the verdict on each skip by the area of robustness.
        warning: trainings of the baseline that are not in the numbers; empty if all are.
        notes: what a reader has to know about the numbers.
    """

    group: Group
    result: GroupResult
    robust: Robustness | None
    verdicts: Sequence[Verdict]
    area_verdicts: Sequence[Verdict]
    warning: str
    notes: Sequence[str]


@dataclass(frozen=True)
class Content:
    """The content of a report.

    Attributes:
        given: what it is made from.
        parts: the groups.
        headline: the verdicts in one sentence.
    """

    given: Given
    parts: Sequence[Part]
    headline: str

    @property
    def verdicts(self) -> list[Verdict]:
        """The verdicts of all groups."""
        return [one for part in self.parts for one in (*part.verdicts, *part.area_verdicts)]


def make_content(given: Given) -> Content:
    """Return the content of a report."""
    parts = []
    for group in sort_runs(given.study, given.runs, given.failed, given.missing):
        result = evaluate_group(group, given.baseline)
        robust = evaluate_robustness(group, given.baseline)
        verdicts = judge_group(group, result, given.baseline)
        areas = judge_areas(group, robust, given.baseline)
        rise = note_rise(group)
        base = group.arms.get(given.baseline)
        lost = say_lost(base) if base is not None and verdicts else ""
        warning = f"{given.baseline}, which the others are compared with: {lost}." if lost else ""
        notes = [*note_differences(group), *([rise] if rise else [])]
        parts.append(Part(group, result, robust, verdicts, areas, warning, notes))
    everything = [one for part in parts for one in part.verdicts]
    everything += [one for part in parts for one in part.area_verdicts]
    return Content(given, parts, count_verdicts(everything, given.baseline))

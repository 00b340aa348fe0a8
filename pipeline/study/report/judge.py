"""Judge every skip of a group against the baseline, by Dice and by robustness, and say what is missing."""

from __future__ import annotations

import math

from ...report.text import count_of
from .arms import Arm, Group
from .numbers import format_signed
from .results import OVERALL, Contrast, GroupResult
from .rise import find_rise
from .robustness import Robustness
from .verdict import Verdict, judge_comparison

__all__ = ["judge_areas", "judge_group", "note_rise", "say_lost"]


def judge_group(group: Group, result: GroupResult, baseline: str) -> list[Verdict]:
    """Return the verdict on each skip but the baseline, by the mean of labels of Dice."""
    found = []
    base = group.arms.get(baseline)
    for skip, arm in group.arms.items():
        contrast = result.find(skip)
        if skip == baseline:
            continue
        if contrast is None or math.isnan(contrast.comparison.difference):
            text = _explain_absence(arm, base, baseline, result)
            found.append(Verdict(group.title, skip, "Dice", "absent", text, float("nan")))
        else:
            found.append(_judge(group, arm, contrast, baseline, "Dice", len(result.cases.names)))
    return found


def judge_areas(group: Group, robust: Robustness | None, baseline: str) -> list[Verdict]:
    """Return the verdict on each skip whose robustness was measured, and that of the baseline too."""
    found = []
    for skip, arm in group.arms.items():
        contrast = None if robust is None else robust.find(skip)
        if robust is not None and contrast is not None and not math.isnan(contrast.comparison.difference):
            found.append(_judge(group, arm, contrast, baseline, "robustness", len(robust.cases.names)))
    return found


def _judge(group: Group, arm: Arm, contrast: Contrast, baseline: str, measure: str, every: int) -> Verdict:
    base = group.arms[baseline]
    rises = [rise for one in (arm, base) if (rise := find_rise(one)) is not None]
    kind, text = judge_comparison(contrast.comparison, baseline, rise=max(rises, default=None))
    if contrast.cases < every:
        text += f"; on the {contrast.cases} of {every} cases that all trainings measured"
    lost = say_lost(arm)
    text += f"; {lost}" if lost else ""
    return Verdict(group.title, arm.skip, measure, kind, text, contrast.comparison.difference)


def say_lost(arm: Arm) -> str:
    """Return how many of an arm's trainings are not in its numbers, and why; empty if none."""
    counts = [(len(arm.diverged), "diverged"), (len(arm.failed), "failed"), (len(arm.missing), "not run")]
    lost = [f"{number} {what}" for number, what in counts if number]
    return f"of {count_of(arm.planned, 'training')} {' and '.join(lost)}" if lost else ""


def note_rise(group: Group) -> str:
    """Return how much Dice still rose at the end of the trainings, in words; empty if it is unknown."""
    rises = {skip: rise for skip, arm in group.arms.items() if (rise := find_rise(arm)) is not None}
    if not rises:
        return ""
    least, most = min(rises, key=rises.__getitem__), max(rises, key=rises.__getitem__)
    text = f"In the last third of the training Dice changed by {format_signed(rises[least])} ({least})"
    if most != least:
        text += f" to {format_signed(rises[most])} ({most})"
    return f"{text}. The verdicts are for this budget: {group.budget}."


def _explain_absence(arm: Arm, base: Arm | None, baseline: str, result: GroupResult) -> str:
    if base is None:
        return f"no result: the study has no {baseline} here to compare with"
    for one, who in ((arm, ""), (base, f" of {baseline}")):
        if not one.done:
            return f"no result: no training{who} ended ({say_lost(one)})"
    for one, who in ((arm, "this skip"), (base, baseline)):
        found = result.arms.get(one.skip)
        if found is None or math.isnan(found.estimates[OVERALL, "dice"].mean):
            return f"no result: no Dice of {who} counts"
    return f"no result: no case was measured by all trainings of this skip and of {baseline}"

"""Say what a study shows about each skip against the baseline, from the numbers, and no more than they show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ...evaluation.paired_comparison import PairedComparison
from .arms import Arm, Group
from .numbers import format_interval, format_p, format_shown, format_signed, format_value
from .rise import find_rise
from .statistics import OVERALL, GroupResult

__all__ = ["COARSE", "KINDS", "Kind", "Verdict", "count_verdicts", "judge_group", "judge_skip", "note_rise", "say_lost"]

Kind = Literal["worse", "better", "same", "unclear", "absent"]

COARSE = 0.02
"""Gain of Dice that papers on skips claim. A study that could not have shown it, or whose Dice still rose by as much in
the last third of its training, cannot say that there is no difference."""

KINDS: dict[Kind, str] = {
    "worse": "worse",
    "better": "better",
    "same": "no difference shown",
    "unclear": "cannot say",
    "absent": "no result",
}


@dataclass(frozen=True)
class Verdict:
    """What the study shows about one skip in one group.

    Attributes:
        group: title of the group.
        skip: label of the skip.
        kind: the verdict in a word.
        text: the verdict with its numbers, to follow the skip's name.
        difference: Dice minus that of the baseline; NaN without a comparison.
    """

    group: str
    skip: str
    kind: Kind
    text: str
    difference: float


def judge_group(group: Group, result: GroupResult, baseline: str) -> list[Verdict]:
    """Return the verdict on each skip but the baseline, by the mean of labels of Dice."""
    found = []
    for skip, arm in group.arms.items():
        if skip != baseline:
            found.append(_judge(group, arm, result, baseline))
    return found


def _judge(group: Group, arm: Arm, result: GroupResult, baseline: str) -> Verdict:
    base, contrast = group.arms.get(baseline), result.find(arm.skip)
    lost = [say_lost(arm), *([f"of {baseline}: {words}"] if base and (words := say_lost(base)) else [])]
    tail = "".join(f" ({words})" for words in lost if words)
    if contrast is not None and not math.isnan(contrast.comparison.difference):
        rises = [rise for one in (arm, base) if one is not None and (rise := find_rise(one)) is not None]
        kind, text = judge_skip(contrast.comparison, baseline, rise=max(rises, default=None))
        every = len(result.cases.names)
        if contrast.cases < every:
            text += f"; on the {contrast.cases} of {every} cases that all trainings measured"
        return Verdict(group.title, arm.skip, kind, text + tail, contrast.comparison.difference)
    return Verdict(group.title, arm.skip, "absent", _explain_absence(arm, base, baseline, result), float("nan"))


def judge_skip(one: PairedComparison, baseline: str, *, rise: float | None = None) -> tuple[Kind, str]:
    """Return the verdict on a comparison of Dice, and its text.

    Args:
        one: the comparison, of the skip minus the baseline.
        baseline: label of the baseline.
        rise: by how much Dice still rose in the last third of the trainings; None if it is unknown.
    """
    interval = format_interval(one.interval.ends)
    p = one.p if one.p_holm is None else one.p_holm
    corrected = f", {format_p(p)}" + (f" (Holm over {one.family} skips)" if one.family > 1 else "")
    size = f"{format_signed(one.difference)} {interval}".rstrip()
    who = f"{one.seeds[1]} and {one.seeds[0]} seeds, {one.pairs} {'cases' if one.pairs == one.cases else 'subjects'}"
    if one.pairs < 2:
        return "unclear", f"cannot say, one case only: {size} against {baseline}, without interval and test"
    if not one.greater + one.less:
        return "same", f"no difference: the same Dice as {baseline} in all {one.pairs} cases"
    if min(one.seeds) < 2:
        alone = "each" if max(one.seeds) < 2 else f"of {baseline}" if one.seeds[0] < 2 else "of this skip"
        text = f"cannot say, only one seed {alone}: {size} against {baseline} over {one.pairs} cases{corrected}"
        return "unclear", f"{text}; another training may give another number"
    if one.shown:
        return _judge_shown(one, baseline, f"{corrected}; {who}", rise)
    text = f"{size} against {baseline}{corrected}; {who}"
    ends = one.interval.ends
    if ends and (ends[0] > 0 or ends[1] < 0):
        text += "; the interval excludes 0, the corrected test shows nothing"
    if one.detectable is None:
        return "unclear", f"cannot say: {text}; so few cases that differ can show nothing"
    could = format_shown(one.detectable)
    if one.detectable > COARSE:
        return "unclear", f"cannot say: {text}; this study could only have shown {could} or more"
    if rise is not None and rise > COARSE:
        short = f"Dice still rose by {format_value(rise)} in the last third of the training"
        return "unclear", f"budget too small to say: {text}; {short}"
    return "same", f"no difference shown: {text}; this study could have shown {could}"


def _judge_shown(one: PairedComparison, baseline: str, tail: str, rise: float | None) -> tuple[Kind, str]:
    sign = 1 if one.difference > 0 else -1
    ends = one.interval.ends
    around = format_interval(None if ends is None else sorted(sign * end for end in ends))
    amount = f"{format_value(abs(one.difference))} {around}".rstrip()
    if one.difference == 0 or (one.effect_size > 0) != (one.difference > 0):
        ranks = "better" if one.effect_size > 0 else "worse"
        mean = "higher" if one.difference > 0 else "lower"
        return "unclear", f"mixed: {ranks} than {baseline} by ranks, but its mean is {mean} by {amount}{tail}"
    kind: Kind = "better" if one.difference > 0 else "worse"
    text = f"{kind} than {baseline} by {amount}{tail}"
    if ends and ends[0] <= 0 <= ends[1]:
        text += "; the interval of the mean includes 0"
    if rise is not None and rise > max(COARSE, abs(one.difference)):
        text += f"; at this budget: Dice still rose by {format_value(rise)} in the last third of the training"
    return kind, text


def say_lost(arm: Arm) -> str:
    """Return how many of an arm's trainings are not in its numbers, and why; empty if none."""
    counts = [(len(arm.diverged), "diverged"), (len(arm.failed), "failed"), (len(arm.missing), "not run")]
    words = ", ".join(f"{number} {what}" for number, what in counts if number)
    return f"of {arm.planned} trainings {words}" if words else ""


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


def count_verdicts(verdicts: Sequence[Verdict], baseline: str) -> str:
    """Return one sentence that counts the verdicts."""
    if not verdicts:
        return f"There is nothing to compare with {baseline} yet."
    counts = [(sum(one.kind == kind for one in verdicts), words) for kind, words in KINDS.items()]
    words = ", ".join(f"{number} {words}" for number, words in counts if number)
    noun = "comparison" if len(verdicts) == 1 else "comparisons"
    return f"Of {len(verdicts)} {noun} with {baseline} by Dice: {words}."


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

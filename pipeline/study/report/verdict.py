"""Say what a comparison with the baseline shows, from its numbers, and no more than they show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ...evaluation.paired_comparison import PairedComparison
from .numbers import format_interval, format_p, format_shown, format_signed, format_value

__all__ = ["COARSE", "KINDS", "Kind", "Verdict", "count_verdicts", "judge_comparison"]

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
        measure: ``Dice``, or ``robustness`` for the area under Dice by level of perturbation.
        kind: the verdict in a word.
        text: the verdict with its numbers, to follow the skip's name.
        difference: the skip minus the baseline; NaN without a comparison.
    """

    group: str
    skip: str
    measure: str
    kind: Kind
    text: str
    difference: float


def judge_comparison(one: PairedComparison, baseline: str, *, rise: float | None = None) -> tuple[Kind, str]:
    """Return the verdict on a comparison of Dice or of areas of Dice, and its text.

    Args:
        one: the comparison, of the skip minus the baseline.
        baseline: label of the baseline.
        rise: by how much Dice still rose in the last third of the trainings; None if it is unknown.
    """
    size = f"{format_signed(one.difference)} {format_interval(one.interval.ends)}".rstrip() + f" against {baseline}"
    if one.pairs < 2:
        return "unclear", f"cannot say, one case only: {size}, without interval and test"
    if not one.greater + one.less:
        return "same", f"no difference: the same numbers as {baseline} in all {one.pairs} cases"
    who = f"{one.seeds[1]} and {one.seeds[0]} seeds, {one.pairs} {'cases' if one.pairs == one.cases else 'subjects'}"
    p = one.p if one.p_holm is None else one.p_holm
    test = format_p(p) + (f" (Holm over {one.family} skips)" if one.family > 1 else "")
    if min(one.seeds) < 2:
        alone = "each" if max(one.seeds) < 2 else f"of {baseline}" if one.seeds[0] < 2 else "of this skip"
        text = f"cannot say, only one seed {alone}: {size} over {one.pairs} cases, {test}"
        return "unclear", f"{text}; another training may give another number"
    if one.shown:
        return _judge_shown(one, baseline, f"{test}; {who}", rise)
    return _judge_not_shown(one, f"{size}, {test}; {who}", rise)


def _judge_shown(one: PairedComparison, baseline: str, tail: str, rise: float | None) -> tuple[Kind, str]:
    sign = 1 if one.difference > 0 else -1
    ends = one.interval.ends
    around = format_interval(None if ends is None else sorted(sign * end for end in ends))
    amount = f"{format_value(abs(one.difference))} {around}".rstrip()
    if one.difference == 0 or (one.effect_size > 0) != (one.difference > 0):
        ranks = "better" if one.effect_size > 0 else "worse"
        mean = "higher" if one.difference > 0 else "lower"
        return "unclear", f"mixed: {ranks} than {baseline} by ranks, but its mean is {mean} by {amount}, {tail}"
    kind: Kind = "better" if one.difference > 0 else "worse"
    text = f"{kind} than {baseline} by {amount}, {tail}"
    if ends and ends[0] <= 0 <= ends[1]:
        text += "; the interval of the mean includes 0"
    if rise is not None and rise > max(COARSE, abs(one.difference)):
        text += f"; {_say_rise(rise)}, so this may change with a longer one"
    return kind, text


def _judge_not_shown(one: PairedComparison, text: str, rise: float | None) -> tuple[Kind, str]:
    ends = one.interval.ends
    if ends and (ends[0] > 0 or ends[1] < 0):
        text += "; the interval excludes 0, but the corrected test does not show it"
    if one.detectable is None:
        return "unclear", f"cannot say: {text}; so few cases that differ can show nothing"
    if one.detectable >= 1:
        # Of scores between 0 and 1.
        return "unclear", f"cannot say: {text}; trainings that differ so much from seed to seed can show nothing"
    could = format_shown(one.detectable)
    if one.detectable > COARSE:
        return "unclear", f"cannot say: {text}; this study could only have shown {could} or more"
    if rise is not None and rise > COARSE:
        return "unclear", f"budget too small to say: {text}; {_say_rise(rise)}"
    return "same", f"no difference shown: {text}; this study could have shown {could}"


def _say_rise(rise: float) -> str:
    return f"Dice still rose by {format_value(rise)} in the last third of the training"


def count_verdicts(verdicts: Sequence[Verdict], baseline: str) -> str:
    """Return a sentence per measure that counts the verdicts."""
    if not verdicts:
        return f"There is nothing to compare with {baseline} yet."
    sentences = []
    for measure in dict.fromkeys(one.measure for one in verdicts):
        chosen = [one for one in verdicts if one.measure == measure]
        counts = [(sum(one.kind == kind for one in chosen), words) for kind, words in KINDS.items()]
        words = ", ".join(f"{number} {what}" for number, what in counts if number)
        noun = "comparison" if len(chosen) == 1 else "comparisons"
        sentences.append(f"Of {len(chosen)} {noun} with {baseline} by {measure}: {words}.")
    return " ".join(sentences)

"""Choose the cleaning steps that raise Dice, by measuring each step on cases with references."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from .cleaning_cases import Case, Cases, Cleaner, Sizes, Steps, Survey, hold_cases, measure_options, survey_cases
from .cleaning_choice import KEPT, TOGETHER, CleaningChoice, Trial
from .paired_test import paired_test

__all__ = ["choose_cleaning"]

LEVEL = 0.05
MIN_GAIN = 0.0005  # visible in the third digit, and larger than differences between number formats

_FRACTIONS = (0.5, 0.1, 0.02)
_ROUNDING = 1e-9


def choose_cleaning(
    cases: Iterable[Case] | Cases,
    labels: Mapping[str, int],
    clean: Cleaner,
    *,
    smallest_gain: float = MIN_GAIN,
    level: float = LEVEL,
    ignored: Sequence[int] = (),
) -> CleaningChoice:
    """Choose for each label the cleaning steps that raise its Dice by more than chance.

    The steps are tried in a fixed order, each on top of those kept so far:

    1. Keep the largest component only.
    2. Remove components below a minimum size: 1/2, 1/10 or 1/50 of the label's smallest size in a reference.
    3. Fill holes. It is last, because removing components can create holes.

    A step is kept for a label if its mean Dice rises by at least `smallest_gain` and the one-sided `paired_test` of the
    cases' Dice has p of at most `level` divided by the number of the label's candidates (Bonferroni). With five
    candidates, at least seven cases must change. At the end all kept steps together are compared with none. A label
    that is not better stays as predicted. If a label is worse because of other labels' steps, nothing is kept.

    Absent labels follow the rule of `decide_outcome`. If a step removes all of a label that the reference lacks, the
    case no longer counts in the mean. In the test, its Dice rises from 0 to the mean.

    Label maps are cleaned as a whole; then voxels with an ignored value of the reference do not count. A label that was
    not annotated in a case does not count in it. Of a network with regions, labels are cleaned, not regions.

    Args:
        cases: an iterable, which is held in memory, or a function that returns the cases one at a time and is called
            about five times.
        labels: value of each label by name; 0 is the background.
        clean: the function that cleans a label map.
        smallest_gain: smallest rise of the mean Dice.
        level: level of significance.
        ignored: values of references that do not count.

    Raises:
        ValueError: If there is no case, or a case's label maps differ in shape, do not fit the affine, are no integers
            or have values that `labels` does not declare.
    """
    read_cases = cases if callable(cases) else hold_cases(cases)
    names = {value: name for name, value in labels.items() if value}
    known = survey_cases(read_cases, labels, ignored=ignored)
    measure = partial(measure_options, read_cases, names, clean, ignored=ignored)
    candidates = _list_candidates(known)
    shares = {value: level / sum(value in sizes for _, sizes in candidates) for value in known.smallest}

    kept: Steps = {}
    trials: list[Trial] = []
    for step in ("largest_component", "minimum", "fill_holes"):
        tried = [sizes for own, sizes in candidates if own == step]
        before, *after = measure([kept, *(_add_step(kept, step, sizes) for sizes in tried)])
        chosen: Sizes = {}
        for value in known.smallest:
            group = [
                _make_trial(names[value], step, sizes[value], before[value], dice[value])
                for sizes, dice in zip(tried, after, strict=True)
                if value in sizes
            ]
            judged = _judge(group, smallest_gain, shares[value])
            trials += judged
            chosen.update((value, trial.minimum) for trial in judged if trial.verdict == KEPT)
        kept = _add_step(kept, step, chosen)
    kept, together = _confirm(measure, names, kept, smallest_gain, level)
    return CleaningChoice(
        cases=known.cases,
        unit=known.unit,
        smallest_gain=smallest_gain,
        level=level,
        largest_component=[names[value] for value in kept.get("largest_component", ())],
        minimum={names[value]: size for value, size in kept.get("minimum", {}).items() if size is not None},
        fill_holes=[names[value] for value in kept.get("fill_holes", ())],
        trials=trials,
        together=together,
    )


def _list_candidates(known: Survey) -> list[tuple[str, Sizes]]:
    """Return the steps to try, each for all labels at once: cleaning one label removes nothing of another."""
    candidates: list[tuple[str, Sizes]] = [("largest_component", dict.fromkeys(known.smallest))]
    for part in _FRACTIONS:
        sizes = {value: float(f"{part * size:.3g}") for value, size in known.smallest.items()}
        # A minimum of one voxel removes nothing.
        candidates.append(("minimum", {value: size for value, size in sizes.items() if size > known.voxel}))
    return [*candidates, ("fill_holes", dict.fromkeys(known.smallest))]


def _add_step(steps: Steps, step: str, sizes: Sizes) -> Steps:
    return {**steps, step: {**steps.get(step, {}), **sizes}}


def _make_trial(
    label: str, step: str, minimum: float | None, before: NDArray[np.float64], after: NDArray[np.float64]
) -> Trial:
    """Compare the Dice of one label's cases before and after a step. The verdict is left empty."""
    test = paired_test(before, after, alternative="greater")
    return Trial(label, step, minimum, *test.means, test.greater, test.less, test.p, "")


def _judge(group: list[Trial], smallest_gain: float, level: float) -> list[Trial]:
    """Return one label's trials of one step with their verdicts. At most one is kept: the one with the largest gain."""
    verdicts = [_find_verdict(trial, smallest_gain, level) for trial in group]
    passing = [trial for trial, verdict in zip(group, verdicts, strict=True) if verdict == KEPT]
    # Of equal gains, the smaller minimum removes less.
    best = max(passing, key=lambda trial: (trial.dice_after, -(trial.minimum or 0.0)), default=None)
    return [
        replace(trial, verdict="another gains more" if verdict == KEPT and trial is not best else verdict)
        for trial, verdict in zip(group, verdicts, strict=True)
    ]


def _find_verdict(trial: Trial, smallest_gain: float, level: float) -> str:
    if not trial.better + trial.worse:
        return "changes nothing"
    if trial.dice_after - trial.dice_before < smallest_gain:
        return f"gains less than {smallest_gain:g}"
    return KEPT if trial.p <= level else "may be chance"


def _confirm(
    measure: Callable[[Sequence[Steps]], list[dict[int, NDArray[np.float64]]]],
    names: Mapping[int, str],
    kept: Steps,
    smallest_gain: float,
    level: float,
) -> tuple[Steps, list[Trial]]:
    """Compare all kept steps together with none. Return the steps that still help, and their trials."""
    while any(kept.values()):
        before, after = measure([{}, kept])
        cleaned = {value for sizes in kept.values() for value in sizes}
        compared = {
            value: _make_trial(name, TOGETHER, None, before[value], after[value])
            for value, name in names.items()
            if not np.isnan(before[value]).all()
        }
        lowered = {value for value, trial in compared.items() if trial.dice_after < trial.dice_before - _ROUNDING}
        failing = lowered | {value for value in cleaned if _find_verdict(compared[value], smallest_gain, level) != KEPT}
        if not failing:
            return kept, [replace(compared[value], verdict=KEPT) for value in names if value in cleaned]
        # If a label without steps is worse, the label whose steps cause it is unknown.
        dropped = cleaned if failing - cleaned else failing
        kept = {step: {v: size for v, size in sizes.items() if v not in dropped} for step, sizes in kept.items()}
    return {}, []

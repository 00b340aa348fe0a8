"""Compare two sets of predictions, or two arms of several trainings, on the same subjects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from .arm_draws import ArmDraws, check_arm, choose_draws, draw_arm
from .bca import Interval, add_reason, find_interval, find_p
from .detectable import LEVEL, POWER, find_detectable
from .holm import holm
from .paired_comparison import Better, ComparisonMethod, PairedComparison
from .paired_test import paired_test
from .rows import OVERALL
from .seed_test import compare_seeds, find_detectable_by_seeds
from .subject_draws import CONFIDENCE, SubjectDraws
from .subject_gains import average_gains, correlate_ranks, standardise

__all__ = ["OVERALL", "compare_arms", "compare_labels", "compare_pair", "holm"]


def compare_pair(
    first: ArrayLike,
    second: ArrayLike,
    subjects: Sequence[str] | Sequence[int],
    *,
    better: Better,
    family: int = 1,
    level: float = LEVEL,
    power: float = POWER,
    confidence: float = CONFIDENCE,
    draws: SubjectDraws | None = None,
) -> PairedComparison:
    """Compare two sets of predictions of the same cases.

    - The difference is the second mean minus the first, each the mean over labels of the means over cases, as in
      `summarise`. Its interval is BCa over subjects, both sets drawn together.
    - p is of `paired_test`, of the subjects' mean differences: cases of one subject are not independent.
    - The effect size is the matched-pairs rank-biserial correlation (King, Rosopa and Minium, 2011; Kerby, 2014). It
      belongs to the signed-rank test: 0 is what the test compares with, and no single case decides it. The difference
      in standard deviations (Cohen, 1988) is next to it, because other papers report it.
    - NaN on one side follows `paired_differences`.

    Args:
        first: values of the first set, (n,), or (n, labels) for the mean of labels. NaN and None are not counted.
        second: values of the second set, in the same order.
        subjects: name of each case's subject, (n,).
        better: which values are better: ``higher``, ``lower``, or those nearer to ``zero``, whose sign is left out.
        family: number of labels over which p will be corrected, for `detectable`.
        level: level of significance.
        power: probability to detect the detectable difference.
        confidence: probability that the interval aims at.
        draws: draws of these subjects, from `draw_subjects`: many metrics share them. New ones, seed 0, if None.

    Raises:
        ValueError: If the values do not fit the subjects or each other, one is infinite, or an option is out of range.
    """
    return compare_arms(
        np.asarray(first, dtype=np.float64)[None],
        np.asarray(second, dtype=np.float64)[None],
        subjects,
        better=better,
        family=family,
        level=level,
        power=power,
        confidence=confidence,
        draws=draws,
    )


def compare_arms(
    first_by_seed: ArrayLike,
    second_by_seed: ArrayLike,
    subjects: Sequence[str] | Sequence[int],
    *,
    better: Better,
    family: int = 1,
    level: float = LEVEL,
    power: float = POWER,
    confidence: float = CONFIDENCE,
    draws: SubjectDraws | None = None,
) -> PairedComparison:
    """Compare two arms of one or several trainings, measured on the same cases.

    With one training each, it is `compare_pair`. With more:

    - Each arm's trainings are drawn on their own, and the subjects for both arms together (`draw_arm`).
    - p is the largest of three: that of the interval (`find_p`), for other trainings and subjects; that of the
      signed-rank test of the subjects' means over these trainings; and that of the t-test of the trainings' means over
      the subjects (`compare_seeds`). The second guards against few subjects and the third against few trainings, with
      which a bootstrap finds too much.
    - The detectable difference is the largest of three as well: the normal quantiles of level and power times the
      standard deviation of the draws, and those of both tests.
    - The effect sizes are of the subjects' means over trainings.
    - An arm with one training, next to one with several, counts as if another training gave the same numbers. The
      interval's reason says so. Then there is no t-test.

    Args:
        first_by_seed: values of the first arm, (seeds, n) or (seeds, n, labels). NaN is not counted.
        second_by_seed: values of the second arm; its number of seeds can differ.
        subjects: name of each case's subject, (n,).
        better: as in `compare_pair`.
        family: as in `compare_pair`.
        level: as in `compare_pair`.
        power: as in `compare_pair`.
        confidence: as in `compare_pair`.
        draws: as in `compare_pair`.

    Raises:
        ValueError: As `compare_pair`.
    """
    if better not in ("higher", "lower", "zero"):
        msg = f"better is {better!r}: expected higher, lower or zero"
        raise ValueError(msg)
    if family < 1:
        msg = f"family of {family} labels: expected at least 1"
        raise ValueError(msg)
    before, after = (check_arm(values, len(subjects)) for values in (first_by_seed, second_by_seed))
    if before.shape[1:] != after.shape[1:]:
        msg = f"first values of shape {before.shape[1:]} and second of {after.shape[1:]}: expected pairs"
        raise ValueError(msg)
    if better == "zero":
        before, after = np.abs(before), np.abs(after)
    chosen = choose_draws(subjects, draws)
    arms = draw_arm(before, chosen, place=0), draw_arm(after, chosen, place=1)
    gains = average_gains(before, after, chosen.members)
    test = paired_test(np.zeros(gains.size), gains)
    several = len(before) > 1 or len(after) > 1
    interval, p, error = _describe_difference(arms, confidence)
    method: ComparisonMethod = test.method
    detectable = find_detectable(gains, power=power, level=level / family, seed=chosen.seed)
    trainings = None
    if several and test.method != "none":
        method = "hierarchical bootstrap"
        trainings = compare_seeds(*(arm.by_seed for arm in arms))
        p = max(p, test.p, 0.0 if trainings is None else trainings.p)
        errors = float(ndtri(1 - level / family / 2) + ndtri(power))
        detectable = None if detectable is None else max(detectable, errors * error)
        if detectable is not None and trainings is not None:
            by_seeds = find_detectable_by_seeds(trainings.error, trainings.freedom, level=level / family, power=power)
            detectable = max(detectable, by_seeds)
    return PairedComparison(
        better=better,
        cases=int((~np.isnan(before).all(axis=(0, 2)) | ~np.isnan(after).all(axis=(0, 2))).sum()),
        pairs=gains.size,
        greater=test.greater,
        less=test.less,
        means=(arms[0].mean, arms[1].mean),
        difference=arms[1].mean - arms[0].mean,
        interval=interval,
        effect_size=correlate_ranks(gains),
        standardised_difference=standardise(gains),
        p=p if several else test.p,
        p_seeds=None if trainings is None else trainings.p,
        p_holm=None,
        method=method,
        detectable=detectable,
        level=level,
        power=power,
        family=family,
        seeds=(len(before), len(after)),
    )


def compare_labels(
    first: ArrayLike,
    second: ArrayLike,
    subjects: Sequence[str] | Sequence[int],
    labels: Sequence[str],
    *,
    better: Better,
    level: float = LEVEL,
    power: float = POWER,
    confidence: float = CONFIDENCE,
    draws: SubjectDraws | None = None,
) -> dict[str, PairedComparison]:
    """Compare two sets or arms in each label, with Holm's correction over labels, and in the mean of labels.

    The mean of labels is one question, so its p is not corrected. It is left out if there is one label.

    Args:
        first: values of the first set, (n, labels), or of an arm, (seeds, n, labels).
        second: values of the second set or arm.
        subjects: name of each case's subject, (n,).
        labels: names of the labels.
        better: as in `compare_pair`, like the other options.
        level: level of significance, over all labels.
        power: probability to detect the detectable difference.
        confidence: probability that the interval aims at.
        draws: draws of these subjects; new ones if None.

    Returns:
        The comparisons by label, then ``mean of labels``.

    Raises:
        ValueError: As `compare_pair`.
    """
    arms = [np.asarray(values, dtype=np.float64) for values in (first, second)]
    arms = [values[None] if values.ndim == 2 else values for values in arms]
    if any(values.ndim != 3 or values.shape[2] != len(labels) for values in arms):
        msg = f"values of shapes {[values.shape for values in arms]}: expected a last axis of {len(labels)} labels"
        raise ValueError(msg)
    chosen = choose_draws(subjects, draws)

    def compare(columns: slice, family: int) -> PairedComparison:
        return compare_arms(
            arms[0][:, :, columns],
            arms[1][:, :, columns],
            subjects,
            better=better,
            family=family,
            level=level,
            power=power,
            confidence=confidence,
            draws=chosen,
        )

    found = [compare(slice(place, place + 1), len(labels)) for place in range(len(labels))]
    corrected = holm([np.nan if np.isnan(one.difference) else one.p for one in found])
    by_label = {
        label: one if np.isnan(p) else replace(one, p_holm=float(p))
        for label, one, p in zip(labels, found, corrected, strict=True)
    }
    return by_label if len(labels) == 1 else {**by_label, OVERALL: compare(slice(None), 1)}


def _describe_difference(arms: tuple[ArmDraws, ArmDraws], confidence: float) -> tuple[Interval, float, float]:
    """Return the interval of the second minus the first mean, its p-value, and the standard deviation of its draws."""
    first, second = arms
    difference = second.mean - first.mean
    drawn = second.drawn - first.drawn
    scale = float(np.abs(np.nan_to_num([first.drawn, second.drawn])).max())
    drawn = np.where(np.abs(drawn) <= 1e-12 * scale, 0.0, drawn)
    jackknives = [second.without_subject - first.without_subject]
    jackknives += [without for without in (-first.without_seed, second.without_seed) if without.size]
    subjects = int((first.counted | second.counted).sum())
    interval = find_interval(difference, drawn, jackknives, subjects=subjects, confidence=confidence, scale=scale)
    alone = [name for name, arm in zip(("first", "second"), arms, strict=True) if not arm.without_seed.size]
    if len(alone) == 1 and interval.ends is not None:
        missing = f"one seed in the {alone[0]} arm: the interval does not cover the chance of another training of it"
        interval = add_reason(interval, missing)
    if interval.ends is None:
        return interval, 1.0, 0.0
    return interval, find_p(difference, drawn, jackknives, scale=scale), float(np.nanstd(drawn))

"""The result of comparing two sets on the same subjects: its numbers, and a sentence that says what they show."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from .bca import Interval
from .detectable import min_pairs

__all__ = ["Better", "ComparisonMethod", "PairedComparison"]

_MAX_DECIMALS = 6

Better = Literal["higher", "lower", "zero"]
ComparisonMethod = Literal["exact", "approximate", "hierarchical bootstrap", "none"]


@dataclass(frozen=True)
class PairedComparison:
    """The second set against the first, on the subjects that both have.

    Where nearness to zero is better, all numbers are of the values without their sign.

    Attributes:
        better: which values are better: ``higher``, ``lower``, or those nearer to ``zero``.
        cases: number of cases with a value in at least one set.
        pairs: number of their subjects, which are compared.
        greater: number of subjects whose mean value is greater in the second set.
        less: number of subjects whose mean value is less in the second set.
        means: mean of the first and of the second set; NaN if nothing counts.
        difference: second minus first mean; NaN if one is.
        interval: interval of the difference.
        effect_size: matched-pairs rank-biserial correlation, -1 to 1: the share of the rank sum of subjects that rose
            minus the share of those that fell. 0 if no subject differs; NaN without pairs.
        standardised_difference: mean of the subjects' differences in their standard deviations; NaN if that is 0.
        p: two-sided p-value.
        p_seeds: p of the t-test of the trainings' means, which `p` is not below; None if there was none.
        p_holm: p after Holm's correction over labels; None if there was none.
        method: how p was found: the signed-rank test, ``exact`` or ``approximate``; with several trainings the
            ``hierarchical bootstrap``; ``none`` if no subject differs.
        detectable: smallest difference that would have been shown with a probability of `power`, without sign; None if
            the subjects that differ are too few.
        level: level of significance.
        power: the probability for `detectable`.
        family: number of labels over which p is corrected. `detectable` is for the level divided by it.
        seeds: number of trainings of the first and of the second set.
    """

    better: Better
    cases: int
    pairs: int
    greater: int
    less: int
    means: tuple[float, float]
    difference: float
    interval: Interval
    effect_size: float
    standardised_difference: float
    p: float
    p_seeds: float | None
    p_holm: float | None
    method: ComparisonMethod
    detectable: float | None
    level: float
    power: float
    family: int
    seeds: tuple[int, int]

    @property
    def shown(self) -> bool:
        """Whether p, corrected if it was, is at most the level."""
        return (self.p if self.p_holm is None else self.p_holm) <= self.level

    def as_row(self) -> dict[str, Any]:
        """Return the numbers for JSON: undefined ones are None."""
        return {
            "pairs": self.pairs,
            "difference": _to_json(self.difference),
            "interval": None if self.interval.ends is None else list(self.interval.ends),
            "interval_method": self.interval.method,
            "interval_reason": self.interval.reason,
            "effect_size": _to_json(self.effect_size),
            "standardised_difference": _to_json(self.standardised_difference),
            "p": self.p,
            "p_seeds": self.p_seeds,
            "p_holm": self.p_holm,
            "method": self.method,
            "detectable": self.detectable,
        }

    def sentence(self, first: str, second: str, metric: str, *, unit: str = "", label: str | None = None) -> str:
        """Return what the comparison shows, with its numbers.

        Args:
            first: name of the first set.
            second: name of the second set.
            metric: title of the metric, such as ``Dice``.
            unit: its unit; empty or ``1`` for a number without unit.
            label: name of the label, if the sentence shall name it.
        """
        title = f"{metric} of {label}" if label else metric
        noun = "cases" if self.cases == self.pairs else "subjects"
        show = _Numbers(self, unit)
        if math.isnan(self.difference):
            return f"Nothing to compare: no {title} of {first} or of {second} counts."
        if self.pairs < 2:
            values = [show.number(value) for value in self.means]
            return (
                f"One subject only, so no interval and no test: {title} {values[0]} ({first}), {values[1]} ({second})."
            )
        if not self.greater + self.less:
            return f"No difference: {first} and {second} have the same {title} in all {self.pairs} {noun}."
        if self.shown:
            return self._say_shown(first, second, title, noun, show)
        without_sign = "without sign, " if self.better == "zero" else ""
        text = (
            f"No difference shown: {title}, {without_sign}{second} minus {first}, is {show.signed(self.difference)} "
            f"({show.interval(1)}; {self._say_p()}; {self.pairs} {noun})"
        )
        ends = self.interval.ends
        if ends and (ends[0] > 0 or ends[1] < 0):
            text += ", although the interval excludes 0"
        return f"{text}. {self._say_detectable(noun, show)}".rstrip()

    def _say_shown(self, first: str, second: str, title: str, noun: str, show: _Numbers) -> str:
        higher = self.better == "higher"
        second_wins = (self.difference > 0) == higher
        winner, loser = (second, first) if second_wins else (first, second)
        sign = 1 if self.difference > 0 else -1
        amount = show.number(abs(self.difference))
        if self.difference == 0 or (self.effect_size > 0) != (self.difference > 0):
            by_ranks = second if (self.effect_size > 0) == higher else first
            by_mean = f"its mean is better with {winner}, by {amount}" if self.difference else "the means are equal"
            return (
                f"Mixed: by ranks {title} is better with {by_ranks} (rank-biserial {self.effect_size:+.2f}; "
                f"{self._say_p()}), but {by_mean} ({show.interval(sign)}; {self.pairs} {noun})."
            )
        rule = {"higher": "", "lower": "lower is better; ", "zero": "nearer to zero is better; "}[self.better]
        text = (
            f"{winner} is better than {loser} in {title} by {amount} "
            f"({rule}{show.interval(sign)}; {self._say_p()}; {self.pairs} {noun})"
        )
        ends = self.interval.ends
        if ends and ends[0] <= 0 <= ends[1]:
            text += ", although the interval of the mean includes 0"
        return f"{text}."

    def _say_p(self) -> str:
        p = self.p if self.p_holm is None else self.p_holm
        corrected = "" if self.p_holm is None or self.family < 2 else f" after Holm over {self.family} labels"
        # So that a reader of the interval sees why it is not what decides.
        seeds = f" by the t-test of {self.seeds[0]} and {self.seeds[1]} trainings" if self.p == self.p_seeds else ""
        return f"p {_format_p(p)}{seeds}{corrected}"

    def _say_detectable(self, noun: str, show: _Numbers) -> str:
        if self.detectable is not None:
            trainings = " and trainings" if self.method == "hierarchical bootstrap" else ""
            return f"This many {noun}{trainings} could have shown {show.number(self.detectable)}."
        level = self.level / self.family
        words = [_drop_zero(f"{value:.2g}") for value in (level, self.level)]
        if self.greater + self.less >= min_pairs(level):
            return ""
        over = f" ({words[1]} over {self.family} labels)" if self.family > 1 else ""
        differ = self.greater + self.less
        who = f"1 {noun[:-1]} that differs is" if differ == 1 else f"{differ} {noun} that differ are"
        return f"{who} too few to reach p = {words[0]}{over}."


class _Numbers:
    """Writes numbers of a comparison with the digits that its spread leaves."""

    def __init__(self, comparison: PairedComparison, unit: str) -> None:
        self._ends = comparison.interval.ends
        self._percent = 100 * comparison.interval.confidence
        self._unit = "" if unit in ("", "1") else f" {unit}"
        width = self._ends[1] - self._ends[0] if self._ends else 0.0
        sizes = [size for size in (width, comparison.detectable or 0.0) if size > 0]
        sizes = sizes or [abs(value) / 10 for value in (comparison.difference, *comparison.means) if abs(value) > 0]
        # Two digits of what is uncertain, and without an interval three of the number.
        self._decimals = min(max(1 - math.floor(math.log10(min(sizes, default=0.1))), 0), _MAX_DECIMALS)

    def number(self, value: float) -> str:
        """Return a number with its unit; numbers without unit have no zero before the point."""
        text = f"{value:z.{self._decimals}f}"
        return text + self._unit if self._unit else _drop_zero(text)

    def signed(self, value: float) -> str:
        """Return a number with its sign and unit."""
        text = self.number(value)
        return text if text.startswith("-") else f"+{text}"

    def interval(self, sign: int) -> str:
        """Return the interval, of the difference times `sign`."""
        if self._ends is None:
            return "no interval"
        low, high = sorted(sign * end for end in self._ends)
        return f"{self._percent:g} % interval {self.number(low).removesuffix(self._unit)} to {self.number(high)}"


def _format_p(p: float) -> str:
    return "< .0001" if p < 0.0001 else f"= {_drop_zero(f'{p:.2g}')}"


def _drop_zero(text: str) -> str:
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text


def _to_json(value: float) -> float | None:
    return value if math.isfinite(value) else None

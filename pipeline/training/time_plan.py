"""Divide the seconds of a training among its steps and validations. Only arithmetic; `end_in_time` acts on it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from statistics import median

from ..data.longer import AIM, LEAST

__all__ = ["TimePlan", "ValidationPlan", "plan_validations"]

# Share of the given time at which a training ends at the latest.
_MOST = 1.03
# A last validation that is slower than expected stops here, so that the case in work still ends before _MOST.
_LAST_CASE = 1.01
_MIN_VALIDATIONS, _MAX_VALIDATIONS = 10, 18
# All validations on all cases where they take no more than the first share. Fewer cases in between otherwise, such that
# all take the second; but at least the third is for those in between, however long the last one is.
_WHOLE_SHARE, _SHARE, _MIN_BETWEEN = 0.2, 0.15, 0.05
# Where a single case takes longer: no more than this share for the validations in between, and fewer of them.
_MAX_BETWEEN = 0.2
# An epoch with more than this share of the time left is cut short for a validation that is due.
_CUT = 0.02
# The latest steps: those of this share of the time, but at least and at most so many.
_LATEST, _MIN_STEPS, _MAX_STEPS = 0.03, 3, 51
# The latest validations, whose median counts: the speed may change just between the steps and a validation.
_RATIOS = 5
# A new plan for the validations has no more than this share of the earlier one's cases.
_LESS = 0.8


@dataclass(frozen=True)
class ValidationPlan:
    """The validations of a training.

    Args:
        count: their number, the last one included.
        cases: number of cases of each but the last, which has all.
    """

    count: int
    cases: int


def plan_validations(seconds: float, *, per_case: float, cases: int) -> ValidationPlan:
    """Choose how often to validate, and on how many cases.

    Args:
        seconds: of the whole training.
        per_case: seconds to validate a case.
        cases: number of cases that the last validation has.

    Returns:
        10 to 18 validations. All have all cases where that takes up to 20 % of the time. Otherwise those before the
        last have as many as make it 15 %, at least one. There are fewer validations only where these single cases
        would take more than 20 % of the time.
    """
    per_case = max(per_case, 1e-9)
    whole = per_case * cases
    if whole * _MIN_VALIDATIONS <= _WHOLE_SHARE * seconds:
        return ValidationPlan(min(max(int(_SHARE * seconds / whole), _MIN_VALIDATIONS), _MAX_VALIDATIONS), cases)
    between = _MIN_VALIDATIONS - 1
    room = max(_SHARE * seconds - whole, _MIN_BETWEEN * seconds)
    count = min(between, int(_MAX_BETWEEN * seconds / per_case))
    return ValidationPlan(count + 1, min(max(int(room / between / per_case), 1), cases))


class TimePlan:
    """Follow a training in its time: which share is used, when a validation is due, when to end.

    All times are seconds since the training began, resumed parts included. Durations of steps and validations are
    measured again and again, because a machine's speed changes. That of the last validation, for which time is
    reserved, changes with that of the latest steps.

    Args:
        seconds: of the whole training.

    Attributes:
        validations: set by :meth:`measure_case`.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.validations = ValidationPlan(_MIN_VALIDATIONS, 0)
        self._steps: deque[float] = deque(maxlen=_MAX_STEPS)
        self._ratios: deque[float] = deque(maxlen=_RATIOS)
        self._share = self._validated_at = 0.0

    @property
    def step(self) -> float:
        """Seconds of a step: the median of the latest."""
        return median(self._steps) if self._steps else 0.0

    @property
    def reserve(self) -> float:
        """Seconds to reserve for the last validation, at the present speed."""
        return median(self._ratios) * self.step if self._ratios else 0.0

    @property
    def last_case_at(self) -> float:
        """Time after which the last validation begins no other case."""
        return _LAST_CASE * self.seconds

    def add_step(self, seconds: float) -> None:
        """Add the duration of a step."""
        self._steps.append(max(seconds, 1e-9))
        while len(self._steps) > _MIN_STEPS and sum(self._steps) > _LATEST * self.seconds:
            self._steps.popleft()

    def add_validation(self, seconds: float) -> None:
        """Add the duration that a validation of all cases has at the present speed."""
        if self._steps:
            self._ratios.append(seconds / self.step)

    def start_validations(self, share: float, *, per_case: float, cases: int) -> None:
        """Plan the validations from the duration of one case, in a training that has come to this share."""
        self.validations = plan_validations(self.seconds, per_case=per_case, cases=cases)
        self.add_validation(per_case * cases)
        self._validated_at = share

    def plan_again(self, share: float, *, per_case: float, cases: int) -> None:
        """Plan fewer or shorter validations where one took much longer than the case that the plan was made from."""
        planned = plan_validations(self.seconds, per_case=per_case, cases=cases)
        if planned.count * planned.cases < _LESS * self.validations.count * self.validations.cases:
            self.validations = planned
            self._validated_at = share

    def share(self, now: float) -> float:
        """Return the share of the time for steps that is used, 0 to 1; it never falls."""
        self._share = max(self._share, min(now / max(AIM * self.seconds - self.reserve, 1e-9), 1.0))
        return self._share

    def share_since(self, now: float, restarted: float) -> float:
        """Return the share of the time for steps behind a warm restart that is used, 0 to 1.

        Args:
            now: the time.
            restarted: when the schedule was restarted; 0 if never.
        """
        before = min(restarted / max(AIM * self.seconds - self.reserve, 1e-9), 0.999)
        return max(self.share(now) - before, 0.0) / (1 - before)

    def is_enough(self, now: float) -> bool:
        """Return whether the last validation still fits."""
        return now + self.reserve <= _MOST * self.seconds

    def is_over(self, now: float) -> bool:
        """Return whether to validate for the last time now, rather than after another step."""
        after = now + self.step + self.reserve
        is_early = now + self.reserve < LEAST * self.seconds and after <= _MOST * self.seconds
        return after > AIM * self.seconds and not is_early

    def has_room(self, now: float, seconds: float) -> bool:
        """Return whether something of this duration, a step and the last validation fit."""
        return not self.is_over(now + seconds)

    def is_left(self, now: float) -> bool:
        """Return whether a training that has had its last validation used too little time, and can go on."""
        return now < LEAST * self.seconds and not self.is_over(now)

    def is_due(self, share: float) -> bool:
        """Return whether a validation before the last is due: at equal shares of the training."""
        part = int(share * self.validations.count)
        return self._validated_at * self.validations.count < part < self.validations.count

    def has_validated(self, share: float) -> None:
        """Note that a validation began at this share of the training."""
        self._validated_at = share

    def is_long(self, steps: int) -> bool:
        """Return whether a validation that is due should not wait for this number of steps."""
        return steps * self.step > _CUT * self.seconds

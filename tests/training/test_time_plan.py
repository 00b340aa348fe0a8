"""The arithmetic of a training's time, without a training."""

import pytest

from pipeline.training.time_plan import TimePlan, ValidationPlan, plan_validations


@pytest.mark.parametrize(
    ("per_case", "cases", "expected"),
    [
        (0.01, 10, ValidationPlan(18, 10)),  # 15 % of 600 s are 900 validations of .1 s: the most are 18
        (0.5, 12, ValidationPlan(15, 12)),  # 15 of 6 s are 90 s
        (1.0, 12, ValidationPlan(10, 12)),  # 10 of 12 s are 120 s, which is 20 %
        (1.0, 13, ValidationPlan(10, 8)),  # 90 s less the last of 13 s, by nine
        (2.0, 60, ValidationPlan(10, 1)),  # the last takes 120 s, so that the others have 30 s
        (20.0, 3, ValidationPlan(7, 1)),  # 20 % of the time are six validations of one case
        (200.0, 2, ValidationPlan(1, 1)),  # only the last
        (0.0, 3, ValidationPlan(18, 3)),
    ],
)
def test_validations_of_ten_minutes(per_case, cases, expected):
    assert plan_validations(600, per_case=per_case, cases=cases) == expected


@pytest.mark.parametrize("seconds", [60, 720, 36_000])
@pytest.mark.parametrize("share_of_case", [1e-5, 1e-4, 1e-3, 4e-3, 0.02])
@pytest.mark.parametrize("cases", [1, 3, 12, 200])
def test_at_least_eight_validations_in_a_fifth_of_the_time(seconds, share_of_case, cases):
    plan = plan_validations(seconds, per_case=share_of_case * seconds, cases=cases)
    between = (plan.count - 1) * plan.cases * share_of_case
    assert plan.count >= 8
    assert 1 <= plan.cases <= cases
    # The last one has all cases, whatever it takes.
    assert between <= 0.2
    assert between + cases * share_of_case <= 0.2 or cases * share_of_case > 0.05


def test_a_validation_is_due_once_in_each_part_of_the_training():
    plan = TimePlan(1000)
    plan.start_validations(0.01, per_case=1e-6, cases=1)
    due = []
    for permille in range(1000):
        if plan.is_due(permille / 1000):
            due.append(permille)
            plan.has_validated(permille / 1000)
    assert len(due) == plan.validations.count - 1 == 17
    assert [round(permille * 18 / 1000) for permille in due] == list(range(1, 18))


def test_validations_that_take_longer_than_their_first_case_are_planned_again():
    plan = TimePlan(600)
    plan.start_validations(0.01, per_case=0.1, cases=12)
    assert plan.validations == ValidationPlan(18, 12)
    plan.plan_again(0.06, per_case=0.11, cases=12)
    assert plan.validations == ValidationPlan(18, 12)
    plan.plan_again(0.06, per_case=2.0, cases=12)
    assert plan.validations == plan_validations(600, per_case=2.0, cases=12) == ValidationPlan(10, 3)


def test_time_is_reserved_for_the_last_validation_at_the_present_speed():
    plan = TimePlan(1000)
    for _ in range(5):
        plan.add_step(1.0)
    plan.add_validation(30.0)
    assert not plan.is_over(900)
    assert plan.is_over(970)
    for _ in range(30):
        plan.add_step(3.0)
    assert plan.reserve == 90
    assert plan.is_over(900)


def test_the_share_of_the_time_never_falls():
    plan = TimePlan(100)
    plan.add_step(1.0)
    assert plan.share(49.5) == pytest.approx(0.5)
    assert plan.share(40) == pytest.approx(0.5)
    assert plan.share(500) == 1.0


def test_a_long_step_may_end_a_little_late_but_not_leave_much_time():
    plan = TimePlan(100)
    plan.add_step(7.0)
    # At 94 s, 6 s would be lost; another step ends at 101 s.
    assert not plan.is_over(94)
    # At 97 s it would end at 104 s.
    assert plan.is_over(97)

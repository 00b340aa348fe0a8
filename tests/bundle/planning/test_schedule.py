"""The number of epochs for given hours, with a known speed."""

from collections.abc import Callable
from typing import Any

import pytest

from pipeline.bundle.planning.fingerprint import Fingerprint, make_fingerprint
from pipeline.bundle.planning.levels import make_levels
from pipeline.bundle.planning.networks import network_spec
from pipeline.bundle.planning.resources import Resources
from pipeline.bundle.planning.schedule import choose_cases_per_step, choose_schedule
from pipeline.bundle.planning.size import Size

Make = Callable[..., dict[str, Any]]
PLAIN = [1.0, 1.0, 1.0]


def prepare_resources(made: Fingerprint, resources: Resources) -> Resources:
    def arguments(size: Size) -> dict[str, Any]:
        return network_spec(size, dims=made.dims, in_channels=1, out_channels=2) | {"skip": "sum"}

    resources.plan_for(made, PLAIN[: made.dims], arguments)
    return resources


def plain_values(schedule: dict[str, Any]) -> dict[str, Any]:
    return {key: getattr(value, "value", value) for key, value in schedule.items()}


def test_by_hand(make_report: Make, steady: Callable[..., Resources]) -> None:
    # 208 cases in 5 folds, of which the largest has 42; a patch of 89,600 voxels at 1.6e-6 s takes .14336 s.
    made = make_fingerprint(make_report(cases=208, shape=(35, 50, 36)))
    resources = prepare_resources(made, steady(memory=8 * 10**9, device="cpu", hours=0.75))
    schedule, hours = choose_schedule(made, Size(16, make_levels([35, 50, 36], PLAIN), 2, "nothing"), resources)
    # .9 of 2700 s, less 18 validations of 42 scans, each as long as .35 of two patches; 166 patches in an epoch.
    validations = 18 * 42 * 2 * 0.35 * 0.14336
    epochs = int((0.9 * 2700 - validations) / (166 * 0.14336))
    assert epochs == 98
    values = plain_values(schedule)
    assert values["epochs"] == epochs
    assert values["minutes"] == 45
    assert values["val_interval"] == 5
    assert values["warmup_epochs"] == 4
    assert schedule["warmup_epochs"].reason.startswith("4.1% of the epochs")  # 4 of 98
    assert values["samples_per_case"] == 1
    assert values["learning_rate"] == 5e-3
    assert hours == pytest.approx((epochs * 166 * 0.14336 + validations) / 3600)


@pytest.mark.parametrize("hours", [0.002, 0.3, 24])
@pytest.mark.parametrize("shape", [(35, 50, 36), (200, 200, 100)])
@pytest.mark.parametrize("cases", [2, 7, 60])
def test_training_stays_within_the_hours(
    cases: int, shape: tuple[int, int, int], hours: float, make_report: Make, steady: Callable[..., Resources]
) -> None:
    made = make_fingerprint(make_report(cases=cases, folds=min(cases, 5), shape=shape))
    resources = prepare_resources(made, steady(memory=8 * 10**9, device="cpu", hours=hours))
    size = Size(8, make_levels([32, 32, 32], PLAIN), 4, "time")
    schedule, estimate = choose_schedule(made, size, resources)
    values = plain_values(schedule)
    assert values["epochs"] >= 2
    # The minimum is two epochs and a validation, also for too few hours.
    assert estimate <= hours or values["epochs"] == 2
    assert 1 <= values["val_interval"] <= values["epochs"]
    assert 1 <= values["warmup_epochs"] <= values["epochs"]
    # The share of the number that is written, not of the number that was aimed for.
    share = float(schedule["warmup_epochs"].reason.partition("%")[0])
    assert share == pytest.approx(100 * values["warmup_epochs"] / values["epochs"], abs=0.06)
    assert values["epochs"] // values["val_interval"] <= 30
    assert values["minutes"] == pytest.approx(hours * 60, abs=0.01)


def test_more_hours_never_give_fewer_epochs(make_report: Make, steady: Callable[..., Resources]) -> None:
    made = make_fingerprint(make_report(cases=20, shape=(100, 100, 100)))
    size = Size(16, make_levels([48, 48, 48], PLAIN), 2, "time")
    epochs = []
    for hours in (0.01, 0.1, 1, 100):
        resources = prepare_resources(made, steady(memory=8 * 10**9, device="cpu", hours=hours))
        epochs.append(plain_values(choose_schedule(made, size, resources)[0])["epochs"])
    assert epochs == sorted(epochs)
    assert epochs[0] < epochs[-1] <= 2000


@pytest.mark.parametrize(("cases", "per_step", "samples"), [(2, 1, 16), (3, 2, 8), (4, 2, 8), (40, 4, 4)])
def test_few_cases_give_full_steps_all_the_same(
    cases: int, per_step: int, samples: int, make_report: Make, steady: Callable[..., Resources]
) -> None:
    # One case per fold validates, so that 1, 2, 3 and 32 train.
    made = make_fingerprint(make_report(cases=cases, folds=min(cases, 5), shape=(64, 64, 64)))
    resources = prepare_resources(made, steady(memory=8 * 10**9, device="cpu", hours=10))
    size = Size(8, make_levels([16, 16, 16], PLAIN), 16, "time")
    assert choose_cases_per_step(made, size, resources) == per_step
    assert plain_values(choose_schedule(made, size, resources)[0])["samples_per_case"] == samples


def test_two_cases_are_enough_patches_in_the_hours(make_report: Make, steady: Callable[..., Resources]) -> None:
    made = make_fingerprint(make_report(cases=2, folds=2))
    resources = prepare_resources(made, steady(memory=8 * 10**9, device="cpu", hours=24))
    size = Size(16, make_levels([40, 50, 36], PLAIN), 2, "nothing")
    assert choose_cases_per_step(made, size, resources) == 1
    values = plain_values(choose_schedule(made, size, resources)[0])
    assert values["epochs"] * values["samples_per_case"] >= 12_000


def test_a_case_is_read_once_for_several_patches_only_where_it_has_room(
    make_report: Make, steady: Callable[..., Resources]
) -> None:
    small = make_fingerprint(make_report(cases=40, shape=(16, 16, 16)))
    large = make_fingerprint(make_report(cases=40, shape=(64, 64, 64)))
    size = Size(8, make_levels([16, 16, 16], PLAIN), 16, "nothing")
    for made, cases in ((small, 16), (large, 4)):
        resources = prepare_resources(made, steady(memory=8 * 10**9, device="cpu", hours=1))
        assert choose_cases_per_step(made, size, resources) == cases

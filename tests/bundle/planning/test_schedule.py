"""What fits into given hours, with a known speed."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch

from pipeline.bundle.planning.fingerprint import Fingerprint, make_fingerprint
from pipeline.bundle.planning.levels import make_levels
from pipeline.bundle.planning.networks import network_spec
from pipeline.bundle.planning.resources import Resources
from pipeline.bundle.planning.schedule import choose_cases_per_step, choose_schedule
from pipeline.bundle.planning.size import Size
from pipeline.data.errors import InputError

Make = Callable[..., dict[str, Any]]
PLAIN = [1.0, 1.0, 1.0]


def prepare_resources(made: Fingerprint, resources: Resources) -> Resources:
    def arguments(size: Size) -> dict[str, Any]:
        return network_spec(size, dims=made.dims, in_channels=1, out_channels=2) | {"skip": "sum"}

    resources.plan_for(made, PLAIN[: made.dims], arguments)
    return resources


def plain_values(schedule: dict[str, Any]) -> dict[str, Any]:
    return {key: getattr(value, "value", value) for key, value in schedule.items()}


def find_numbers(reason: str) -> list[float]:
    return [float(number.replace(",", "")) for number in re.findall(r"\d[\d,]*\.?\d*", reason)]


def test_by_hand(make_report: Make, steady: Callable[..., Resources]) -> None:
    # 208 cases in 5 folds, of which the largest has 42; a patch of 89,600 voxels at 1.6e-6 s takes .14 s.
    made = make_fingerprint(make_report(cases=208, shape=(35, 50, 36)))
    resources = prepare_resources(made, steady(memory=8 * 10**9, device="cpu", hours=0.75))
    schedule = choose_schedule(made, Size(16, make_levels([35, 50, 36], PLAIN), 2, "nothing"), resources)
    # 18 validations of 42 scans, each as long as .35 of two patches, would take 74 s: no more than 15 % of 2700 s.
    validations = 18 * 42 * 2 * 0.35 * 0.14
    patches = int((2700 - validations) / 0.14)
    assert patches == 18_756
    values = plain_values(schedule)
    open_keys = ("epochs", "val_interval", "warmup_epochs", "early_stop_patience")
    assert [values[key] for key in open_keys] == [None] * 4
    assert values["minutes"] == 45
    assert values["samples_per_case"] == 1
    assert values["loss"] == "dice_ce"
    assert values["learning_rate"] == 5e-3
    assert values["threads"] == torch.get_num_threads()
    reason = schedule["epochs"].reason
    assert "about 113, or 18,756 patches of 166 cases. At 0.14 s per patch these take 43.8 minutes" in reason
    assert f"{torch.get_num_threads()} thread" in reason


@pytest.mark.slow
@pytest.mark.parametrize("hours", [0.05, 0.3, 24])
@pytest.mark.parametrize("shape", [(35, 50, 36), (100, 100, 60)])
@pytest.mark.parametrize("cases", [2, 7, 60])
def test_the_reasons_multiply_out(
    cases: int, shape: tuple[int, int, int], hours: float, make_report: Make, steady: Callable[..., Resources]
) -> None:
    made = make_fingerprint(make_report(cases=cases, folds=min(cases, 5), shape=shape))
    resources = prepare_resources(made, steady(memory=8 * 10**9, device="cpu", hours=hours))
    schedule = choose_schedule(made, Size(8, make_levels([32, 32, 32], PLAIN), 4, "time"), resources)
    values = plain_values(schedule)
    assert values["minutes"] == pytest.approx(60 * hours)
    epochs, patches, training, seconds, minutes = find_numbers(schedule["epochs"].reason)[:5]
    assert patches * seconds / 60 == pytest.approx(minutes, rel=0.01)
    # An incomplete step is left out of an epoch.
    per_step = choose_cases_per_step(made, Size(8, make_levels([32, 32, 32], PLAIN), 4, "time"), resources)
    per_epoch = training // per_step * per_step * values["samples_per_case"]
    assert epochs * per_epoch == pytest.approx(patches, rel=0.01)
    assert 0.3 * values["minutes"] <= minutes <= values["minutes"]


@pytest.mark.parametrize("hours", [1e-6, 0.002])
def test_too_few_hours_for_a_validation_are_one_message(
    hours: float, make_report: Make, steady: Callable[..., Resources]
) -> None:
    made = make_fingerprint(make_report(cases=60, shape=(200, 200, 100)))
    resources = prepare_resources(made, steady(memory=8 * 10**9, device="cpu", hours=hours))
    with pytest.raises(InputError, match=r"--hours: .* at least .* a validation of 12 cases about"):
        choose_schedule(made, Size(8, make_levels([32, 32, 32], PLAIN), 4, "time"), resources)


def test_a_gpu_has_no_number_of_threads(make_report: Make, steady: Callable[..., Resources]) -> None:
    made = make_fingerprint(make_report(cases=20))
    resources = prepare_resources(made, steady(memory=8 * 10**9, device="cpu", hours=1))
    resources.device = "cuda"
    schedule = choose_schedule(made, Size(16, make_levels([40, 50, 36], PLAIN), 2, "nothing"), resources)
    assert schedule["threads"].value is None


@pytest.mark.parametrize(("cases", "per_step", "samples"), [(2, 1, 16), (3, 2, 8), (4, 2, 8), (40, 4, 4)])
def test_few_cases_give_full_steps_all_the_same(
    cases: int, per_step: int, samples: int, make_report: Make, steady: Callable[..., Resources]
) -> None:
    # One case per fold validates, so that 1, 2, 3 and 32 train.
    made = make_fingerprint(make_report(cases=cases, folds=min(cases, 5), shape=(64, 64, 64)))
    resources = prepare_resources(made, steady(memory=8 * 10**9, device="cpu", hours=10))
    size = Size(8, make_levels([16, 16, 16], PLAIN), 16, "time")
    assert choose_cases_per_step(made, size, resources) == per_step
    assert plain_values(choose_schedule(made, size, resources))["samples_per_case"] == samples


def test_a_case_is_read_once_for_several_patches_only_where_it_has_room(
    make_report: Make, steady: Callable[..., Resources]
) -> None:
    small = make_fingerprint(make_report(cases=40, shape=(16, 16, 16)))
    large = make_fingerprint(make_report(cases=40, shape=(64, 64, 64)))
    size = Size(8, make_levels([16, 16, 16], PLAIN), 16, "nothing")
    for made, cases in ((small, 16), (large, 4)):
        resources = prepare_resources(made, steady(memory=8 * 10**9, device="cpu", hours=1))
        assert choose_cases_per_step(made, size, resources) == cases

"""Memory, device and hours: reading them, and the estimates from them."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from pipeline.bundle.planning.fingerprint import make_fingerprint
from pipeline.bundle.planning.levels import make_levels
from pipeline.bundle.planning.memory import estimate_memory
from pipeline.bundle.planning.networks import network_spec
from pipeline.bundle.planning.resources import Resources
from pipeline.bundle.planning.size import Size
from pipeline.data.errors import InputError

Make = Callable[..., dict[str, Any]]
SIZE = Size(8, make_levels([32, 32, 32], [1, 1, 1]), 2, "nothing")


@pytest.mark.parametrize("hours", [0, -1, float("nan"), float("inf"), 1e9, 8785])
def test_hours_are_a_number_above_nothing_and_at_most_a_year(hours: float) -> None:
    with pytest.raises(InputError, match="--hours") as raised:
        Resources(memory=10**9, device="cpu", hours=hours)
    assert raised.value.expected == "a number of hours above 0, at most 8784 (a year)"


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", "CPU", "mps", "cpu:0"])
def test_devices_are_those_that_a_training_knows(device: str) -> None:
    with pytest.raises(InputError, match="--device"):
        Resources(memory=10**9, device=device)


def test_a_gpu_that_is_not_here_needs_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(InputError, match="24GB"):
        Resources(device="cuda")
    assert Resources(device="cuda", memory=24 * 10**9).memory == 24 * 10**9
    assert "40 times" in Resources(device="cuda", memory=24 * 10**9).pace_source()


def test_a_gpu_with_a_number_that_this_machine_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert Resources(device="cuda:1", memory=10**9).device == "cuda:1"
    with pytest.raises(InputError, match="cuda:0 to cuda:1"):
        Resources(device="cuda:2", memory=10**9)


@pytest.mark.parametrize(("device", "megabytes"), [("cpu", 498), ("cuda", 629)])
def test_memory_that_no_training_fits_into_is_refused_before_scans_are_read(device: str, megabytes: int) -> None:
    # 475 and 600 MiB: a process without a network.
    with pytest.raises(InputError, match="--memory") as raised:
        Resources(memory=megabytes * 10**6, device=device)
    assert "before it has a network and scans" in raised.value.expected
    assert Resources(memory=(megabytes + 1) * 10**6, device=device).device == device


def test_free_memory_is_taken_where_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.bundle.planning.resources.free_bytes", lambda: 10**10)
    assert Resources(device="cpu").memory == 8 * 10**9


def at(made: Any, **options: Any) -> Resources:
    resources = Resources(**options)

    def arguments(size: Size) -> dict[str, Any]:
        return network_spec(size, dims=3, in_channels=1, out_channels=2) | {"skip": "sum"}

    resources.plan_for(made, [1.0, 1.0, 2.0], arguments)
    return resources


def test_estimates_are_of_the_scans_at_the_spacing_of_the_plan(make_report: Make) -> None:
    report = make_report(cases=4, folds=2, shape=(40, 40, 40), spacing=(1.0, 1.0, 1.0))
    report["cases"][3]["shape"] = [80, 50, 41]
    resources = at(make_fingerprint(report), memory=10**9, device="cpu")
    network = network_spec(SIZE, dims=3, in_channels=1, out_channels=2) | {"skip": "sum"}
    expected = estimate_memory(
        network,
        patch=[32, 32, 32],
        batch=2,
        window=[32, 32, 32],
        largest_scan=[80, 50, 21],
        largest_native=[80, 50, 41],
        cases_voxels=[40 * 40 * 20] * 3 + [80 * 50 * 41 // 2],
    )
    assert resources.estimate(SIZE) == expected
    assert resources.memory_of(SIZE) == expected.total - expected.cache


@pytest.mark.slow
def test_prepared_cases_that_do_not_fit_stay_on_disk(make_report: Make) -> None:
    made = make_fingerprint(make_report(cases=100, shape=(100, 100, 100)))
    plenty = at(made, memory=10**12, device="cpu")
    least, cache = plenty.memory_of(SIZE), plenty.estimate(SIZE).cache
    assert plenty.cache_rate(SIZE).value == 1
    assert plenty.planned_memory(SIZE) == least + cache
    half = at(made, memory=least + cache // 2 + 1000, device="cpu")
    assert half.cache_rate(SIZE).value == pytest.approx(0.5, abs=0.011)
    assert least < half.planned_memory(SIZE) <= half.memory
    none = at(made, memory=least, device="cpu")
    assert none.cache_rate(SIZE).value == 0
    assert none.planned_memory(SIZE) == least


def test_prepared_cases_do_not_lie_in_a_gpu_but_in_ram(make_report: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_fingerprint(make_report(cases=1000, shape=(100, 100, 100)))
    resources = at(made, memory=8 * 10**9, device="cuda")
    estimate = resources.estimate(SIZE)
    assert 0 < resources.memory_of(SIZE) == estimate.total < estimate.cache
    for free, rate in ((10**12, 1.0), (1.25 * (estimate.host - estimate.cache / 2), 0.5), (10**8, 0.0)):
        monkeypatch.setattr("pipeline.bundle.planning.resources.free_bytes", lambda free=free: free)
        assert resources.cache_rate(SIZE).value == pytest.approx(rate, abs=0.011)
    assert resources.planned_memory(SIZE) == estimate.total


def test_too_little_memory_names_what_is_needed(make_report: Make) -> None:
    made = make_fingerprint(make_report())
    resources = at(made, memory=500 * 10**6, device="cpu")
    with pytest.raises(InputError, match=r"found 0\.47 GiB; expected at least 0\.\d+ GiB, for the smallest network"):
        resources.require_enough(SIZE)
    at(made, memory=10**10, device="cpu").require_enough(SIZE)


def test_a_network_is_timed_once(make_report: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    timed = []

    def pace(network: dict[str, Any], divisor: list[int], *, device: str) -> float:
        timed.append((network["channels"][0], divisor, device))
        return 1e-6

    monkeypatch.setattr("pipeline.bundle.planning.resources.measure_pace", pace)
    resources = at(make_fingerprint(make_report()), memory=10**9, device="cpu")
    assert resources.seconds_of(SIZE) == pytest.approx(32**3 * 1e-6)
    # The same strides with another patch.
    assert resources.seconds_of(Size(8, make_levels([40, 40, 40], [1, 1, 1]), 2, "")) == pytest.approx(0.064)
    assert timed == [(8, [8, 8, 8], "cpu")]
    resources.seconds_of(Size(16, make_levels([40, 40, 40], [1, 1, 1]), 2, ""))
    assert len(timed) == 2

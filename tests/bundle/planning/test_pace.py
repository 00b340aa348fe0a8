"""The timed step: the right network, on a patch that it takes. Its duration depends on the machine."""

from collections.abc import Iterable
from math import prod

import pytest
import torch

from pipeline.bundle.planning import pace
from pipeline.bundle.planning.levels import make_levels
from pipeline.bundle.planning.networks import network_spec
from pipeline.bundle.planning.size import Size


@pytest.mark.parametrize("divisor", [[8, 8, 8], [16, 16, 2], [16, 1, 16], [1, 1, 2], [32, 32], [2, 1]])
def test_the_timed_patch_is_small_and_fits_the_strides(divisor: list[int]) -> None:
    patch = pace._small_patch(divisor, voxels=40_000)
    assert all(side % step == 0 and side > 1 for side, step in zip(patch, divisor, strict=True))
    assert 40_000 <= prod(patch) <= 120_000


def set_clock(monkeypatch: pytest.MonkeyPatch, seconds: Iterable[int]) -> None:
    ticks = iter(seconds)
    monkeypatch.setattr(pace, "_now", lambda _: float(next(ticks)))


def test_seconds_per_voxel_by_a_clock_of_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    # The first step takes 9 s, the others 4 and 3.
    set_clock(monkeypatch, [0, 9, 10, 14, 20, 23])
    levels = make_levels([32, 32, 32], [1, 1, 1])
    network = network_spec(Size(2, levels, 2, ""), dims=3, in_channels=2, out_channels=3) | {"skip": "sum"}
    before = torch.random.get_rng_state()
    voxels = 2 * prod(pace._small_patch(levels.divisor, voxels=80_000))
    assert pace.measure_pace(network, levels.divisor, device="cpu") == pytest.approx(1.2 * 3 / voxels)
    # What comes after draws the random numbers that it would have drawn.
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_gpu_that_is_not_here_counts_as_so_many_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    set_clock(monkeypatch, range(16))
    levels = make_levels([32, 32], [1, 1])
    network = network_spec(Size(2, levels, 2, ""), dims=2, in_channels=1, out_channels=2) | {"skip": "sum"}
    here, away = (pace.measure_pace(network, levels.divisor, device=device) for device in ("cpu", "cuda"))
    assert here == pytest.approx(pace.ASSUMED_SPEEDUP * away)

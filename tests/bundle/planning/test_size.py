"""Patch, width and batch within limits, with known memory and speed."""

from collections.abc import Sequence
from itertools import pairwise
from math import prod

import pytest

from pipeline.bundle.planning.networks import convolutions_per_level
from pipeline.bundle.planning.size import MIN_PATCHES, PATCHES, TIME_SHARE, WIDTHS, Size, choose_size

HOUR = 3600
SHAPES = [
    ([512, 512, 300], [0.8, 0.8, 1.5]),
    ([320, 320, 12], [0.6, 0.6, 6.0]),
    ([240, 240, 155], [1.0, 1.0, 1.0]),
    ([60, 300, 40], [1.0, 1.0, 4.0]),
    ([512, 512], [1.0, 1.0]),
    ([1500, 400], [0.5, 1.0]),
]


def bytes_of(size: Size) -> int:
    """As a network without levels would take: what it holds for every voxel of every patch."""
    return 200 * size.width * size.batch * size.voxels


def seconds_of(size: Size) -> float:
    return 1e-7 * size.width * size.voxels


def chosen(
    shape: Sequence[int],
    spacing: Sequence[float],
    *,
    gigabytes: float = 1e6,
    hours: float = 1e6,
    uncut: Sequence[int] = (),
) -> Size:
    return choose_size(
        shape,
        spacing,
        memory=bytes_of,
        memory_limit=int(gigabytes * 1e9),
        seconds=seconds_of,
        seconds_limit=hours * HOUR,
        uncut=uncut,
    )


def test_a_small_scan_is_taken_whole() -> None:
    size = chosen([35, 50, 36], [1, 1, 1])
    assert (size.width, size.levels.patch, size.batch, size.limited_by) == (32, [40, 56, 40], 2, "nothing")
    assert size.channels == [32, 64, 128, 256]
    assert size.voxels == 40 * 56 * 40


def test_widths_double_up_to_320() -> None:
    assert chosen([128, 128, 128], [1, 1, 1]).channels == [32, 64, 128, 256, 320]


def test_width_gives_way_to_the_hours_by_hand() -> None:
    # 89,600 voxels, .85 of the time for 12,000 patches: width 16 takes .478 h of it, width 24 .717 h.
    assert round(1e-7 * 16 * 89_600 * PATCHES / HOUR, 3) == 0.478
    assert chosen([35, 50, 36], [1, 1, 1], hours=0.48 / TIME_SHARE).width == 16
    assert chosen([35, 50, 36], [1, 1, 1], hours=0.47 / TIME_SHARE).width == 8
    assert chosen([35, 50, 36], [1, 1, 1], hours=0.71 / TIME_SHARE).width == 16
    assert chosen([35, 50, 36], [1, 1, 1], hours=0.72 / TIME_SHARE).width == 24


@pytest.mark.parametrize(("shape", "spacing"), SHAPES)
@pytest.mark.parametrize("gigabytes", [0.5, 2, 8, 24])
@pytest.mark.parametrize("hours", [0.5, 2, 24])
def test_limits_are_kept(shape: list[int], spacing: list[float], gigabytes: float, hours: float) -> None:
    size = chosen(shape, spacing, gigabytes=gigabytes, hours=hours)
    assert bytes_of(size) <= gigabytes * 1e9
    is_short = size.width == WIDTHS[-1] and size.voxels <= 48**3
    assert seconds_of(size) * (MIN_PATCHES if is_short else PATCHES) <= hours * HOUR * TIME_SHARE
    assert size.batch in (2, 4, 8, 16)
    assert all(
        side <= whole + step for side, whole, step in zip(size.levels.patch, shape, size.levels.divisor, strict=True)
    )


@pytest.mark.slow
@pytest.mark.parametrize(("shape", "spacing"), SHAPES)
@pytest.mark.parametrize("uncut", [(), (0,)])
@pytest.mark.parametrize("growing", ["gigabytes", "hours"])
def test_more_of_anything_never_gives_a_smaller_patch_or_a_narrower_network(
    growing: str, uncut: tuple[int, ...], shape: list[int], spacing: list[float]
) -> None:
    other = {"gigabytes": {"hours": 3.0}, "hours": {"gigabytes": 1.5}}[growing]
    sizes = [chosen(shape, spacing, **{growing: 0.05 * 1.4**step}, **other, uncut=uncut) for step in range(22)]
    for smaller, larger in pairwise(sizes):
        assert larger.width >= smaller.width
        if larger.width == smaller.width:
            assert larger.voxels >= smaller.voxels


@pytest.mark.parametrize(
    ("shape", "spacing", "gigabytes", "hours"),
    [
        ([238, 48, 266], [1, 1, 2], 1.731, 10.588),
        ([308, 89, 193], [1, 1, 4], 0.678, 10.588),
        ([43, 171, 26], [1, 1, 1], 0.32, 0.122),
    ],
)
def test_more_hours_where_memory_is_the_limit(
    shape: list[int], spacing: list[float], gigabytes: float, hours: float
) -> None:
    # A batch of small patches may take more memory than one of larger ones.
    before, after = (chosen(shape, spacing, gigabytes=gigabytes, hours=each) for each in (hours / 1.25, hours))
    assert (after.width, after.voxels) >= (before.width, before.voxels)


def test_a_limit_below_the_smallest_size_is_found_at_once() -> None:
    tried = []

    def count(size: Size) -> int:
        tried.append(size)
        return bytes_of(size)

    spans = {"seconds": seconds_of, "seconds_limit": 1e6 * HOUR}
    size = choose_size([240, 240, 155], [1, 1, 1], memory=count, memory_limit=1000, **spans)
    assert (size.width, size.levels.patch, size.batch) == (8, [32, 32, 32], 2)
    # The size that time allows, and the smallest: an estimate traces a network, and is what takes long.
    assert len(tried) == 2


def test_short_trainings_have_fewer_patches_of_a_useful_size() -> None:
    # 98,304 voxels take .079 s with the narrowest network: 1,200 patches 94 s, of .85 of the time.
    patches = {hours: chosen([160, 192, 24], [1, 1, 1], hours=hours).levels.patch for hours in (0.02, 0.035, 0.2, 0.3)}
    assert patches[0.035] == patches[0.2] == [64, 64, 24]
    assert prod(patches[0.02]) < 64 * 64 * 24
    assert MIN_PATCHES * 1e-7 * 8 * prod(patches[0.02]) <= 0.02 * HOUR * TIME_SHARE
    # Here 12,000 patches of that size do not fit yet either.
    assert patches[0.3] == [64, 64, 24]
    assert prod(chosen([160, 192, 24], [1, 1, 1], hours=0.5).levels.patch) > 64 * 64 * 24


def test_the_smallest_size_where_nothing_fits() -> None:
    for limits in ({"gigabytes": 1e-6}, {"hours": 1e-6}, {"gigabytes": 1e-6, "hours": 1e-6}):
        size = chosen([240, 240, 155], [1, 1, 1], **limits)
        assert (size.width, size.levels.patch) == (8, [32, 32, 32])
    assert chosen([240, 240, 155], [1, 1, 1], gigabytes=1e-6).batch == 2
    assert chosen([512, 512], [1, 1], gigabytes=1e-6).levels.patch == [64, 64]


@pytest.mark.parametrize(
    ("limits", "by"), [({}, "worth"), ({"gigabytes": 2}, "memory"), ({"hours": 2}, "time")], ids=str
)
def test_what_limited_a_patch_is_told(limits: dict[str, float], by: str) -> None:
    assert chosen([512, 512, 300], [0.8, 0.8, 1.5], **limits).limited_by == by


def test_a_patch_is_a_cube_of_tissue() -> None:
    size = chosen([512, 512, 300], [0.8, 0.8, 1.6], hours=4)
    mm = [side * apart for side, apart in zip(size.levels.patch, [0.8, 0.8, 1.6], strict=True)]
    # As far as rounding up to a multiple of 16 voxels lets it.
    assert max(mm) - min(mm) <= 16 * 1.6


def test_a_thin_scan_keeps_its_slices() -> None:
    assert chosen([320, 320, 12], [0.6, 0.6, 6], hours=2).levels.patch[2] == 12


def test_an_axis_stays_whole_where_the_others_can_be_cut() -> None:
    size = chosen([160, 160, 160], [1, 1, 1], hours=4, uncut=[0])
    assert size.levels.patch[0] >= 160
    assert size.levels.patch[1] < 160
    assert chosen([160, 160, 160], [1, 1, 1], hours=1e-3, uncut=[0]).levels.patch == [32, 32, 32]


def test_small_patches_come_in_larger_batches() -> None:
    # 180,000 voxels or so in a step, 2 to 16 patches.
    assert [chosen([side] * 3, [1, 1, 1]).batch for side in (16, 32, 48, 64)] == [16, 4, 2, 2]


def test_convolutions_of_four_levels_are_those_of_the_hippocampus() -> None:
    assert convolutions_per_level(4) == ([1, 2, 2, 2], [1, 1, 2])
    assert convolutions_per_level(2) == ([1, 2], [1])
    assert convolutions_per_level(6) == ([1, 2, 2, 2, 2, 2], [1, 1, 2, 2, 2])

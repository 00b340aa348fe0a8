"""Depth, strides and kernels, by hand and with a network that runs."""

from collections.abc import Sequence

import pytest
import torch

from pipeline.bundle.planning.levels import make_levels
from pipeline.bundle.planning.networks import network_spec
from pipeline.bundle.planning.size import Size
from pipeline.networks import build_network

ALL, PLANE, THROUGH = [2, 2, 2], [2, 2, 1], [1, 1, 2]


@pytest.mark.parametrize(
    ("size", "spacing", "patch", "strides"),
    [
        # 40 is halved to 20, 10 and 5, 56 to 28, 14 and 7: less than 8, so there it ends.
        ([35, 50, 36], [1, 1, 1], [40, 56, 40], [ALL] * 3),
        # Five levels at most: 128 to 8.
        ([128, 128, 128], [1, 1, 1], [128, 128, 128], [ALL] * 4),
        # 6 mm is twice 2.4 mm and more, but not twice 4.8: slices are halved from the fourth time on.
        ([96, 96, 12], [0.6, 0.6, 6], [96, 96, 12], [PLANE, PLANE, PLANE, ALL]),
        # An axis that is too short to be halved stays at 4 mm and does not keep the others from going on.
        ([128, 128, 16], [1, 1, 1], [128, 128, 16], [ALL, ALL, PLANE, PLANE]),
        ([256, 256, 2], [1, 1, 1], [256, 256, 2], [PLANE] * 4),
        ([64, 64, 1], [1, 1, 1], [64, 64, 1], [PLANE] * 4),
        # Slices are halved alone where the others have become too short.
        ([40, 40, 16], [1.05, 1.05, 4.685], [40, 40, 16], [PLANE, PLANE, ALL, THROUGH]),
        # Six levels at most in 2D.
        ([512, 512], [1, 1], [512, 512], [[2, 2]] * 5),
        ([64, 64], [1, 1], [64, 64], [[2, 2]] * 4),
        # Two levels at least.
        ([7, 6, 5], [1, 1, 1], [8, 6, 5], [[2, 1, 1]]),
    ],
)
def test_strides_by_hand(size: list[int], spacing: list[float], patch: list[int], strides: list[list[int]]) -> None:
    levels = make_levels(size, spacing)
    assert levels.patch == patch
    assert levels.strides == strides


@pytest.mark.parametrize(
    ("size", "spacing", "kernels"),
    [
        ([64, 64, 64], [1, 1, 1], [[3, 3, 3]] * 5),
        ([96, 96, 12], [0.6, 0.6, 6], [[3, 3, 1]] * 3 + [[3, 3, 3]] * 2),
        ([96, 96, 12], [1, 1, 1.9], [[3, 3, 3]] * 5),
        ([96, 96, 12], [1, 1, 2.0], [[3, 3, 1]] + [[3, 3, 3]] * 4),
        ([96, 12, 96], [1, 5, 1], [[3, 1, 3]] * 2 + [[3, 3, 3]] * 3),
        ([64, 64, 1], [1, 1, 1], [[3, 3, 1]] * 5),
    ],
)
def test_kernels_do_not_mix_what_lies_far_apart(
    size: list[int], spacing: list[float], kernels: list[list[int]]
) -> None:
    assert make_levels(size, spacing).kernels == kernels


SHAPES = [
    ([35, 50, 36], [1.0, 1.0, 1.0]),
    ([61, 47, 53], [0.9, 1.0, 1.1]),
    ([72, 72, 12], [0.6, 0.6, 6.0]),
    ([12, 72, 72], [6.0, 0.6, 0.6]),
    ([72, 12, 72], [0.8, 3.0, 0.8]),
    ([40, 40, 16], [1.05, 1.05, 4.685]),
    ([64, 64, 16], [1.0, 1.0, 1.0]),
    ([64, 64, 2], [1.0, 1.0, 1.0]),
    ([64, 64, 1], [1.0, 1.0, 8.0]),
    ([9, 9, 9], [2.0, 2.0, 2.0]),
    ([5, 4, 4], [1.0, 1.0, 1.0]),
    ([30, 20, 10], [1.0, 2.0, 4.0]),
    ([64, 64], [1.0, 1.0]),
    ([150, 37], [0.3, 1.0]),
    ([33, 200], [1.0, 1.0]),
    ([9, 7], [1.0, 1.0]),
]


@pytest.mark.slow
@pytest.mark.parametrize(("size", "spacing"), SHAPES, ids=lambda numbers: "x".join(f"{n:g}" for n in numbers))
def test_networks_take_the_patch_and_train_on_it(size: Sequence[int], spacing: Sequence[float]) -> None:
    levels = make_levels(size, spacing)
    divisor = [1] * len(size)
    for step in levels.strides:
        divisor = [product * stride for product, stride in zip(divisor, step, strict=True)]
    assert levels.divisor == divisor
    assert all(side % step == 0 for side, step in zip(levels.patch, divisor, strict=True))
    # What was asked for, and less than one more step of it.
    assert all(0 <= side - asked < step for side, asked, step in zip(levels.patch, size, divisor, strict=True))
    spec = network_spec(Size(2, levels, 2, "nothing"), dims=len(size), in_channels=2, out_channels=3)
    network = build_network(spec | {"skip": ["sat", {"maps": 4, "gate": "linear", "merge": "sum"}]})
    assert list(network.size_divisor) == divisor
    logits = network(torch.randn(1, 2, *levels.patch))
    assert list(logits.shape) == [1, 3, *levels.patch]
    logits.square().mean().backward()
    assert all(each.grad is None or torch.isfinite(each.grad).all() for each in network.parameters())

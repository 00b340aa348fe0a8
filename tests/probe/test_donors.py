from typing import Any

import pytest
import torch
from monai.inferers.inferer import SlidingWindowInferer
from torch import Tensor

from pipeline.inference import PrecisionSlidingWindowInferer
from pipeline.networks import VNet
from pipeline.probe.donors import DonorWindows, assign_donors, infer_with_donor


@pytest.mark.parametrize("cases", [2, 3, 10])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_cases_give_in_one_ring(cases: int, seed: int) -> None:
    donors = assign_donors(cases, seed)
    assert donors == assign_donors(cases, seed)
    visited, case = [], 0
    for _ in range(cases):
        visited.append(case)
        case = donors[case]
    assert sorted(visited) == list(range(cases))
    assert case == 0


def test_another_seed_gives_another_ring() -> None:
    assert len({tuple(assign_donors(10, seed)) for seed in range(5)}) == 5


def ramp(length: int) -> Tensor:
    """A scan (1, length, 8) whose values are the index along the first axis."""
    return torch.arange(length, dtype=torch.float32)[None, :, None].expand(1, length, 8)


@pytest.mark.parametrize(
    ("length", "start", "other", "first"),
    [
        # Windows of 8 move 12 voxels in the case, 4 in the other: the start moves a third as far.
        (20, 0, 12, 0),
        (20, 6, 12, 2),
        (20, 12, 12, 4),
        # The other is larger.
        (12, 2, 20, 6),
        # Windows cannot move in the case, which has 8 or fewer voxels: the middle of the other.
        (8, 0, 14, 3),
        (5, 0, 14, 3),
        # The other is a window long.
        (20, 6, 8, 0),
    ],
)
def test_a_window_has_its_counterpart_at_the_same_relative_place(
    length: int, start: int, other: int, first: int
) -> None:
    inferer = SlidingWindowInferer(roi_size=(8, 8))
    window = DonorWindows(inferer, (length, 8), ramp(other)).find([start, 0])
    assert window.shape == (1, 8, 8)
    assert window[0, :, 0].tolist() == list(range(first, first + 8))


def test_a_small_donor_is_padded_as_the_inferer_pads() -> None:
    inferer = SlidingWindowInferer(roi_size=(8, 8))
    window = DonorWindows(inferer, (20, 8), ramp(5) + 1).find([6, 0])
    # Three missing voxels: one before, two after.
    assert window[0, :, 0].tolist() == [0, 1, 2, 3, 4, 5, 0, 0]
    seen: list[Tensor] = []

    def look(x: Tensor) -> Tensor:
        seen.append(x)
        return x

    inferer((ramp(5) + 1)[None], look)
    assert torch.equal(seen[0][0], window)


def make_network(skip: Any = "sat") -> VNet:
    torch.manual_seed(0)
    norm = ("instance", {"affine": True})
    network = VNet(2, 1, 3, (4, 8, 8), kernel_size=3, norm=norm, skip=skip, residual="decoder")
    return network.eval().requires_grad_(False)


def make_case(*shape: int, seed: int) -> Tensor:
    return torch.randn((1, *shape), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("skip", ["sat", "concat", "sum"])
def test_a_case_that_gives_to_itself_is_unchanged(skip: str, level: int) -> None:
    network = make_network(skip)
    inferer = PrecisionSlidingWindowInferer(roi_size=(16, 16), sw_batch_size=2, overlap=0.5, mode="gaussian")
    case = make_case(28, 12, seed=1)
    found = infer_with_donor(inferer, network, list(network.skips().values())[level], case[None], case)
    assert torch.equal(found, inferer(case[None], network))
    assert not inferer.with_coord


def test_one_level_reads_the_other_case() -> None:
    network = make_network("concat")
    inferer = SlidingWindowInferer(roi_size=(16, 16))
    case, other = make_case(16, 16, seed=1), make_case(16, 16, seed=2)
    skip = next(iter(network.skips().values()))
    found = infer_with_donor(inferer, network, skip, case[None], other)
    # The encoder's features of the other case, written into the forward pass of the case by a hook.
    features: list[Tensor] = []
    network.encoder[0].register_forward_hook(lambda _module, _inputs, output: features.append(output))
    network(other[None])
    up: Any = network.decoder[-1]
    up.register_forward_pre_hook(lambda _module, inputs: (inputs[0], features[0]))
    expected = network(case[None])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    assert not torch.allclose(found, make_network("concat")(case[None]), atol=1e-3)

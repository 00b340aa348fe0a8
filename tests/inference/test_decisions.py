"""Labels and patterns of regions from probabilities, against NumPy and SciPy."""

from math import log

import numpy as np
import pytest
import torch
from scipy import stats

from pipeline.inference.buffers import Buffers
from pipeline.inference.decisions import MostProbable, RegionPatterns, fits_byte

SHAPE = (4, 3, 6)


def draw(channels: int) -> torch.Tensor:
    return torch.randn((channels, *SHAPE), generator=torch.Generator().manual_seed(0))


def test_probabilities_of_labels_are_a_softmax() -> None:
    logits, out = draw(4), torch.empty(4, *SHAPE)
    MostProbable(4).activate(logits, out)
    torch.testing.assert_close(out, torch.softmax(logits, 0))


def test_probabilities_of_regions_are_sigmoids() -> None:
    logits, out = draw(4), torch.empty(4, *SHAPE)
    RegionPatterns(4).activate(logits, out)
    np.testing.assert_allclose(out.numpy(), 1 / (1 + np.exp(-logits.numpy())), atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32])
def test_the_most_probable_class_is_argmax(dtype: torch.dtype) -> None:
    probabilities = torch.randint(0, 4, (5, *SHAPE), generator=torch.Generator().manual_seed(0)).float()
    found = MostProbable(5).choose(iter(probabilities), dtype, Buffers(torch.device("cpu")))
    assert found.dtype == dtype
    np.testing.assert_array_equal(found.numpy(), probabilities.numpy().argmax(axis=0))


@pytest.mark.parametrize(("regions", "dtype"), [(1, torch.uint8), (8, torch.uint8), (16, torch.int32)])
def test_a_pattern_has_a_bit_for_each_region_above_a_half(regions: int, dtype: torch.dtype) -> None:
    probabilities = torch.sigmoid(draw(regions))
    probabilities[:, 0, 0, 0] = 0.5  # not above
    probabilities[:, 0, 0, 1] = 1
    found = RegionPatterns(regions).choose(iter(probabilities), dtype, Buffers(torch.device("cpu"))).numpy()
    expected = ((probabilities.numpy() > 0.5) * 2 ** np.arange(regions).reshape(-1, 1, 1, 1)).sum(axis=0)
    np.testing.assert_array_equal(found, expected)
    assert found[0, 0, 0] == 0
    assert found[0, 0, 1] == 2**regions - 1


def test_entropy_of_labels_is_a_share_of_its_maximum() -> None:
    probabilities = torch.softmax(draw(3), 0)
    expected = stats.entropy(probabilities.numpy(), axis=0) / log(3)
    np.testing.assert_allclose(MostProbable(3).entropy(probabilities).numpy(), expected, atol=1e-6)


def test_entropy_of_regions_is_that_of_their_patterns_as_a_share_of_its_maximum() -> None:
    probabilities = torch.sigmoid(draw(3))
    p = probabilities.double().numpy()
    # The regions are independent: each of the 8 patterns has the product of their probabilities.
    inside = np.indices((2, 2, 2)).reshape(3, 8).T.astype(bool)
    patterns = np.stack([np.where(one.reshape(3, 1, 1, 1), p, 1 - p).prod(axis=0) for one in inside])
    expected = stats.entropy(patterns, axis=0) / log(8)
    np.testing.assert_allclose(RegionPatterns(3).entropy(probabilities).numpy(), expected, atol=1e-6)
    sure = torch.tensor([0.0, 1.0, 0.5]).view(3, 1)
    assert RegionPatterns(3).entropy(sure).item() == pytest.approx(1 / 3)


def test_a_byte_holds_the_labels_of_256_classes_and_the_patterns_of_eight_regions() -> None:
    assert fits_byte(MostProbable(256))
    assert not fits_byte(MostProbable(257))
    assert fits_byte(RegionPatterns(8))
    assert not fits_byte(RegionPatterns(9))

import math

import numpy as np
import pytest
import torch
from monai.metrics.calibration import calibration_binning

from pipeline.evaluation.calibration import measure_calibration

LABELS = {"background": 0, "a": 1, "b": 2}


def draw(seed, shape=(4, 5, 6), classes=3):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(classes, 0.7), shape)
    return np.moveaxis(probabilities, -1, 0), rng.integers(0, classes, shape)


def test_two_voxels_by_hand():
    probabilities = np.array([[[0.8, 0.3]], [[0.2, 0.7]]])
    found = measure_calibration(probabilities, np.array([[0, 0]]), {"background": 0, "a": 1})
    # Confidences .8 (correct) and .7 (wrong) are in different bins.
    assert found["ece"] == pytest.approx((0.2 + 0.7) / 2)
    assert found["brier"] == pytest.approx((2 * 0.04 + 2 * 0.49) / 2)


@pytest.mark.parametrize("seed", range(3))
def test_it_agrees_with_monais_bins_and_with_brute_force(seed):
    probabilities, reference = draw(seed)
    confidence = torch.from_numpy(probabilities.max(axis=0))[None, None]
    correct = torch.from_numpy(probabilities.argmax(axis=0) == reference)[None, None].float()
    confidences, accuracies, counts = calibration_binning(confidence, correct, num_bins=15)
    error = (confidences - accuracies).abs().nan_to_num() * counts / counts.sum()
    one_hot = np.stack([reference == value for value in range(3)])
    for labels in (reference, torch.from_numpy(reference)[None]):
        found = measure_calibration(probabilities, labels, LABELS)
        assert found["ece"] == pytest.approx(error.sum().item(), abs=1e-6)
        assert found["brier"] == pytest.approx(((probabilities - one_hot) ** 2).sum(axis=0).mean())


def test_sure_and_right_is_perfect_and_sure_and_wrong_is_worst():
    _, reference = draw(0)
    right = np.stack([reference == value for value in range(3)]).astype(np.float16)
    assert measure_calibration(right, reference, LABELS) == {"ece": 0, "brier": 0}
    assert measure_calibration(np.roll(right, 1, axis=0), reference, LABELS) == {"ece": 1, "brier": 2}


def test_only_the_region_counts():
    probabilities, reference = draw(1)
    region = np.zeros(reference.shape, dtype=bool)
    region[1:3, :, 2:] = True
    part = measure_calibration(probabilities[:, 1:3, :, 2:], reference[1:3, :, 2:], LABELS)
    assert measure_calibration(probabilities, reference, LABELS, region=region) == pytest.approx(part)
    empty = measure_calibration(probabilities, reference, LABELS, region=region & False)
    assert all(math.isnan(value) for value in empty.values())


PROBABILITIES, REFERENCE = draw(2)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"probabilities": PROBABILITIES * 2}, "add up to 1"),
        ({"probabilities": np.stack([PROBABILITIES[0] + 2, -PROBABILITIES[0], 0 * PROBABILITIES[0] - 1])}, "from -"),
        ({"probabilities": PROBABILITIES[:, 1:]}, r"\(3, 3, 5, 6\)"),
        ({"probabilities": PROBABILITIES[:2] / PROBABILITIES[:2].sum(axis=0)}, r"\[2\].*below 2"),
        ({"reference": REFERENCE + 7}, r"\[7, 8, 9\]"),
        ({"reference": REFERENCE + 0.5}, "no integers"),
        ({"region": np.ones((2, 2))}, r"region \(2, 2\)"),
        ({"bins": 0}, "0 bins"),
    ],
)
def test_wrong_input_is_named(change, words):
    arguments = {"probabilities": PROBABILITIES, "reference": REFERENCE, **change}
    with pytest.raises(ValueError, match=words):
        measure_calibration(arguments.pop("probabilities"), arguments.pop("reference"), LABELS, **arguments)

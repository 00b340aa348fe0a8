import math

import pytest
import torch

from pipeline.evaluation.present_dice import PresentDice


def label_map(*values: int) -> torch.Tensor:
    return torch.tensor(values).reshape(1, 1, len(values), 1)


@pytest.mark.parametrize(
    ("prediction", "reference", "expected"),
    [
        # Two of two voxels, and one of the one that both have: 2 · 1 / (1 + 2).
        (label_map(1, 1, 2, 0), label_map(1, 1, 2, 2), [1, 2 / 3]),
        # Rightly not found.
        (label_map(1, 0, 0, 0), label_map(1, 0, 0, 0), [1, math.nan]),
        # Found where there is nothing, and missed.
        (label_map(0, 2, 0, 0), label_map(1, 0, 0, 0), [0, 0]),
    ],
)
def test_absent_structures(prediction, reference, expected):
    dice = PresentDice(3)(prediction, reference)
    torch.testing.assert_close(dice, torch.tensor([expected]), equal_nan=True, check_dtype=False)


def test_the_mean_counts_what_there_is():
    metric = PresentDice(3, reduction="mean_batch")
    metric(label_map(1, 0), label_map(1, 0))
    metric(label_map(1, 2), label_map(1, 0))
    assert metric.aggregate().tolist() == [1, 0]

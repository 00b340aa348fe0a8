import math

import pytest
import torch

from pipeline.evaluation.metrics import measure_case
from pipeline.evaluation.present_dice import PresentDice
from pipeline.evaluation.summary import summarise

LABELS = {"organ": 1, "lesion": 2}


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


# Dice of the organ: 1, 0.8 (2 of 2 and 3), 0 (missed). Of the lesion: not counted, 0 (found where there is none), not
# counted.
CASES = [
    (label_map(1, 0, 0, 0), label_map(1, 0, 0, 0)),
    (label_map(1, 1, 0, 2), label_map(1, 1, 1, 0)),
    (label_map(0, 0, 0, 0), label_map(0, 0, 1, 1)),
]


def test_the_means_are_those_of_an_evaluation():
    mean, by_label = PresentDice(3), PresentDice(3, reduction="mean_batch")
    rows = []
    for prediction, reference in CASES:
        mean(prediction, reference)
        by_label(prediction, reference)
        rows += measure_case(prediction[0, 0], reference[0, 0], spacing=(1, 1), labels=LABELS)
    assert by_label.aggregate().tolist() == pytest.approx([0.6, 0.0])
    assert mean.aggregate().item() == pytest.approx(0.3)
    summary = summarise(rows)
    assert summary["overall"]["dice"]["mean"] == pytest.approx(0.3)
    assert [summary["labels"][name]["dice"]["mean"] for name in LABELS] == pytest.approx([0.6, 0.0])
    # What is not counted is still so in the details that are saved case by case.
    assert mean.get_buffer().isnan().tolist() == [[False, True], [False, False], [False, True]]


def test_a_label_that_no_case_has_leaves_the_mean_and_nothing_at_all_is_zero():
    for labels, expected in ((1, [1.0, math.nan]), (0, [math.nan, math.nan])):
        mean, by_label = PresentDice(3), PresentDice(3, reduction="mean_batch")
        for metric in (mean, by_label):
            metric(label_map(labels, 0), label_map(labels, 0))
        assert by_label.aggregate().tolist() == pytest.approx(expected, nan_ok=True)
        # A key metric has to be a number: no epoch could be the best otherwise.
        assert mean.aggregate().item() == labels


def test_other_reductions_are_those_of_monai():
    metric = PresentDice(3, reduction="none")
    for prediction, reference in CASES:
        metric(prediction, reference)
    assert metric.aggregate().tolist()[1] == pytest.approx([0.8, 0])
    assert metric.aggregate("sum").item() == pytest.approx(1.8)

"""Label maps that all have one value are noted, unless that is right."""

import pytest
import torch

from pipeline.evaluation.one_value import OneValue

EMPTY, FULL, MIXED = torch.zeros(2, 2), torch.full((2, 2), 2.0), torch.tensor([[0.0, 2.0]])


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        ([(EMPTY, MIXED)], "every voxel of the case one label, background: the label maps are empty"),
        ([(EMPTY, MIXED), (EMPTY, EMPTY)], "every voxel of all 2 cases one label, background"),
        ([(FULL, MIXED)], "one label, liver. Train"),
        ([(EMPTY, EMPTY)], ""),  # nothing is there to be found
        ([(EMPTY, MIXED), (FULL, MIXED)], ""),
        ([(MIXED, MIXED)], ""),
        ([], ""),
    ],
)
@pytest.mark.parametrize("processes", [1, 2])
def test_notes(pairs, words, processes):
    parts = [OneValue() for _ in range(processes)]
    for place, (prediction, reference) in enumerate(pairs):
        parts[place % processes].add(prediction, reference)
    said = OneValue.describe([part.state for part in parts], {"background": 0, "liver": 2})
    assert words in said
    assert bool(words) == bool(said)

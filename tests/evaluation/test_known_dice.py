"""The validation's Dice of regions and of partly known label maps, counted by hand."""

import math

import pytest
import torch

from pipeline.data.target_table import TargetTable
from pipeline.evaluation import KnownDice, PresentDice

LABELS = {"background": 0, "rim": 1, "core": 2}
REGIONS = {"whole": [1, 2], "core": [2]}


def label_map(*values: int) -> torch.Tensor:
    return torch.tensor(values).reshape(1, 1, -1, 1)


def test_regions_overlap_and_ignored_voxels_do_not_count() -> None:
    dice = KnownDice(TargetTable(LABELS, REGIONS))
    # whole: 3 predicted, 3 expected, 2 in both; core: 1 and 2, 1. The last voxel is ignored.
    scores = dice(label_map(1, 2, 1, 0, 2), label_map(2, 2, 0, 1, 3))
    torch.testing.assert_close(scores, torch.tensor([[2 * 2 / 6, 2 * 1 / 3]]))
    assert dice(label_map(1, 1), label_map(3, 3)).isnan().all()


def test_without_regions_or_unknown_voxels_it_is_present_dice() -> None:
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        pair = [torch.randint(0, 3, (2, 1, 2, 2), generator=generator) for _ in range(2)]
        ours, theirs = KnownDice(TargetTable(LABELS))(*pair), PresentDice(3)(*pair)
        torch.testing.assert_close(ours, theirs.to(ours), equal_nan=True)


@pytest.mark.parametrize("regions", [None, REGIONS])
def test_what_was_not_annotated_is_not_counted(regions: dict[str, list[int]] | None) -> None:
    metric = KnownDice(TargetTable(LABELS, regions, [["core"]]), reduction="mean_batch")
    # The core of this case: 1 of 2 voxels found, and a voxel too much.
    scores = metric(label_map(2, 0, 2, 1), label_map(6, 6, 4, 4))
    assert scores.tolist()[0][1] == pytest.approx(2 * 1 / 4)
    assert math.isnan(scores.tolist()[0][0])
    metric(label_map(1, 2), label_map(1, 2))
    assert metric.aggregate().tolist() == pytest.approx([1.0, (0.5 + 1) / 2])
    # An annotated structure that is absent and found counts as 0, and one that is rightly not found does not count.
    assert metric(label_map(2, 0), label_map(4, 4)).tolist()[0][1] == 0
    assert math.isnan(metric(label_map(0, 0), label_map(4, 4)).tolist()[0][1])

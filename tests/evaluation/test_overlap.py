import pytest

from pipeline.evaluation.overlap import compute_dice, compute_overlap


def test_overlaps_by_hand():
    # 30 and 20 voxels, 15 in both, of 2 ml each.
    assert compute_dice(30, 20, 15) == 0.6
    assert compute_overlap(30, 20, 15, 2.0) == pytest.approx(
        {
            "dice": 0.6,
            "iou": 15 / 35,
            "sensitivity": 0.75,
            "precision": 0.5,
            "volume_difference": 20.0,
            "volume_difference_percent": 100 * 10 / 25,
        }
    )


def test_a_difference_in_percent_is_the_same_in_both_directions():
    large, small = (compute_overlap(*sizes, 0, 1.0)["volume_difference_percent"] for sizes in ((400, 100), (100, 400)))
    assert (large, small) == (120, -120)
    # However much too large, it is better than none at all, which is -200.
    assert compute_overlap(10**9, 1, 1, 1.0)["volume_difference_percent"] < 200

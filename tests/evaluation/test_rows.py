"""Regions, ignored voxels and partial labels: which structures of a case are measured, and on which voxels."""

import math

import numpy as np
import pytest
import torch
from monai.metrics import DiceMetric, compute_hausdorff_distance

from pipeline.evaluation.metric_names import ALL_METRICS
from pipeline.evaluation.metrics import measure_case, measure_dice
from pipeline.evaluation.rows import describe_counting, find_annotated_values, find_rows

LABELS = {"background": 0, "edema": 1, "necrosis": 2, "enhancing": 3}
REGIONS = {"whole": [1, 2, 3], "core": [2, 3], "enhancing": [3]}
SPACING = (0.5, 1.0, 2.0)
IGNORED = 4


def draw(seed, shape=(14, 12, 10)):
    """Return a label map of nested boxes that touch, with some voxels of each label elsewhere."""
    rng = np.random.default_rng(seed)
    volume = np.zeros(shape, dtype=np.uint8)
    for value in (1, 2, 3):
        low = rng.integers(0, 4, 3) + value
        volume[tuple(slice(a, a + 7 - value) for a in low)] = value
    return volume


def measure(prediction, reference, **options):
    rows = measure_case(prediction, reference, spacing=SPACING, labels=LABELS, metrics=tuple(ALL_METRICS), **options)
    return {row["label"]: row for row in rows}


def same(rows, others):
    assert rows.keys() == others.keys()
    for name, row in rows.items():
        for key, value in row.items():
            assert value == others[name][key] or (math.isnan(value) and math.isnan(others[name][key])), (name, key)


def test_dice_and_hd95_of_regions_by_hand():
    """A line of voxels of 0.5 mm: whole is 1 to 6 and 2 to 8, core 3 to 4 and 4 to 6 (or with its edema removed)."""
    reference = np.array([[0, 1, 1, 2, 3, 1, 1, 0, 0, 0]], dtype=np.uint8)[:, :, None]
    prediction = np.array([[0, 0, 1, 1, 3, 3, 2, 1, 1, 0]], dtype=np.uint8)[:, :, None]
    rows = {
        row["label"]: row
        for row in measure_case(prediction, reference, spacing=(1, 0.5, 1), labels=LABELS, regions=REGIONS)
    }
    assert list(rows) == ["whole", "core", "enhancing"]
    # whole: 6 and 7 voxels, 5 common; the farthest are 8 from 6 and 1 from 2.
    assert rows["whole"]["dice"] == pytest.approx(2 * 5 / 13)
    assert rows["whole"]["hd95_mm"] == pytest.approx(np.percentile([0, 0, 0, 0, 0, 0.5, 1.0], 95))
    # core: 3, 4 and 4, 5, 6.
    assert rows["core"]["dice"] == pytest.approx(2 * 1 / 5)
    assert rows["core"]["hd95_mm"] == pytest.approx(np.percentile([0, 0.5, 1.0], 95))
    # enhancing: 4 and 4, 5.
    assert rows["enhancing"]["dice"] == pytest.approx(2 / 3)
    assert rows["core"]["reference_size"] == pytest.approx(2 * 0.5 / 1000)


@pytest.mark.parametrize("seed", range(3))
def test_regions_have_the_numbers_of_monais_metrics_of_one_channel_per_region(seed):
    prediction, reference = draw(2 * seed), draw(2 * seed + 1)
    channels = [
        torch.from_numpy(np.stack([np.isin(volume, values) for values in REGIONS.values()])[None].astype(np.float32))
        for volume in (prediction, reference)
    ]
    rows = measure(prediction, reference, regions=REGIONS)
    dice = DiceMetric(include_background=True, reduction="none")(*channels)
    assert [row["dice"] for row in rows.values()] == pytest.approx(dice[0].tolist(), abs=1e-6)
    hd95 = compute_hausdorff_distance(*channels, include_background=True, percentile=95, spacing=list(SPACING))
    assert [row["hd95_mm"] for row in rows.values()] == pytest.approx(hd95[0].tolist(), abs=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_a_region_is_measured_as_a_label_of_its_voxels(seed):
    prediction, reference = draw(2 * seed), draw(2 * seed + 1)
    rows = measure(prediction, reference, regions=REGIONS)
    for name, values in REGIONS.items():
        masks = [np.isin(volume, values).astype(np.uint8) for volume in (prediction, reference)]
        [alone] = measure_case(*masks, spacing=SPACING, labels={name: 1}, metrics=tuple(ALL_METRICS))
        same({name: rows[name]}, {name: alone})
    dice = measure_dice(prediction, reference, spatial_dims=3, labels=LABELS, regions=REGIONS)
    assert dice == {name: row["dice"] for name, row in rows.items()}


@pytest.mark.parametrize("regions", [None, REGIONS])
@pytest.mark.parametrize("order", ["C", "F"])
def test_ignored_voxels_count_as_background_in_both_label_maps(regions, order):
    prediction, whole = (np.asarray(draw(seed), order=order) for seed in (5, 6))
    ignored = np.zeros(whole.shape, dtype=bool)
    ignored[4:8, :, 2:6] = True
    reference = np.where(ignored, IGNORED, whole).astype(np.uint8, order=order)
    untouched = prediction.copy(), reference.copy()
    found = measure(prediction, reference, regions=regions, ignored=[IGNORED])
    same(found, measure(np.where(ignored, 0, prediction), np.where(ignored, 0, whole), regions=regions))
    assert found["enhancing"] != measure(prediction, whole, regions=regions)["enhancing"]
    assert np.array_equal(prediction, untouched[0])
    assert np.array_equal(reference, untouched[1])
    # Whatever is predicted there, it changes nothing.
    other = np.where(ignored, 3, prediction)
    same(found, measure(other, reference, regions=regions, ignored=[IGNORED]))


def test_dice_and_hd95_without_ignored_voxels_by_hand():
    reference = np.array([[0, 1, 1, 1, 255, 255, 255, 0]], dtype=np.uint8)[:, :, None]
    prediction = np.array([[0, 0, 1, 1, 1, 1, 1, 1]], dtype=np.uint8)[:, :, None]
    [row] = measure_case(prediction, reference, spacing=(1, 2, 1), labels={"organ": 1}, ignored=[255])
    # Of the prediction 2, 3 and 7 are left, of the reference 1, 2, 3.
    assert row["dice"] == pytest.approx(2 * 2 / 6)
    assert row["hd95_mm"] == pytest.approx(np.percentile([0, 0, 8.0], 95))
    assert row["prediction_size"] == row["reference_size"] == pytest.approx(3 * 2 / 1000)


def test_a_structure_that_is_all_ignored_is_absent():
    reference = np.array([[0, 4, 4, 0]], dtype=np.uint8)[:, :, None]
    rows = measure(np.array([[0, 1, 1, 0]], dtype=np.uint8)[:, :, None], reference, ignored=[4])
    assert {row["outcome"] for row in rows.values()} == {"absent"}


def test_structures_that_were_not_annotated_have_no_row():
    prediction, reference = draw(1), draw(2)
    every = measure(prediction, reference)
    same(
        measure(prediction, reference, annotated=["enhancing", "edema"]), {n: every[n] for n in ("edema", "enhancing")}
    )
    dice = measure_dice(prediction, reference, spatial_dims=3, labels=LABELS, annotated=["edema"])
    assert dice["edema"] == every["edema"]["dice"]
    assert math.isnan(dice["necrosis"])
    assert math.isnan(dice["enhancing"])


def test_a_region_was_annotated_by_its_name_or_by_all_its_labels():
    names = [list(find_rows(LABELS, REGIONS, one)) for one in (None, ["core"], ["necrosis", "enhancing"], ["edema"])]
    assert names == [["whole", "core", "enhancing"], ["core"], ["core", "enhancing"], []]
    assert find_rows(LABELS) == {"edema": (1,), "necrosis": (2,), "enhancing": (3,)}
    assert find_rows(LABELS, {}, ["edema"]) == {"edema": (1,)}


def test_labels_that_were_annotated_as_regions():
    assert find_annotated_values(LABELS, REGIONS, None) is None
    assert find_annotated_values(LABELS, REGIONS, ["whole", "core", "enhancing"]) is None
    assert find_annotated_values(LABELS, REGIONS, ["whole", "enhancing"]) == {3}
    assert find_annotated_values(LABELS, None, ["edema"]) == {1}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"regions": {"whole": [1, 9]}}, "region whole is .1, 9.: expected values of the labels"),
        ({"regions": {"whole": []}}, "region whole is ..: expected"),
        ({"regions": {"whole": [1, 1]}}, "each at most once"),
        ({"annotated": ["liver"]}, "annotated names liver: expected some of edema, necrosis, enhancing"),
        ({"ignored": [3]}, "ignored values are .3.: expected none of the labels"),
        ({"ignored": [0]}, "ignored values are .0.: expected none of the labels"),
    ],
)
def test_regions_and_values_that_do_not_fit_are_errors(options, message):
    with pytest.raises(ValueError, match=message):
        measure(draw(1), draw(2), **options)


def test_the_reader_learns_what_counts():
    assert describe_counting({}, ignored=False, partial=0, cases=3) == []
    regions, ignored, partial = describe_counting({"core": ["a", "b"]}, ignored=True, partial=2, cases=3)
    assert "core is a + b" in regions
    assert "background in both" in ignored
    assert partial.startswith("2 of 3 cases")

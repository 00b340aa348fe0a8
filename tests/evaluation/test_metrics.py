import itertools
import math

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from monai.data import MetaTensor
from scipy.spatial.distance import cdist

from pipeline.evaluation import metrics
from pipeline.evaluation.metrics import METRICS, measure_case, measure_dice
from pipeline.evaluation.summary import summarise

LABELS = {"background": 0, "anterior": 1, "posterior": 2}


def cube(shape, start, size, value=1):
    volume = np.zeros(shape, dtype=np.uint8)
    volume[tuple(slice(a, a + size) for a in start)] = value
    return volume


def blobs(seed, shape=(18, 20, 16)):
    """Three-valued maps with curved borders, some on the volume's edge."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"))
    volume = np.zeros(shape, dtype=np.uint8)
    for value in (1, 2):
        centre = rng.uniform(0.25, 0.75, len(shape)) * shape
        distance = np.linalg.norm(grid - centre.reshape(-1, *[1] * len(shape)), axis=0)
        volume[distance < rng.uniform(4, 6)] = value
    return volume


def boundary_mm(mask, spacing):
    """Coordinates in mm of the voxels with a face neighbour outside, written without a morphology library."""
    voxels = {tuple(v) for v in np.argwhere(mask)}
    steps = [tuple(s) for s in np.vstack([np.eye(mask.ndim, dtype=int), -np.eye(mask.ndim, dtype=int)])]
    edge = [v for v in voxels if any(tuple(np.add(v, s)) not in voxels for s in steps)]
    return np.array(edge) * np.asarray(spacing)


def surface_metrics(prediction, reference, spacing, tolerance):
    distances = cdist(boundary_mm(prediction, spacing), boundary_mm(reference, spacing))
    there, back = distances.min(axis=1), distances.min(axis=0)
    hd95 = max(np.percentile(there, 95), np.percentile(back, 95))
    within = (there <= tolerance).sum() + (back <= tolerance).sum()
    return hd95, within / (len(there) + len(back))


@pytest.mark.parametrize(
    ("shift", "dice", "hd95_mm"),
    [
        # A 5-voxel cube moved by k voxels along an axis overlaps in (5 - k) of 5 slabs. More than 5 % of its boundary
        # voxels (one face of 25 of 98) lie k steps from the other cube.
        ((0, 0, 0), 1.0, 0.0),
        ((1, 0, 0), 4 / 5, 1 * 0.5),
        ((0, 2, 0), 3 / 5, 2 * 1.0),
        ((0, 0, 3), 2 / 5, 3 * 2.5),
        ((0, 0, 5), 0.0, 5 * 2.5),
    ],
)
def test_shifted_cubes_have_the_dice_and_hd95_of_arithmetic(shift, dice, hd95_mm):
    reference = cube((16, 16, 16), (3, 3, 3), 5)
    prediction = cube((16, 16, 16), tuple(3 + s for s in shift), 5)
    (row,) = measure_case(prediction, reference, spacing=(0.5, 1.0, 2.5), labels={"cube": 1})
    assert row["dice"] == pytest.approx(dice)
    assert row["hd95_mm"] == pytest.approx(hd95_mm)
    assert row["outcome"] == "found"


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 1.0, 3.0)])
def test_metrics_agree_with_simpleitk_and_with_brute_force(seed, spacing):
    prediction, reference = blobs(2 * seed), blobs(2 * seed + 1)
    rows = measure_case(prediction, reference, spacing=spacing, labels=LABELS, tolerance_mm=1.5)
    overlap = sitk.LabelOverlapMeasuresImageFilter()
    overlap.Execute(sitk.GetImageFromArray(reference), sitk.GetImageFromArray(prediction))
    assert [row["label"] for row in rows] == ["anterior", "posterior"]
    for row, value in zip(rows, (1, 2), strict=True):
        hd95, nsd = surface_metrics(prediction == value, reference == value, spacing, 1.5)
        assert row["dice"] == pytest.approx(overlap.GetDiceCoefficient(value), abs=1e-6)
        assert row["hd95_mm"] == pytest.approx(hd95, rel=1e-5)
        assert row["nsd"] == pytest.approx(nsd, abs=1e-6)
        assert row["reference_size"] == pytest.approx((reference == value).sum() * math.prod(spacing) / 1000)
        assert row["prediction_size"] == pytest.approx((prediction == value).sum() * math.prod(spacing) / 1000)
        assert row["size_unit"] == "ml"


def test_two_dimensions_give_areas_and_agree_with_brute_force():
    prediction, reference = blobs(5, (24, 30)), blobs(6, (24, 30))
    rows = measure_case(prediction, reference, spacing=(0.5, 2.0), labels=LABELS, tolerance_mm=1.0)
    for row, value in zip(rows, (1, 2), strict=True):
        hd95, nsd = surface_metrics(prediction == value, reference == value, (0.5, 2.0), 1.0)
        assert row["hd95_mm"] == pytest.approx(hd95, rel=1e-5)
        assert row["nsd"] == pytest.approx(nsd, abs=1e-6)
        assert row["reference_size"] == (reference == value).sum() * 1.0
        assert row["size_unit"] == "mm2"


@pytest.mark.parametrize("shape", [(18, 20, 16), (24, 30)])
@pytest.mark.parametrize("seed", range(3))
def test_cropping_changes_nothing(monkeypatch, seed, shape):
    prediction, reference = blobs(seed, shape), blobs(seed + 10, shape)
    prediction[0] = 1
    options = {"spacing": (0.7, 1.0, 3.0)[: len(shape)], "labels": LABELS}
    cropped = measure_case(prediction, reference, **options)
    boxes = []
    monkeypatch.setattr(metrics, "_joint_box", lambda *pair: boxes.append(pair) or (slice(None),) * len(shape))
    assert measure_case(prediction, reference, **options) == cropped
    assert len(boxes) == 2


@pytest.mark.parametrize(
    ("in_reference", "in_prediction", "outcome", "scores"),
    [
        (True, True, "found", [1.0, 0.0, 1.0]),
        (True, False, "missed", [0.0, 13.0, 0.0]),
        (False, True, "false_positive", [0.0, 13.0, 0.0]),
        (False, False, "absent", [math.nan, math.nan, math.nan]),
    ],
)
def test_each_outcome_has_its_scores(in_reference, in_prediction, outcome, scores):
    # The diagonal of 6 x 8 x 6 voxels of 0.5 x 0.5 x 2 mm is that of a 3 x 4 x 12 mm box: 13 mm.
    shape = (6, 8, 6)
    full, empty = cube(shape, (2, 2, 2), 2), np.zeros(shape, dtype=np.uint8)
    (row,) = measure_case(
        full if in_prediction else empty,
        full if in_reference else empty,
        spacing=(0.5, 0.5, 2.0),
        labels={"cube": 1},
    )
    assert row["outcome"] == outcome
    assert [row[m] for m in METRICS] == pytest.approx(scores, nan_ok=True)
    assert row["reference_size"] == pytest.approx(in_reference * 8 * 0.5 / 1000)
    assert row["prediction_size"] == pytest.approx(in_prediction * 8 * 0.5 / 1000)


def test_missing_more_cases_never_improves_a_mean():
    cases = [(blobs(seed), blobs(seed + 20)) for seed in range(5)]
    # The worst prediction that still finds something: one voxel in the corner farthest from everything.
    cases.append((cube((18, 20, 16), (17, 19, 15), 1), cube((18, 20, 16), (0, 0, 0), 1)))

    options = {"spacing": (1, 1, 2), "labels": {"anterior": 1, "posterior": 2}}
    shown = [measure_case(prediction, reference, **options) for prediction, reference in cases]
    hidden = [measure_case(np.zeros_like(reference), reference, **options) for _, reference in cases]

    def means(missed):
        rows = [row for number in range(len(cases)) for row in (hidden if number in missed else shown)[number]]
        return {metric: summarise(rows)["labels"]["anterior"][metric]["mean"] for metric in METRICS}

    for missed in itertools.chain.from_iterable(itertools.combinations(range(len(cases)), k) for k in range(3)):
        before = means(missed)
        for further in set(range(len(cases))) - set(missed):
            after = means((*missed, further))
            assert after["dice"] <= before["dice"]
            assert after["nsd"] <= before["nsd"]
            assert after["hd95_mm"] > before["hd95_mm"]


@pytest.mark.parametrize(
    "wrap",
    [torch.from_numpy, lambda a: torch.from_numpy(a)[None].float(), lambda a: MetaTensor(a[None]), lambda a: a[None]],
)
def test_tensors_and_a_leading_channel_give_the_same_rows(wrap):
    prediction, reference = blobs(1), blobs(2)
    plain = measure_case(prediction, reference, spacing=(1, 1, 1), labels=LABELS)
    assert measure_case(wrap(prediction), wrap(reference), spacing=(1, 1, 1), labels=LABELS) == plain


def test_a_first_axis_of_one_voxel_is_an_axis_in_three_dimensions():
    slab = np.ones((1, 4, 4), dtype=np.uint8)
    (row,) = measure_case(slab, slab, spacing=(10, 1, 1), labels={"slab": 1})
    assert row["size_unit"] == "ml"
    assert row["reference_size"] == pytest.approx(0.16)


GOOD = np.zeros((4, 4, 4), dtype=np.int64)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"prediction": GOOD + 7}, ["prediction", "[7]", "anterior"]),
        ({"prediction": GOOD - 1}, ["prediction", "[-1]"]),
        ({"reference": GOOD + 255}, ["reference", "[255]"]),
        ({"prediction": GOOD + 0.5}, ["prediction", "no integers"]),
        ({"prediction": GOOD + np.nan}, ["prediction", "no integers"]),
        ({"prediction": GOOD[:3]}, ["(3, 4, 4)", "(4, 4, 4)"]),
        ({"prediction": np.stack([GOOD, GOOD])}, ["prediction", "(2, 4, 4, 4)"]),
        ({"spacing": (1, 1)}, ["(4, 4, 4)", "2 axes"]),
        ({"spacing": (1, 0, 1)}, ["(1, 0, 1)", "positive"]),
        ({"labels": {"background": 0}}, ["background", "above 0"]),
        ({"labels": {"odd": -1, "one": 1}}, ["odd", "0 and above"]),
        ({"tolerance_mm": -1.0}, ["tolerance_mm", "-1.0"]),
    ],
)
def test_wrong_input_is_named(change, words):
    arguments = {"prediction": GOOD, "reference": GOOD, "spacing": (1, 1, 1), "labels": LABELS, **change}
    with pytest.raises(ValueError, match=r".") as caught:
        measure_case(arguments.pop("prediction"), arguments.pop("reference"), **arguments)
    for word in words:
        assert word in str(caught.value)


def test_the_dice_alone_is_that_of_all_metrics() -> None:
    rng = np.random.default_rng(0)
    prediction, reference = (rng.integers(0, 3, (9, 8, 7)) for _ in range(2))
    labels = {"background": 0, "a": 1, "b": 2, "absent": 3, "missed": 4}
    reference[0, 0, 0] = 4
    rows = measure_case(prediction, reference, spacing=(1, 1, 1), labels=labels)
    found = measure_dice(prediction[None], reference, spatial_dims=3, labels=labels)
    assert list(found) == [row["label"] for row in rows]
    np.testing.assert_array_equal(list(found.values()), [row["dice"] for row in rows])
    assert math.isnan(found["absent"])
    assert found["missed"] == 0
    with pytest.raises(ValueError, match="expected the same grid"):
        measure_dice(prediction, reference[1:], spatial_dims=3, labels=labels)

import itertools
import math

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from monai.data import MetaTensor
from scipy.spatial.distance import cdist

from pipeline.evaluation.label_pair import LabelPair
from pipeline.evaluation.metric_names import ALL_METRICS
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
    options = {"spacing": (0.7, 1.0, 3.0)[: len(shape)], "labels": LABELS, "metrics": tuple(ALL_METRICS)}
    regions = {"both": (1, 2), "posterior": (2,)}
    cropped = [*measure_case(prediction, reference, **options)]
    cropped += measure_case(prediction, reference, regions=regions, **options)
    values = []

    def whole(pair, chosen):
        values.append(chosen)
        return np.isin(pair.predicted, chosen), np.isin(pair.expected, chosen)

    monkeypatch.setattr(LabelPair, "crop", whole)
    found = measure_case(prediction, reference, **options)
    found += measure_case(prediction, reference, regions=regions, **options)
    for row, other in zip(found, cropped, strict=True):
        words = {"label", "size_unit", "outcome"}
        assert {key: row[key] for key in words} == {key: other[key] for key in words}
        numbers = row.keys() - words
        assert [row[key] for key in numbers] == pytest.approx([other[key] for key in numbers], rel=1e-12)
    assert values == [(1,), (2,), (1, 2), (2,)]


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


def worst_predictions(reference):
    """Predictions that find something and are as bad as can be: far away, much too large, one voxel, all but it."""
    far = np.zeros_like(reference)
    far[tuple(n - 1 for n in reference.shape)] = 1
    return [far, np.ones_like(reference), cube(reference.shape, (0, 0, 0), 1), np.where(reference == 1, 0, 1)]


def improves(metric, before, after):
    """Whether a mean is better than another one, in the metric's own direction; rounding is not."""
    gain = after - before if metric.better == "higher" else before - after
    return gain > 1e-9 * max(abs(before), 1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_missing_more_cases_never_improves_a_mean(seed):
    cases = [(blobs(10 * seed + k), blobs(10 * seed + k + 5)) for k in range(3)]
    corner = cube((18, 20, 16), (0, 0, 0), 2)
    cases += [(prediction, corner) for prediction in worst_predictions(corner)]
    options = {"spacing": (1, 1, 2), "labels": {"anterior": 1, "posterior": 2}, "metrics": tuple(ALL_METRICS)}
    shown = [measure_case(prediction, reference, **options) for prediction, reference in cases]
    hidden = [measure_case(np.zeros_like(reference), reference, **options) for _, reference in cases]

    def means(missed):
        rows = [row for number in range(len(cases)) for row in (hidden if number in missed else shown)[number]]
        entry = summarise(rows)["labels"]["anterior"]
        return {name: entry[name]["mean"] for name in ALL_METRICS}

    for missed in itertools.chain.from_iterable(itertools.combinations(range(len(cases)), k) for k in range(3)):
        before = means(missed)
        for further in set(range(len(cases))) - set(missed):
            after = means((*missed, further))
            better = [name for name, metric in ALL_METRICS.items() if improves(metric, before[name], after[name])]
            assert better == []
            # The lengths are worse than any that can be measured, not only as bad.
            assert after["hd95_mm"] > before["hd95_mm"]


@pytest.mark.parametrize("seed", range(3))
def test_inventing_a_structure_never_improves_a_mean(seed):
    options = {"spacing": (1, 1, 2), "labels": {"anterior": 1}, "metrics": tuple(ALL_METRICS)}
    prediction, reference = (np.where(blobs(seed + k) == 1, 1, 0) for k in (0, 20))
    empty = np.zeros_like(reference)
    found = [measure_case(prediction, reference, **options)[0], measure_case(empty, empty, **options)[0]]
    for invented in (cube(reference.shape, (3, 3, 3), 1), reference):
        rows = [found[0], measure_case(invented, empty, **options)[0]]
        before, after = (summarise(each)["overall"] for each in (found, rows))
        assert [m for m, x in ALL_METRICS.items() if improves(x, before[m]["mean"], after[m]["mean"])] == []


def test_a_row_has_the_columns_of_the_table_in_their_order():
    prediction, reference = blobs(1), blobs(2)
    (row, _) = measure_case(prediction, reference, spacing=(1, 1, 1), labels=LABELS)
    always = [name for name, metric in ALL_METRICS.items() if not metric.optional]
    assert list(row) == ["label", *always, "reference_size", "prediction_size", "size_unit", "outcome"]
    (some, _) = measure_case(
        prediction, reference, spacing=(1, 1, 1), labels=LABELS, metrics=["nsd_area", "cldice", "dice"]
    )
    assert list(some)[:4] == ["label", "dice", "nsd_area", "cldice"]
    assert (some["dice"], some["nsd_area"]) == (row["dice"], row["nsd_area"])


def test_each_label_has_its_own_tolerance():
    # Two cubes of 5 voxels moved by 2: with a tolerance of 2 mm all of the boundary is correct, with 1 mm not.
    reference = cube((20, 12, 12), (2, 3, 3), 5) + cube((20, 12, 12), (11, 3, 3), 5, 2)
    prediction = np.roll(reference, 2, axis=1)
    options = {"spacing": (1, 1, 1), "labels": LABELS}
    first, second = measure_case(
        prediction, reference, tolerance_mm={"anterior": 2, "posterior": 1, "other": 9}, **options
    )
    assert (first["nsd"], first["nsd_area"]) == (1, 1)
    assert second["nsd"] < 0.9
    (_, alone) = measure_case(prediction, reference, tolerance_mm=1, **options)
    assert second == alone


@pytest.mark.parametrize("seed", range(2))
def test_overlaps_and_volumes_agree_with_simpleitk(seed):
    prediction, reference = blobs(2 * seed), blobs(2 * seed + 1)
    overlap = sitk.LabelOverlapMeasuresImageFilter()
    overlap.Execute(*(sitk.GetImageFromArray(each) for each in (prediction, reference)))
    rows = measure_case(prediction, reference, spacing=(0.7, 1, 3), labels=LABELS)
    for row, value in zip(rows, (1, 2), strict=True):
        expected = {
            "dice": overlap.GetDiceCoefficient(value),
            "iou": overlap.GetJaccardCoefficient(value),
            "sensitivity": 1 - overlap.GetFalseNegativeError(value),
            "precision": 1 - overlap.GetFalseDiscoveryRate(value),
            "volume_difference_percent": 100 * overlap.GetVolumeSimilarity(value),
        }
        assert {name: row[name] for name in expected} == pytest.approx(expected, abs=1e-6)
        difference = int((prediction == value).sum()) - int((reference == value).sum())
        assert row["volume_difference"] == pytest.approx(difference * 2.1 / 1000)


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
        ({"tolerance_mm": {"anterior": 1.0}}, ["tolerance_mm", "posterior"]),
        ({"tolerance_mm": {"anterior": 1.0, "posterior": math.nan}}, ["tolerance_mm", "nan"]),
        ({"metrics": ["dice", "hd96_mm"]}, ["hd96_mm", "hd95_mm"]),
        ({"affine": np.eye(3)}, ["affine", "(3, 3)"]),
        ({"affine": np.zeros((4, 4))}, ["affine", "without length"]),
        ({"prediction": GOOD[:0], "reference": GOOD[:0]}, ["prediction", "(0, 4, 4)"]),
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

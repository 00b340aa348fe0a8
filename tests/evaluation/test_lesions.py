import itertools
import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, label

from pipeline.evaluation.lesions import measure_lesions
from pipeline.evaluation.metric_names import LESION_METRICS
from pipeline.evaluation.summary import summarise


def line(*runs, length=40):
    """A mask of one row with lesions from a start to an end."""
    mask = np.zeros((1, length), dtype=bool)
    for start, end in runs:
        mask[0, start:end] = True
    return mask


def measure(predicted, expected, **options):
    return measure_lesions(predicted, expected, spacing=(1.0, 1.0), **options)


def test_lesions_by_hand():
    # References of 4, 4 and 2 pixels; predictions of 4 (3 in common), 1 (in the second) and 5 (nowhere).
    expected, predicted = line((0, 4), (10, 14), (20, 22)), line((1, 5), (13, 14), (30, 35))
    (row,), lesions = measure(predicted, expected, iou=0.1)
    assert (row["reference_lesions"], row["predicted_lesions"], row["matched"]) == (3, 3, 2)
    # IoU 3/5 and 1/4, Dice 6/8 and 2/5. Missed: one, invented: one.
    assert {name: row[name] for name in LESION_METRICS} == pytest.approx(
        {
            "lesion_f1": 2 * 2 / 6,
            "lesion_precision": 2 / 3,
            "lesion_recall": 2 / 3,
            "lesion_dice": (0.75 + 0.4) / 4,
        }
    )
    assert [(x["side"], x["lesion"], x["status"], x["size"], x["match"]) for x in lesions] == [
        ("reference", 1, "matched", 4.0, 1),
        ("reference", 2, "matched", 4.0, 2),
        ("reference", 3, "missed", 2.0, None),
        ("prediction", 1, "matched", 4.0, 1),
        ("prediction", 2, "matched", 1.0, 2),
        ("prediction", 3, "invented", 5.0, None),
    ]
    assert [round(x["iou"], 6) for x in lesions] == [0.6, 0.25, 0, 0.6, 0.25, 0]
    assert lesions[0]["centre"] == (0.0, 1.5)
    assert {x["size_unit"] for x in lesions} == {"mm2"}


@pytest.mark.parametrize(("iou", "matched"), [(0.25, 2), (0.2501, 1), (0.6, 1), (0.61, 0), (1, 0)])
def test_a_pair_needs_the_smallest_iou(iou, matched):
    expected, predicted = line((0, 4), (10, 14)), line((1, 5), (13, 14))
    (row,), _ = measure(predicted, expected, iou=iou)
    assert row["matched"] == matched


@pytest.mark.parametrize(
    ("predicted", "matches"),
    [
        # The first overlaps the references by 4 of 20 and 8 of 16 pixels, the second only the other by 1 of 12: .2 and
        # 1/12 together are less than .5.
        (line((6, 20), (21, 24)), [None, 1]),
        # As before, but the second overlaps by 6 of 10: .33 and .6 together are more than .14.
        (line((5, 14), (15, 21)), [1, 2]),
    ],
)
def test_lesions_are_matched_one_to_one_with_the_largest_sum(predicted, matches):
    (row,), lesions = measure(predicted, line((0, 10), (12, 22)), iou=0.05)
    assert [x["match"] for x in lesions[:2]] == matches
    assert row["matched"] == 2 - matches.count(None)


def brute_force(predicted, expected, smallest):
    """The largest sum of IoU over all assignments."""
    structure = np.ones((3,) * predicted.ndim)
    sides = [
        [found == k + 1 for k in range(number)]
        for found, number in (label(m, structure) for m in (expected, predicted))
    ]
    table = np.array([[(a & b).sum() / (a | b).sum() for b in sides[1]] for a in sides[0]]).reshape(
        len(sides[0]), len(sides[1])
    )
    table[table < smallest] = 0
    if table.shape[0] > table.shape[1]:
        table = table.T
    rows = range(table.shape[0])
    return max(
        sum(table[r, c] for r, c in zip(rows, cs, strict=True))
        for cs in itertools.permutations(range(table.shape[1]), len(rows))
    )


@pytest.mark.parametrize("seed", range(6))
def test_the_matching_is_that_of_brute_force(seed):
    rng = np.random.default_rng(seed)
    masks = [gaussian_filter(rng.normal(size=(26, 26)), 1.7) > 0.13 for _ in range(2)]
    masks[1] = np.roll(masks[0], 1, axis=0) ^ (masks[1] & (rng.random((26, 26)) < 0.1))
    masks = [mask & (np.arange(26) % 13 < 11) for mask in masks]
    number = [label(mask, np.ones((3, 3)))[1] for mask in masks]
    if max(number) > 8:
        masks = [mask[:13, :13] for mask in masks]
    _, lesions = measure(*masks, iou=0.1)
    pairs = [x for x in lesions if x["side"] == "reference" and x["match"]]
    assert len({x["match"] for x in pairs}) == len(pairs)
    assert sum(x["iou"] for x in pairs) == pytest.approx(brute_force(*masks, 0.1))


def test_classes_of_sizes_by_hand():
    # In ml: references of 8, 8 and 2 (a voxel is 2 ml); predictions of 10 in the first, 4 nowhere.
    expected, predicted = (np.zeros((40, 3, 3), dtype=bool) for _ in range(2))
    expected[0:4, 1, 1] = expected[10:14, 1, 1] = expected[20, 1, 1] = True
    predicted[0:5, 1, 1] = predicted[30:32, 1, 1] = True
    rows, lesions = measure_lesions(predicted, expected, spacing=(20, 10, 10), size_classes=(4, 10))
    assert [row["size_class"] for row in rows] == ["all", "below 4", "4 to 10", "10 and above"]
    counts = [(row["reference_lesions"], row["predicted_lesions"], row["matched"], row["outcome"]) for row in rows]
    # The prediction of 10 ml counts with its reference, of 8 ml.
    assert counts == [(3, 2, 1, "found"), (1, 0, 0, "missed"), (2, 2, 1, "found"), (0, 0, 0, "absent")]
    assert [row["lesion_recall"] for row in rows[:3]] == pytest.approx([1 / 3, 0, 1 / 2])
    assert math.isnan(rows[3]["lesion_f1"])
    assert [x["size"] for x in lesions] == pytest.approx([8, 8, 2, 10, 4])
    assert lesions[3]["size_class"] == "4 to 10"
    assert {x["size_unit"] for x in lesions} == {"ml"}
    sheared = np.array([[20, 0, 0, 0], [0, 10, 10, 0], [0, 0, 10, 0], [0, 0, 0, 1.0]])
    _, lesions = measure_lesions(predicted, expected, spacing=(20, 10, 200**0.5), affine=sheared)
    assert [x["size"] for x in lesions] == pytest.approx([8, 8, 2, 10, 4])


@pytest.mark.parametrize(
    ("predicted", "expected", "outcome", "value"),
    [
        (line(), line(), "absent", math.nan),
        (line((1, 3)), line(), "false_positive", 0),
        (line(), line((1, 3)), "missed", 0),
        (line((1, 3)), line((1, 3)), "found", 1),
        (line((1, 3)), line((5, 8)), "found", 0),
    ],
)
def test_each_outcome_has_its_scores(predicted, expected, outcome, value):
    (row,), _ = measure(predicted, expected)
    assert row["outcome"] == outcome
    assert [row[name] for name in LESION_METRICS] == pytest.approx([value] * 4, nan_ok=True)


def test_lesions_that_touch_at_a_corner_are_one():
    mask = np.eye(4, dtype=bool)[:, :, None] & np.ones(3, dtype=bool)
    _, lesions = measure_lesions(mask, mask, spacing=(1, 1, 1))
    assert [x["side"] for x in lesions] == ["reference", "prediction"]


def test_missing_more_lesions_never_improves_a_mean():
    rng = np.random.default_rng(0)
    expected = [gaussian_filter(rng.normal(size=(30, 30)), 1.5) > 0.2 for _ in range(4)]
    predicted = [np.roll(mask, shift, axis=0) for mask, shift in zip(expected, (0, 1, 2, 9), strict=True)]
    for missed in itertools.chain.from_iterable(itertools.combinations(range(4), k) for k in range(4)):
        shown = [mask & (k not in missed) for k, mask in enumerate(predicted)]
        for further in set(range(4)) - set(missed):
            fewer = [mask & (k != further) for k, mask in enumerate(shown)]
            before, after = (
                summarise({"label": "lesion", **measure(p, e)[0][0]} for p, e in zip(masks, expected, strict=True))
                for masks in (shown, fewer)
            )
            for name in LESION_METRICS:
                assert after["overall"][name]["mean"] <= before["overall"][name]["mean"] + 1e-12


def test_thousands_of_lesions_do_not_need_a_table_of_all_pairs():
    mask = np.zeros((200, 200), dtype=bool)
    mask[::2, ::2] = True
    (row,), _ = measure(mask, mask)
    assert (row["matched"], row["lesion_f1"], row["reference_lesions"]) == (10000, 1, 10000)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"iou": 0}, "iou is 0"),
        ({"iou": 1.5}, "iou is 1.5"),
        ({"size_classes": (2, 1)}, "ascending"),
        ({"size_classes": (0, 1)}, "above 0"),
        ({"spacing": (1, 1, 1)}, "3 equal axes"),
    ],
)
def test_wrong_options_are_named(change, words):
    options = {"spacing": (1, 1), **change}
    with pytest.raises(ValueError, match=words):
        measure_lesions(line((1, 3)), line((1, 3)), **options)

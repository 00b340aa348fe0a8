import math

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage.metrics import adapted_rand_error, variation_of_information

from pipeline.evaluation.membranes import (
    THRESHOLDS,
    SegmentScores,
    compare_segments,
    measure_membranes,
    thin_borders,
)


def draw_cells(seed, shape=(40, 50), cells=12, width=1.5):
    """A map of membranes between random cells: where the two nearest of some points are about equally far."""
    rng = np.random.default_rng(seed)
    points = rng.random((cells, 2)) * shape
    distances = np.linalg.norm(np.indices(shape)[..., None] - points.T[:, None, None], axis=0)
    nearest = np.sort(distances, axis=-1)
    return nearest[..., 1] - nearest[..., 0] < width


def label(inside):
    return ndimage.label(inside)[0]


# One row of two cells of four pixels, with a membrane of two pixels between them.
TWO_CELLS = np.array([[0, 0, 0, 0, 1, 1, 0, 0, 0, 0]])


@pytest.mark.parametrize("seed", range(4))
def test_unthinned_scores_are_scikit_images(seed):
    reference = draw_cells(seed)
    membrane = draw_cells(seed, width=2.5) & (np.random.default_rng(seed).random(reference.shape) > 0.1)
    membrane[15:20] = False
    found = measure_membranes(membrane, reference, thin=False).v_rand
    expected, predicted = label(~reference), label(~membrane)
    # scikit-image has one segment 0. Here each pixel of it is a segment of its own.
    single = predicted == 0
    predicted[single] = predicted.max() + 1 + np.arange(single.sum())
    # What version 0.26 returns as precision is divided by the pairs of the true image, unlike its documentation says.
    _, recall, precision = adapted_rand_error(expected, predicted)
    inside = expected > 0
    pixels = int(inside.sum())
    squares = [float((np.bincount(each[inside]).astype(float) ** 2).sum()) for each in (predicted, expected)]
    # scikit-image does not count the pairs of a pixel with itself, of which each sum here has one per pixel.
    merge, split = (
        (share * (square - pixels) + pixels) / square
        for share, square in zip((precision, recall), squares, strict=True)
    )
    assert (found.v_rand_merge, found.v_rand_split) == pytest.approx((merge, split))
    assert 0.1 < merge < 1
    assert 0.1 < split < 1
    assert found.v_rand == pytest.approx(2 * merge * split / (merge + split))
    # Its two entropies, in bits: H(S|T) of false splits, H(T|S) of false merges.
    entropies = variation_of_information(expected, predicted, ignore_labels=(0,))
    assert (found.split_entropy, found.merge_entropy) == pytest.approx(tuple(entropies))
    shares = [np.bincount(each[inside]) / pixels for each in (predicted, expected)]
    own, other = (-(each[each > 0] * np.log2(each[each > 0])).sum() for each in shares)
    parts = 1 - entropies[0] / own, 1 - entropies[1] / other
    assert (found.v_info_split, found.v_info_merge) == pytest.approx(parts)
    assert found.v_info == pytest.approx(2 * parts[0] * parts[1] / sum(parts))


def test_a_merge_by_hand():
    # T: two cells of 4 pixels. S: all in one segment. p = (1/2, 1/2), s = (1), t = (1/2, 1/2).
    found = compare_segments(np.ones((1, 10), dtype=int), label(1 - TWO_CELLS))
    # sum p^2 = sum t^2 = 1/4 + 1/4, sum s^2 = 1.
    assert (found.v_rand_split, found.v_rand_merge) == (1, 0.5)
    assert found.v_rand == pytest.approx(0.5 / (0.5 * 1 + 0.5 * 0.5))
    # H(T) = 1 bit, H(S) = 0, H(S,T) = 1, so that I = 0.
    assert (found.v_info_split, found.v_info_merge, found.v_info) == (1, 0, 0)
    assert (found.split_entropy, found.merge_entropy) == (0, 1)


def test_a_split_by_hand():
    # The first cell is cut in halves of 2 and 2 pixels: p = s = (1/4, 1/4, 1/2), t = (1/2, 1/2).
    predicted = np.array([[1, 1, 2, 2, 0, 0, 3, 3, 3, 3]])
    found = compare_segments(predicted, label(1 - TWO_CELLS))
    # sum p^2 = sum s^2 = 1/16 + 1/16 + 1/4 = 3/8, sum t^2 = 1/2.
    assert (found.v_rand_split, found.v_rand_merge) == (0.75, 1)
    assert found.v_rand == pytest.approx(0.375 / (0.5 * 0.375 + 0.5 * 0.5))
    # H(S) = H(S,T) = 1/4 * 2 + 1/4 * 2 + 1/2 * 1 = 1.5 bits, H(T) = 1, I = 1.5 + 1 - 1.5 = 1.
    assert found.v_info_split == pytest.approx(1 / 1.5)
    assert found.v_info_merge == pytest.approx(1)
    assert found.v_info == pytest.approx(1 / (0.5 * 1.5 + 0.5 * 1))
    assert (found.split_entropy, found.merge_entropy) == pytest.approx((0.5, 0))


def test_each_pixel_of_a_predicted_border_in_a_cell_is_a_segment_by_hand():
    # Of the first cell one pixel is border: s = p = (1/8, 3/8, 1/2). sum = 1/64 + 9/64 + 16/64 = 26/64.
    predicted = np.array([[1, 1, 1, 0, 0, 0, 3, 3, 3, 3]])
    found = compare_segments(predicted, label(1 - TWO_CELLS))
    assert (found.v_rand_split, found.v_rand_merge) == pytest.approx((26 / 32, 1))


def test_a_perfect_prediction_is_1():
    reference = draw_cells(0)
    for prediction in (reference, reference.astype(np.float32), torch.from_numpy(reference)):
        found = measure_membranes(prediction, torch.from_numpy(reference))
        assert found.as_row() == pytest.approx(dict.fromkeys(found.as_row(), 1))
        assert (found.v_rand_threshold, found.v_info_threshold) == (0, 0)
    assert list(found.as_row()) == [
        *("v_rand", "v_rand_split", "v_rand_merge", "v_info", "v_info_split", "v_info_merge")
    ]


def test_a_hole_in_a_membrane_lowers_the_merge_parts_only_and_a_false_membrane_the_split_parts():
    reference = np.zeros((21, 41), dtype=bool)
    reference[:, 20] = True
    merged, split = reference.copy(), reference.copy()
    merged[10, 20] = False
    split[10, :20] = True
    found = measure_membranes(merged, reference).v_rand
    assert (found.v_rand_split, found.v_info_split) == pytest.approx((1, 1))
    assert max(found.v_rand_merge, found.v_info_merge) < 0.6
    found = measure_membranes(split, reference).v_rand
    assert min(found.v_rand_merge, found.v_info_merge) == pytest.approx(1)
    assert max(found.v_rand_split, found.v_info_split) < 0.8


def test_the_width_of_membranes_counts_only_without_thinning():
    # Membranes that end at no other one keep their place when they are thinned.
    reference = np.zeros((20, 40), dtype=bool)
    reference[:, 19:22] = True
    thick = np.zeros_like(reference)
    thick[:, 14:27] = True
    assert measure_membranes(thick, reference).v_rand.v_rand == pytest.approx(1)
    assert measure_membranes(thick, reference, thin=False).v_rand.v_rand < 0.9
    # Nor does a reference with thicker borders, whose pixels do not count, change a right segmentation's score.
    assert measure_membranes(reference, thick).v_rand.v_rand == pytest.approx(1)


def test_thinning_keeps_the_components_with_one_pixel_between_them():
    inside = ~draw_cells(1, width=5)
    segments, before = thin_borders(inside), label(inside)
    np.testing.assert_array_equal(segments[inside], before[inside])
    assert set(np.unique(segments)) == set(range(before.max() + 1))
    # No two segments touch, and each pixel of a line touches a segment.
    for axis in (0, 1):
        first, second = (np.take(segments, range(start, segments.shape[axis] - 1 + start), axis) for start in (0, 1))
        assert ((first == second) | (first == 0) | (second == 0)).all()
    assert (ndimage.maximum_filter(segments, footprint=ndimage.generate_binary_structure(2, 1)) > 0).all()
    assert (segments == 0).sum() < 0.5 * (~inside).sum()


def test_a_border_around_one_cell_disappears_and_without_cells_all_is_one():
    inside = np.zeros((5, 6), dtype=bool)
    for mask in (inside, ~inside, np.pad(~inside[:3, :4], 1)):
        np.testing.assert_array_equal(thin_borders(mask), np.ones((5, 6)))


def test_cells_that_touch_at_a_corner_are_two():
    reference = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 0, 0], [1, 1, 0, 0]])
    found = measure_membranes(reference, reference)
    assert found.v_info.v_info == pytest.approx(1)
    # With one cell, all that a single segment can be is right. With two it is half right.
    assert measure_membranes(np.zeros((4, 4)), reference).v_rand.v_rand_merge == 0.5


def test_the_threshold_with_the_highest_score_is_taken_for_each_measure():
    reference = draw_cells(3)
    # The membrane is .65; a hole in it opens above .35; inside is .15, with false membranes of .45.
    rng = np.random.default_rng(3)
    probability = np.where(reference, 0.65, 0.15)
    probability[reference & (rng.random(reference.shape) < 0.15)] = 0.35
    probability[:, ::9] = np.maximum(probability[:, ::9], 0.45)
    found = measure_membranes(probability, reference)
    assert found.thresholds == THRESHOLDS == (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1)
    for name in ("v_rand", "v_info"):
        values = [getattr(one, name) for one in found.curve]
        best = getattr(found, f"{name}_threshold")
        assert getattr(getattr(found, name), name) == max(values) == values[THRESHOLDS.index(best)]
        assert values[0] < max(values) > values[-1]
    # Each point of the curve is that of the mask at this threshold.
    for step, one in zip(THRESHOLDS[1:], found.curve[1:], strict=True):
        assert measure_membranes(probability >= step, reference).v_rand == one
    assert measure_membranes(probability, reference, thresholds=[0.5]).v_rand == found.curve[5]
    assert found.curve[4] != found.curve[5] == found.curve[6] != found.curve[7]


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_a_probability_of_the_threshold_is_membrane_in_every_type_and_0_is_none(kind):
    for step in THRESHOLDS:
        found = measure_membranes(TWO_CELLS.astype(kind) * kind(step), TWO_CELLS, thresholds=[step])
        assert found.v_rand.v_rand_merge == (1 if step else 0.5)


def test_a_stack_has_one_threshold_for_the_means_of_its_slices():
    slices = [draw_cells(seed) for seed in range(3)]
    rng = np.random.default_rng(0)
    stack = np.stack([np.clip(0.3 * each + 0.7 * rng.random(each.shape), 0, 1) for each in slices])
    found = measure_membranes(stack, np.stack(slices))
    alone = [measure_membranes(one, each) for one, each in zip(stack, slices, strict=True)]
    for name in ("v_rand", "v_info_merge"):
        means = np.mean([[getattr(point, name) for point in one.curve] for one in alone], axis=0)
        np.testing.assert_allclose([getattr(point, name) for point in found.curve], means)
    assert found.slices == 3
    assert found.v_rand.v_rand <= np.mean([one.v_rand.v_rand for one in alone])


def test_slices_without_a_cell_do_not_count():
    reference = draw_cells(0)
    empty = np.ones_like(reference)
    found = measure_membranes(np.stack([reference, reference]), np.stack([reference, empty]))
    assert (found.slices, found.v_rand.v_rand) == (1, pytest.approx(1))
    nothing = measure_membranes(reference, empty)
    assert nothing.slices == 0
    assert all(math.isnan(value) for value in (*nothing.as_row().values(), nothing.v_rand_threshold))
    assert len(nothing.curve) == 11


def test_maps_without_membrane_or_without_inside_are_one_segment():
    reference = draw_cells(0)
    for prediction in (np.zeros(reference.shape), np.ones(reference.shape)):
        found = measure_membranes(prediction, reference)
        assert (found.v_rand.v_rand_split, found.v_info.v_info) == (1, 0)
    # One cell in one segment is right.
    assert measure_membranes(np.zeros((4, 5)), np.zeros((4, 5))).as_row() == dict.fromkeys(found.as_row(), 1)


def test_segments_need_one_shape_and_numbers():
    with pytest.raises(ValueError, match=r"\(1, 3\) and reference \(3,\)"):
        compare_segments(np.ones((1, 3), dtype=int), np.ones(3, dtype=int))
    for odd in (np.array([-1, 1]), np.array([0.5, 1])):
        with pytest.raises(ValueError, match="whole numbers"):
            compare_segments(odd, np.ones(2, dtype=int))
    assert isinstance(compare_segments(np.ones(2, dtype=int), np.ones(2, dtype=np.uint8)), SegmentScores)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"probabilities": np.zeros((1, 9))}, r"\(1, 9\), reference \(1, 10\)"),
        ({"probabilities": np.zeros(4), "reference": np.zeros(4)}, r"\(4,\)"),
        ({"probabilities": np.zeros((0, 4)), "reference": np.zeros((0, 4))}, r"\(0, 4\)"),
        ({"probabilities": TWO_CELLS * 255}, "from 0.0 to 255.0"),
        ({"probabilities": TWO_CELLS - 0.5}, "from -0.5 to 0.5"),
        ({"probabilities": np.where(TWO_CELLS, np.nan, 0)}, "from nan"),
        ({"probabilities": TWO_CELLS.astype(str)}, "expected numbers"),
        ({"reference": TWO_CELLS * 255}, r"\[0, 255\]: expected a mask"),
        ({"reference": TWO_CELLS * 0.5}, r"\[0.0, 0.5\]: expected a mask"),
        ({"thresholds": []}, "one or more"),
        ({"thresholds": [0.5, 1.1]}, "1.1"),
        ({"thresholds": [math.nan]}, "nan"),
    ],
)
def test_wrong_input_is_named(change, words):
    arguments = {"probabilities": TWO_CELLS, "reference": TWO_CELLS, **change}
    with pytest.raises(ValueError, match=words):
        measure_membranes(arguments.pop("probabilities"), arguments.pop("reference"), **arguments)

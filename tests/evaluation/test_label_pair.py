import numpy as np
import pytest
import torch
from scipy.ndimage import find_objects

from pipeline.evaluation import label_pair
from pipeline.evaluation.label_pair import read_pair

LABELS = {"background": 0, "a": 1, "b": 3, "never": 4}


def draw(seed, shape, values=(0, 0, 0, 1, 3)):
    maps = np.random.default_rng(seed).choice(values, shape).astype(np.int16)
    maps[:2], maps[..., -1:] = 0, 0
    return maps


def check(pair, prediction, reference, labels):
    for value in labels.values():
        counts = (
            (prediction == value).sum(),
            (reference == value).sum(),
            ((prediction == value) & (reference == value)).sum(),
        )
        assert pair.count_voxels([value]) == counts
        either = (prediction == value) | (reference == value)
        if value and either.any():
            (place,) = find_objects(either.astype(np.uint8))
            assert np.array_equal(pair.crop([value])[0], prediction[place] == value)
            assert np.array_equal(pair.crop([value])[1], reference[place] == value)


@pytest.mark.parametrize("shape", [(9, 8, 7), (1, 1, 3), (3, 1, 1), (12, 11)])
@pytest.mark.parametrize("part", [1, 50, 1 << 22])
@pytest.mark.parametrize("order", ["CC", "FF", "CF"])
def test_counts_and_boxes_are_those_of_the_masks(monkeypatch, shape, part, order):
    monkeypatch.setattr(label_pair, "_PART", part)
    for seed in range(3):
        prediction, reference = draw(seed, shape), draw(seed + 10, shape)
        pair = read_pair(
            np.asarray(prediction, order=order[0]), np.asarray(reference, order=order[1]), len(shape), LABELS
        )
        check(pair, prediction, reference, LABELS)


@pytest.mark.parametrize("kind", [np.uint8, bool, np.int64, np.uint16, np.float32, np.float64])
def test_the_type_of_the_label_maps_does_not_matter(kind):
    values = (0, 1) if kind is bool else (0, 1, 3)
    prediction, reference = draw(0, (5, 6, 7), values), draw(1, (5, 6, 7), values)
    pair = read_pair(prediction.astype(kind), torch.from_numpy(reference)[None], 3, LABELS)
    check(pair, prediction, reference, LABELS)


def test_large_values_are_numbered():
    labels = {"background": 0, "left": 1002, "right": 70_000, "never": 300}
    prediction, reference = (draw(seed, (5, 6, 7), (0, 1002, 70_000)).astype(np.int64) for seed in range(2))
    prediction, reference = (np.random.default_rng(s).choice([0, 1002, 70_000], (5, 6, 7)) for s in range(2))
    pair = read_pair(prediction, reference, 3, labels)
    assert pair.joint.shape == (4, 4)
    check(pair, prediction, reference, labels)
    prediction[0, 0, 0] = 1003
    with pytest.raises(ValueError, match=r"prediction holds the values \[1003\]"):
        read_pair(prediction, reference, 3, labels)


@pytest.mark.parametrize("value", [2, 200, -1, 5])
def test_undeclared_values_are_named(value):
    reference = draw(0, (5, 6, 7))
    reference[2, 3, 4] = value
    with pytest.raises(ValueError, match=rf"reference holds the values \[{value}\]"):
        read_pair(draw(1, (5, 6, 7)), reference, 3, LABELS)

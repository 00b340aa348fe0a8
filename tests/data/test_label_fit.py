import numpy as np
import pytest

from pipeline.data.label_fit import measure_fit


def fit(image, label, affine=None, background=0):
    affine = np.eye(4) if affine is None else affine
    return measure_fit(image, label, affine, background, np.sort(image, axis=None))


def cube(low=0, high=10):
    label = np.zeros((12, 12, 12), np.uint8)
    label[4:8, 4:8, 4:8] = 1
    return np.where(label == 1, high, low).astype(np.uint16), label


def test_the_numbers_of_a_bright_cube():
    """By hand: the box has 10 voxels a side, so 3 * 900 pairs, of which 6 * 16 cross the outline, by 10."""
    found = fit(*cube())
    assert found["edges"] == pytest.approx(10 / (96 * 10 / 2700), rel=1e-4)
    assert found["sides"] == pytest.approx([-2700 / 96] * 6, rel=1e-4)
    # 1728 - 64 voxels are darker.
    assert found["labels"]["1"] == pytest.approx([1664 / 1728, 0], abs=1e-4)


def test_units_do_not_matter():
    assert fit(*cube(0, 10)) == fit(*cube(1000, 4000))


def test_sides_follow_the_header_and_not_the_order_of_the_axes():
    image, label = cube()
    image = image.astype(float)
    image[8:] = 4  # brighter beyond the end of the first axis
    sides = fit(image, label)["sides"]
    assert sides[0] > sides[1] == sides[2] == sides[5]
    to_left = np.diag([-1.0, 1, 1, 1])
    assert fit(image, label, to_left)["sides"] == [sides[1], sides[0], *sides[2:]]
    as_depth = np.moveaxis(image, 0, 2), np.moveaxis(label, 0, 2)
    affine = np.array([[0.0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
    assert fit(*as_depth, affine)["sides"] == pytest.approx(sides)


def test_a_label_map_without_labels_or_without_an_outline_has_no_fit():
    image, label = cube()
    assert fit(image, label * 0) is None
    assert fit(image, label * 0 + 1) is None
    assert fit(image * 0, label) is None
    assert fit(image, label * 0 + 255, background=255) is None


def test_pictures_have_four_sides():
    image, label = cube()
    assert len(fit(image[:, :, 5], label[:, :, 5])["sides"]) == 4


def test_a_broken_affine_has_no_sides():
    assert fit(*cube(), np.full((4, 4), np.nan))["sides"] == [None] * 6

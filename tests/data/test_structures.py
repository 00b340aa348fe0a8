"""Structures of a label map, against SimpleITK and against maps small enough to count by hand."""

import tracemalloc

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from pipeline.data.structures import measure_structures

LPS = np.diag([-1.0, -1, 1, 1])


def blobs(shape, seed):
    """Random structures with the values 1, 3 and 200."""
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=shape), 1.5)
    return np.select([noise > 0.12, noise > 0.08, noise < -0.15], [1, 3, 200]).astype(np.uint8)


def an_affine(seed):
    affine = np.eye(4)
    turn = Rotation.from_rotvec(np.random.default_rng(seed).normal(size=3) / 3).as_matrix()
    affine[:3, :3] = turn * [0.7, 0.9, 2.5]
    affine[:3, 3] = [-80, 12.5, 300]
    return affine


def as_sitk(voxels, affine):
    """The same grid in SimpleITK, whose world is LPS."""
    image = sitk.GetImageFromArray(voxels.T.copy())
    axes = (LPS @ affine)[: voxels.ndim, : voxels.ndim]
    spacing = np.linalg.norm(axes, axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((axes / spacing).ravel().tolist())
    image.SetOrigin((LPS @ affine)[: voxels.ndim, 3].tolist())
    return image


@pytest.mark.parametrize(("shape", "seed"), [((40, 33, 21), 0), ((30, 30, 30), 1), ((60, 47), 2)])
def test_structures_measure_as_in_simpleitk(shape, seed):
    label = blobs(shape, seed)
    affine = an_affine(seed) if len(shape) == 3 else np.diag([0.5, 0.8, 1, 1])
    measured = measure_structures(label, affine, background=0)
    image = as_sitk(label, affine)
    statistics = sitk.LabelShapeStatisticsImageFilter()
    statistics.Execute(image)
    assert list(measured) == [str(value) for value in statistics.GetLabels()] == ["1", "3", "200"]
    for value in statistics.GetLabels():
        mine = measured[str(value)]
        parts = sitk.ConnectedComponent(image == value, True)  # touching at a corner is enough
        largest = sitk.GetArrayViewFromImage(sitk.RelabelComponent(parts)).ravel()
        assert mine["voxels"] == statistics.GetNumberOfPixels(value)
        physical = statistics.GetPhysicalSize(value)
        assert mine.get("ml", mine.get("mm2")) == pytest.approx(physical / (1000 if len(shape) == 3 else 1), rel=1e-5)
        assert mine["components"] == sitk.GetArrayViewFromImage(parts).max()
        assert mine["largest"] == pytest.approx((largest == 1).sum() / mine["voxels"], abs=1e-6)
        centre = np.array([*statistics.GetCentroid(value), 0.0][:3]) * [-1, -1, 1]
        np.testing.assert_allclose(mine["centroid"], centre, atol=1.1e-3)


def test_units_are_ml_in_3d_and_mm2_in_2d():
    assert measure_structures(np.ones((2, 5, 10), np.uint8), np.diag([1, 2, 5, 1]), background=0)["1"]["ml"] == 1
    assert "mm2" not in measure_structures(np.ones((2, 2, 2), np.uint8), np.eye(4), background=0)["1"]
    flat = measure_structures(np.ones((4, 5), np.uint8), np.diag([0.5, 2, 7, 1]), background=0)["1"]
    assert (flat["mm2"], "ml" in flat) == (20, False)


def test_parts_that_touch_at_a_corner_are_one():
    label = np.zeros((4, 4, 4), np.uint8)
    label[0, 0, 0] = label[1, 1, 1] = label[3, 3, 3] = 1
    assert measure_structures(label, np.eye(4), background=0)["1"]["components"] == 2


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.int64, bool])
def test_the_type_that_a_map_is_stored_in_is_no_matter(dtype):
    label = blobs((20, 20, 10), 3) == 1
    expected = measure_structures(label.astype(np.uint8), np.eye(4), background=0)
    assert measure_structures(label.astype(dtype), np.eye(4), background=0) == expected


@pytest.mark.parametrize("values", [(0, 1, 3, 200), (255, 0, 3, 7), (-5, 0, 5, 1000), (0, -(2**31) + 1, 2**31 - 1, 70)])
def test_whatever_the_values_are_the_structures_are_the_same(values):
    """The largest values span so much that a table with a place for each would take gigabytes."""
    label = blobs((20, 20, 10), 4)
    wanted = [measure_structures(label, np.eye(4), background=0)[str(value)] for value in (1, 3, 200)]
    named = np.select([label == value for value in (0, 1, 3, 200)], values)
    measured = measure_structures(named, np.eye(4), background=values[0])
    assert [measured[str(value)] for value in values[1:]] == wanted
    assert len(measured) == 3


def test_a_map_without_structures_and_one_with_thousands_give_none():
    assert measure_structures(np.full((5, 5, 5), 255, np.uint8), np.eye(4), background=255) == {}
    scan = np.arange(1000, dtype=np.int16).reshape(10, 10, 10)
    assert measure_structures(scan, np.eye(4), background=0) == {}


# --- specks ----------------------------------------------------------------------------------------------------------


def a_ball():
    """A body of 1000 voxels in one corner of a large volume: specks have up to 10 voxels."""
    label = np.zeros((60, 30, 30), np.uint8)
    label[2:12, 2:12, 2:12] = 1
    return label


def specks(label):
    found = measure_structures(label, np.eye(4), background=0)["1"]
    return found["specks"], found["speck_voxels"], found["near_specks"]


@pytest.mark.parametrize(
    ("place", "size", "expected"),
    [
        (None, 0, (0, 0, 0)),
        (40, 1, (1, 1, 0)),
        (40, 10, (1, 10, 0)),
        (40, 11, (0, 0, 0)),  # more than 10 voxels
        (15, 1, (1, 1, 0)),  # three voxels of background between
        (14, 1, (0, 0, 1)),  # two
        (13, 1, (0, 0, 1)),
        (12, 1, (0, 0, 0)),  # touches
    ],
)
def test_a_speck_is_tiny_and_alone(place, size, expected):
    label = a_ball()
    if place is not None:
        label[place : place + size, 5, 5] = 1
    assert specks(label) == expected


def test_a_speck_beside_another_structure_is_not_alone():
    label = a_ball()
    label[40, 5, 5], label[43, 5, 5] = 1, 2
    assert specks(label) == (0, 0, 1)
    label[43, 5, 5], label[44, 5, 5] = 0, 2
    assert specks(label) == (1, 1, 0)


def test_parts_of_a_small_structure_are_no_specks():
    label = np.zeros((40, 5, 5), np.uint8)
    label[0:10] = np.eye(5, dtype=np.uint8)  # 50 voxels, of which a speck may have 2
    label[30:33, 2, 2] = 1
    assert specks(label) == (0, 0, 0)
    label[32, 2, 2] = 0
    assert specks(label) == (1, 2, 0)


def test_a_speck_at_the_border_is_found():
    label = a_ball()
    label[-1, -1, -1] = 1
    assert specks(label) == (1, 1, 0)


def test_measuring_takes_a_few_times_the_memory_of_the_map():
    label = np.zeros((160, 160, 160), np.uint8)
    label[10:150, 10:150, 10:150] = 1
    measure_structures(label[:4], np.eye(4), background=0)
    tracemalloc.start()
    measure_structures(label, np.eye(4), background=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Numbered structures, what is inside the box, and the parts as 32-bit integers: no 64-bit ones.
    assert peak < 7.5 * label.nbytes

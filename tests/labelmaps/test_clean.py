import math
import tracemalloc
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from monai.bundle import ConfigParser
from monai.data import MetaTensor
from monai.transforms import FillHoles, KeepLargestConnectedComponent
from monai.transforms.utils import fill_holes

from pipeline.labelmaps.clean import CleanLabelMapd, clean_label_map


def picture(*rows: str) -> np.ndarray:
    """A label map of two axes, a character per pixel; a dot is background."""
    return np.array([[0 if mark == "." else int(mark) for mark in row] for row in rows], dtype=np.uint8)


def clean(label_map: np.ndarray, **steps: Any) -> np.ndarray:
    return clean_label_map(label_map, voxel_size=1.0, **steps)


def test_the_largest_component_stays_and_other_labels_are_not_touched() -> None:
    label_map = picture("11..2", "11...", "..1.1", "2....", ".22.1")
    expected = picture("11..2", "11...", "..1..", "2....", ".22..")
    np.testing.assert_array_equal(clean(label_map, largest_component=[1]), expected)
    assert label_map.sum() == 15  # what it was given stays as it is


def test_of_equal_components_the_first_in_the_array_stays() -> None:
    label_map = picture(*["11.11.11"] * 2)
    np.testing.assert_array_equal(clean(label_map, largest_component=[1]), picture(*["11......"] * 2))


def test_a_component_as_large_as_the_minimum_stays_and_smaller_ones_go() -> None:
    label_map = picture("111.11.1", "........", "222.22.2")
    np.testing.assert_array_equal(clean(label_map, minimum={1: 2}), picture("111.11..", "........", "222.22.2"))
    assert not clean(label_map, minimum={1: 4, 2: 3.5}).any()
    # 3 voxels of 0.1 are 0.30000000000000004 in floating point.
    tenths = clean_label_map(label_map, voxel_size=0.1, minimum={1: 0.1 + 0.2})
    np.testing.assert_array_equal(tenths, picture("111.....", "........", "222.22.2"))


def test_the_last_component_goes_too_where_it_is_below_the_minimum() -> None:
    label_map = picture("1.11")
    assert not clean(label_map, largest_component=[1], minimum={1: 3}).any()
    np.testing.assert_array_equal(clean(label_map, largest_component=[1], minimum={1: 2}), picture("..11"))


def test_holes_take_background_alone() -> None:
    label_map = picture(".11111.", ".1...1.", ".1.2.1.", ".1...1.", ".11111.")
    expected = picture(".11111.", ".11111.", ".11211.", ".11111.", ".11111.")
    np.testing.assert_array_equal(clean(label_map, fill_holes=[1]), expected)


def test_no_hole_where_the_wall_has_a_gap_or_is_another_labels_or_the_volumes_end() -> None:
    diagonal_gap = picture(".111.", "1...1", "1.1.1", "11...", ".11.1")
    shared_wall = picture("111", "1.2", "222")
    at_the_end = picture("1.1", "111")
    for label_map in (diagonal_gap, shared_wall, at_the_end):
        np.testing.assert_array_equal(clean(label_map, fill_holes=[1, 2]), label_map)


def test_of_nested_labels_the_inner_ones_holes_are_filled_first() -> None:
    for inner, outer in ((1, 2), (2, 1)):
        label_map = np.full((7, 7), outer)
        label_map[1:6, 1:6] = inner
        label_map[3, 3] = 0
        cleaned = clean(label_map, fill_holes=[1, 2])
        assert (cleaned[3, 3], (cleaned == outer).sum()) == (inner, 24)


def test_a_removed_piece_leaves_no_hole_in_the_label_around_it() -> None:
    label_map = np.ones((5, 5), dtype=np.uint8)
    label_map[2, 2] = 2
    assert (clean(label_map, minimum={2: 2}, fill_holes=[1]) == 1).all()
    assert clean(label_map, minimum={2: 2})[2, 2] == 0


def test_nothing_asked_for_or_no_such_label_changes_nothing() -> None:
    label_map = picture("1.1", "2..", "1.1")
    for steps in ({}, {"largest_component": [9], "fill_holes": [3, 9], "minimum": {9: 5.0}}):
        np.testing.assert_array_equal(clean(label_map, **steps), label_map)
    empty = np.zeros((4, 4, 4), dtype=np.uint8)
    assert not clean(empty, largest_component=[1], fill_holes=[1], minimum={1: 1.0}).any()


def random_blobs(seed: int, shape: tuple[int, ...] = (14, 15, 16)) -> np.ndarray:
    return (np.random.default_rng(seed).random(shape) < 0.13).astype(np.uint8)


@pytest.mark.parametrize("seed", [0, 1, 3, 4])
def test_components_are_those_of_simpleitk(seed: int) -> None:
    label_map = random_blobs(seed)
    components = sitk.RelabelComponent(
        sitk.ConnectedComponent(sitk.GetImageFromArray(label_map), True), minimumObjectSize=3
    )
    found = sitk.GetArrayFromImage(components)
    sizes = np.bincount(found.ravel())
    assert sizes[1] > sizes[2] > 0  # no tie, and something to remove
    np.testing.assert_array_equal(clean(label_map, minimum={1: 3}), found > 0)
    np.testing.assert_array_equal(clean(label_map, largest_component=[1]), found == 1)


@pytest.mark.parametrize("seed", [0, 1, 3, 4])
def test_a_label_alone_is_cleaned_as_by_monai(seed: int) -> None:
    # Thin walls of random thickness, so that some cavities are closed and others are not.
    volume = np.random.default_rng(seed).random((16, 16, 16))
    label_map = (volume < 0.93).astype(np.uint8)
    filled = clean(label_map, fill_holes=[1])
    assert filled.sum() > label_map.sum()
    np.testing.assert_array_equal(filled, FillHoles(applied_labels=[1])(label_map[None].copy())[0])
    blobs = random_blobs(seed)
    largest = KeepLargestConnectedComponent(applied_labels=[1])(torch.from_numpy(blobs)[None])[0]
    np.testing.assert_array_equal(clean(blobs, largest_component=[1]), np.asarray(largest))


@pytest.mark.parametrize("shape", [(40, 41), (17, 18, 19), (1, 30, 31)], ids=str)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_holes_among_other_labels_are_those_of_monai(seed: int, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(seed)
    label_map = rng.choice(np.array([0, 1, 2], np.uint8), shape, p=[0.12, 0.85, 0.03])
    mask = (label_map == 1)[None].astype(np.uint8)
    expected = np.where((fill_holes(mask, [1])[0] == 1) & (label_map == 0), 1, label_map)
    # In one layer of three axes everything is open.
    assert (expected != label_map).any() == (shape[0] > 1)
    np.testing.assert_array_equal(clean(label_map, fill_holes=[1]), expected)


def peak_bytes(function: Any) -> int:
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("steps", [{"fill_holes": [1]}, {"minimum": {1: 2.0}, "largest_component": [1]}], ids=str)
def test_it_takes_five_bytes_per_voxel_of_the_box_and_a_copy(steps: dict[str, Any]) -> None:
    label_map = np.ones((90, 80, 80), dtype=np.uint8)
    label_map[3:-3:3, 3:-3:3, 3:-3:3] = 0
    label_map[:, 1] = 0
    for dtype in (np.uint8, np.uint16):
        given = label_map.astype(dtype)
        taken = peak_bytes(lambda given=given: clean(given, **steps))
        assert taken < 5.6 * given.size + given.nbytes


def test_a_map_is_copied_once_before_it_is_cleaned() -> None:
    label_map = np.zeros((80, 80, 80), dtype=np.uint8)
    label_map[40:43, 40:43, 40:43] = 1
    tensor = torch.from_numpy(label_map)[None]
    transform = CleanLabelMapd("pred", largest_component=[1], fill_holes=[1])
    before = label_map.copy()
    assert peak_bytes(lambda: transform({"pred": tensor})) < 1.2 * label_map.size
    np.testing.assert_array_equal(label_map, before)


def case(label_map: np.ndarray, affine: np.ndarray, **meta: Any) -> dict[str, MetaTensor]:
    tensor = torch.from_numpy(label_map)[None].float()
    return {"pred": MetaTensor(tensor, affine=torch.as_tensor(affine), meta=meta)}


def rotated(spacing: tuple[float, float, float]) -> np.ndarray:
    """An affine (mm) of an oblique scan, with a tilted gantry: its second axis leans into the third by 30 degrees."""
    turn, lean = math.radians(20), math.radians(30)
    rotation = np.array([[math.cos(turn), -math.sin(turn), 0], [math.sin(turn), math.cos(turn), 0], [0, 0, -1]])
    shear = np.array([[1, 0, 0], [0, math.cos(lean), 0], [0, math.sin(lean), 1]])
    affine = np.eye(4)
    affine[:3, :3] = rotation @ shear @ np.diag(spacing)
    affine[:3, 3] = (-31.5, 8, 100)
    return affine


def test_a_minimum_is_in_ml_of_the_scans_own_voxels() -> None:
    label_map = np.zeros((10, 10, 10), dtype=np.uint8)
    label_map[:2, 0, 0] = 1
    label_map[5:8, 5, 5] = 1
    # 4 x 5 x 10 mm with one axis leaning by 30 degrees: 0.2 ml times its cosine.
    voxel = 0.2 * math.cos(math.radians(30))
    for minimum, left in ((1.9 * voxel, 5), (2.1 * voxel, 3), (3.1 * voxel, 0)):
        cleaned = CleanLabelMapd("pred", minimum_ml={1: minimum})(case(label_map, rotated((4.0, 5.0, 10.0))))["pred"]
        assert int(cleaned.sum()) == left


def test_a_minimum_of_a_picture_is_in_mm2() -> None:
    label_map = picture("11.1", "....", "..11")
    affine = np.diag([0.5, 3.0, 1.0, 1.0])
    cleaned = CleanLabelMapd("pred", minimum_mm2={1: 2.9})(case(label_map, affine))["pred"]
    np.testing.assert_array_equal(cleaned[0].numpy(), picture("11..", "....", "..11"))
    with pytest.raises(ValueError, match="has 2 axes: expected minimum_ml for three axes, and minimum_mm2 for two"):
        CleanLabelMapd("pred", minimum_ml={1: 1.0})(case(label_map, affine))


def test_type_affine_and_meta_data_are_as_before() -> None:
    before = case(picture("1.1", "11.", "..."), rotated((1, 1, 1)), filename_or_obj="a.nii.gz")
    after = CleanLabelMapd("pred", largest_component=[1], fill_holes=[1])({**before, "other": 3})
    assert after["other"] == 3
    cleaned = after["pred"]
    assert isinstance(cleaned, MetaTensor)
    assert (cleaned.dtype, cleaned.shape, cleaned.meta["filename_or_obj"]) == (torch.float32, (1, 3, 3), "a.nii.gz")
    np.testing.assert_array_equal(cleaned.affine, before["pred"].affine)
    integers = torch.ones((1, 2, 2, 2), dtype=torch.int64)
    assert CleanLabelMapd("pred", largest_component=[1])({"pred": integers})["pred"].dtype == torch.int64


def test_a_config_gives_its_numbers_as_json_does() -> None:
    config = {"_target_": "pipeline.labelmaps.clean.CleanLabelMapd", "keys": "pred", "minimum_ml": {"2": 0.5}}
    transform = ConfigParser({"clean": config}).get_parsed_content("clean")
    label_map = np.zeros((9, 9, 9), dtype=np.uint8)
    label_map[:8, :8, :7] = 2
    assert not transform(case(label_map, np.eye(4)))["pred"].any()  # 448 voxels of 0.001 ml
    label_map[:8, :8, :8] = 2
    assert int(transform(case(label_map, np.eye(4)))["pred"].sum()) == 2 * 512


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ({"largest_component": [0]}, r"labels to clean are \[0\]"),
        ({"fill_holes": ["liver"]}, r"labels to clean are \['liver'\]"),
        ({"minimum_ml": {1: 0.0}}, r"minimum is \{1: 0\.0\}: expected a size above 0"),
        ({"minimum_mm2": {1: math.nan}}, r"minimum is \{1: nan\}"),
    ],
)
def test_steps_that_cannot_be_are_refused_at_once(steps: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CleanLabelMapd("pred", **steps)


@pytest.mark.parametrize(
    ("label_map", "message"),
    [
        (torch.zeros(2, 4, 4), r"shape \(2, 4, 4\): expected \(1, X, Y, Z\) or \(1, X, Y\)"),
        (torch.full((1, 4, 4), 0.5), r"values from 0\.5 to 0\.5: expected integers"),
        (torch.full((1, 4, 4), -1.0), "values from -1.0 to -1.0"),
        (torch.full((1, 4, 4), math.nan), "values from nan to nan"),
        (torch.ones(1, 4, 4), "has no affine"),
    ],
)
def test_what_is_no_label_map_is_refused(label_map: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CleanLabelMapd("pred", minimum_mm2={1: 2.0})({"pred": label_map})


def test_a_voxel_has_a_size() -> None:
    with pytest.raises(ValueError, match=r"voxel_size is 0\.0"):
        clean_label_map(np.ones((2, 2)), voxel_size=0.0)

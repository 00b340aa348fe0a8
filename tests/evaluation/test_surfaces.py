"""Surface metrics against MONAI, surface-distance and SimpleITK, for random and for adversarial shapes."""

import itertools
import math
import warnings

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance, compute_surface_dice
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import cdist

from pipeline.evaluation.grid_edges import find_edges
from pipeline.evaluation.metric_names import SURFACE_METRICS
from pipeline.evaluation.surfaces import measure_surfaces

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import surface_distance

SHAPE = (17, 14, 19)
SPACINGS = [(1.0, 1.0, 1.0), (0.7, 0.9, 3.0), (0.4, 6.0, 0.5)]


def random_mask(seed, shape=SHAPE):
    """A mask with a curved surface and several parts."""
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=shape), 2)
    return noise > np.quantile(noise, 0.8)


def box(*ends, shape=SHAPE):
    mask = np.zeros(shape, dtype=bool)
    mask[tuple(slice(*end) for end in ends)] = True
    return mask


def ball(radius, centre=(8, 7, 9), shape=SHAPE):
    grid = np.indices(shape) - np.array(centre).reshape(-1, *[1] * len(shape))
    return np.linalg.norm(grid, axis=0) <= radius


def noise(seed, share, shape=SHAPE):
    return np.random.default_rng(seed).random(shape) < share


PAIRS = {
    "random 1": (random_mask(1), random_mask(2)),
    "random 2": (random_mask(3), random_mask(4)),
    "noise": (noise(5, 0.5), noise(6, 0.5)),
    "sparse noise": (noise(7, 0.01), noise(8, 0.01)),
    "same": (ball(5), ball(5)),
    "on the border": (box((0, 6), (0, 14), (5, 19)), box((0, 5), (2, 14), (7, 19))),
    "whole volume": (np.ones(SHAPE, dtype=bool), ball(5)),
    "one voxel each": (box((0, 1), (0, 1), (0, 1)), box((16, 17), (13, 14), (18, 19))),
    "one voxel": (box((3, 4), (5, 6), (7, 8)), ball(6)),
    "one slice": (box((4, 5), (2, 12), (3, 15)), box((6, 7), (3, 12), (3, 16))),
    "disconnected": (box((1, 3), (1, 3), (1, 3)) | box((13, 16), (10, 13), (14, 18)), box((1, 4), (1, 3), (1, 3))),
    "far island": (ball(3, (4, 4, 4)) | box((16, 17), (13, 14), (18, 19)), ball(3, (4, 4, 5))),
    "hole": (ball(6) & ~ball(3), ball(6)),
}
each_pair = pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
each_spacing = pytest.mark.parametrize("spacing", SPACINGS, ids=str)


def measure(predicted, expected, spacing, tolerance=1.1):
    return measure_surfaces(
        predicted, expected, edges=find_edges(spacing), tolerance_mm=tolerance, metrics=SURFACE_METRICS
    )


def measure_with_monai(predicted, expected, spacing, tolerance=1.1):
    y_pred, y = (torch.from_numpy(mask)[None, None] for mask in (predicted, expected))
    options = {"include_background": True, "spacing": list(spacing)}
    found = {
        "hd95_mm": compute_hausdorff_distance(y_pred, y, percentile=95, **options),
        "hd_mm": compute_hausdorff_distance(y_pred, y, **options),
        "assd_mm": compute_average_surface_distance(y_pred, y, symmetric=True, **options),
        "nsd": compute_surface_dice(y_pred, y, class_thresholds=[tolerance], **options),
        "nsd_area": compute_surface_dice(y_pred, y, class_thresholds=[tolerance], use_subvoxels=True, **options),
    }
    return {name: value.item() for name, value in found.items()}


def measure_with_surface_distance(predicted, expected, spacing, tolerance=1.1):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        found = surface_distance.compute_surface_distances(expected, predicted, spacing)
    areas = [found["surfel_areas_gt"].sum(), found["surfel_areas_pred"].sum()]
    means = surface_distance.compute_average_surface_distance(found)
    return {
        "hd95_area_mm": surface_distance.compute_robust_hausdorff(found, 95),
        "hd_area_mm": max(found["distances_gt_to_pred"][-1], found["distances_pred_to_gt"][-1]),
        # It has no symmetric mean: its two means are weighted by the areas they are over.
        "assd_area_mm": np.average(means, weights=areas),
        "nsd_area": surface_distance.compute_surface_dice_at_tolerance(found, tolerance),
    }


@each_pair
@each_spacing
def test_boundary_voxels_agree_with_monai(pair, spacing):
    found, expected = measure(*pair, spacing), measure_with_monai(*pair, spacing)
    # MONAI's distances are 32-bit numbers.
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-6, abs=1e-6)


@each_pair
@each_spacing
def test_areas_agree_with_surface_distance(pair, spacing):
    found, expected = measure(*pair, spacing), measure_with_surface_distance(*pair, spacing)
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.5, 2.0)], ids=str)
def test_two_dimensions_agree_with_both(seed, spacing):
    pair = random_mask(seed, (23, 31)), random_mask(seed + 10, (23, 31))
    if seed == 3:
        pair = noise(1, 0.5, (9, 11)), noise(2, 0.5, (9, 11))
    found = measure(*pair, spacing)
    expected = measure_with_monai(*pair, spacing) | measure_with_surface_distance(*pair, spacing)
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-6)


@each_pair
@each_spacing
def test_the_hausdorff_distance_of_voxels_bounds_that_of_their_boundaries(pair, spacing):
    """SimpleITK takes all voxels of a mask. Nothing may be nearer to the inside of a mask than to its boundary."""
    images = [sitk.GetImageFromArray(mask.astype(np.uint8)) for mask in pair]
    for image in images:
        image.SetSpacing(spacing[::-1])
    filtered = sitk.HausdorffDistanceImageFilter()
    filtered.Execute(*images)
    predicted, expected = pair
    brute = max(
        cdist(np.argwhere(a & ~b) * spacing, np.argwhere(b) * spacing).min(axis=1, initial=math.inf).max(initial=0)
        for a, b in itertools.permutations(pair)
    )
    assert filtered.GetHausdorffDistance() == pytest.approx(brute, rel=1e-5)
    found = measure(*pair, spacing)
    nested = (predicted <= expected).all() or (expected <= predicted).all()
    if not nested:
        return
    # Of nested masks without holes, a boundary voxel of the larger one is the farthest from the smaller one.
    if pair is not PAIRS["hole"]:
        assert found["hd_mm"] == pytest.approx(brute, abs=1e-5)
    assert abs(found["hd_area_mm"] - found["hd_mm"]) <= max(spacing)


@each_pair
@each_spacing
def test_areas_and_boundary_voxels_differ_by_less_than_a_voxel(pair, spacing):
    found = measure(*pair, spacing)
    # An element is half a voxel from the voxels that it is between, at each of its two ends.
    assert abs(found["hd_mm"] - found["hd_area_mm"]) <= math.hypot(*spacing)


def test_what_is_not_asked_for_is_not_measured(monkeypatch):
    pair = PAIRS["random 1"]
    full = measure(*pair, (1, 1, 1))

    def fail(*_):
        raise AssertionError

    options = {"edges": np.eye(3), "tolerance_mm": 1.1}
    monkeypatch.setattr("pipeline.evaluation.surfaces.find_elements", fail)
    assert measure_surfaces(*pair, metrics=["nsd"], **options) == {"nsd": full["nsd"]}
    monkeypatch.undo()
    monkeypatch.setattr("pipeline.evaluation.surfaces.find_boundary", fail)
    assert measure_surfaces(*pair, metrics=["hd_area_mm"], **options) == {"hd_area_mm": full["hd_area_mm"]}
    assert measure_surfaces(*pair, metrics=[], **options) == {}


@pytest.mark.parametrize("spacing", [0.1, 0.7, 0.8, 1.1])
def test_a_shift_by_as_much_as_the_tolerance_is_within_it(spacing):
    # In 64 bits three times 0.8 is more than 2.4.
    reference = box((2, 7), (3, 8), (4, 9))
    shifted = np.roll(reference, 3, axis=0)
    within = measure(shifted, reference, (spacing,) * 3, tolerance=round(3 * spacing, 6))
    below = measure(shifted, reference, (spacing,) * 3, tolerance=2.9 * spacing)
    assert (within["nsd"], within["nsd_area"]) == (1, 1)
    assert max(below["nsd"], below["nsd_area"]) < 0.9


@pytest.mark.parametrize("pair", [PAIRS[name] for name in ("random 1", "sparse noise", "far island", "one slice")])
def test_in_a_sheared_grid_distances_are_those_in_the_world(pair):
    affine = np.array([[0.8, 0.0, 0.5, 3], [0.0, 1.0, -0.4, 5], [0.0, 0.1, 2.0, 7], [0, 0, 0, 1]])
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    edges = find_edges(spacing, affine)
    found = measure_surfaces(*pair, edges=edges, tolerance_mm=1.1, metrics=SURFACE_METRICS)

    boundaries = []
    for mask in pair:
        padded = np.pad(mask, 1)
        inner = np.logical_and.reduce([np.roll(padded, step, axis) for axis in range(3) for step in (-1, 1)])
        boundaries.append(np.argwhere(padded & ~inner) @ affine[:3, :3].T)
    distances = cdist(*boundaries)
    there, back = distances.min(axis=1), distances.min(axis=0)
    assert found["hd95_mm"] == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)))
    assert found["hd_mm"] == pytest.approx(max(there.max(), back.max()))
    assert found["assd_mm"] == pytest.approx(np.concatenate((there, back)).mean())
    assert found["nsd"] == pytest.approx((np.concatenate((there, back)) <= 1.1).mean())
    # As if the axes were at right angles, the numbers are others.
    assert measure(*pair, spacing)["assd_mm"] != pytest.approx(found["assd_mm"], rel=1e-3)

"""The labelled CT, the network that is trained on it, and what is said about its label map."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from ct_network import between_share, mean_dice, train_on_scan
from predict_parts import make_bundle, make_ct
from scipy import ndimage


def test_a_voxel_is_between_classes_if_one_of_26_around_it_has_another_label() -> None:
    labels = np.zeros((5, 6, 7), np.uint8)
    assert between_share(labels) == 0
    labels[2, 3, 3] = 1
    assert between_share(labels) == 27 / labels.size
    labels = np.random.default_rng(0).integers(0, 2, labels.shape).astype(np.uint8)
    other = ndimage.generic_filter(labels, np.ptp, size=3, mode="nearest")
    assert between_share(labels) == np.count_nonzero(other) / labels.size


def test_the_mean_dice_by_hand() -> None:
    truth = np.array([0, 0, 1, 1, 2, 0], np.uint8)
    labels = np.array([0, 1, 1, 1, 0, 3], np.uint8)
    # Class 1: 2 of 3 and 2 voxels. Classes 2 and 3 are in one of the label maps only.
    assert mean_dice(labels, truth) == pytest.approx((4 / 5 + 0 + 0) / 3)
    assert np.isnan(mean_dice(np.zeros(4, np.uint8), np.zeros(4, np.uint8)))


def test_each_ellipsoid_of_a_labelled_ct_has_its_own_density(tmp_path: Path) -> None:
    scan = make_ct(tmp_path / "ct.nii.gz", (60, 50, 40), truth=tmp_path / "truth.nii.gz")
    voxels, labels = (np.asarray(nib.load(file).dataobj) for file in (scan, tmp_path / "truth.nii.gz"))
    assert labels.shape == voxels.shape
    values, counts = np.unique(labels, return_counts=True)
    assert set(values) <= set(range(20))
    assert len(values) > 10
    large = [value for value, count in zip(values, counts, strict=True) if value and count > 100]
    means = sorted(float(np.median(voxels[labels == value])) for value in large)
    assert np.diff(means).min() > 10


@pytest.mark.slow
def test_training_changes_the_weights_the_same_way_each_time(tmp_path: Path) -> None:
    # The second axis is shorter than a crop.
    scan = make_ct(tmp_path / "ct.nii.gz", (60, 24, 40), spacing=(1.5, 1.5, 1.5), truth=tmp_path / "truth.nii.gz")
    bundle = make_bundle(tmp_path / "bundle", classes=20, spacing=[1.5] * 3, window=32, channels=(4, 8))
    first, again = (
        train_on_scan(bundle, scan, tmp_path / "truth.nii.gz", crop=32, steps=2, seed=seed) for seed in (0, 0)
    )
    random = torch.load(bundle / "models" / "model.pt")
    assert list(first) == list(random)
    assert all(torch.equal(again[name], value) for name, value in first.items())
    assert any(not torch.equal(random[name], value) for name, value in first.items())

"""Scans that are arrays: what is taken as it is, and what is refused in words."""

import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from pipeline.data.errors import InputError
from pipeline.prediction.arrays import as_scan

OWN = np.diag([1.0, 2.0, 3.0, 1.0])
VOXELS = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def bundle(channels: int = 1, spatial_dims: int = 3) -> Any:
    return SimpleNamespace(channels=channels, spatial_dims=spatial_dims, own_affine=OWN)


def read_only(voxels: np.ndarray) -> np.ndarray:
    voxels = voxels.copy()
    voxels.flags.writeable = False
    return voxels


KINDS: dict[str, Any] = {
    "float32": VOXELS,
    "float64": VOXELS.astype(np.float64),
    "int16": VOXELS.astype(np.int16),
    "uint16": VOXELS.astype(np.uint16),
    "uint64": VOXELS.astype(np.uint64),
    "big-endian": VOXELS.astype(">f4"),
    "backwards": VOXELS[::-1, :, ::-1][::-1, :, ::-1],
    "Fortran's order": np.asfortranarray(VOXELS),
    "every second": np.repeat(VOXELS, 2, axis=1)[:, ::2],
    "read-only": read_only(VOXELS),
    "channels first": VOXELS[None],
    "tensor": torch.as_tensor(VOXELS),
    "tensor of integers": torch.as_tensor(VOXELS).to(torch.int32),
    "tensor with gradients": torch.as_tensor(VOXELS).clone().requires_grad_(),
    "memory map's kind": VOXELS.view(np.ndarray),
}


@pytest.mark.parametrize("kind", KINDS)
def test_voxels_of_any_type_and_order_are_taken(kind: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scan = as_scan(KINDS[kind], None, bundle())
    assert type(scan) is MetaTensor
    assert (scan.dtype, tuple(scan.shape)) == (torch.float32, (1, 2, 3, 4))
    np.testing.assert_array_equal(scan.numpy()[0], VOXELS)
    np.testing.assert_array_equal(scan.affine, OWN)


def test_axes_that_run_backwards_stay_so() -> None:
    np.testing.assert_array_equal(as_scan(VOXELS[:, ::-1], None, bundle()).numpy()[0], VOXELS[:, ::-1])


def test_truth_values_are_numbers() -> None:
    scan = as_scan(VOXELS > 5, None, bundle())
    np.testing.assert_array_equal(scan.numpy()[0], VOXELS > 5)


def test_channels_and_planes() -> None:
    assert tuple(as_scan(np.stack([VOXELS, -VOXELS]), None, bundle(channels=2)).shape) == (2, 2, 3, 4)
    assert tuple(as_scan(VOXELS[0], None, bundle(spatial_dims=2)).shape) == (1, 3, 4)


def test_the_affine_is_the_given_one_or_the_tensor_s() -> None:
    own, other = np.diag([2.0, 2, 2, 1]), np.diag([3.0, 3, 3, 1])
    tensor = MetaTensor(torch.as_tensor(VOXELS), affine=torch.as_tensor(own))
    np.testing.assert_array_equal(as_scan(tensor, None, bundle()).affine, own)
    np.testing.assert_array_equal(as_scan(tensor, other, bundle()).affine, other)
    # A plane has an affine of its own kind, with which the third axis stays.
    flat = as_scan(VOXELS[0], np.array([[2.0, 0, 5], [0, 3, 6], [0, 0, 1]]), bundle(spatial_dims=2))
    np.testing.assert_array_equal(flat.affine, [[2, 0, 0, 5], [0, 3, 0, 6], [0, 0, 1, 0], [0, 0, 0, 1]])


def with_value(value: float, dtype: type = np.float32) -> np.ndarray:
    voxels = VOXELS.astype(dtype)
    voxels[1, 1, 1] = value
    return voxels


REFUSED: dict[str, tuple[Any, Any, str, dict[str, int]]] = {
    "2 axes": (VOXELS[0], None, r"shape \(3, 4\); expected shape \(1, X, Y, Z\)", {}),
    "5 axes": (VOXELS[None, None], None, r"shape \(1, 1, 2, 3, 4\)", {}),
    "channels": (np.stack([VOXELS, VOXELS]), None, r"shape \(2, 2, 3, 4\)", {}),
    "no channels": (VOXELS, None, r"expected shape \(2, X, Y, Z\)", {"channels": 2}),
    "nothing": (VOXELS[:0], None, r"shape \(0, 3, 4\)", {}),
    "NaN": (with_value(np.nan), None, "finite", {}),
    "infinite": (with_value(-np.inf), None, "finite", {}),
    "too large for float32": (with_value(1e300, np.float64), None, "finite", {}),
    "too large for sums": (with_value(1e19), None, "finite", {}),
    "constant": (np.full_like(VOXELS, 7), None, "the value 7 in every voxel", {}),
    "one channel constant": (np.stack([VOXELS, 0 * VOXELS]), None, "the value 0 in every voxel", {"channels": 2}),
    "complex": (VOXELS.astype(np.complex64), None, "complex voxels", {}),
    "complex tensor": (torch.as_tensor(VOXELS).to(torch.complex64), None, "complex voxels", {}),
    "objects": (VOXELS.astype(object), None, "type object", {}),
    "text": (VOXELS.astype(str), None, "type <U", {}),
    "affine of another shape": (VOXELS, np.eye(5), "affine of shape", {}),
    "affine without a place": (VOXELS, np.eye(3), "affine of shape", {}),
    "affine with NaN": (VOXELS, np.diag([1, 1, np.nan, 1]), "affine of shape", {}),
    "affine that is no numbers": (VOXELS, "eye", "affine that is a str", {}),
    "ragged affine": (VOXELS, [[1, 0], [1]], "affine that is a list", {}),
    "flat affine": (VOXELS, np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]), "plane", {}),
    "spacing of 0": (VOXELS, np.diag([1.0, 0, 1, 1]), "spacing of 1 x 0 x 1 mm", {}),
    "metres": (VOXELS, np.diag([1000.0, 1000, 1000, 1]), "0.01 to 100 mm", {}),
    "micrometres": (VOXELS, np.diag([0.001, 0.001, 0.001, 1]), "0.01 to 100 mm", {}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_scan_is_refused(name: str) -> None:
    voxels, affine, words, given = REFUSED[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError, match=words) as raised:
            as_scan(voxels, affine, bundle(**given))
    assert raised.value.where == "scan"
    assert raised.value.remedy

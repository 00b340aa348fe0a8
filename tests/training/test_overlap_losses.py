"""The losses inside the named ones, against hand-computed values: MONAI's, and the two that call them per class."""

import math

import numpy as np
import pytest
import torch
from monai.losses import BoundaryLoss, GeneralizedDiceLoss, LogHausdorffDTLoss, SoftclDiceLoss, TverskyLoss
from torch import Tensor

from pipeline.training import BatchClDiceLoss, FocalTverskyLoss


def one_hot(*rows: list[int]) -> Tensor:
    """A picture of one class, (1, 1, rows, columns)."""
    return torch.tensor(rows, dtype=torch.float64)[None, None]


def test_tversky_weighs_false_negatives_more() -> None:
    p, y = one_hot([0, 1, 1]) * 0.8, one_hot([1, 1, 0])
    found = TverskyLoss(alpha=0.3, beta=0.7, batch=True, smooth_nr=1, smooth_dr=1)(p, y)
    # tp 0.8; fp 0.8; fn 1 + 0.2
    index = (0.8 + 1) / (0.8 + 0.3 * 0.8 + 0.7 * 1.2 + 1)
    assert found.item() == pytest.approx(1 - index)
    focal = FocalTverskyLoss()(torch.cat([p, y], 1), torch.cat([y, y], 1))
    assert focal.item() == pytest.approx(((1 - index) ** 0.75 + 1e-6**0.75) / 2)


def test_focal_tversky_has_a_gradient_at_a_perfect_prediction() -> None:
    p = one_hot([0, 1, 1]).requires_grad_(True)
    FocalTverskyLoss()(p, one_hot([0, 1, 1])).backward()
    assert p.grad is not None
    assert p.grad.isfinite().all()


def test_generalised_dice_weighs_classes_by_their_volume() -> None:
    y = torch.cat([one_hot([0, 1, 1, 1]), one_hot([1, 0, 0, 0])], 1)
    p = torch.cat([one_hot([0, 1, 1, 0]), one_hot([1, 0, 0, 1])], 1)
    found = GeneralizedDiceLoss(batch=True)(p, y)
    top = 2 * (2 / 9 + 1 / 1)
    bottom = (2 + 3) / 9 + (2 + 1) / 1
    assert found.item() == pytest.approx(1 - (top + 1e-5) / (bottom + 1e-5))


def test_the_boundary_loss_is_the_mean_signed_distance_and_may_be_negative() -> None:
    y = one_hot(*[[0, 0, 1, 1, 1, 0]] * 1)
    # Outside: voxels to the label; inside: minus the voxels to the border, which itself is 0.
    signed = np.array([2, 1, 0, -1, 0, 1])
    p = one_hot([0, 0, 1, 1, 1, 0]) * 0.9
    assert BoundaryLoss()(p, y).item() == pytest.approx((p.numpy().ravel() * signed).mean())
    assert BoundaryLoss()(p, y) < 0
    # Where a structure is absent there is no distance, and no gradient against false positives.
    assert BoundaryLoss()(p, torch.zeros_like(y)) == 0


def test_the_hausdorff_loss_is_of_squared_errors_times_squared_distances() -> None:
    y, p = one_hot([0, 0, 1, 1, 0]), one_hot([0, 1, 1, 0, 0]) * 0.9
    distance = np.array([2, 1, 1, 1, 1]) ** 2 + np.array([1, 1, 1, 1, 2]) ** 2
    error = (p - y).numpy().ravel() ** 2
    found = LogHausdorffDTLoss(include_background=True)(p.requires_grad_(True), y)
    assert found.item() == pytest.approx(math.log(1 + (error * distance).mean()))
    # The distances have no gradient: that of the squared error is left.
    found.backward()
    assert p.grad is not None
    expected = 2 * (p - y).detach().numpy().ravel() * distance / 5 / (1 + (error * distance).mean())
    np.testing.assert_allclose(p.grad.numpy().ravel(), expected)
    # A target of whole numbers would have distances of whole numbers.
    slanted = torch.zeros(1, 1, 4, 4)
    slanted[0, 0, 0, 0] = 1
    fields = [LogHausdorffDTLoss().distance_field(slanted.to(dtype)) for dtype in (torch.float32, torch.uint8)]
    assert fields[0][0, 0, 1, 1].item() == pytest.approx(math.sqrt(2))
    assert fields[1][0, 0, 1, 1].item() == 1


def test_cldice_is_the_mean_over_classes_of_the_skeletons_overlap() -> None:
    # Lines of one voxel are their own skeletons: a vessel of 6 voxels, of which 4 are found, and one of 2.
    y, p = torch.zeros(2, 2, 9, 9, dtype=torch.float64), torch.zeros(2, 2, 9, 9, dtype=torch.float64)
    y[0, 0, 4, 1:7] = p[0, 0, 4, 1:5] = 1
    y[1, 1, 2, 2:4] = p[1, 1, 2, 2:4] = 1
    precision, sensitivity = (4 + 1) / (4 + 1), (4 + 1) / (6 + 1)
    first = 1 - 2 * precision * sensitivity / (precision + sensitivity + 1e-4)
    second = 1 - 2 / (2 + 1e-4)
    assert BatchClDiceLoss()(p, y).item() == pytest.approx((first + second) / 2)
    # MONAI's is one number for the voxels of all classes of a sample.
    y[0, 1, :, 8] = p[0, 1, :, 8] = 1
    assert SoftclDiceLoss()(p[:1], y[:1]).item() < first / 2

"""The segmentation loss over known voxels and channels, against crops, formulas and MONAI."""

import math
from typing import Any, get_args

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from monai.bundle import ConfigParser
from monai.losses import DiceCELoss, DiceLoss, FocalLoss
from monai.networks import one_hot
from torch import Tensor

from pipeline.bundle.losses import NEEDS_ALL_VOXELS, LossName, loss_component
from pipeline.data.target_table import TargetTable, mark_set
from pipeline.networks import VNet
from pipeline.training import SegmentationLoss, SparseSkipLoss

LABELS = {"background": 0, "liver": 1, "kidney": 2}
REGIONS = {"whole": [1, 2], "core": [2]}
IGNORED = 3
NAMES = get_args(LossName)
PARTIAL_NAMES = [name for name in NAMES if name not in NEEDS_ALL_VOXELS]


def build(name: str, targets: TargetTable | None = None) -> Any:
    regions = targets is not None and targets.is_sigmoid
    component = loss_component(name, regions=regions, targets=targets is not None)  # type: ignore[arg-type]
    if targets is not None:
        component["targets"] = targets
    return ConfigParser({"loss": component}).get_parsed_content("loss")


def make_batch(channels: int = 3, size: tuple[int, ...] = (8, 6)) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, channels, *size, generator=generator, dtype=torch.float64)
    return logits, torch.randint(0, 3, (2, 1, *size), generator=generator)


@pytest.mark.parametrize("regions", [None, REGIONS])
@pytest.mark.parametrize("size", [(8, 6), (8, 6, 4)])
@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_a_loss_with_a_gradient(
    name: str, size: tuple[int, ...], regions: dict[str, list[int]] | None
) -> None:
    logits, label = make_batch(2 if regions else 3, size)
    logits.requires_grad_(True)
    loss = build(name, TargetTable(LABELS, regions) if regions else None)(logits, label)
    loss.backward()
    assert loss.ndim == 0
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    # A step against the gradient lowers it.
    with torch.no_grad():
        after = build(name, TargetTable(LABELS, regions) if regions else None)(logits - 0.1 * logits.grad, label)
    assert after < loss


@pytest.mark.parametrize("name", ["dice_ce", "dice", "cross_entropy"])
def test_with_all_voxels_known_it_is_the_loss_of_a_plain_plan(name: str) -> None:
    logits, label = make_batch()
    torch.testing.assert_close(build(name, TargetTable(LABELS))(logits, label), build(name)(logits, label))


@pytest.mark.parametrize("regions", [None, REGIONS])
@pytest.mark.parametrize("name", PARTIAL_NAMES)
def test_ignored_voxels_count_as_little_as_voxels_that_are_cut_off(
    name: str, regions: dict[str, list[int]] | None
) -> None:
    logits, label = make_batch(2 if regions else 3)
    targets = TargetTable(LABELS, regions)
    whole = label.clone()
    whole[..., 4:] = IGNORED
    logits.requires_grad_(True)
    loss = build(name, targets)(logits, whole)
    torch.testing.assert_close(loss, build(name, targets)(logits[..., :4], label[..., :4]))
    loss.backward()
    assert logits.grad is not None
    assert logits.grad[..., 4:].abs().max() == 0
    assert logits.grad[..., :4].abs().max() > 0


def test_with_ignored_voxels_it_is_pytorchs_and_monais_loss_of_the_others() -> None:
    logits, label = make_batch()
    whole = label.clone()
    whole[..., 4:] = IGNORED
    known, expected = logits[..., :4], label[..., :4]
    targets = TargetTable(LABELS)
    assert build("cross_entropy", targets)(logits, whole).item() == pytest.approx(
        F.cross_entropy(known, expected[:, 0]).item()
    )
    both = DiceCELoss(softmax=True, to_onehot_y=True, batch=True)
    assert build("dice_ce", targets)(logits, whole).item() == pytest.approx(both(known, expected).item())
    # Voxels here and there, which cannot be cut off: by numpy.
    chosen = torch.rand(label.shape, generator=torch.Generator().manual_seed(1)) < 0.3
    p = logits.softmax(1).movedim(1, -1)[chosen[:, 0]].numpy()
    y = np.eye(3)[label[chosen].numpy()]
    dice = 1 - (2 * (p * y).sum(0) + 1e-5) / (p.sum(0) + y.sum(0) + 1e-5)
    by_hand = dice.mean() - np.log((p * y).sum(1)).mean()
    found = build("dice_ce", targets)(logits, label.where(chosen, torch.tensor(IGNORED)))
    assert found.item() == pytest.approx(by_hand)


def test_three_voxels_of_a_case_in_which_only_the_liver_was_annotated() -> None:
    targets = TargetTable(LABELS, annotated=[["liver"]])
    p = torch.tensor([[0.2, 0.5, 0.3], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8]], dtype=torch.float64)
    logits = p.log().T.reshape(1, 3, 3, 1).requires_grad_(True)
    start = mark_set(0, 3)
    target = torch.tensor([start + 1, start + 0, IGNORED]).reshape(1, 1, 3, 1)
    loss = SegmentationLoss(voxels="cross_entropy", targets=targets)(logits, target)
    # A liver voxel; a voxel of background or kidney, 0.6 + 0.1; an ignored one.
    assert loss.item() == pytest.approx(-(math.log(0.5) + math.log(0.7)) / 2)
    loss.backward()
    assert logits.grad is not None
    # d/dz of -log(p0 + p2) is p - p / (p0 + p2) for background and kidney.
    expected = np.array([[0.2, -0.5, 0.3], [0.6 - 0.6 / 0.7, 0.3, 0.1 - 0.1 / 0.7], [0, 0, 0]]) / 2
    np.testing.assert_allclose(logits.grad.reshape(3, 3).T.numpy(), expected, atol=1e-12)
    focal = SegmentationLoss(voxels="focal", targets=targets)(logits, target)
    assert focal.item() == pytest.approx(-(0.5**2 * math.log(0.5) + 0.3**2 * math.log(0.7)) / 2)
    # Dice: of the liver over both voxels; nothing of background and kidney is known in the second.
    dice = SegmentationLoss([DiceLoss(batch=True)], targets=targets)(logits, target)
    liver = 1 - (2 * 0.5 + 1e-5) / (0.5 + 0.3 + 1 + 1e-5)
    background, kidney = (1 - 1e-5 / (p[0, label].item() + 1e-5) for label in (0, 2))
    assert dice.item() == pytest.approx((liver + background + kidney) / 3)


def test_a_region_that_was_not_annotated_has_no_part_in_the_loss() -> None:
    targets = TargetTable(LABELS, REGIONS, [["core"]])
    logits, label = make_batch(2)
    logits.requires_grad_(True)
    marked = label + mark_set(0, 3)
    core = (label == 2).double()
    loss = build("dice_ce", targets)(logits, marked)
    p = logits[:, 1:].sigmoid()
    expected = DiceLoss(batch=True)(p, core) + F.binary_cross_entropy(p, core)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert logits.grad is not None
    assert logits.grad[:, 0].abs().max() == 0
    # The second case is annotated as a whole: its voxels are all that is known of the first region.
    marked[1] = label[1]
    inside = torch.cat([(label >= 1).double(), core], 1)
    losses = F.binary_cross_entropy_with_logits(logits.detach(), inside, reduction="none")
    expected = torch.cat([losses[0, 1].flatten(), losses[1].flatten()]).mean()
    torch.testing.assert_close(build("cross_entropy", targets)(logits.detach(), marked), expected)


def test_focal_is_monais_per_voxel_and_not_over_the_number_of_classes() -> None:
    logits, label = make_batch()
    of_classes = FocalLoss(use_softmax=True, to_onehot_y=True, reduction="none")(logits.float(), label)
    assert build("focal")(logits, label).item() == pytest.approx(of_classes.sum(1).mean().item(), rel=1e-5)
    # MONAI's own mean is over classes too, so that it falls with their number.
    mean = FocalLoss(use_softmax=True, to_onehot_y=True)(logits, label)
    assert mean.item() == pytest.approx(of_classes.sum(1).mean().item() / 3, rel=1e-5)
    without = SegmentationLoss(voxels="focal", gamma=0.0)(logits, label)
    assert without.item() == pytest.approx(F.cross_entropy(logits, label[:, 0]).item())
    inside = torch.cat([(label >= 1).double(), (label == 2).double()], 1)
    found = build("focal", TargetTable(LABELS, REGIONS))(logits[:, :2], label)
    assert found.item() == pytest.approx(FocalLoss()(logits[:, :2], inside).item(), rel=1e-5)


@pytest.mark.parametrize("regions", [None, REGIONS])
@pytest.mark.parametrize("name", PARTIAL_NAMES)
def test_a_batch_of_which_nothing_is_known_has_no_loss(name: str, regions: dict[str, list[int]] | None) -> None:
    logits, label = make_batch(2 if regions else 3)
    logits.requires_grad_(True)
    loss = build(name, TargetTable(LABELS, regions))(logits, torch.full_like(label, IGNORED))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert logits.grad.abs().max() == 0


@pytest.mark.parametrize("name", ["dice_ce", "dice_focal", "cldice"])
def test_it_is_a_loss_for_deep_supervision_and_the_sparsity_term(name: str) -> None:
    regions = None if name in NEEDS_ALL_VOXELS else REGIONS
    targets = TargetTable(LABELS, regions) if regions else None
    torch.manual_seed(0)
    network = VNet(2, 1, 2 if regions else 3, (2, 4, 6), skip="sat", norm="instance", deep_supervision=True)
    image, label = torch.randn(2, 1, 16, 16), torch.randint(0, 3, (2, 1, 16, 16), dtype=torch.uint8)
    if regions:
        label[:, :, 5:] = IGNORED
    predictions = network.train()(image)
    loss = SparseSkipLoss(build(name, targets), network, 0.0)(predictions, label)
    sizes = [each.shape[2:] for each in predictions]
    labels = [F.interpolate(label.float(), size, mode="nearest-exact") for size in sizes]
    pairs = zip((1, 0.5, 0.25), predictions, labels, strict=False)
    expected = sum(weight * build(name, targets)(each, coarse) for weight, each, coarse in pairs)
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_logits_of_half_precision_are_taken_as_float32(dtype: torch.dtype) -> None:
    logits, label = make_batch(2)
    low = logits.to(dtype)
    with torch.autocast("cpu", torch.bfloat16):
        found = build("dice_ce", TargetTable(LABELS, REGIONS))(low, label)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, build("dice_ce", TargetTable(LABELS, REGIONS))(low.float(), label))


def test_each_loss_needs_a_weight() -> None:
    with pytest.raises(ValueError, match="2 weights for 1 losses"):
        SegmentationLoss([DiceLoss()], [1.0, 2.0])


def test_the_target_is_one_hot_for_the_losses_inside() -> None:
    seen = []

    class Spy(torch.nn.Module):
        def forward(self, probabilities: Tensor, target: Tensor) -> Tensor:
            seen.append((probabilities, target))
            return probabilities.sum()

    logits, label = make_batch()
    SegmentationLoss([Spy()], background=False)(logits, label)
    [(probabilities, target)] = seen
    torch.testing.assert_close(probabilities, logits.softmax(1)[:, 1:])
    torch.testing.assert_close(target, one_hot(label, 3).to(target)[:, 1:])

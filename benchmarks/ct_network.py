"""Train the network of a bundle for a short time on one scan, so that its label map is coherent."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from pipeline import Predictor
from pipeline.inference.inferers import apply_precision, choose_precision
from pipeline.training.muon import Muon

__all__ = ["between_share", "mean_dice", "train_on_scan"]

_LEARNING_RATE = 1e-2


def train_on_scan(bundle: Path, scan: Path, truth: Path, *, crop: int, steps: int, seed: int = 0) -> dict[str, Tensor]:
    """Train a bundle's network on crops of one scan, each centred on a voxel of a class that is drawn first.

    Args:
        bundle: the bundle's folder, with the first weights.
        scan: the scan.
        truth: its label map, in the scan's grid.
        crop: side of a crop, voxels of the network's grid.
        steps: number of crops.
        seed: seed of the crops.

    Returns:
        The network's weights, by name.
    """
    predictor = Predictor(bundle, device="cpu", runtime="pytorch", threads=1, windows=0)
    prepared = predictor.prepare(str(scan))
    image = prepared.image
    labels = _resample_labels(truth, prepared.affine, image.shape[1:])
    network = predictor.bundle.network.train().requires_grad_()
    optimiser = Muon(network.parameters(), lr=_LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    random = np.random.default_rng(seed)
    # Flat indices of at most some voxels of each class that is in the scan.
    flat = labels.ravel()
    sample = random.integers(0, flat.size, min(flat.size, 1 << 20))
    centres = [sample[flat[sample] == value] for value in np.unique(flat[sample])]
    crop_image, crop_labels = _pad(image, labels, crop)
    run = apply_precision(network, image, choose_precision("cpu"))
    for _ in range(steps):
        centre = np.unravel_index(random.choice(centres[random.integers(len(centres))]), labels.shape)
        # The centre is somewhere in the crop, as windows have organs anywhere.
        start = [
            int(np.clip(place - random.integers(crop), 0, length - crop))
            for place, length in zip(centre, crop_labels.shape, strict=True)
        ]
        part = tuple(slice(first, first + crop) for first in start)
        optimiser.zero_grad()
        logits = run(crop_image[(slice(None), *part)][None])
        loss = _compute_loss(logits, crop_labels[part][None].long())
        loss.backward()
        optimiser.step()
        schedule.step()
    return {name: value.detach().clone() for name, value in network.eval().state_dict().items()}


def _compute_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return cross-entropy plus one minus the mean soft Dice of the classes in the crop.

    Args:
        logits: (1, K, X, Y, Z).
        labels: (1, X, Y, Z).
    """
    probabilities = logits.softmax(dim=1)
    dice = []
    for value in labels.unique().tolist():
        inside = (labels == value).float()
        one = probabilities[:, value]
        dice.append(2 * (one * inside).sum() / (one.sum() + inside.sum()))
    return functional.cross_entropy(logits, labels) + 1 - torch.stack(dice).mean()


def _pad(image: Tensor, labels: NDArray[np.uint8], crop: int) -> tuple[Tensor, Tensor]:
    """Pad image (C, X, Y, Z) and labels (X, Y, Z) at the end of axes that are shorter than a crop."""
    pad = [side for length in reversed(labels.shape) for side in (0, max(crop - length, 0))]
    plain = torch.as_tensor(np.asarray(image))
    return functional.pad(plain, pad), functional.pad(torch.as_tensor(labels), pad)


def _resample_labels(truth: Path, affine: NDArray[np.float64], shape: Sequence[int]) -> NDArray[np.uint8]:
    """Return the label of the nearest voxel, for each voxel of a grid with this affine and shape."""
    image = nib.load(truth)
    change = np.linalg.solve(image.affine, affine)
    voxels = np.asarray(image.dataobj).astype(np.uint8)
    found: NDArray[np.uint8] = ndimage.affine_transform(
        voxels, change[:3, :3], change[:3, 3], output_shape=tuple(shape), order=0, mode="nearest"
    )
    return found


def between_share(labels: NDArray[np.integer]) -> float:
    """Return the share of voxels (X, Y, Z) with another label among the 26 voxels around them."""
    lowest = highest = labels
    for axis in range(labels.ndim):
        lowest, highest = (pick(values, axis) for pick, values in ((_lowest, lowest), (_highest, highest)))
    return float(np.count_nonzero(lowest != highest) / labels.size)


def _lowest(values: NDArray[np.integer], axis: int) -> NDArray[np.integer]:
    return ndimage.minimum_filter1d(values, 3, axis, mode="nearest")


def _highest(values: NDArray[np.integer], axis: int) -> NDArray[np.integer]:
    return ndimage.maximum_filter1d(values, 3, axis, mode="nearest")


def mean_dice(labels: NDArray[np.integer], truth: NDArray[np.integer]) -> float:
    """Return the mean Dice of the classes from 1 on that are in either label map (X, Y, Z), with values up to 255."""
    pairs = np.bincount(labels.ravel().astype(np.int32) * 256 + truth.ravel(), minlength=1 << 16).reshape(256, 256)
    both = pairs.sum(axis=0) + pairs.sum(axis=1)
    there = np.flatnonzero(both)
    there = there[there > 0]
    return float(np.mean(2 * pairs.diagonal()[there] / both[there])) if there.size else float("nan")

"""The second built-in sample dataset: two channels, thick slices, and a left and a right organ, mirror images.

Everything is drawn in the patient's own space (mm; x to the patient's right, y to the front, z upwards) and sampled on
grids with different orientations: left stays left in the world, but not in the array. It is not anatomy.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from .sample_files import check_sample_arguments, store, write_nifti, write_sample
from .sample_shapes import (
    Array,
    SignedDistance,
    bias_field,
    ellipsoid,
    grid_points,
    oblique_affine,
    place,
    random_tilt,
    smooth_noise,
)

LABELS = {"background": 0, "left_organ": 1, "right_organ": 2, "lesion": 3}
CHANNELS = {"0": "synthetic A", "1": "synthetic B"}

# A cycle of 7 is coprime with 4 and with 5 folds. The thick axis is always the patient's long one.
_ORIENTATIONS = ("RAS", "LPS", "LAS", "ALS", "RPI", "PRS", "LAI")
_STORED = ((np.int16, (900.0, 400.0)), (np.float32, (1.0, 3.0)), (np.int16, (150.0, 250.0)))  # intensity of the body
_LESION_ABSENT = 0.2  # of the cases
_ORGAN_CONTRAST = (0.36, 0.48)  # of each channel
_SPOT_CONTRAST = (0.42, 0.55)

Contrast = Callable[[Array], Array]  # points (N, 3) in mm -> addition to a body of intensity 1, (2 channels, N)
Structure = tuple[int, SignedDistance, Contrast]  # with its label, 0 if it is not labelled


def make_left_right_sample(folder: str | os.PathLike[str], *, cases: int = 40, scans: int = 4, seed: int = 0) -> Path:
    """Write the synthetic left/right dataset in the layout of nnU-Net's second version.

    A body with a midline contains two organs of equal intensity, mirror images except for small variation. Only the
    side of the midline, and a bulky unlabelled blob on the patient's right, distinguish them. Channel A shows the front
    of each organ, channel B its back. Four cases of five have a small lesion at a random place, bright in both
    channels. Every case has one unlabelled spot that is bright in A alone, and one that is bright in B alone.
    Labelled cases are in ``imagesTr/`` and ``labelsTr/``, further scans in ``imagesTs/``, with label maps in
    ``labelsTs/``. A voxel's label is the structure at its centre. The same arguments give the same bytes. A case
    depends only on ``seed`` and its number, so a larger set starts with the cases of a smaller one.

    Args:
        folder: The folder to create. It may exist if it is empty.
        cases: Number of labelled cases, 1 or more.
        scans: Number of unlabelled scans, 0 or more.
        seed: Seed of everything random, 0 or more.

    Returns:
        The path of ``dataset.json``.

    Raises:
        InputError: If the folder is not empty, or a number is out of its range.
    """
    target = Path(folder).resolve()
    check_sample_arguments(target, cases=cases, scans=scans, seed=seed)
    return write_sample(
        target, "case", _write_case, _description(cases=cases, seed=seed), cases=cases, scans=scans, seed=seed
    )


def _description(*, cases: int, seed: int) -> dict[str, Any]:
    return {
        "name": "Left and right",
        "description": "SYNTHETIC shapes in noise, not anatomy: for trying the pipeline, not for medical conclusions",
        "licence": "CC0-1.0",
        "generator": "lightskip sample --kind left_right",
        "seed": seed,
        "channel_names": CHANNELS,
        "labels": LABELS,
        "numTraining": cases,
        "file_ending": ".nii.gz",
    }


def _write_case(root: Path, split: str, name: str, rng: Generator, index: int) -> None:
    affine, shape = _draw_grid(rng, _ORIENTATIONS[index % len(_ORIENTATIONS)])
    channels, label_map = _draw_scan(rng, affine, shape)
    dtype, scales = _STORED[index % len(_STORED)]
    for channel, (intensity, scale) in enumerate(zip(channels, scales, strict=True)):
        stored = store(intensity * scale * rng.uniform(0.7, 1.4), dtype)
        write_nifti(root / f"images{split}" / f"{name}_{channel:04d}.nii.gz", stored, affine)
    write_nifti(root / f"labels{split}" / f"{name}.nii.gz", label_map, affine)


def _draw_grid(rng: Generator, orientation: str) -> tuple[Array, tuple[int, ...]]:
    """Return affine (4, 4) and shape of a slightly oblique grid of thick slices; about 72 x 72 x 88 mm."""
    spacing = np.array([rng.uniform(0.9, 1.15)] * 2 + [rng.uniform(4.5, 6.0)])
    shape = np.clip(np.ceil(rng.uniform((70.0, 70.0, 84.0), (76.0, 76.0, 90.0)) / spacing), (64, 64, 14), (80, 80, 20))
    affine = oblique_affine(rng, orientation, spacing, shape, max_tilt=8.0)
    return affine, tuple(int(n) for n in shape)


def _draw_scan(rng: Generator, affine: Array, shape: tuple[int, ...]) -> tuple[list[Array], NDArray[np.uint8]]:
    """Return two channels of intensities (about 1 in the body) and the label map; all of the grid's shape."""
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    pose = random_tilt(rng, 6.0)
    points = (grid_points(affine, shape) + rng.uniform(-0.5, 0.5, 3)) @ pose  # the patient's own axes
    body, structures = _draw_layout(rng)
    label_map = np.zeros(len(points), np.uint8)
    added = np.zeros((2, len(points)))
    for label, signed_distance, contrast in structures:
        distance = signed_distance(points)
        added += _partial_volume(distance, shape) * contrast(points)
        label_map[distance < 0] = label
    inside = _partial_volume(body(points), shape)
    common = 0.04 * smooth_noise(rng, shape, 3.0 / spacing)
    channels = []
    for contrasts in added:
        texture = common + 0.04 * smooth_noise(rng, shape, 1.5 / spacing)
        intensity = inside * (1 + contrasts + texture.ravel()) * bias_field(rng, points)
        # The magnitude of a complex signal with Gaussian noise in both parts: Rician noise, as in MR images.
        noise = rng.uniform(0.045, 0.065) * rng.normal(size=(2, *shape))
        blurred = gaussian_filter(intensity.reshape(shape), (0.5 / spacing[0], 0.5 / spacing[1], 0.0))
        channels.append(np.hypot(blurred + noise[0], noise[1]))
    return channels, label_map.reshape(shape)


def _draw_layout(rng: Generator) -> tuple[SignedDistance, list[Structure]]:
    """Return the body, around the origin of the patient's own axes, and the structures in it."""
    body = ellipsoid(np.zeros(3), np.eye(3), rng.uniform((25.0, 28.0, 34.0), (28.0, 31.0, 38.0)))
    coarse = 2.0 * (np.indices((29, 33, 39)).reshape(3, -1).T - np.array((14.0, 16.0, 19.0)))
    coarse = coarse[body(coarse) < 0.0]
    has_lesion = rng.random() >= _LESION_ABSENT
    lesion, only_a, only_b = rng.uniform(*_SPOT_CONTRAST, (3, 2)) * ((1, 1), (1, 0), (0, 1))
    kinds = [(3, lesion)] * has_lesion + [(0, only_a), (0, only_b)]
    while True:  # if there is no room for the next spot, a new layout is drawn from the same stream
        structures = _draw_fixed(rng, body)
        free = (body(coarse) < -4.0) & np.all([distance(coarse) > 0.0 for _, distance, _ in structures], axis=0)
        for label, contrast in kinds:
            spot = place(rng, partial(_draw_spot, rng), coarse, free, coarse[free])
            if spot is None:
                break
            structures.append((label, spot, _uniform(*contrast)))
            free &= spot(coarse) >= 0.0
        else:
            return body, structures


def _draw_fixed(rng: Generator, body: SignedDistance) -> list[Structure]:
    """Return the structures that every body has in about the same place."""
    upright = np.eye(3)
    cavity = ellipsoid(rng.uniform((0, -1, 2), (0, 3, 6)), upright, rng.uniform((3.0, 7.0, 5.0), (3.8, 9.0, 7.0)))
    blob = ellipsoid(rng.uniform((11, -10, -20), (14, -6, -17)), upright, rng.uniform((9, 9, 6), (11, 11, 8)))
    contrast = rng.uniform(*_ORGAN_CONTRAST, 2)

    def rim(points: Array) -> Array:
        return np.asarray(np.abs(body(points) + 2.0) - 1.2)

    def midline(points: Array) -> Array:
        return np.maximum(np.abs(points[:, 0]) - 0.9, body(points) + 3.0)

    def right_side_blob(points: Array) -> Array:
        return np.maximum(blob(points), body(points) + 4.0)

    return [
        (0, rim, _uniform(-0.45, -0.3)),
        (0, midline, _uniform(-0.3, -0.2)),
        (0, cavity, _uniform(-0.3, 0.35)),
        (0, right_side_blob, _uniform(contrast[0], -0.15)),
        *_draw_organs(rng, contrast),
    ]


def _draw_organs(rng: Generator, contrast: Array) -> list[Structure]:
    """Return the two organs: a solid with a lobe, mirrored at the midline, with small variation on each side."""
    centre = rng.uniform((12.5, -1.0, 0.0), (14.0, 3.0, 4.0))
    radii = rng.uniform((5.5, 8.0, 10.0), (6.5, 9.5, 12.0))
    axes = Rotation.from_euler("zx", rng.uniform((10, -10), (25, 10)), degrees=True).as_matrix()
    lobe = rng.uniform((0.5, -7.5, -6.0), (1.5, -5.5, -4.0))
    organs: list[Structure] = []
    for label, side in ((1, -1.0), (2, 1.0)):
        middle = centre + rng.normal(scale=0.4, size=3)
        main = ellipsoid(middle, axes, radii * rng.uniform(0.95, 1.05, 3))
        second = ellipsoid(middle + lobe, np.eye(3), rng.uniform(4.0, 5.0, 3))
        organs.append((label, _mirror(main, second, side), _front_and_back(centre[1], contrast)))
    return organs


def _mirror(main: SignedDistance, second: SignedDistance, side: float) -> SignedDistance:
    """Return the union of two solids drawn at positive x, moved to this side of the midline."""

    def distance(points: Array) -> Array:
        there = points * (side, 1.0, 1.0)
        return np.minimum(main(there), second(there))

    return distance


def _front_and_back(middle: float, contrast: Array) -> Contrast:
    """Return a contrast that the first channel has in front of ``middle`` (y in mm), the second behind it."""

    def added(points: Array) -> Array:
        front = 1 / (1 + np.exp((middle - points[:, 1]) / 1.5))
        return np.stack([contrast[0] * front, contrast[1] * (1 - front)])

    return added


def _uniform(first: float, second: float) -> Contrast:
    return lambda _: np.array([[first], [second]])


def _draw_spot(rng: Generator, centre: Array) -> SignedDistance:
    # Wider than the thickest slice, so that no spot falls between the centres of two slices.
    return ellipsoid(centre, Rotation.from_quat(rng.normal(size=4)).as_matrix(), rng.uniform(3.5, 5.5, 3))


def _partial_volume(distance: Array, shape: tuple[int, ...]) -> Array:
    """Return the share of a voxel inside a surface at this signed distance (N,) from its centre, for any spacing.

    Across a voxel the distance changes by the sum of its changes along the three axes.
    """
    steps = np.gradient(distance.reshape(shape))
    across = np.maximum(np.sum(np.abs(steps), axis=0).ravel(), 1e-3)
    return np.asarray(np.clip(0.5 - distance / across, 0.0, 1.0))

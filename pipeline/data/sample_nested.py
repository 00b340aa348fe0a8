"""The third built-in sample dataset: a structure of three nested parts, as the regions of a tumour are.

The whole contains a core, the core an inner part. Each is a region of the labels of its parts. It is not anatomy.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from .sample_files import check_sample_arguments, list_cases, store, write_nifti, write_sample
from .sample_shapes import (
    Array,
    SignedDistance,
    bias_field,
    ellipsoid,
    grid_points,
    oblique_affine,
    partial_volume,
    place,
    smooth_noise,
)

LABELS = {"background": 0, "outer": 1, "middle": 2, "inner": 3}
REGIONS = {"whole": [1, 2, 3], "core": [2, 3], "inner": [3]}

# A cycle of 7 is coprime with 4 and with 5 folds.
_ORIENTATIONS = ("RAS", "LPS", "LAS", "ASL", "RPI", "PIR", "SRA")
_STORED = ((np.int16, 1000.0), (np.float32, 1.0), (np.int16, 150.0))  # number type, intensity of the body
_INNER_ABSENT = 0.2  # of the cases
# Added to a body of intensity 1. The middle is about as bright as the body, so that only its place names it.
_CONTRASTS = {1: (0.18, 0.26), 2: (-0.03, 0.05), 3: (0.30, 0.42)}
_BALLS = (1, 3)  # the labels whose contrast the unlabelled balls have: they defeat a simple threshold
_WOBBLE = 0.8  # mm; standard deviation of each border around its ellipsoid


def make_nested_sample(
    folder: str | os.PathLike[str], *, cases: int = 24, scans: int = 4, folds: int = 4, seed: int = 0
) -> Path:
    """Write the synthetic nested dataset in the layout of the Medical Segmentation Decathlon, with regions.

    A textured body contains one structure with ragged borders: the whole, a core in it, off its middle, and in four
    cases of five an inner part in the core. The label map has one value for each part, and ``dataset.json`` has the
    regions whole, core and inner. Unlabelled balls have the intensities of the outer and the inner part.
    Labelled cases are in ``imagesTr/`` and ``labelsTr/``, further scans in ``imagesTs/``, with their label maps in
    ``labelsTs/``: test cases of the datalist. The same arguments give the same bytes. A case depends only on
    ``seed`` and its number, so a larger set starts with the cases of a smaller one.

    Args:
        folder: The folder to create. It may exist if it is empty.
        cases: Number of labelled cases, at least ``folds``.
        scans: Number of test cases, 0 or more.
        folds: Number of folds, 1 or more, over which the cases are spread in turn.
        seed: Seed of everything random, 0 or more.

    Returns:
        The path of ``dataset.json``.

    Raises:
        InputError: If the folder is not empty, or a number is out of its range.
    """
    target = Path(folder).resolve()
    check_sample_arguments(target, cases=cases, scans=scans, folds=folds, seed=seed)
    return write_sample(
        target,
        "nested",
        _write_case,
        _datalist(cases=cases, scans=scans, folds=folds, seed=seed),
        cases=cases,
        scans=scans,
        seed=seed,
    )


def _datalist(*, cases: int, scans: int, folds: int, seed: int) -> dict[str, Any]:
    return {
        "name": "Nested",
        "description": "SYNTHETIC shapes in noise, not anatomy: for trying the pipeline, not for medical conclusions",
        "licence": "CC0-1.0",
        "generator": "lightskip sample --kind nested",
        "seed": seed,
        "tensorImageSize": "3D",
        "modality": {"0": "synthetic"},
        "labels": LABELS,
        "regions": REGIONS,
        **list_cases("nested", cases=cases, scans=scans, folds=folds, labelled_scans=True),
    }


def _write_case(root: Path, split: str, name: str, rng: Generator, index: int) -> None:
    spacing = np.array([rng.uniform(1.3, 1.5)] * 2 + [rng.uniform(1.4, 1.8)])
    shape = np.ceil(rng.uniform(53.0, 57.0, 3) / spacing).astype(int)
    affine = oblique_affine(rng, _ORIENTATIONS[index % len(_ORIENTATIONS)], spacing, shape, max_tilt=10.0)
    intensity, label_map = _draw_scan(rng, affine, tuple(int(n) for n in shape))
    dtype, scale = _STORED[index % len(_STORED)]
    intensity *= scale * rng.uniform(0.7, 1.4)
    write_nifti(root / f"images{split}" / f"{name}.nii.gz", store(intensity, dtype), affine)
    write_nifti(root / f"labels{split}" / f"{name}.nii.gz", label_map, affine)


def _draw_scan(rng: Generator, affine: Array, shape: tuple[int, ...]) -> tuple[Array, NDArray[np.uint8]]:
    """Return intensities (about 1 in the body) and label map on the grid; both of the given shape."""
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    points = grid_points(affine, shape) + rng.uniform(-0.5, 0.5, 3)
    body, parts, balls = _draw_layout(rng)
    contrasts = {label: rng.uniform(*limits) for label, limits in _CONTRASTS.items()}
    added = np.zeros(len(points))
    label_map = np.zeros(len(points), np.uint8)
    for label, ball in zip(_BALLS, balls, strict=True):
        added += contrasts[label] * partial_volume(ball(points), spacing)
    around = np.full(len(points), -np.inf)
    for label, part in enumerate(parts, start=1):
        # No part leaves the one around it.
        around = np.maximum(part(points) + _WOBBLE * smooth_noise(rng, shape, 4.0 / spacing).ravel(), around)
        added += (contrasts[label] - contrasts.get(label - 1, 0.0)) * partial_volume(around, spacing)
        label_map[around < 0] = label
    texture = 0.05 * smooth_noise(rng, shape, 3.5 / spacing) + 0.04 * smooth_noise(rng, shape, 1.5 / spacing)
    intensity = partial_volume(body(points), spacing) * (1 + added + texture.ravel()) * bias_field(rng, points)
    blurred = gaussian_filter(intensity.reshape(shape), 0.6 / spacing)
    # The magnitude of a complex signal with Gaussian noise in both parts: Rician noise, as in MR images.
    noise = rng.uniform(0.06, 0.08) * rng.normal(size=(2, *shape))
    return np.hypot(blurred + noise[0], noise[1]), label_map.reshape(shape)


def _draw_layout(rng: Generator) -> tuple[SignedDistance, list[SignedDistance], list[SignedDistance]]:
    """Return the body, the nested parts from the outside in, and the balls."""
    body = ellipsoid(np.zeros(3), np.eye(3), rng.uniform(22.0, 24.5, 3))
    coarse = 2.0 * (np.indices((27, 27, 27)).reshape(3, -1).T - 13)
    coarse = coarse[np.linalg.norm(coarse, axis=1) < 26.0]
    inner_radius = 0.0 if rng.random() < _INNER_ABSENT else rng.uniform(4.4, 5.4)
    while True:  # if there is no room for a ball, a new layout is drawn from the same stream
        free = body(coarse) < -1.0
        middle = rng.uniform(-4.0, 4.0, 3)
        radii = rng.uniform(10.5, 13.5, 3)
        core = middle + rng.uniform(-1.5, 1.5, 3)
        parts = [ellipsoid(middle, _axes(rng), radii), ellipsoid(core, _axes(rng), rng.uniform(7.0, 8.5, 3))]
        if inner_radius:
            parts.append(ellipsoid(core + rng.uniform(-1.0, 1.0, 3), _axes(rng), np.full(3, inner_radius)))
        if (parts[0](coarse[~free]) < 1.0).any():
            continue
        free &= parts[0](coarse) > 2.0
        balls: list[SignedDistance] = []
        for _ in _BALLS:
            ball = place(rng, partial(_draw_ball, rng), coarse, free, coarse[free])
            if ball is None:
                break
            balls.append(ball)
            free &= ball(coarse) >= 0.0
        else:
            return body, parts, balls


def _draw_ball(rng: Generator, centre: Array) -> SignedDistance:
    return ellipsoid(centre, np.eye(3), np.full(3, rng.uniform(2.6, 3.6)))


def _axes(rng: Generator) -> Array:
    return np.asarray(Rotation.from_quat(rng.normal(size=4)).as_matrix())

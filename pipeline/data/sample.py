"""The built-in sample dataset: small synthetic scans, to try the whole pipeline without a download.

The structures are drawn in world space (mm) and sampled on grids that differ from scan to scan in spacing, orientation,
obliquity, number type and intensity scale, as scans from several sites do. They are not anatomy.
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
    tube,
)

LABELS = {"background": 0, "ellipsoid": 1, "shell": 2, "tube": 3}

# Cycles of 7 and 3 are coprime with 4 and with 5 folds, so that no fold collects the scans of one kind.
_ORIENTATIONS = ("RAS", "LPS", "PIR", "LAS", "ASL", "RPI", "SRA")
_STORED = ((np.int16, 1000.0), (np.float32, 1.0), (np.int16, 150.0))  # number type, intensity of the body
_BODY_RADII = (22.0, 24.5)  # mm; under half of the smallest field of view, so that no structure is cut off
_CONTRASTS = {1: (0.28, 0.42), 2: (0.30, 0.45), 3: (0.22, 0.32)}  # of each label, added to a body of intensity 1
# The structures in the body: (kind, label, label whose contrast it has). The balls defeat a simple threshold.
_BALLS = tuple(("ball", 0, contrast) for contrast in (1, 2, 3))
_STRUCTURES = (("ellipsoid", 1, 1), ("shell", 2, 2), ("tube", 3, 3), *_BALLS)


def make_sample(
    folder: str | os.PathLike[str], *, cases: int = 24, scans: int = 4, folds: int = 4, seed: int = 0
) -> Path:
    """Write the synthetic sample dataset in the layout of the Medical Segmentation Decathlon.

    A textured body contains a large ellipsoid, a closed shell and a small curved tube of weak contrast, and unlabelled
    balls of the same intensities. Labelled cases are in ``imagesTr/`` and ``labelsTr/``. Further scans are in
    ``imagesTs/``, with label maps in ``labelsTs/`` that the datalist does not name. A voxel's label is the structure
    at its centre. The same arguments give the same bytes. A case depends only on ``seed`` and its number, so a larger
    set starts with the cases of a smaller one.

    Args:
        folder: The folder to create. It may exist if it is empty.
        cases: Number of labelled cases, at least ``folds``.
        scans: Number of unlabelled scans, 0 or more.
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
        "sample",
        _write_case,
        _datalist(cases=cases, scans=scans, folds=folds, seed=seed),
        cases=cases,
        scans=scans,
        seed=seed,
    )


def _datalist(*, cases: int, scans: int, folds: int, seed: int) -> dict[str, Any]:
    return {
        "name": "Sample",
        "description": "SYNTHETIC shapes in noise, not anatomy: for trying the pipeline, not for medical conclusions",
        "licence": "CC0-1.0",
        "generator": "lightskip sample",
        "seed": seed,
        "tensorImageSize": "3D",
        "modality": {"0": "synthetic"},
        "labels": LABELS,
        **list_cases("sample", cases=cases, scans=scans, folds=folds),
    }


def _write_case(root: Path, split: str, name: str, rng: Generator, index: int) -> None:
    affine, shape = _draw_grid(rng, _ORIENTATIONS[index % len(_ORIENTATIONS)])
    intensity, label_map = _draw_scan(rng, affine, shape)
    dtype, scale = _STORED[index % len(_STORED)]
    intensity *= scale * rng.uniform(0.7, 1.4)
    write_nifti(root / f"images{split}" / f"{name}.nii.gz", store(intensity, dtype), affine)
    write_nifti(root / f"labels{split}" / f"{name}.nii.gz", label_map, affine)


def _draw_grid(rng: Generator, orientation: str) -> tuple[Array, tuple[int, ...]]:
    """Return affine (4, 4) and shape of an oblique grid, thick along its third axis; about 51 to 62 mm each way."""
    spacing = np.array([rng.uniform(0.9, 1.3)] * 2 + [rng.uniform(1.5, 2.5)])
    shape = np.clip(np.ceil(rng.uniform(52.0, 60.0, 3) / spacing), (44, 44, 24), (60, 60, 34)).astype(int)
    affine = oblique_affine(rng, orientation, spacing, shape, max_tilt=20.0)
    return affine, tuple(int(n) for n in shape)


def _draw_scan(rng: Generator, affine: Array, shape: tuple[int, ...]) -> tuple[Array, NDArray[np.uint8]]:
    """Return intensities (about 1 in the body) and label map on the grid; both of the given shape."""
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    points = grid_points(affine, shape) + rng.uniform(-0.5, 0.5, 3)
    body, structures = _draw_layout(rng)
    contrasts = {label: rng.uniform(*limits) for label, limits in _CONTRASTS.items()}
    label_map = np.zeros(len(points), np.uint8)
    added = np.zeros(len(points))
    for label, contrast, signed_distance in structures:
        distance = signed_distance(points)
        added += contrasts[contrast] * partial_volume(distance, spacing)
        label_map[distance < 0] = label
    texture = 0.06 * smooth_noise(rng, shape, 3.5 / spacing) + 0.04 * smooth_noise(rng, shape, 1.2 / spacing)
    intensity = partial_volume(body(points), spacing) * (1 + added + texture.ravel()) * bias_field(rng, points)
    blurred = gaussian_filter(intensity.reshape(shape), 0.5 / spacing)
    # The magnitude of a complex signal with Gaussian noise in both parts: Rician noise, as in MR images.
    noise = rng.uniform(0.04, 0.06) * rng.normal(size=(2, *shape))
    return np.hypot(blurred + noise[0], noise[1]), label_map.reshape(shape)


def _draw_layout(rng: Generator) -> tuple[SignedDistance, list[tuple[int, int, SignedDistance]]]:
    """Return the body and its separate structures: (label, label whose contrast it has, signed distance)."""
    body = ellipsoid(np.zeros(3), np.eye(3), rng.uniform(*_BODY_RADII, 3))
    coarse = 2.0 * (np.indices((29, 29, 29)).reshape(3, -1).T - 14)
    coarse = coarse[np.linalg.norm(coarse, axis=1) < _BODY_RADII[1] + 3.0]
    inner = np.linalg.norm(coarse, axis=1) < 17.0
    while True:  # if there is no room for the next structure, a new layout is drawn from the same stream
        free = body(coarse) < 1.0
        structures: list[tuple[int, int, SignedDistance]] = []
        for kind, label, contrast in _STRUCTURES:
            structure = place(rng, partial(_draw_structure, rng, kind), coarse, free, coarse[free & inner])
            if structure is None:
                break
            structures.append((label, contrast, structure))
            free &= structure(coarse) >= 0.0
        else:
            return body, structures


def _draw_structure(rng: Generator, kind: str, centre: Array) -> SignedDistance:
    axes = Rotation.from_quat(rng.normal(size=4)).as_matrix()
    if kind == "ellipsoid":
        return ellipsoid(centre, axes, rng.uniform(7.5, 12.0, 3))
    if kind == "ball":
        return ellipsoid(centre, axes, np.full(3, rng.uniform(4.6, 5.6)))
    if kind == "shell":
        middle, half_thickness = ellipsoid(centre, axes, rng.uniform(6.5, 8.5, 3)), rng.uniform(1.8, 2.2)
        return lambda points: np.abs(middle(points)) - half_thickness
    half_angle = np.deg2rad(rng.uniform(60.0, 85.0))
    return tube(centre, axes, bend=rng.uniform(9.0, 12.0), half_angle=half_angle, radius=rng.uniform(3.0, 3.5))

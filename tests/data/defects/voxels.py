"""Changes to the voxels of a file."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from scipy.ndimage import distance_transform_edt

from .files import Change, File


def voxels_changed(change: Callable[[np.ndarray], np.ndarray]) -> Change:
    return lambda file, _rng: file.with_voxels(change(file.voxels))


def one_voxel(value: float, dtype: type = np.float32) -> Change:
    def changed(file: File, rng: Generator) -> File:
        voxels = file.voxels.astype(dtype)
        voxels[tuple(rng.integers(0, voxels.shape))] = value
        return file.with_voxels(voxels)

    return changed


def border(value: float, dtype: type) -> Change:
    def changed(file: File, rng: Generator) -> File:
        voxels = np.full(file.voxels.shape, value, dtype)
        voxels[2:-2, 2:-2] = file.voxels[2:-2, 2:-2]
        return file.with_voxels(voxels)

    return changed


def transposed(file: File, rng: Generator) -> File:
    """The two axes exchanged that differ in length most, as where one library counts axes the other way round."""
    sides = np.argsort(file.voxels.shape)
    return file.with_voxels(np.swapaxes(file.voxels, sides[0], sides[-1]))


def scaled(slope: float, times: int) -> Change:
    """Label values stored multiplied, with a slope in the header."""

    def changed(file: File, rng: Generator) -> File:
        voxels = (file.voxels * times).astype(np.uint8)
        return file.with_header(scl_slope=slope, scl_inter=0).with_voxels(voxels)

    return changed


def relabelled(value: int, dtype: type, *, inside: bool) -> Change:
    """Give one voxel, of a structure or of the background, another value."""

    def changed(file: File, rng: Generator) -> File:
        voxels = file.voxels.astype(dtype)
        voxels[tuple(rng.choice(np.argwhere((voxels != 0) == inside)))] = value
        return file.with_voxels(voxels)

    return changed


def shrunk(value: int) -> Change:
    """Leave a twentieth of one structure: the voxels about one of its own."""

    def changed(file: File, rng: Generator) -> File:
        places = np.argwhere(file.voxels == value)
        middle = places[np.linalg.norm(places - places.mean(0), axis=1).argmin()]
        order = np.argsort(np.linalg.norm(places - middle, axis=1), kind="stable")
        voxels = file.voxels.copy()
        voxels[tuple(places[order[len(places) // 20 :]].T)] = 0
        return file.with_voxels(voxels)

    return changed


def specks(value: int, *, count: int, size: int) -> Change:
    """Add small islands of one structure, far from every structure and from each other."""

    def changed(file: File, rng: Generator) -> File:
        voxels = file.voxels.copy()
        for _ in range(count):
            away = distance_transform_edt(voxels == 0)[:-1]
            place = rng.choice(np.argwhere(away > 0.6 * away.max()))
            voxels[place[0] : place[0] + size, place[1], place[2]] = value
        return file.with_voxels(voxels)

    return changed


def one_hot(file: File, rng: Generator) -> File:
    return file.with_voxels(np.stack([file.voxels == value for value in range(3)], -1).astype(np.uint8))

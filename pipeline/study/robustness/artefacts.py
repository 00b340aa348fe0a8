"""Perturb the intensities of a scan by what a scanner does: noise, bias field, contrast, ghosts.

All functions get a scan (C, *spatial) in float32, its voxel size in mm, the level's number and a seed. They return a
new array of the same shape.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .torchio_images import apply_transform, import_torchio

__all__ = ["add_bias_field", "add_ghosts", "add_noise", "change_gamma"]

_FIELD_ORDER = 3  # of the polynomial; TorchIO's default
_PLANES = 4  # distance of the weakened planes of k-space, TorchIO's number of ghosts

Scan = NDArray[np.float32]


def add_noise(scan: Scan, spacing: Sequence[float], level: float, seed: int) -> Scan:
    """Add white Gaussian noise whose SD is `level` times the SD of each channel's voxels (TorchIO's Noise)."""
    noise = import_torchio().Noise
    channels = [
        apply_transform(noise(mean=0.0, std=level * float(channel.std()), seed=seed + number), channel[None], spacing)
        for number, channel in enumerate(scan)
    ]
    return np.concatenate(channels)


def change_gamma(scan: Scan, spacing: Sequence[float], level: float, _seed: int) -> Scan:
    """Raise the intensities, scaled to 0 to 1 in each channel, to a power, and scale them back (TorchIO's Gamma)."""
    low, span = _find_range(scan)
    return low + span * apply_transform(import_torchio().Gamma(level), (scan - low) / span, spacing)


def add_bias_field(scan: Scan, spacing: Sequence[float], level: float, seed: int) -> Scan:
    """Multiply the intensities above each channel's lowest one by a smooth field (TorchIO's BiasField).

    The field is the exponential of a polynomial of third order in space (Van Leemput et al., IEEE TMI 18, 885, 1999).
    Its coefficients are uniform random numbers, scaled so that its largest value is `level` times its smallest one, and
    the mean of its logarithm is 0. All channels have the same field.
    """
    transform = import_torchio().BiasField
    sizes = [*scan.shape[1:], *[1] * (4 - scan.ndim)]
    draws = np.random.default_rng(seed).uniform(-1, 1, math.comb(_FIELD_ORDER + 3, 3))
    draws[0] = 0.0  # the constant
    logarithm = np.log(transform.generate_bias_field(np.empty((1, *sizes)), _FIELD_ORDER, draws))
    coefficients = draws * math.log(level) / float(np.ptp(logarithm))
    coefficients[0] = -float(logarithm.mean()) * math.log(level) / float(np.ptp(logarithm))
    low, _ = _find_range(scan)
    field = transform(coefficients=coefficients.tolist(), order=_FIELD_ORDER)
    return low + apply_transform(field, scan - low, spacing)


def add_ghosts(scan: Scan, spacing: Sequence[float], level: float, _seed: int) -> Scan:
    """Add three ghosts along the second axis, a quarter of its length apart (TorchIO's Ghosting).

    Every fourth plane of k-space is weakened or inverted, so that each ghost has `level` times the amplitude that the
    scan keeps; the middle one is negative. The second axis is anterior-posterior in the grid of most bundles, the usual
    direction of the phase encoding. Which planes TorchIO takes, and so what the ghosts look like, depends on the
    number of voxels. So the scan is continued by its border's values to 4, 12, 20, ... voxels, whose planes are
    symmetric about the centre of k-space, without that centre.
    """
    size = scan.shape[2]
    margin = (4 - size) % (2 * _PLANES)
    continued = np.pad(scan, [(0, margin if axis == 2 else 0) for axis in range(scan.ndim)], mode="edge")
    # The weakened planes are those of the scan and its three shifted copies, a quarter each.
    intensity = _PLANES * level / (1 + level)
    ghosting = import_torchio().Ghosting(num_ghosts=_PLANES, axis=1, intensity=intensity, restore=None)
    return np.ascontiguousarray(apply_transform(ghosting, continued, spacing)[:, :, :size])


def _find_range(scan: Scan) -> tuple[Scan, Scan]:
    """Return the lowest intensity of each channel and the width of its range, (C, 1, ...); the width of 0 becomes 1."""
    axes = tuple(range(1, scan.ndim))
    low = scan.min(axis=axes, keepdims=True)
    span = scan.max(axis=axes, keepdims=True) - low
    return low, np.where(span > 0, span, np.float32(1))

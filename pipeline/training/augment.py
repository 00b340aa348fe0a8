"""Augment a whole training batch, on the device that trains."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from monai.engines.utils import PrepareBatch
from numpy.typing import NDArray
from torch import Tensor

from . import augment_intensity as intensity
from .augment_checks import (
    Range,
    check_batch,
    check_mirror_axes,
    check_probability,
    check_range,
    check_rotation_ranges,
    check_spacing,
    require,
)
from .augment_spatial import affine_matrix, control_shape, elastic_field, read_linear, read_nearest, reading_positions

__all__ = ["AugmentBatch"]

Change = Callable[..., Tensor]


class AugmentBatch(PrepareBatch):
    """The ``prepare_batch`` of MONAI's trainer that augments: image and label go to the device and are changed there.

    The order is fixed. Rotation, scale and elastic deformation come first, in a single interpolation (linear for the
    image, nearest voxel for the label; outside, the image is 0 and the label ``label_outside``). Then mirroring. Then,
    for the image only, noise, blur, brightness, shift, contrast, low resolution and gamma. Each sample draws each
    change with its probability. Each channel draws its own value of an intensity change.

    A sample's draws depend only on its own key and its shape. They do not depend on the rest of the batch, its order,
    the number of processes, or the device. The exception is noise: it is drawn on the device and differs between kinds
    of devices. No global random number generator is used.

    Probabilities are 0 to 1. Setting one to 0 switches its change off and leaves the draws of the others unchanged.
    Ranges are (low, high), with values uniform in between. The intensity changes and most of their ranges are
    nnU-Net's (Isensee et al., Nature Methods 18, 203, 2021).

    Args:
        spatial_dims: 2 or 3.
        spacing: mm per voxel along each axis. Rotations and elastic deformations are computed in mm.
        mirror_axes: spatial axes, counted from 0. Each is mirrored with probability 0.5.
        affine_prob: probability of rotation and scale together.
        rotate_range: radians. A number n means (-n, n). In 3D: one entry for each of the three axes; in 2D: one entry,
            in the plane. A single number holds for all axes.
        scale_range: factor of the anatomy's size, above 0, drawn uniformly in its logarithm.
        scale_per_axis: draw a separate factor for each axis.
        elastic_prob: probability of the elastic deformation, a cubic B-spline of random displacements.
        elastic_spacing: distance between control points, in units of the voxel's shortest side (mm if that is 1 mm).
        elastic_magnitude: maximum displacement of a control point along an axis, in the same unit. No voxel moves
            further. Nothing folds along an axis up to half of ``elastic_spacing``.
        noise_prob: probability of Gaussian noise.
        noise_std: its standard deviation, in units of the image (after normalisation, standard deviations).
        blur_prob: probability of Gaussian smoothing.
        blur_sigma: its standard deviation in voxels, above 0.
        brightness_prob: probability of a multiplication.
        brightness_range: its factor.
        shift_prob: probability of an addition.
        shift_range: the number added, in units of the image.
        contrast_prob: probability of a multiplication about the mean.
        contrast_range: its factor.
        contrast_keep_range: clip the result to the range that the channel had before.
        low_resolution_prob: probability of downsampling along each axis and upsampling again.
        low_resolution_range: the share of voxels kept along each axis, above 0, at most 1.
        gamma_prob: probability of a power of the image scaled to 0 to 1. Mean and standard deviation are kept.
        gamma_range: its exponent, above 0.
        gamma_inverted_prob: probability that a gamma is applied to the negative image.
        label_outside: the label's value where a rotation or scaling reads outside the patch.

    Raises:
        InputError: an argument is out of its range.
    """

    def __init__(
        self,
        *,
        spatial_dims: int,
        spacing: Sequence[float],
        mirror_axes: Sequence[int] = (),
        affine_prob: float = 0.5,
        rotate_range: float | Sequence[float | Sequence[float]] = 0.35,
        scale_range: Sequence[float] = (0.8, 1.25),
        scale_per_axis: bool = False,
        elastic_prob: float = 0.2,
        elastic_spacing: float = 16.0,
        elastic_magnitude: Sequence[float] = (0.0, 8.0),
        noise_prob: float = 0.15,
        noise_std: Sequence[float] = (0.0, 0.15),
        blur_prob: float = 0.1,
        blur_sigma: Sequence[float] = (0.5, 1.0),
        brightness_prob: float = 0.15,
        brightness_range: Sequence[float] = (0.75, 1.25),
        shift_prob: float = 0.15,
        shift_range: Sequence[float] = (-0.25, 0.25),
        contrast_prob: float = 0.15,
        contrast_range: Sequence[float] = (0.75, 1.25),
        contrast_keep_range: bool = True,
        low_resolution_prob: float = 0.1,
        low_resolution_range: Sequence[float] = (0.5, 1.0),
        gamma_prob: float = 0.2,
        gamma_range: Sequence[float] = (0.7, 1.5),
        gamma_inverted_prob: float = 0.25,
        label_outside: int = 0,
    ) -> None:
        require(spatial_dims in (2, 3), "spatial_dims", spatial_dims, "2 or 3")
        self.spatial_dims = spatial_dims
        self.spacing = check_spacing(spacing, spatial_dims)
        self.mirror_axes = check_mirror_axes(mirror_axes, spatial_dims)
        self.affine_prob = check_probability("affine_prob", affine_prob)
        self.rotate_range = check_rotation_ranges(rotate_range, axes=1 if spatial_dims == 2 else 3)
        self.scale_range = check_range("scale_range", scale_range, above=0)
        self.scale_per_axis = scale_per_axis
        self.elastic_prob = check_probability("elastic_prob", elastic_prob)
        require(0 < elastic_spacing < math.inf, "elastic_spacing", elastic_spacing, "a number above 0")
        # Between two control points, in voxels along each axis.
        self.control_distance = tuple(elastic_spacing * min(self.spacing) / mm for mm in self.spacing)
        self.elastic_magnitude = check_range("elastic_magnitude", elastic_magnitude, minimum=0)

        self.noise_prob = check_probability("noise_prob", noise_prob)
        self.noise_std = check_range("noise_std", noise_std, minimum=0)
        self.blur_prob = check_probability("blur_prob", blur_prob)
        self.blur_sigma = check_range("blur_sigma", blur_sigma, above=0)
        self.brightness_prob = check_probability("brightness_prob", brightness_prob)
        self.brightness_range = check_range("brightness_range", brightness_range, minimum=0)
        self.shift_prob = check_probability("shift_prob", shift_prob)
        self.shift_range = check_range("shift_range", shift_range)
        self.contrast_prob = check_probability("contrast_prob", contrast_prob)
        self.contrast_range = check_range("contrast_range", contrast_range, minimum=0)
        self.contrast_keep_range = contrast_keep_range
        self.low_resolution_prob = check_probability("low_resolution_prob", low_resolution_prob)
        self.low_resolution_range = check_range("low_resolution_range", low_resolution_range, above=0, maximum=1)
        self.gamma_prob = check_probability("gamma_prob", gamma_prob)
        self.gamma_range = check_range("gamma_range", gamma_range, above=0)
        self.gamma_inverted_prob = check_probability("gamma_inverted_prob", gamma_inverted_prob)
        self.label_outside = label_outside

    def __call__(
        self,
        batchdata: Mapping[str, Any],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor]:
        """Return the augmented batch. The batch passed in is not changed.

        Args:
            batchdata: "image" (N, C, *spatial), "label" (N, 1, *spatial), integer, and "key" (N,), integer: one random
                number per sample, on the CPU.
            device: where to augment and train.
            non_blocking: copy from pinned memory asynchronously.
            **kwargs: more arguments for ``Tensor.to``.

        Returns:
            Image (float32) and label (its dtype is kept), both on the device.

        Raises:
            InputError: one of the three is missing or has another shape.
        """
        check_batch(batchdata, self.spatial_dims)
        # MONAI's crop returns its own kind of tensors, with which every operation of a step would take longer.
        image, label = (batchdata[name].as_subclass(Tensor) for name in ("image", "label"))
        image = image.to(device=device, dtype=torch.float32, non_blocking=non_blocking, copy=True, **kwargs)
        label = label.to(device=device, non_blocking=non_blocking, copy=True, **kwargs)
        keys = torch.as_tensor(batchdata["key"]).tolist()
        draws = [self._draw(key, image.shape[1], image.shape[2:]) for key in keys]
        for sample, draw in enumerate(draws):
            if draw.matrix is not None:
                image[sample], label[sample] = self._deform(image[sample], label[sample], draw.matrix, draw.control)
            elif draw.mirrored:
                axes = [1 + axis for axis in draw.mirrored]
                image[sample], label[sample] = image[sample].flip(axes), label[sample].flip(axes)
            for change, values in draw.changes:
                image[sample] = change(image[sample], values)
        return image, label

    def _deform(
        self, image: Tensor, label: Tensor, matrix: NDArray[np.float64], control: NDArray[np.float64] | None
    ) -> tuple[Tensor, Tensor]:
        """Resample image (C, *spatial) and label (1, *spatial) at the same positions."""
        shape = image.shape[1:]
        field = (
            None if control is None else elastic_field(_to_image_device(image, control), shape, self.control_distance)
        )
        positions = reading_positions(_to_image_device(image, matrix), shape, field)
        return read_linear(image, positions), read_nearest(label, positions, outside=self.label_outside)

    def _draw(self, key: int, channels: int, shape: Sequence[int]) -> _Draw:
        # The generator does not accept a negative seed.
        generator = np.random.Generator(np.random.Philox(key % 2**64))
        # Draw the values of all changes, applied or not: then no draw depends on another change's probability.
        wants_affine, wants_elastic = generator.random(2) < (self.affine_prob, self.elastic_prob)
        angles = [generator.uniform(*limits) for limits in self.rotate_range]
        low, high = self.scale_range
        scale = np.exp(generator.uniform(math.log(low), math.log(high), self.spatial_dims))
        scale = scale if self.scale_per_axis else np.full_like(scale, scale[0])
        magnitude = generator.uniform(*self.elastic_magnitude) * min(self.spacing)
        coins = generator.random(self.spatial_dims)
        mirrored = [axis for axis in self.mirror_axes if coins[axis] < 0.5]
        changes = self._draw_changes(generator, channels)

        matrix, control = None, None
        if wants_affine:
            matrix = affine_matrix(angles, scale.tolist(), self.spacing)
        elif wants_elastic:
            matrix = np.eye(self.spatial_dims)
        if wants_elastic:
            control = generator.uniform(-1, 1, (self.spatial_dims, *control_shape(shape, self.control_distance)))
            control *= magnitude / np.reshape(self.spacing, (-1, *[1] * self.spatial_dims))
        if matrix is not None:
            matrix[:, mirrored] *= -1
        return _Draw(matrix, control, mirrored, changes)

    def _draw_changes(self, generator: np.random.Generator, channels: int) -> list[tuple[Change, NDArray[np.float64]]]:
        noise = partial(intensity.add_noise, seed=int(generator.integers(2**63)))
        contrast = partial(intensity.change_contrast, keep_range=self.contrast_keep_range)
        gamma = partial(intensity.change_gamma, inverted=bool(generator.random() < self.gamma_inverted_prob))
        known: tuple[tuple[float, Range, Change], ...] = (
            (self.noise_prob, self.noise_std, noise),
            (self.blur_prob, self.blur_sigma, intensity.blur),
            (self.brightness_prob, self.brightness_range, intensity.change_brightness),
            (self.shift_prob, self.shift_range, intensity.add_shift),
            (self.contrast_prob, self.contrast_range, contrast),
            (self.low_resolution_prob, self.low_resolution_range, intensity.lower_resolution),
            (self.gamma_prob, self.gamma_range, gamma),
        )
        drawn = [(generator.random(), generator.uniform(*limits, channels)) for _, limits, _ in known]
        return [
            (change, values)
            for (chance, values), (probability, _, change) in zip(drawn, known, strict=True)
            if chance < probability
        ]


@dataclass(frozen=True)
class _Draw:
    """The random changes of one sample.

    Args:
        matrix: (spatial_dims, spatial_dims), mirroring included, or None if the sample is not resampled.
        control: displacements of the control points in voxels, or None.
        mirrored: spatial axes from 0.
        changes: intensity changes, in order, with their values (C,).
    """

    matrix: NDArray[np.float64] | None
    control: NDArray[np.float64] | None
    mirrored: list[int]
    changes: list[tuple[Change, NDArray[np.float64]]]


def _to_image_device(image: Tensor, array: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(array).to(dtype=image.dtype).to(image.device)

"""Change the intensity of one sample: noise, blur, brightness, contrast, shift, low resolution and gamma.

Every function takes an image (C, *spatial), float, and one value per channel (C,), and returns a new image.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from .augment_spatial import apply_along_axes

__all__ = ["add_noise", "add_shift", "blur", "change_brightness", "change_contrast", "change_gamma", "lower_resolution"]

Values = Sequence[float] | NDArray[np.float64]


def add_noise(image: Tensor, std: Values, *, seed: int) -> Tensor:
    """Add Gaussian noise of standard deviation ``std``, in the image's units, drawn on its device by ``seed``."""
    generator = torch.Generator(image.device).manual_seed(seed)
    noise = torch.randn(image.shape, generator=generator, device=image.device, dtype=image.dtype)
    return noise.mul_(_per_channel(std, image)).add_(image)


def blur(image: Tensor, sigma: Values) -> Tensor:
    """Smooth by a Gaussian of ``sigma`` voxels, above 0. At the border, the weights inside are normalised to 1."""
    width = _per_channel(sigma, image).reshape(-1, 1, 1)
    matrices = []
    for size in image.shape[1:]:
        position = torch.arange(size, device=image.device, dtype=image.dtype)
        weight = torch.exp(-0.5 * ((position[:, None] - position) / width) ** 2)
        matrices.append(weight / weight.sum(-1, keepdim=True))
    return apply_along_axes(image, matrices)


def change_brightness(image: Tensor, factor: Values) -> Tensor:
    """Multiply by ``factor``."""
    return image * _per_channel(factor, image)


def change_contrast(image: Tensor, factor: Values, *, keep_range: bool = True) -> Tensor:
    """Multiply the distance from the channel's mean by ``factor``.

    With ``keep_range``, the result is clipped to the range that the channel had before.
    """
    mean = image.mean(_spatial(image), keepdim=True)
    changed = (image - mean).mul_(_per_channel(factor, image)).add_(mean)
    return changed.clamp_(*_range(image)) if keep_range else changed


def add_shift(image: Tensor, offset: Values) -> Tensor:
    """Add ``offset``, in the image's units."""
    return image + _per_channel(offset, image)


def lower_resolution(image: Tensor, zoom: Values) -> Tensor:
    """Downsample each axis by ``zoom`` (above 0, at most 1; nearest voxel) and upsample it again (linear)."""
    matrices = []
    for size in image.shape[1:]:
        voxels = torch.eye(size, device=image.device, dtype=image.dtype)[None]
        per_channel = []
        for share in zoom:
            sampled = F.interpolate(voxels, size=max(1, round(size * share)), mode="nearest-exact")
            per_channel.append(F.interpolate(sampled, size=size, mode="linear", align_corners=False)[0].T)
        matrices.append(torch.stack(per_channel))
    return apply_along_axes(image, matrices)


def change_gamma(image: Tensor, exponent: Values, *, inverted: bool = False) -> Tensor:
    """Scale the channel to 0 to 1 and raise it to the power of ``exponent``, above 0. Keep mean and deviation.

    ``inverted`` does this to the negative image, which spreads the other end of the range.
    """
    low, high = _range(image)
    # The two clamps only affect a constant channel, which then stays as it is.
    width = (high - low).clamp_(min=torch.finfo(image.dtype).tiny)
    scaled = (high - image if inverted else image - low).div_(width).pow_(_per_channel(exponent, image))
    scaled.sub_(scaled.mean(_spatial(image), keepdim=True))
    mean = image.mean(_spatial(image), keepdim=True)
    ratio = _norm(image - mean) / _norm(scaled).clamp_(min=0.5)
    return scaled.mul_(-ratio if inverted else ratio).add_(mean)


def _per_channel(values: Values, image: Tensor) -> Tensor:
    tensor = torch.as_tensor(np.asarray(values), dtype=image.dtype).to(image.device)
    return tensor.reshape(-1, *[1] * (image.ndim - 1))


def _spatial(image: Tensor) -> tuple[int, ...]:
    return tuple(range(1, image.ndim))


def _range(image: Tensor) -> tuple[Tensor, Tensor]:
    low, high = image.flatten(1).aminmax(dim=1)
    shape = (-1, *[1] * (image.ndim - 1))
    return low.reshape(shape), high.reshape(shape)


def _norm(image: Tensor) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(image, dim=_spatial(image), keepdim=True)
    return norm

"""Mix a scan with another texture, after Kamath et al. (MICCAI 2023).

Published (2D, photographs of textures): the foreground is ``1 - alpha`` times one texture plus ``alpha`` times that of
the background, so a higher alpha is harder. This is the convention of the authors' code; the text of the paper has it
the other way round. On medical images they blur the background, or add speckle noise to the whole image.

LightSkip's choices, for any scan in 2D or 3D and without its label map: the whole scan is blended, and the other
texture is the scan's own random-phase texture (Galerne, Gousseau and Morel, IEEE TIP 20, 257, 2011). It has the scan's
mean, standard deviation and power spectrum, but no structure. So structures lose their contrast to a grain that looks
like the scan's own, which white noise does not.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["make_texture", "mix_texture"]

Scan = NDArray[np.float32]


def mix_texture(scan: Scan, _spacing: Sequence[float], level: float, seed: int) -> Scan:
    """Return ``(1 - level) * scan + level * texture`` of a scan (C, *spatial), with `make_texture`."""
    return np.asarray((1 - level) * scan + level * make_texture(scan, seed), dtype=np.float32)


def make_texture(scan: Scan, seed: int) -> Scan:
    """Return the random-phase texture of a scan (C, *spatial): its Fourier amplitudes with random phases.

    The same phases are added in all channels, so that relations between channels stay. The mean is kept.

    Args:
        scan: intensities.
        seed: seed of the phases.
    """
    axes = tuple(range(1, scan.ndim))
    # Phases of a real array have the symmetry that makes the texture real.
    noise = np.fft.rfftn(np.random.default_rng(seed).standard_normal(scan.shape[1:]))
    phases = noise / np.abs(noise)
    phases[(0,) * phases.ndim] = 1.0
    spectrum = np.fft.rfftn(scan.astype(np.float64), axes=axes)
    texture = np.fft.irfftn(spectrum * phases, s=scan.shape[1:], axes=axes)
    return np.asarray(texture, dtype=np.float32)

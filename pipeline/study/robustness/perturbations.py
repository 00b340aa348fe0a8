"""The graded perturbations of a scan: their names, units and five levels."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...data.errors import InputError
from . import artefacts, resolution, texture

__all__ = ["PERTURBATIONS", "Perturbation", "choose_perturbations"]

Scan = NDArray[np.float32]
# Scan (C, *spatial), voxel size in mm, level, and a seed; returns another array of the same shape.
Change = Callable[[Scan, Sequence[float], float, int], Scan]


@dataclass(frozen=True)
class Perturbation:
    """One kind of perturbation, in five levels from mild to hard.

    Attributes:
        name: its name.
        unit: what the numbers of the levels mean.
        levels: five numbers; level 0, the untouched scan, is not among them.
        change: the function that changes a scan.
    """

    name: str
    unit: str
    levels: tuple[float, ...]
    change: Change

    def apply(self, scan: NDArray[Any], spacing: Sequence[float], level: int, *, seed: int = 0, case: str = "") -> Scan:
        """Return the perturbed scan; level 0 returns its values unchanged.

        Every random part depends on seed, case and name alone. So all levels have the same pattern, with more weight
        at a harder level, and neither the other cases nor the other perturbations matter.

        Args:
            scan: intensities before normalisation, (C, X, Y, Z) or (C, X, Y).
            spacing: voxel size in mm, one per axis.
            level: 0 to 5.
            seed: seed of the random part.
            case: name of the case.

        Raises:
            ValueError: the level is not 0 to 5, or scan and spacing do not fit each other.
            InputError: TorchIO is not installed.
        """
        if not 0 <= level <= len(self.levels):
            msg = f"level is {level}: expected 0 to {len(self.levels)}"
            raise ValueError(msg)
        if len(spacing) not in (2, 3) or scan.ndim != 1 + len(spacing):
            msg = (
                f"scan has shape {scan.shape} and spacing {tuple(spacing)}: expected (C, X, Y[, Z]), one size per axis"
            )
            raise ValueError(msg)
        before = np.array(scan, dtype=np.float32)
        if level == 0:
            return before
        text = f"{seed}/{case}/{self.name}".encode()
        own_seed = int.from_bytes(hashlib.sha256(text).digest()[:4], "big")
        return self.change(before, spacing, self.levels[level - 1], own_seed).astype(np.float32, copy=False)


_ALL = (
    Perturbation("noise", "SD of the noise / SD of the scan", (0.2, 0.5, 1.0, 2.0, 3.0), artefacts.add_noise),
    Perturbation("blur", "SD of the Gaussian / finest voxel side", (0.5, 1.0, 1.5, 2.0, 3.0), resolution.blur),
    Perturbation("bias_field", "largest / smallest factor", (2.0, 4.0, 8.0, 16.0, 32.0), artefacts.add_bias_field),
    Perturbation("gamma", "exponent", (1.25, 1.5, 2.0, 3.0, 4.0), artefacts.change_gamma),
    Perturbation("resolution", "voxel sides / sides before", (1.25, 1.5, 2.0, 3.0, 5.0), resolution.coarsen),
    Perturbation("anisotropy", "longest voxel side / before", (1.5, 2.0, 3.0, 5.0, 8.0), resolution.coarsen_one_axis),
    Perturbation("ghosting", "amplitude of a ghost / scan", (0.1, 0.2, 0.35, 0.6, 1.0), artefacts.add_ghosts),
    Perturbation("texture", "share of the other texture", (0.1, 0.2, 0.3, 0.45, 0.6), texture.mix_texture),
)

PERTURBATIONS: dict[str, Perturbation] = {one.name: one for one in _ALL}
"""All perturbations by name, in the order of the results."""


def choose_perturbations(names: Sequence[str] | None) -> list[Perturbation]:
    """Return the perturbations of some names, each once, in the order of `PERTURBATIONS`; all of them for None.

    Raises:
        InputError: there is no perturbation of a name, or no name.
    """
    if names is None:
        return list(PERTURBATIONS.values())
    for name in names:
        if name not in PERTURBATIONS:
            close = get_close_matches(name, PERTURBATIONS, n=3)
            raise InputError(
                "perturbations",
                found=repr(name),
                expected=f"names from {', '.join(PERTURBATIONS)}",
                remedy=f"did you mean {' or '.join(close)}?" if close else "name some of these",
            )
    if not names:
        raise InputError(
            "perturbations",
            found="no name",
            expected=f"names from {', '.join(PERTURBATIONS)}",
            remedy="name at least one, or leave the option out for all",
        )
    return [one for name, one in PERTURBATIONS.items() if name in names]

"""The probabilities that `lightskip predict --probabilities` writes next to a label map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..data.errors import InputError
from ..data.images.door import read_header, read_volume
from ..data.images.endings import scan_name
from .folder_maps import own_name
from .grids import Grid, Turn, find_turn, turn_voxels
from .read_map import hash_image

__all__ = ["Probabilities", "file_of_probabilities", "find_probabilities", "read_probabilities"]

_ENDING = "_prob.nii.gz"


@dataclass(frozen=True)
class Probabilities:
    """The file of a case's probabilities.

    Attributes:
        path: the file.
        channels: number of its channels; channel c is of the label value c of the network.
        turn: how its voxels have to be turned to the reference's axes.
        sha256: checksum of its bytes.
    """

    path: Path
    channels: int
    turn: Turn | None
    sha256: str


def file_of_probabilities(label_map: Path) -> Path:
    """Return the path of the probabilities next to a label map; there may be none."""
    return label_map.with_name(own_name(scan_name(label_map)) + _ENDING)


def find_probabilities(label_map: Path, reference: Grid, *, case: str, reference_path: str) -> Probabilities | None:
    """Return the file of probabilities next to a label map; None if there is none.

    Args:
        label_map: the predicted label map.
        reference: grid of the reference.
        case: name of the case.
        reference_path: file of the reference.

    Raises:
        InputError: the file cannot be read, has one channel, or another grid than the reference.
    """
    path = file_of_probabilities(label_map)
    if not path.is_file() or path == label_map:
        return None
    header = read_header(path)
    dims = len(reference.shape)
    if len(header.shape) != 4 or header.shape[3] < 2 or (dims == 2 and header.shape[2] != 1):
        raise InputError(
            path,
            found=f"shape {header.shape}",
            expected="probabilities (x, y, z, label), as lightskip predict --probabilities writes them",
            remedy="write them again, or leave --calibration and --membranes out",
        )
    grid = Grid(header.shape[:dims], np.asarray(header.affine, dtype=np.float64))
    turn = find_turn(grid, reference, case=case, path=str(path), reference_path=reference_path)
    return Probabilities(path, int(header.shape[3]), turn, hash_image(path))


def read_probabilities(found: Probabilities, dims: int) -> NDArray[np.floating]:
    """Return probabilities (C, X, Y[, Z]) in the reference's axes."""
    voxels = read_volume(str(found.path), as_float=True).voxels
    voxels = voxels.reshape((*voxels.shape[:dims], found.channels))
    return np.stack([turn_voxels(voxels[..., channel], found.turn) for channel in range(found.channels)])


def check_channels(found: Probabilities, channels: Mapping[int, int]) -> None:
    """Raise InputError if a label has no channel.

    Args:
        found: the probabilities.
        channels: channel by the comparison's value.
    """
    if max(channels.values()) >= found.channels:
        raise InputError(
            found.path,
            found=f"{found.channels} channels",
            expected=f"one for every label, up to the value {max(channels.values())}",
            remedy="write them again, or leave --calibration and --membranes out",
        )

"""NRRD and MetaImage."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .case import Made, Odd

SHAPE = (18, 16, 14)
PLACE = np.array([[1.0, 0, 0, -9], [0, 1.25, 0, 12], [0, 0, 1.5, -13], [0, 0, 0, 1]])
RAS = """space: right-anterior-superior
space directions: (1,0,0) (0,1.25,0) (0,0,1.5)
space origin: (-9,12,-13)
"""


def some_voxels() -> np.ndarray:
    """Return voxels of an image, int16, (18, 16, 14)."""
    return np.random.default_rng(0).normal(100, 20, SHAPE).astype(np.int16)


def some_labels() -> np.ndarray:
    """Return a label map with the values 0, 1 and 2, int16, (18, 16, 14)."""
    voxels = np.zeros(SHAPE, np.int16)
    voxels[4:9, 4:12, 3:10], voxels[9:14, 4:12, 3:10] = 1, 2
    return voxels


def nrrd(fields: str = RAS, *, gzipped: bool = False, label: bool = False) -> Callable[[Path], Made]:
    """Return the maker of an NRRD file with these fields for its place."""

    def make(folder: Path) -> Made:
        voxels = some_labels() if label else some_voxels()
        header = f"NRRD0004\ntype: int16\ndimension: 3\nsizes: 18 16 14\nendian: little\n{fields}"
        header += f"encoding: {'gzip' if gzipped else 'raw'}\n\n"
        content = voxels.tobytes(order="F")
        file = folder / "scan.nrrd"
        file.write_bytes(header.encode() + (gzip.compress(content) if gzipped else content))
        return Made(file, voxels, PLACE)

    return make


ODD = [
    Odd("nrrd-plain", nrrd(), "right"),
    Odd("nrrd-gzip", nrrd(gzipped=True), "right"),
    Odd("nrrd-label", nrrd(label=True), "right", role="label"),
]

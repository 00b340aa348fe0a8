"""Small label maps on disk, and folders of them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.labelmaps.label_table import make_label_table
from pipeline.labelmaps.nifti import write_nifti

SPACING = (0.5, 1.0, 2.0)
AFFINE = np.array([[0.5, 0, 0, -3], [0, 1, 0, 4], [0, 0, 2, 5], [0, 0, 0, 1]])
LABELS = {"background": 0, "organ": 1, "lesion": 2}

Save = Callable[..., Path]
Fill = Callable[..., Path]


def make_map(shift: int = 0, *, lesion: bool = True) -> NDArray[np.uint8]:
    """Return a label map (10, 9, 8): a box of 1, in it a box of 2; `shift` moves both along x."""
    voxels = np.zeros((10, 9, 8), dtype=np.uint8)
    voxels[2 + shift : 7 + shift, 2:7, 2:6] = 1
    if lesion:
        voxels[4 + shift : 6 + shift, 3:6, 3:5] = 2
    return voxels


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Return a function that writes a label map below the test's folder."""

    def write(name: str, voxels: NDArray[Any], affine: NDArray[Any] = AFFINE) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(voxels, affine), path)
        return path

    return write


@pytest.fixture
def fill(tmp_path: Path, save: Save) -> Fill:
    """Return a function that writes a folder of label maps, by the name of the case."""

    def write(folder: str, maps: Mapping[str, NDArray[Any]], ending: str = ".nii.gz") -> Path:
        (tmp_path / folder).mkdir(exist_ok=True)
        for name, voxels in maps.items():
            save(f"{folder}/{name}{ending}", voxels)
        return tmp_path / folder

    return write


def save_named(path: Path, voxels: NDArray[Any], labels: Mapping[str, int]) -> Path:
    """Write a label map with a table of names, as `lightskip predict` does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_nifti(voxels, path, dtype=np.uint8, scan=None, affine=AFFINE, table=make_label_table(labels))
    return path

"""A small sound dataset that tests of the dataset check spoil in one way or another."""

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

SHAPE = (12, 10, 8)
AFFINE = np.array([[-1.0, 0, 0, 30], [0, 1.5, 0, -20], [0, 0, 2, 5], [0, 0, 0, 1]])


class SmallDataset:
    """Cases of 12 x 10 x 8 voxels with the labels 1 and 2, written as they are added."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.described: dict[str, Any] = {
            "name": "Small",
            "modality": {"0": "MRI"},
            "labels": {"0": "background", "1": "front", "2": "back"},
        }
        self.items: dict[str, list[Any]] = {"training": [], "test": []}

    def image(self, seed: int, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
        return np.random.default_rng(seed).normal(100, 20, shape).astype(np.float32)

    def label(self, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
        label = np.zeros(shape, np.uint8)
        label[2:5, 2:8] = 1
        label[5:8, 2:8] = 2
        return label

    def save(self, name: str, voxels: np.ndarray, affine: np.ndarray = AFFINE, **fields: Any) -> str:
        """Write a NIfTI file with both forms, and header fields besides; return its path as datalists name it."""
        image = nib.Nifti1Image(voxels, affine)
        image.set_sform(affine, code=1)
        image.set_qform(affine, code=1)
        image.header.set_xyzt_units("mm")
        for key, value in fields.items():
            image.header[key] = value
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        image.to_filename(self.folder / name)
        return f"./{name}"

    def add(self, name: str, *, part: str = "training", **item: Any) -> dict[str, Any]:
        """Add a case; files that the item does not name are written."""
        seed = sum(map(len, self.items.values()))
        new: dict[str, Any] = {}
        new["image"] = item.pop("image", None) or self.save(f"images/{name}.nii.gz", self.image(seed))
        if part == "training":
            new["label"] = item.pop("label", None) or self.save(f"labels/{name}.nii.gz", self.label())
            new["fold"] = item.pop("fold", seed % 2)
        self.items[part].append(new | item)
        return self.items[part][-1]

    def write(self) -> Path:
        path = self.folder / "list.json"
        path.write_text(json.dumps(self.described | self.items))
        return path


@pytest.fixture
def small(tmp_path: Path) -> SmallDataset:
    """An empty dataset, to add cases to."""
    (tmp_path / "small").mkdir()
    return SmallDataset(tmp_path / "small")

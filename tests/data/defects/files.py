"""NIfTI files put together from header bytes and voxels: nibabel would repair on writing what shall be broken."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
from numpy.random import Generator


@dataclass
class File:
    """One NIfTI-1 file: its header, unchecked, and its voxels as stored; `raw` puts them together."""

    header: nib.Nifti1Header
    voxels: np.ndarray
    suffix: str = ".nii.gz"
    dim: tuple[int, ...] | None = None  # what the header says of the shape, where it is not the truth

    @classmethod
    def read(cls, path: Path) -> File:
        raw = path.read_bytes()
        raw = gzip.decompress(raw) if path.suffix == ".gz" else raw
        header = nib.Nifti1Header(raw[:348], check=False)
        start, shape = int(header["vox_offset"]), header.get_data_shape()
        stored = np.frombuffer(raw[start:], header.get_data_dtype(), int(np.prod(shape)))
        return cls(header, stored.reshape(shape, order="F"))

    @property
    def affine(self) -> np.ndarray:
        return self.header.get_best_affine()

    def raw(self) -> bytes:
        header = self.header.copy()
        header.set_data_dtype(self.voxels.dtype)
        header.set_data_shape(self.voxels.shape)
        if self.dim is not None:
            header["dim"][: len(self.dim)] = self.dim
        header["vox_offset"] = 352
        return header.binaryblock + bytes(4) + self.voxels.tobytes(order="F")

    def stored(self) -> bytes:
        return pack(self.raw()) if self.suffix.endswith(".gz") else self.raw()

    def with_header(self, **fields: Any) -> File:
        header = self.header.copy()
        for key, value in fields.items():
            header[key] = value
        return replace(self, header=header)

    def with_affine(self, affine: np.ndarray, *, qform: int = 1, sform: int = 1) -> File:
        """Change the forms with a code above 0, and set both codes."""
        header = self.header.copy()
        if qform:
            header.set_qform(affine)
        if sform:
            header.set_sform(affine)
        header["qform_code"], header["sform_code"] = qform, sform
        return replace(self, header=header)

    def with_voxels(self, voxels: np.ndarray, **options: Any) -> File:
        return replace(self, voxels=voxels, **options)


Changed = File | bytes | None  # bytes: stored as they are; None: no file
Change = Callable[[File, Generator], Changed]


class Defect(NamedTuple):
    """What is done to the files of one case, and the kinds of which a check has to report one."""

    kinds: tuple[str, ...]
    where: tuple[str, ...]  # "image", "label" or both
    change: Change
    also_allowed: frozenset[str] = frozenset()  # kinds that may follow from it, on any file of the case
    part: str = "training"


def pack(raw: bytes, level: int = 1) -> bytes:
    return gzip.compress(raw, compresslevel=level, mtime=0)

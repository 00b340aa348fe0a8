"""Datasets with known defects: copies of sound cases, each made bad in one way, and what a check has to say of them.

Files are put together from header bytes and voxels here, because nibabel would repair on writing what shall be broken.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
from numpy.random import Generator, default_rng
from PIL import Image
from scipy.ndimage import distance_transform_edt

SEVERITY = {
    **dict.fromkeys(
        (
            *("missing", "empty-file", "lfs-pointer", "misnamed", "truncated", "not-an-image", "voxel-type", "unit"),
            *("spacing", "affine", "sheared", "dimensions", "channels", "nan", "infinite", "constant", "range"),
            *("shape-differs", "spacing-differs", "origin-differs", "direction-differs"),
            *("label-not-integer", "label-undeclared", "leakage"),
        ),
        "problem",
    ),
    **dict.fromkeys(
        (
            *("form-conflict", "grid-rounding", "label-empty", "label-volume", "label-islands", "label-unused"),
            "duplicate",
        ),
        "warning",
    ),
    **dict.fromkeys(("label-rounding", "label-float"), "note"),
}
FOLDS = 4
_LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4d7a2146" * 8 + b"\nsize 2873401\n"
_HTML = b"<!DOCTYPE html><html><body><h1>403 Forbidden</h1></body></html>\n" * 40


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


class Expected(NamedTuple):
    """A finding that has to be reported: any one of the kinds, with the severity it has, on any one of the files."""

    what: str
    kinds: tuple[str, ...]
    files: tuple[str | None, ...]  # relative to the dataset; None stands for the whole dataset


@dataclass
class Seeded:
    """A dataset with defects. Paths are relative to its folder and begin without `./`."""

    datalist: Path
    expected: list[Expected] = field(default_factory=list)
    also_allowed: dict[str, frozenset[str]] = field(default_factory=dict)  # by file
    clean: dict[str, str] = field(default_factory=dict)  # by file: what is odd about it, if anything


# --- changes to one file ---------------------------------------------------------------------------------------------


def pack(raw: bytes, level: int = 1) -> bytes:
    return gzip.compress(raw, compresslevel=level, mtime=0)


def _bytes(content: bytes) -> Change:
    return lambda _file, _rng: content


def _stored(change: Callable[[bytes], bytes], *, suffix: str = ".nii.gz") -> Change:
    def changed(file: File, rng: Generator) -> bytes:
        file.suffix = suffix
        return change(file.stored())

    return changed


def _flipped(data: bytes, place: int) -> bytes:
    changed = bytearray(data)
    changed[place] ^= 0x5A
    return bytes(changed)


def _picture() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.arange(4096, dtype=np.uint8).reshape(64, 64)).save(stream, "JPEG")
    return stream.getvalue()


def _header(**fields: Any) -> Change:
    return lambda file, _rng: file.with_header(**fields)


def _voxels(change: Callable[[np.ndarray], np.ndarray]) -> Change:
    return lambda file, _rng: file.with_voxels(change(file.voxels))


def _one_voxel(value: float, dtype: type = np.float32) -> Change:
    def changed(file: File, rng: Generator) -> File:
        voxels = file.voxels.astype(dtype)
        voxels[tuple(rng.integers(0, voxels.shape))] = value
        return file.with_voxels(voxels)

    return changed


def _border(value: float, dtype: type) -> Change:
    def changed(file: File, rng: Generator) -> File:
        voxels = np.full(file.voxels.shape, value, dtype)
        voxels[2:-2, 2:-2] = file.voxels[2:-2, 2:-2]
        return file.with_voxels(voxels)

    return changed


def _affine(change: Callable[[np.ndarray], np.ndarray], **codes: int) -> Change:
    return lambda file, _rng: file.with_affine(change(file.affine), **codes)


def _right(matrix: np.ndarray, **codes: int) -> Change:
    """Multiply with a 4x4 matrix of voxels."""
    return _affine(lambda affine: affine @ matrix, **codes)


def _world(matrix: np.ndarray, **codes: int) -> Change:
    """Multiply with a 4x4 matrix of mm."""
    return _affine(lambda affine: matrix @ affine, **codes)


def _shift(*offset: float) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, 3] = offset
    return matrix


def _turn(radians: float) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(radians), -np.sin(radians)], [np.sin(radians), np.cos(radians)]]
    return matrix


def _shear(by: float) -> np.ndarray:
    matrix = np.eye(4)
    matrix[0, 1] = by
    return matrix


def _about_centre(file: File, rng: Generator) -> File:
    centre = _shift(*((np.array(file.voxels.shape) - 1) / 2))
    return file.with_affine(file.affine @ centre @ _turn(np.deg2rad(5)) @ np.linalg.inv(centre))


def _axis_flipped(file: File, rng: Generator) -> File:
    """The header says that the first axis runs the other way through the same box; the voxels do not."""
    return file.with_affine(file.affine @ _shift(file.voxels.shape[0] - 1, 0, 0) @ np.diag([-1.0, 1, 1, 1]))


def _spacing(*mm: float) -> Change:
    def changed(file: File, rng: Generator) -> File:
        axes = file.affine[:3, :3]
        affine = file.affine.copy()
        affine[:3, :3] = axes / np.linalg.norm(axes, axis=0) * mm
        return file.with_affine(affine)

    return changed


def _srow(row: str, **entries: float) -> Change:
    """Change entries of the sform (by their index, as `_2`), which is the only form in use."""

    def changed(file: File, rng: Generator) -> File:
        new = file.with_affine(file.affine, qform=0)
        for index, value in entries.items():
            new.header[row][int(index[1:])] = value
        return new

    return changed


def _singular(file: File, rng: Generator) -> File:
    affine = file.affine.copy()
    affine[:3, 1] = affine[:3, 0]
    return file.with_affine(affine, qform=0)


def _form_only(form: str, matrix: np.ndarray) -> Change:
    """Move the qform, or the sform, alone; both stay coded."""

    def changed(file: File, rng: Generator) -> File:
        header = file.header.copy()
        getattr(header, f"set_{form}")(file.affine @ matrix, code=1)
        header["qform_code"] = header["sform_code"] = 1
        return replace(file, header=header)

    return changed


def _grown(file: File, rng: Generator) -> File:
    """Twice as many voxels along each axis in the same box."""
    voxels = file.voxels.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    return file.with_affine(file.affine @ _shift(-0.25, -0.25, -0.25) @ np.diag([0.5, 0.5, 0.5, 1])).with_voxels(voxels)


def _padded(file: File, rng: Generator) -> File:
    voxels = np.pad(file.voxels, ((0, 0), (0, 0), (1, 0)))
    return file.with_affine(file.affine @ _shift(0, 0, -1)).with_voxels(voxels)


def _transposed(file: File, rng: Generator) -> File:
    """The two axes exchanged that differ in length most, as where one library counts axes the other way round."""
    sides = np.argsort(file.voxels.shape)
    return file.with_voxels(np.swapaxes(file.voxels, sides[0], sides[-1]))


def _scaled(slope: float, times: int) -> Change:
    """Label values stored multiplied, with a slope in the header."""

    def changed(file: File, rng: Generator) -> File:
        voxels = (file.voxels * times).astype(np.uint8)
        return file.with_header(scl_slope=slope, scl_inter=0).with_voxels(voxels)

    return changed


def _rgb(file: File, rng: Generator) -> File:
    dtype = np.dtype([(channel, "u1") for channel in "RGB"])
    return file.with_voxels(rng.integers(0, 255, (*file.voxels.shape, 3), np.uint8).view(dtype)[..., 0])


def _relabelled(value: int, dtype: type, *, inside: bool) -> Change:
    """Give one voxel, of a structure or of the background, another value."""

    def changed(file: File, rng: Generator) -> File:
        voxels = file.voxels.astype(dtype)
        voxels[tuple(rng.choice(np.argwhere((voxels != 0) == inside)))] = value
        return file.with_voxels(voxels)

    return changed


def _shrunk(value: int) -> Change:
    """Leave a twentieth of one structure: the voxels about one of its own."""

    def changed(file: File, rng: Generator) -> File:
        places = np.argwhere(file.voxels == value)
        middle = places[np.linalg.norm(places - places.mean(0), axis=1).argmin()]
        order = np.argsort(np.linalg.norm(places - middle, axis=1), kind="stable")
        voxels = file.voxels.copy()
        voxels[tuple(places[order[len(places) // 20 :]].T)] = 0
        return file.with_voxels(voxels)

    return changed


def _specks(value: int, *, count: int, size: int) -> Change:
    """Add small islands of one structure, far from every structure and from each other."""

    def changed(file: File, rng: Generator) -> File:
        voxels = file.voxels.copy()
        for _ in range(count):
            away = distance_transform_edt(voxels == 0)[:-1]
            place = rng.choice(np.argwhere(away > 0.6 * away.max()))
            voxels[place[0] : place[0] + size, place[1], place[2]] = value
        return file.with_voxels(voxels)

    return changed


def _defects() -> dict[str, Defect]:
    """Every defect of one case of a one-channel dataset, by what it is."""
    image, label, both = ("image",), ("label",), ("image", "label")
    place = frozenset({"origin-differs", "spacing-differs", "direction-differs"})
    axes = ("dimensions", "channels")
    return {
        "image missing": Defect(("missing",), image, _bytes(None)),
        "label missing": Defect(("missing",), label, _bytes(None)),
        "test image missing": Defect(("missing",), image, _bytes(None), part="test"),
        "image of 0 bytes": Defect(("empty-file",), image, _bytes(b"")),
        "label of 0 bytes": Defect(("empty-file",), label, _bytes(b"")),
        "image is an LFS pointer": Defect(("lfs-pointer",), image, _bytes(_LFS)),
        "label is an LFS pointer": Defect(("lfs-pointer",), label, _bytes(_LFS)),
        "uncompressed image named .nii.gz": Defect(("misnamed",), image, lambda file, _rng: file.raw()),
        "gzip named .nii": Defect(("misnamed",), image, _renamed(".nii")),
        "gzip label named .nii": Defect(("misnamed",), label, _renamed(".nii")),
        "image cut within the header": Defect(("truncated",), image, _stored(lambda data: data[:120])),
        "image cut at 90 %": Defect(("truncated",), image, _stored(lambda data: data[: len(data) * 9 // 10])),
        "image without gzip trailer": Defect(("truncated",), image, _stored(lambda data: data[:-8])),
        "label without its last byte": Defect(("truncated",), label, _stored(lambda data: data[:-1])),
        "wrong CRC": Defect(("truncated",), image, _stored(lambda data: _flipped(data, -6))),
        "wrong length in the trailer": Defect(("truncated",), label, _stored(lambda data: _flipped(data, -2))),
        "a byte flipped midway": Defect(("truncated",), image, _stored(lambda data: _flipped(data, len(data) // 2))),
        "last slice not in the stream": Defect(("truncated",), image, lambda file, _rng: pack(file.raw()[:-999])),
        "uncompressed image cut": Defect(("truncated",), image, _stored(lambda data: data[:-500], suffix=".nii")),
        "header promises more": Defect(
            ("truncated", "not-an-image"), image, lambda file, _rng: replace(file, dim=(3, 20000, 20000, 40))
        ),
        "test image cut at 50 %": Defect(
            ("truncated",), image, _stored(lambda data: data[: len(data) // 2]), part="test"
        ),
        "text named .nii.gz": Defect(("not-an-image",), image, _bytes(b"see \\\\server\\scans for this one\n" * 20)),
        "web page packed": Defect(("not-an-image",), image, _bytes(pack(_HTML))),
        "JPEG named .nii.gz": Defect(("not-an-image",), label, _bytes(_picture())),
        "file of zeros": Defect(("not-an-image", "truncated"), image, _bytes(bytes(20000))),
        "unknown number type": Defect(("not-an-image", "voxel-type"), image, _unknown_type),
        "RGB image": Defect(("voxel-type",), image, _rgb),
        "RGB label": Defect(("voxel-type",), label, _rgb),
        "complex image": Defect(("voxel-type",), image, _voxels(lambda voxels: voxels.astype(np.complex64))),
        "metres": Defect(("unit",), both, _header(xyzt_units=1)),
        "micrometres and seconds": Defect(("unit",), both, _header(xyzt_units=3 + 8)),
        "spacing 0 in pixdim": Defect(("spacing",), both, _pixdim(0.0)),
        "spacing NaN in pixdim": Defect(("spacing",), both, _pixdim(np.nan)),
        "spacing 1000 mm": Defect(("spacing",), both, _spacing(1.0, 1.0, 1000.0)),
        "spacing in metres said to be mm": Defect(("spacing",), both, _spacing(0.001, 0.001, 0.003)),
        "two axes alike": Defect(("affine",), both, _singular, place | {"sheared"}),
        "sform offset NaN": Defect(("affine",), both, _srow("srow_z", _3=np.nan), place),
        "sform row infinite": Defect(("affine", "spacing"), both, _srow("srow_x", _0=np.inf), place),
        "sform column of zeros": Defect(("affine", "spacing"), both, _no_column, place),
        "sheared by 5 %": Defect(("sheared",), both, _right(_shear(0.05), qform=0), place),
        "sheared by 0.5 %": Defect(("sheared",), both, _right(_shear(0.005), qform=0), place),
        "label sheared by 5 %": Defect(("sheared",), label, _right(_shear(0.05), qform=0), place),
        "sform sheared, qform not": Defect(
            ("form-conflict", "sheared"), image, _form_only("sform", _shear(0.05)), place | {"form-conflict", "sheared"}
        ),
        "one slice in 2D": Defect(axes, image, _voxels(lambda voxels: voxels[..., 0]), frozenset({"shape-differs"})),
        "vectors": Defect(axes, image, _voxels(lambda voxels: np.stack([voxels] * 3, -1)[..., None, :])),
        "one-hot label": Defect(axes, label, _one_hot, frozenset({"shape-differs"})),
        "two time points": Defect(axes, image, _voxels(lambda voxels: np.stack([voxels, voxels[::-1]], -1))),
        "two time points in the test": Defect(
            axes, image, _voxels(lambda voxels: np.stack([voxels, voxels[::-1]], -1)), part="test"
        ),
        "NaN in one voxel": Defect(("nan",), image, _one_voxel(np.nan)),
        "NaN around the image": Defect(("nan",), image, _border(np.nan, np.float32)),
        "NaN in the label": Defect(("nan",), label, _one_voxel(np.nan)),
        "NaN in one voxel of a test image": Defect(("nan",), image, _one_voxel(np.nan, np.float64), part="test"),
        "+Inf in one voxel": Defect(("infinite",), image, _one_voxel(np.inf)),
        "-Inf around the image": Defect(("infinite",), image, _border(-np.inf, np.float32)),
        "Inf in the label": Defect(("infinite",), label, _one_voxel(np.inf)),
        "all 0": Defect(("constant",), image, _voxels(np.zeros_like)),
        "all 100": Defect(("constant",), image, _voxels(lambda voxels: np.full(voxels.shape, 100, np.int16))),
        "fill value 3e38": Defect(("range",), image, _border(3e38, np.float32)),
        "lowest float32 in one voxel": Defect(("range",), image, _one_voxel(np.finfo(np.float32).min)),
        "1e300 in one voxel": Defect(("range",), image, _one_voxel(1e300, np.float64)),
        "label without the last slice": Defect(("shape-differs",), label, _voxels(lambda voxels: voxels[..., :-1])),
        "label transposed": Defect(("shape-differs",), label, _transposed),
        "label at twice the resolution": Defect(("shape-differs",), label, _grown, place),
        "label with a slice more below": Defect(("shape-differs",), label, _padded, place),
        "label spacing 2 % off": Defect(("spacing-differs",), label, _right(np.diag([1, 1, 1.02, 1]))),
        "label spacing twice": Defect(
            ("spacing-differs",), label, _right(np.diag([2.0, 2, 2, 1])), frozenset({"label-volume"})
        ),
        "label 3 mm off": Defect(("origin-differs",), label, _world(_shift(0, 3, 0))),
        "label one voxel off": Defect(("origin-differs",), label, _right(_shift(0, 0, 1))),
        "label a tenth of a voxel off": Defect(("origin-differs",), label, _right(_shift(0.1, 0, 0))),
        "label origin lost": Defect(("origin-differs",), label, _no_origin),
        "label turned by 5 degrees": Defect(("direction-differs",), label, _right(_turn(np.deg2rad(5)))),
        "label turned about its centre": Defect(("direction-differs",), label, _about_centre, place),
        "label axis flipped": Defect(("direction-differs",), label, _axis_flipped, place),
        "label in LPS": Defect(("direction-differs",), label, _world(np.diag([-1.0, -1, 1, 1])), place),
        "qform 5 mm off": Defect(("form-conflict",), image, _form_only("qform", _shift(0, 5, 0))),
        "qform turned": Defect(("form-conflict",), image, _form_only("qform", _turn(0.2))),
        "label's qform 5 mm off": Defect(("form-conflict",), label, _form_only("qform", _shift(5, 0, 0))),
        "pixdim twice the sform's": Defect(("form-conflict",), image, _pixdim_factor(2.0), place),
        "label 0.005 voxels off": Defect(("grid-rounding",), label, _right(_shift(0.005, 0, 0))),
        "label turned by a rounding": Defect(("grid-rounding",), label, _right(_turn(3e-4))),
        "label spacing rounded": Defect(("grid-rounding",), label, _right(np.diag([1, 1.0004, 1, 1]))),
        "label interpolated": Defect(
            ("label-not-integer",), label, _voxels(lambda voxels: voxels * np.float32(0.5) + np.roll(voxels, 1, 0) / 2)
        ),
        "label with a slope of 0.5": Defect(("label-not-integer",), label, _scaled(0.5, 1)),
        "one label voxel of 1.4": Defect(("label-not-integer",), label, _one_voxel(1.4)),
        "label value 7": Defect(("label-undeclared",), label, _relabelled(7, np.uint8, inside=True)),
        "label value -1": Defect(("label-undeclared",), label, _relabelled(-1, np.int16, inside=False)),
        "label 0 and 255": Defect(
            ("label-undeclared",),
            label,
            _voxels(lambda voxels: np.uint8(255) * (voxels > 0)),
            frozenset({"label-empty"}),
        ),
        "label all 0": Defect(("label-empty",), label, _voxels(np.zeros_like), frozenset({"label-volume"})),
        "label all 0, 32 bit": Defect(
            ("label-empty",),
            label,
            _voxels(lambda voxels: np.zeros(voxels.shape, np.int32)),
            frozenset({"label-volume"}),
        ),
        "a twentieth of label 1": Defect(("label-volume",), label, _shrunk(1)),
        "a twentieth of label 2": Defect(("label-volume",), label, _shrunk(2)),
        "label 1 everywhere": Defect(
            ("label-volume",), label, _voxels(lambda voxels: np.where(voxels == 0, 1, voxels).astype(np.uint8))
        ),
        "five specks of label 1": Defect(("label-islands",), label, _specks(1, count=5, size=1)),
        "three specks of label 2": Defect(("label-islands",), label, _specks(2, count=3, size=2)),
        "one stray voxel of label 1": Defect(("label-islands",), label, _specks(1, count=1, size=1)),
        "label 0.99999997": Defect(("label-rounding",), label, _voxels(lambda voxels: voxels * 0.99999997)),
        "label 1.99995": Defect(
            ("label-rounding",),
            label,
            _voxels(lambda voxels: np.where(voxels == 2, 1.99995, voxels).astype(np.float32)),
        ),
        "label with a slope of 1/85": Defect(("label-rounding",), label, _scaled(1 / 85, 85)),
        "label as float32": Defect(("label-float",), label, _voxels(lambda voxels: voxels.astype(np.float32))),
        "label as float64": Defect(("label-float",), label, _voxels(lambda voxels: voxels.astype(np.float64))),
    }


def _renamed(suffix: str) -> Change:
    def changed(file: File, rng: Generator) -> bytes:
        content = file.stored()
        file.suffix = suffix
        return content

    return changed


def _unknown_type(file: File, rng: Generator) -> bytes:
    raw = bytearray(file.raw())
    raw[70:72] = (77).to_bytes(2, "little")
    return pack(bytes(raw))


def _pixdim(size: float) -> Change:
    """Spoil the spacing of the second axis; the sform, alone in use, is right."""

    def changed(file: File, rng: Generator) -> File:
        new = file.with_affine(file.affine, qform=0)
        new.header["pixdim"][2] = size
        return new

    return changed


def _pixdim_factor(factor: float) -> Change:
    """Make pixdim, and with it the qform, contradict the sform: ITK takes the spacing from the one, nibabel not."""

    def changed(file: File, rng: Generator) -> File:
        new = file.with_affine(file.affine)
        new.header["pixdim"][1:4] *= factor
        return new

    return changed


def _no_column(file: File, rng: Generator) -> File:
    return file.with_affine(file.affine @ np.diag([1.0, 1, 0, 1]), qform=0)


def _no_origin(file: File, rng: Generator) -> File:
    """The origin in the middle of the volume, where a tool puts it that was told none."""
    affine = file.affine
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(file.voxels.shape) - 1) / 2)
    return file.with_affine(affine)


def _one_hot(file: File, rng: Generator) -> File:
    return file.with_voxels(np.stack([file.voxels == value for value in range(3)], -1).astype(np.uint8))


# --- what is odd, and fine -------------------------------------------------------------------------------------------


def _oddities() -> dict[str, tuple[tuple[str, ...], Change]]:
    """Ways to write a sound file of which no check may complain."""
    image, label, both = ("image",), ("label",), ("image", "label")
    return {
        "sform alone": (both, lambda file, _rng: file.with_affine(file.affine, qform=0)),
        "qform alone": (both, lambda file, _rng: file.with_affine(file.affine, sform=0)),
        "sform of an atlas": (both, lambda file, _rng: file.with_affine(file.affine, sform=4)),
        "one axis more, of length 1": (both, _voxels(lambda voxels: voxels[..., None])),
        "uncompressed": (both, _stored(lambda data: data, suffix=".nii")),
        "no unit": (both, _header(xyzt_units=0)),
        "float64": (image, _voxels(lambda voxels: voxels.astype(np.float64))),
        "16 bit with slope and intercept": (image, _with_slope),
        "big-endian": (both, _big_endian),
        "NIfTI-2": (both, _nifti2),
        "header extension": (both, _with_extension),
        "gzip in two members": (both, lambda file, _rng: pack(file.raw()[:5000]) + pack(file.raw()[5000:])),
        "64 bit label": (label, _voxels(lambda voxels: voxels.astype(np.int64))),
        "label 0.0004 voxels off": (label, _right(_shift(0.0004, 0, 0))),
        "intensities of a million": (image, _voxels(lambda voxels: voxels * np.float32(1e4))),
    }


def _with_slope(file: File, rng: Generator) -> File:
    voxels = file.voxels.astype(np.float64)
    stored = np.rint((voxels - voxels.min()) / np.ptp(voxels) * 30000).astype(np.int16)
    return file.with_header(scl_slope=0.25, scl_inter=-1024).with_voxels(stored)


def _big_endian(file: File, rng: Generator) -> bytes:
    header = nib.Nifti1Header(file.raw()[:348], check=False).as_byteswapped(">")
    return pack(header.binaryblock + bytes(4) + file.voxels.astype(file.voxels.dtype.newbyteorder(">")).tobytes("F"))


def _nifti2(file: File, rng: Generator) -> bytes:
    return pack(nib.Nifti2Image(file.voxels, file.affine).to_bytes())


def _with_extension(file: File, rng: Generator) -> bytes:
    comment = (32).to_bytes(4, "little") + (6).to_bytes(4, "little") + b"written by a scanner".ljust(24, b"\0")
    raw = file.raw()
    raw = file.with_header().raw()[:108] + np.float32(384).tobytes() + raw[112:348] + b"\1\0\0\0" + comment + raw[352:]
    return pack(raw)


# --- datasets --------------------------------------------------------------------------------------------------------


@dataclass
class _Case:
    """A sound case of the dataset to be: its name and files, which a change may alter before they are written."""

    name: str
    files: dict[str, File]


class _Builder:
    """Hands out sound cases of the source, each once, or again with other noise, and writes what becomes of them."""

    def __init__(self, source: Path, target: Path, seed: int, modality: Mapping[str, str]) -> None:
        described = json.loads((source / "dataset.json").read_text())
        self.rng = default_rng(seed)
        self.target = target
        self.sources = [
            {role: source / item[role] for role in ("image", "label")}
            for item in (described["training"][i] for i in self.rng.permutation(len(described["training"])))
        ]
        self.count = 0
        self.labels = described["labels"]
        if any(isinstance(value, int) for value in self.labels.values()):
            self.labels = {str(value): name for name, value in self.labels.items()}
        self.modality = modality
        self.items: dict[str, list[Any]] = {"training": [], "test": []}
        self.seeded = Seeded(target / "dataset.json")

    def case(self) -> _Case:
        paths = self.sources[self.count % len(self.sources)]
        files = {role: File.read(path) for role, path in paths.items()}
        if self.count >= len(self.sources):
            files["image"].voxels = _with_noise(files["image"].voxels, self.rng)
        self.count += 1
        return _Case(f"case_{self.count:03d}", files)

    def write(self, file: File, content: Changed, folder: str, name: str) -> str:
        """Write a file (or nothing) and return its path relative to the dataset."""
        path = f"{folder}/{name}{file.suffix}"
        (self.target / folder).mkdir(parents=True, exist_ok=True)
        content = content.stored() if isinstance(content, File) else content
        if content is not None:
            (self.target / path).write_bytes(content)
        return path

    def add(self, name: str, image: str | list[str], label: str | None = None, **more: Any) -> dict[str, Any]:
        """Add an item to the list `training`, or without a label to `test`."""
        image = f"./{image}" if isinstance(image, str) else [f"./{path}" for path in image]
        if label is None:
            item = {"image": image, "subject": name} | more
            self.items["test"].append(item)
        else:
            fold = len(self.items["training"]) % FOLDS
            item = {"image": image, "label": f"./{label}", "fold": fold, "subject": name} | more
            self.items["training"].append(item)
        return item

    def add_case(
        self, changes: Mapping[str, Change], *, part: str = "training", suffix: str = "", **more: Any
    ) -> dict[str, str]:
        """Write one case with changes to its files, add it to the datalist and return its files by role."""
        case = self.case()
        end = {"training": "Tr", "test": "Ts"}[part]
        paths = {}
        for role in ("image", "label") if part == "training" else ("image",):
            file = case.files[role]
            content = changes[role](file, self.rng) if role in changes else file
            written = content if isinstance(content, File) else file
            paths[role] = self.write(written, content, f"{role}s{end}", case.name + suffix)
        self.add(case.name, paths["image"], paths.get("label"), **more)
        return paths

    def expect(
        self, what: str, kinds: tuple[str, ...], files: tuple[str | None, ...], also: frozenset[str] = frozenset()
    ) -> None:
        """Expect one finding; `also` are the kinds that may come with it on these files."""
        self.seeded.expected.append(Expected(what, kinds, files))
        self.allow(files, {*kinds, *also})

    def allow(self, files: tuple[str | None, ...], kinds: set[str]) -> None:
        for file in filter(None, files):
            self.seeded.also_allowed[file] = self.seeded.also_allowed.get(file, frozenset()) | kinds

    def finish(self) -> Seeded:
        order = self.rng.permutation(len(self.items["training"]))
        described = {
            "name": "Seeded",
            "description": "copies of sound cases, most of them with one defect each",
            "modality": dict(self.modality),
            "labels": self.labels,
            "seed": 0,
            "folds": f"{FOLDS} folds in turn",
            "numTraining": len(self.items["training"]),
            "numTest": len(self.items["test"]),
            "training": [self.items["training"][i] for i in order],
            "test": self.items["test"],
        }
        self.seeded.datalist.write_text(json.dumps(described, indent=1))
        return self.seeded


def _with_noise(voxels: np.ndarray, rng: Generator) -> np.ndarray:
    if np.issubdtype(voxels.dtype, np.integer):
        highest = np.iinfo(voxels.dtype).max - 1
        return np.minimum(voxels, highest) + rng.integers(0, 2, voxels.shape).astype(voxels.dtype)
    return voxels * rng.uniform(0.99, 1.01, voxels.shape).astype(voxels.dtype)


def seed_defects(source: Path, target: Path, *, untouched: int = 12, seed: int = 0) -> Seeded:
    """Make a one-channel dataset in which nearly every case has a defect, one per file.

    Args:
        source: a dataset of sound 3D cases in MSD layout, with labels 0, 1 and 2 at least.
        target: the folder to make.
        untouched: how many cases stay as they are, beside those that are only written in an odd way.
        seed: decides which case gets which defect, and where in it.
    """
    builder = _Builder(source, target, seed, {"0": "MRI"})
    for _ in range(untouched):
        builder.seeded.clean |= dict.fromkeys(builder.add_case({}).values(), "untouched")
    for what, (roles, change) in _oddities().items():
        paths = builder.add_case(dict.fromkeys(roles, change))
        builder.seeded.clean |= dict.fromkeys(paths.values(), what)
    builder.seeded.clean |= dict.fromkeys(builder.add_case({}, suffix=" ä (2)").values(), "a name with spaces")
    _add_clean_relations(builder)
    for what, defect in _defects().items():
        paths = builder.add_case(dict.fromkeys(defect.where, defect.change), part=defect.part)
        builder.allow(tuple(paths.values()), {*defect.also_allowed})
        for role in defect.where:
            builder.expect(what, defect.kinds, (paths[role],))
    _add_file_lists(builder)
    _add_duplicates(builder)
    _add_leakage(builder)
    for value, name in (("11", "ghost"), ("12", "phantom")):
        builder.labels = builder.labels | {value: name}
    # One finding may name both labels.
    builder.expect("declared labels in no case", ("label-unused",), (None,))
    return builder.finish()


def _add_clean_relations(builder: _Builder) -> None:
    """Two scans of one subject in one fold, and a test scan given by its path alone: both as they should be."""
    for _ in range(2):
        paths = builder.add_case({}, fold=1, subject="came twice")
        builder.seeded.clean |= dict.fromkeys(paths.values(), "one of two scans of a subject")
    paths = builder.add_case({}, part="test")
    builder.items["test"][-1] = f"./{paths['image']}"
    builder.seeded.clean[paths["image"]] = "test scan without a subject"


def _add_file_lists(builder: _Builder) -> None:
    """Cases with two image files where one channel is declared."""
    for part in ("training", "test"):
        paths = builder.add_case({}, part=part)
        second = builder.write(file := builder.case().files["image"], file, "imagesTr", f"second_of_{part}")
        builder.items[part][-1]["image"] = [f"./{paths['image']}", f"./{second}"]
        files = (paths["image"], second)
        builder.expect(f"two image files ({part})", ("channels",), (*files, None))
        builder.allow(files, {"shape-differs", "origin-differs", "spacing-differs", "direction-differs"})


def _add_duplicates(builder: _Builder) -> None:
    """The same voxels under another name: other compression, other number type, other place in the split."""
    ways: dict[str, Callable[[File], tuple[File, bytes]]] = {
        "other compression": lambda file: (file, pack(file.raw(), 9)),
        "other number type": lambda file: ((new := _as_double(file)), new.stored()),
        "other fold": lambda file: (file, file.stored()),
    }
    for what, way in ways.items():
        case = builder.case()
        pair = []
        for again in (False, True):
            name = f"again_{case.name}" if again else case.name
            file = case.files["image"]
            file, content = way(file) if again else (file, file)
            label = builder.write(case.files["label"], case.files["label"], "labelsTr", name)
            pair.append(builder.write(file, content, "imagesTr", name))
            builder.add(name, pair[-1], label, fold=3 if again and what == "other fold" else 2)
        for image in pair:
            builder.expect(f"duplicate, {what}", ("duplicate",), (image,))
        if what == "other fold":
            builder.expect("the same voxels in two folds", ("leakage",), (*pair, None))
            builder.allow(tuple(pair), {"leakage", "duplicate"})
    case = builder.case()
    image, label = (builder.write(file, file, f"{role}sTr", case.name) for role, file in case.files.items())
    again = builder.write(case.files["image"], case.files["image"], "imagesTs", case.name)
    builder.add(case.name, image, label)
    builder.add("another subject", again)
    builder.expect("the same voxels in training and test", ("leakage",), (image, again, None))
    builder.allow((image, again), {"leakage", "duplicate"})


def _as_double(file: File) -> File:
    return file.with_voxels(file.voxels.astype(np.float64), suffix=".nii")


def _add_leakage(builder: _Builder) -> None:
    """One subject, or one file, where the split should keep apart."""
    for what, part, fold in (("two folds", "training", {"fold": 1}), ("training and test", "test", {})):
        one = builder.add_case({}, fold=0, subject=f"subject in {what}")
        other = builder.add_case({}, part=part, subject=f"subject in {what}", **fold)
        builder.expect(f"a subject in {what}", ("leakage",), (one["image"], other["image"], None))
        builder.allow((one["image"], other["image"]), {"leakage"})
    same = builder.add_case({}, fold=0)
    # Spelled otherwise, it is the same file.
    again = same["image"].replace("imagesTr/", "labelsTr/../imagesTr/")
    builder.add("another name", again, same["label"], fold=1)
    builder.expect("a file in two folds", ("leakage",), (same["image"], again, None), frozenset({"duplicate"}))
    same = builder.add_case({}, fold=0)
    builder.add("yet another name", same["image"])
    builder.expect("a file in training and test", ("leakage",), (same["image"], None), frozenset({"duplicate"}))


def _channel_defects() -> dict[str, Defect]:
    """Defects of the second channel's file, where each channel has its own."""
    second = ("second",)
    place = frozenset({"origin-differs", "spacing-differs", "direction-differs"})
    return {
        "constant": Defect(("constant",), second, _voxels(np.zeros_like)),
        "missing": Defect(("missing",), second, _bytes(None)),
        "truncated": Defect(("truncated",), second, _stored(lambda data: data[:-30])),
        "NaN": Defect(("nan",), second, _one_voxel(np.nan)),
        "infinite": Defect(("infinite",), second, _one_voxel(-np.inf)),
        "fill value": Defect(("range",), second, _one_voxel(-3e38)),
        "one slice less": Defect(("shape-differs",), second, _voxels(lambda voxels: voxels[..., :-1])),
        "spacing": Defect(("spacing-differs",), second, _right(np.diag([1, 1.02, 1, 1]))),
        "place": Defect(("origin-differs",), second, _world(_shift(2, 0, 0))),
        "direction": Defect(("direction-differs",), second, _axis_flipped, place),
        "rounded place": Defect(("grid-rounding",), second, _right(_shift(0, 0, 0.01))),
        "forms": Defect(("form-conflict",), second, _form_only("qform", _shift(0, 0, 4))),
        "4D": Defect(("dimensions", "channels"), second, _voxels(lambda voxels: np.stack([voxels] * 2, -1))),
    }


def seed_channel_defects(source: Path, target: Path, *, seed: int = 0) -> Seeded:
    """Make a dataset of two channels, a file each, with defects in the second; arguments as for `seed_defects`."""
    builder = _Builder(source, target, seed, {"0": "T1", "1": "T2"})
    for _ in range(4):
        builder.seeded.clean |= dict.fromkeys(_add_two_channels(builder, None), "untouched")
    for what, defect in _channel_defects().items():
        _, second, _ = files = _add_two_channels(builder, defect.change)
        builder.expect(f"second channel: {what}", defect.kinds, (second,))
        builder.allow(files, {*defect.also_allowed})
    paths = builder.add_case({})
    builder.expect("one channel instead of two", ("channels", "dimensions"), (paths["image"], None))
    first, second, _ = files = _add_two_channels(builder, None)
    third = builder.write(file := builder.case().files["image"], file, "imagesTr", "third")
    builder.items["training"][-1]["image"].append(f"./{third}")
    builder.expect("three channels instead of two", ("channels",), (first, second, third, None))
    builder.allow((third,), {"shape-differs", "origin-differs", "spacing-differs", "direction-differs"})
    return builder.finish()


def seed_stacked_defects(source: Path, target: Path, *, seed: int = 0) -> Seeded:
    """Make a dataset of two channels along the last axis of one file; arguments as for `seed_defects`."""
    builder = _Builder(source, target, seed, {"0": "T1", "1": "T2"})
    for _ in range(4):
        builder.seeded.clean |= dict.fromkeys(builder.add_case({"image": _stacked()}).values(), "untouched")
    changes: dict[tuple[str, ...], list[Change]] = {
        ("constant",): [_stacked(lambda voxels: voxels * 0 + 5)],
        ("nan",): [_stacked(lambda voxels: np.where(voxels > voxels.mean(), np.nan, voxels))],
        ("infinite",): [_stacked(lambda voxels: np.where(voxels == voxels.max(), np.inf, voxels))],
        ("range",): [_stacked(lambda voxels: np.where(voxels == voxels.min(), -3e38, voxels))],
        ("channels", "dimensions"): [
            lambda file, _rng: file,
            _voxels(lambda voxels: np.stack([voxels, voxels[::-1], voxels[:, ::-1]], -1)),
            _voxels(lambda voxels: np.stack([voxels, voxels[::-1]], -1)[..., None, :]),
        ],
    }
    for kinds, several in changes.items():
        for change in several:
            paths = builder.add_case({"image": change})
            builder.expect(f"stacked: {kinds[0]}", kinds, (paths["image"],))
    paths = builder.add_case({"image": _stacked(), "label": _right(_shift(0, 2, 0))})
    builder.expect("stacked: label off", ("origin-differs",), (paths["label"],))
    return builder.finish()


def _stacked(change: Callable[[np.ndarray], np.ndarray] = np.asarray) -> Change:
    """Put a second channel behind the first, and change it."""
    return _voxels(lambda voxels: np.stack([voxels, change(voxels.max() - voxels)], -1))


def _add_two_channels(builder: _Builder, change: Change | None) -> tuple[str, str, str]:
    case = builder.case()
    second = case.files["image"].with_voxels(case.files["image"].voxels.max() - case.files["image"].voxels)
    content = second if change is None else change(second, builder.rng)
    images = [
        builder.write(case.files["image"], case.files["image"], "imagesTr", f"{case.name}_0000"),
        builder.write(second, content, "imagesTr", f"{case.name}_0001"),
    ]
    label = builder.write(case.files["label"], case.files["label"], "labelsTr", case.name)
    builder.add(case.name, images, label)
    return images[0], images[1], label


# --- pictures --------------------------------------------------------------------------------------------------------


def _png(voxels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(voxels).save(stream, "PNG")
    return stream.getvalue()


def _with_corner(voxels: np.ndarray) -> np.ndarray:
    changed = voxels.copy()
    changed[0, 0] = 1
    return changed


def _picture_defects() -> dict[str, tuple[tuple[str, ...], str, Callable[[np.ndarray], bytes | None]]]:
    """Kinds, the file that is bad, and the bytes it gets."""
    return {
        "missing": (("missing",), "image", lambda _: None),
        "0 bytes": (("empty-file",), "label", lambda _: b""),
        "cut": (("truncated",), "image", lambda voxels: _png(voxels)[:-400]),
        "cut label": (("truncated",), "label", lambda voxels: _png(voxels)[:-30]),
        "a byte flipped": (("truncated", "not-an-image"), "image", lambda voxels: _flipped(_png(voxels), 500)),
        "text": (("not-an-image",), "image", lambda _: b"no picture\n" * 9),
        "RGB": (("channels", "voxel-type", "dimensions"), "image", lambda voxels: _png(np.stack([voxels] * 3, -1))),
        "constant": (("constant",), "image", lambda voxels: _png(np.full_like(voxels, 9))),
        "label cropped": (("shape-differs",), "label", lambda voxels: _png(voxels[:-1])),
        "label value": (("label-undeclared",), "label", lambda voxels: _png(voxels * 51)),
        "label empty": (("label-empty",), "label", lambda voxels: _png(voxels * 0)),
        "speck": (("label-islands",), "label", lambda voxels: _png(_with_corner(voxels))),
    }


def seed_picture_defects(source: Path, target: Path, *, seed: int = 0) -> Seeded:
    """Make a dataset of slices as PNG pictures; arguments as for `seed_defects`."""
    builder = _Builder(source, target, seed, {"0": "picture"})
    plans: list[tuple[str, Any]] = [("untouched", None)] * 8 + list(_picture_defects().items())
    for what, defect in plans:
        case = builder.case()
        label = case.files["label"].voxels
        slice_ = int((label > 0).sum(axis=(0, 1)).argmax())
        voxels = case.files["image"].voxels[..., slice_].astype(np.float64)
        grey = np.rint(255 * (voxels - voxels.min()) / np.ptp(voxels)).astype(np.uint8)
        paths = {}
        for role, pixels in (("image", grey), ("label", label[..., slice_].astype(np.uint8))):
            changed = defect is not None and defect[1] == role
            content = defect[2](pixels) if changed else _png(pixels)
            case.files[role].suffix = ".png"
            paths[role] = builder.write(case.files[role], content, f"{role}sTr", case.name)
        builder.add(case.name, paths["image"], paths["label"])
        # What is small in a slice may be large in a volume.
        builder.allow(tuple(paths.values()), {"label-volume"})
        if defect is None:
            builder.seeded.clean |= dict.fromkeys(paths.values(), what)
        else:
            builder.expect(f"picture: {what}", defect[0], (paths[defect[1]],))
    return builder.finish()


def judge(report: Mapping[str, Any], seeded: Seeded) -> tuple[list[Expected], list[dict[str, Any]]]:
    """Compare a check's report with what was seeded.

    Returns:
        The expected findings that the report lacks; and its problems and warnings that nothing accounts for.
    """
    findings = report["findings"]
    rightly = {(found["kind"], found["file"]) for found in findings if SEVERITY.get(found["kind"]) == found["severity"]}
    missed = [expected for expected in seeded.expected if rightly.isdisjoint(product(expected.kinds, expected.files))]
    whole = {kind for expected in seeded.expected for kind in expected.kinds if None in expected.files}
    extra = [
        found
        for found in findings
        if found["severity"] != "note"
        and found["kind"] not in (whole if found["file"] is None else seeded.also_allowed.get(found["file"], ()))
    ]
    return missed, extra

"""NIfTI: useless sforms, scalings that readers treat differently, data after the volume's end."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from .case import Made, Odd
from .volumes import PLACE, SHORT, damage, some_labels, some_voxels, spoil_checksum

PLANE = np.array([[1.0, 1, 0, -9], [1, 1, 0, 12], [0, 0, 1.5, -13]])
NOT_FINITE = np.array([[1.0, 0, 0, -9], [0, np.nan, 0, 12], [0, 0, 1.5, -13]])


def nifti(
    name: str = "scan.nii",
    *,
    kind: type[nib.Nifti1Image] = nib.Nifti1Image,
    sform: np.ndarray | None = None,
    tail: bytes = b"",
    harm: Callable[[bytes], bytes] | None = None,
    label: bool = False,
    refused: bool = False,
    **fields: Any,
) -> Callable[[Path], Made]:
    """Return the maker of a NIfTI file with qform and sform.

    Args:
        name: of the file; with ".gz" it is compressed.
        kind: nibabel's class.
        sform: three rows to write instead of the true ones.
        tail: bytes after the voxels, before compression.
        harm: returns other bytes of the file.
        label: whether it is a label map.
        refused: whether it cannot be read.
        fields: further fields of the header.
    """

    def make(folder: Path) -> Made:
        voxels = some_labels() if label else some_voxels()
        image = kind(voxels, PLACE)
        image.set_qform(PLACE, code=1)
        image.set_sform(PLACE, code=1)
        image.header.set_xyzt_units("mm")
        content = bytearray(image.to_bytes())
        size = image.header.sizeof_hdr
        header = type(image.header)(bytes(content[:size]), check=False)
        for axis, row in zip("xyz", () if sform is None else sform, strict=False):
            header[f"srow_{axis}"] = row
        for key, value in fields.items():
            header[key] = value
        content[:size] = header.binaryblock
        packed = bytes(content) + tail
        packed = gzip.compress(packed) if name.endswith(".gz") else packed
        file = folder / name
        file.write_bytes(packed if harm is None else harm(packed))
        return Made(file) if refused else Made(file, voxels, PLACE)

    return make


def pair(*, damaged: bool = False, tail: bytes = b"") -> Callable[[Path], Made]:
    """Return the maker of a compressed NIfTI pair.

    Args:
        damaged: whether the checksum at the end of the voxels' file is wrong.
        tail: bytes after the voxels, before compression.
    """

    def make(folder: Path) -> Made:
        image = nib.Nifti1Pair(some_voxels(), PLACE)
        image.set_qform(PLACE, code=1)
        image.set_sform(PLACE, code=1)
        image.header.set_xyzt_units("mm")
        file = folder / "scan.hdr.gz"
        image.to_filename(folder / "scan.hdr")
        for part in ("hdr", "img"):
            content = (folder / f"scan.{part}").read_bytes() + (tail if part == "img" else b"")
            packed = gzip.compress(content)
            if damaged and part == "img":
                packed = spoil_checksum(packed)
            (folder / f"scan.{part}.gz").write_bytes(packed)
            (folder / f"scan.{part}").unlink()
        return Made(file) if damaged else Made(file, some_voxels(), PLACE)

    return make


def useless(test: str, sform: np.ndarray, **options: Any) -> Odd:
    words = "sform that is zero" if not sform.any() else "sform that is not finite or maps the volume to a plane"
    role = "label" if options.get("label") else "image"
    return Odd(test, nifti(sform=sform, refused=True, **options), "refused", "sform-singular", words, role)


ZERO = np.zeros((3, 4))
ODD = [
    Odd("nifti-two", nifti(kind=nib.Nifti2Image), "right"),
    Odd("nifti-in-metres", nifti(xyzt_units=1, refused=True), "refused", "unit", "in metres"),
    useless("nifti-sform-zero", ZERO),
    useless("nifti-sform-zero-gz", ZERO, name="scan.nii.gz"),
    useless("nifti-two-sform-zero", ZERO, kind=nib.Nifti2Image),
    useless("nifti-sform-zero-label", ZERO, label=True),
    useless("nifti-sform-plane", PLANE),
    useless("nifti-sform-not-finite", NOT_FINITE),
    Odd(
        "nifti-sform-zero-alone",
        nifti(sform=ZERO, qform_code=0, refused=True),
        "refused",
        "affine",
        "an sform that is zero, with sform_code above 0, and no sound qform",
    ),
    Odd("nifti-sform-plane-alone", nifti(sform=PLANE, qform_code=0, refused=True), "refused", "affine", "an sform"),
    Odd("nifti-sform-zero-unused", nifti(sform=ZERO, sform_code=0), "right"),
    Odd("nifti-slope-0", nifti(scl_slope=0, scl_inter=0), "right"),
    Odd("nifti-slope-not-a-number", nifti(scl_slope=np.nan, scl_inter=np.nan), "right"),
    Odd(
        "nifti-slope-0-intercept", nifti(scl_slope=0, scl_inter=-1024), "note", "scaling-ignored", "in ITK 1024 smaller"
    ),
    Odd(
        "nifti-slope-inf-intercept", nifti(scl_slope=np.inf, scl_inter=5), "note", "scaling-ignored", "in ITK 5 larger"
    ),
    Odd(
        "nifti-intercept-not-a-number", nifti(scl_slope=2, scl_inter=np.nan, refused=True), "refused", "scaling", "nan"
    ),
    Odd("nifti-tail", nifti(tail=b"end"), "note", "trailing-data", "3 bytes after the end"),
    Odd("nifti-gz-another-slice", nifti("scan.nii.gz", tail=SHORT), "note", "trailing-data", "576 bytes after the end"),
    Odd("nifti-label-tail", nifti(tail=b"end", label=True), "note", "trailing-data", "3 bytes after", "label"),
    Odd("nifti-gz-damaged", nifti("scan.nii.gz", harm=damage, refused=True), "refused", "truncated", "corrupt"),
    Odd(
        "nifti-gz-checksum", nifti("scan.nii.gz", harm=spoil_checksum, refused=True), "refused", "truncated", "checksum"
    ),
    Odd("nifti-pair-gz", pair(), "right"),
    Odd("nifti-pair-gz-checksum", pair(damaged=True), "refused", "truncated", "checksum"),
    Odd("nifti-pair-gz-tail", pair(tail=b"end"), "note", "trailing-data", "3 bytes after the end"),
    Odd(
        "nifti-axis-of-0",
        nifti(dim=[3, 0, 16, 14, 1, 1, 1, 1], refused=True),
        "refused",
        "dimensions",
        "the shape 0 x 16 x 14",
    ),
    Odd(
        "nifti-axis-below-0",
        nifti(dim=[3, -18, 16, 14, 1, 1, 1, 1], refused=True),
        "refused",
        "dimensions",
        "the shape -18 x 16 x 14",
    ),
    Odd("nifti-no-axis", nifti(dim=[0, 1, 1, 1, 1, 1, 1, 1], refused=True), "refused", "dimensions", "of no axis"),
    Odd("nifti-bits", nifti(datatype=1, bitpix=1, refused=True), "refused", "voxel-type", "single bits"),
    Odd("nifti-float128", nifti(datatype=1536, bitpix=128, refused=True), "refused", "voxel-type", "128-bit floating"),
    Odd("nifti-unknown-type", nifti(datatype=77, refused=True), "refused", "voxel-type", "type 77 (unknown)"),
]

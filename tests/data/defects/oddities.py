"""Ways to write a sound file of which no check may complain."""

from __future__ import annotations

import nibabel as nib
import numpy as np
from numpy.random import Generator

from .content import as_stored
from .files import Change, File, pack
from .places import header_fields, in_voxels, shift
from .voxels import voxels_changed


def oddities() -> dict[str, tuple[tuple[str, ...], Change]]:
    """Ways to write a sound file of which no check may complain."""
    image, label, both = ("image",), ("label",), ("image", "label")
    return {
        "sform alone": (both, lambda file, _rng: file.with_affine(file.affine, qform=0)),
        "qform alone": (both, lambda file, _rng: file.with_affine(file.affine, sform=0)),
        "sform of an atlas": (both, lambda file, _rng: file.with_affine(file.affine, sform=4)),
        "one axis more, of length 1": (both, voxels_changed(lambda voxels: voxels[..., None])),
        "uncompressed": (both, as_stored(lambda data: data, suffix=".nii")),
        "no unit": (both, header_fields(xyzt_units=0)),
        "float64": (image, voxels_changed(lambda voxels: voxels.astype(np.float64))),
        "16 bit with slope and intercept": (image, _with_slope),
        "big-endian": (both, _big_endian),
        "NIfTI-2": (both, _nifti2),
        "header extension": (both, _with_extension),
        "gzip in two members": (both, lambda file, _rng: pack(file.raw()[:5000]) + pack(file.raw()[5000:])),
        "64 bit label": (label, voxels_changed(lambda voxels: voxels.astype(np.int64))),
        "label 0.0004 voxels off": (label, in_voxels(shift(0.0004, 0, 0))),
        "intensities of a million": (image, voxels_changed(lambda voxels: voxels * np.float32(1e4))),
    }


def _with_slope(file: File, rng: Generator) -> File:
    voxels = file.voxels.astype(np.float64)
    stored = np.rint((voxels - voxels.min()) / np.ptp(voxels) * 30000).astype(np.int16)
    return file.with_header(scl_slope=0.25, scl_inter=3.5).with_voxels(stored)


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

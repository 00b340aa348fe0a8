"""Headers of NIfTI files, from their bytes."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import DTypeLike

from ..errors import InputError
from .endings import is_nifti, is_pair
from .files import pair_of
from .header import Forms, Header
from .nifti_forms import check_scaling, find_scaling_note
from .nifti_offset import check_offset, find_uneven_offset, quiet_nibabel

__all__ = [
    "START_BYTES",
    "TEXT_FIELDS",
    "affine_pixdim",
    "copy_geometry",
    "header_image",
    "is_scaled",
    "nifti_class",
    "nifti_header",
    "read_nifti_header",
    "uneven_offset_error",
]

START_BYTES = nibabel.Nifti2Header.sizeof_hdr  # of a NIfTI-2 header; one of NIfTI-1 is shorter
TEXT_FIELDS = ("descrip", "aux_file", "db_name")  # of any content, such as a patient's name; NIfTI-2 lacks the last
_GEOMETRY = (
    "pixdim",
    "xyzt_units",
    "qform_code",
    "sform_code",
    *(f"quatern_{axis}" for axis in "bcd"),
    *(f"qoffset_{axis}" for axis in "xyz"),
    *(f"srow_{axis}" for axis in "xyz"),
)
_NO_EXTENSIONS = bytes(4)
_IN_FILES = ("nifti", "pair")  # formats in which the header says where the voxels start
_UNIT_OF_SPACE = 0b111
# NIfTI's codes of units other than mm. Code 0, unknown, means mm: most tools leave it unset.
_TYPES = {1: "single bits", 1536: "128-bit floating point", 2048: "complex of 256 bits"}
_UNITS = {1: "metres", 3: "micrometres"}


def nifti_class(start: bytes) -> Any:
    """Return nibabel's class for a file's first bytes: NIfTI-1, NIfTI-2, or None."""
    kinds = (nibabel.Nifti1Image, nibabel.Nifti2Image)
    return next((kind for kind in kinds if kind.header_class.may_contain_header(start)), None)


def nifti_header(path: str, start: bytes, *, format: str = "nifti") -> Header:
    """Return the header in these bytes.

    Args:
        path: of the image.
        start: the header's bytes; further bytes are ignored.
        format: of the file.

    Raises:
        InputError: the voxels cannot start where the header says, or have no numbers.
        ValueError: the bytes are no NIfTI header.
    """
    kind = nifti_class(start)
    if kind is None:
        msg = "no NIfTI header"
        raise ValueError(msg)
    raw = start[: kind.header_class.sizeof_hdr]
    # Unchecked: the check would silently replace a spacing of 0 mm by 1 mm.
    fields = kind.header_class(raw, check=False)
    _check_fields(path, fields)
    if format in _IN_FILES:
        check_offset(path, fields)
    check_scaling(path, fields)
    scaling = find_scaling_note(path, fields)
    shape = tuple(map(int, fields.get_data_shape()))
    image = header_image(raw)
    axes = min(3, len(shape))
    pixdim = affine_pixdim(fields)
    forms = Forms(
        image.get_qform() if fields["qform_code"] > 0 else None,
        image.get_sform() if fields["sform_code"] > 0 else None,
        np.abs(pixdim).astype(float),
    )
    return Header(
        path,
        format,
        shape,
        axes,
        image.affine,
        tuple(np.abs(pixdim).astype(float).tolist()),
        fields.get_data_dtype(),
        unit=_UNITS.get(int(fields["xyzt_units"]) & _UNIT_OF_SPACE, "mm"),
        forms=forms,
        has_orientation=forms.qform is not None or forms.sform is not None,
        raw=raw,
        notes=() if scaling is None else (scaling,),
    )


def _check_fields(path: str, fields: Any) -> None:
    """Refuse a number of axes or voxels below 1, and types of voxels that have no numbers in NumPy."""
    shape = [int(size) for size in fields["dim"][: 1 + max(0, min(7, int(fields["dim"][0])))]]
    code = int(fields["datatype"])
    try:
        dtype = fields.get_data_dtype()
        known = dtype.kind != "V" or dtype.fields is not None
    except KeyError:
        known = False
    if not 1 <= int(fields["dim"][0]) <= 7 or min(shape) < 1:
        found = f"the shape {' x '.join(map(str, shape[1:])) or 'of no axis'} in its header (dim)"
        expected, kind = "1 to 7 axes of 1 voxel or more", "dimensions"
        remedy = "copy or convert the file again"
    elif not known:
        found = f"voxels of the type {code} ({_TYPES.get(code, 'unknown')})"
        expected, kind = "integers of 8 to 64 bits, or float32 or float64", "voxel-type"
        remedy = "convert the file to one of these"
    else:
        return
    raise InputError(path, found=found, expected=expected, remedy=remedy, kind=kind)


def uneven_offset_error(header: Header) -> InputError | None:
    """Return an error if a NIfTI image in one file has its voxels at no multiple of 16 bytes; None if not.

    The error is of the kind of a note: see `nifti_offset.find_uneven_offset`.
    """
    if header.format != "nifti" or not header.raw:
        return None
    return find_uneven_offset(header.path, nifti_class(header.raw).header_class(header.raw, check=False))


def affine_pixdim(fields: Any) -> np.ndarray:
    """Return the spacing along the axes in space as a NIfTI header's pixdim states it, with its sign."""
    return np.asarray(fields["pixdim"][1 : 1 + min(3, int(fields["dim"][0]))])


def header_image(raw: bytes) -> Any:
    """Return nibabel's image of a NIfTI header without voxels, checked and repaired as nibabel does for a file."""
    kind = nifti_class(raw)
    fields = kind.header_class(raw, check=False)
    # The voxels are elsewhere, or a copy of the header belongs to other voxels.
    fields["vox_offset"] = 0
    with quiet_nibabel():
        return kind.from_stream(BytesIO(fields.binaryblock + _NO_EXTENSIONS))


def is_scaled(header: Header) -> bool:
    """Return whether a NIfTI image's values are scaled when they are read, to float64."""
    fields = nifti_class(header.raw).header_class(header.raw, check=False)
    slope, intercept = float(fields["scl_slope"]), float(fields["scl_inter"])
    return slope != 0 and np.isfinite(slope) and (slope, intercept) != (1, 0)


def copy_geometry(source: Any, shape: Sequence[int], dtype: DTypeLike, *, texts: bool = False) -> Any:
    """Return the header of a file in the grid of another: version, byte order and geometry, byte for byte.

    Nothing else is copied, because texts and extensions may name a patient. nibabel repairs odd values in a header that
    it loads (a qfac of 0, negative voxel sizes), so the geometry is set last: other programs then see the same in both.

    Args:
        source: nibabel's header, unchecked.
        shape: of the voxels.
        dtype: of the voxels, which are not scaled.
        texts: whether to copy `TEXT_FIELDS` as well.
    """
    header = (nibabel.Nifti2Header if isinstance(source, nibabel.Nifti2Header) else nibabel.Nifti1Header)(
        endianness=source.endianness
    )
    header.set_data_shape(shape)
    header.set_data_dtype(dtype)
    header.set_slope_inter(1, 0)
    known = source.keys()
    for field in (*_GEOMETRY, *(field for field in TEXT_FIELDS if texts and field in known)):
        header[field] = source[field].copy()
    return header


def read_nifti_header(path: str | Path) -> Header | None:
    """Return the header of a NIfTI image, in one file or two; None if ending or content are not NIfTI's.

    Raises:
        InputError: its voxels cannot start where the header says.
        OSError: a file named `.nii` or `.nii.gz` cannot be read.
        ValueError: it has no NIfTI header.
    """
    name = str(path)
    if is_nifti(name):
        return nifti_header(name, _first_bytes(name))
    if is_pair(name):
        # A file with this ending may have another format, or not exist.
        try:
            return nifti_header(name, _first_bytes(pair_of(name)[0]), format="pair")
        except InputError:
            raise
        except (OSError, ValueError, EOFError):
            return None
    return None


def _first_bytes(file: str) -> bytes:
    opener: Any = gzip.open if file.lower().endswith(".gz") else open
    with opener(file, "rb") as stream:
        content: bytes = stream.read(START_BYTES)
    return content

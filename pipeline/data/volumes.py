"""Reading one image or label map whole, so that damage anywhere in the file is noticed."""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import nibabel
import numpy as np
from PIL import Image

from ..imports import quick_imports
from .check_series import check_series
from .errors import InputError
from .file_start import check_start, nifti_class, unreadable

_NIFTI = (".nii", ".nii.gz")
_EXTENSIONS = {
    *(".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".hdr", ".img", ".dcm"),
    *(".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"),
}
_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
# Of the voxel's volume over the product of its edges: below it the axes lie in one plane, but for rounding.
_FLAT = 1e-6
# NIfTI's codes for units of space that are not mm; 0, unknown, is what most tools leave for mm.
_OTHER_UNITS = {1: "metres", 3: "micrometres"}
_UNIT_OF_SPACE = 0b111
# What tells that a file of the right kind is not whole: gzip's errors, and what nibabel and Pillow say.
_CUT = (EOFError, zlib.error, gzip.BadGzipFile)
_CUT_WORDS = ("truncated", "Expected", "bytes, got", "buffer is smaller", "cannot reshape")
_BEST_DEFLATE = 1032
_ITK = "ITK ERROR: "
# What a scanner or a microscope of tissue gives lies inside with room to spare; outside, the unit is another.
_FINEST_MM, _COARSEST_MM = 0.01, 100.0


@dataclass(frozen=True)
class Volume:
    """A file as it was read.

    Args:
        voxels: scaled as the header says, (x, y, z), (x, y) or one of these with channels last.
        affine: voxel-to-world, 4x4 (mm).
        stored: the voxels' type in the file, such as "int16", before scaling.
        qform: the header's qform, 4x4 (mm), where a NIfTI file has one with a code above 0.
        sform: the same of its sform.
        pixdim: spacing (mm) along the axes in space by a NIfTI header's pixdim, which only some readers use.
    """

    voxels: np.ndarray
    affine: np.ndarray
    stored: str
    qform: np.ndarray | None = None
    sform: np.ndarray | None = None
    pixdim: np.ndarray | None = None


def read_volume(path: str) -> Volume:
    """Read a volume whole: NIfTI with nibabel, anything else with MONAI's LoadImage.

    A compressed file is decompressed once, up to the checksum at its end.

    Args:
        path: the file, or the folder of a DICOM series.

    Raises:
        InputError: the file is missing, cannot be opened, is empty, a Git LFS pointer, truncated, corrupt or no image
            (a pipe or a device neither, which would never end), its voxels are complex or RGB, its spacing is said to
            be in metres or micrometres (which neither nibabel nor MONAI would convert) or lies outside 0.01 to 100 mm
            along an axis with more than one voxel, or its spacing or affine is zero or not finite, or a folder holds
            several DICOM series or one with uneven slices.
        MemoryError: the voxels do not fit into memory.
    """
    check_start(path)
    read = _read_nifti if is_nifti(path) else _read_with_monai
    try:
        volume = read(path)
    except (InputError, MemoryError):
        raise
    except Exception as error:  # on a damaged file readers raise anything from zlib.error to EOFError
        if isinstance(error, OSError) and error.errno is not None:
            raise unreadable(path, error) from error
        _check_parts(path)
        reason = _reason(error, path)
        cut = isinstance(error, _CUT) or any(word in reason for word in _CUT_WORDS)
        raise InputError(
            path,
            found=f"a truncated or corrupt file{'' if cut else ', or no image'} ({reason})",
            expected="an image that can be read to its end",
            remedy="copy or download the file again, or take the case out of the datalist",
            kind="truncated" if cut else "not-an-image",
        ) from error
    _check_affine(path, volume.affine, volume.voxels.shape)
    return volume


def _check_parts(path: str) -> None:
    """Raise an InputError where a header's voxels lie in a file that is not there."""
    # Imported here, because it imports this module.
    from .layouts.image_files import parts_of  # noqa: PLC0415

    missing = [] if Path(path).is_dir() else [part.name for part in parts_of(Path(path)) if not part.exists()]
    if missing:
        raise InputError(
            path,
            found=f"a header without its voxels: no {missing[0]} beside it",
            expected="an image",
            remedy="copy that file there, too; where it was renamed, correct its name in the header",
            kind="missing",
        )


def _reason(error: Exception, path: str) -> str:
    """What a reader says, in one line; of ITK's without the line of its source and the address in memory."""
    text = " ".join(str(error).replace(path, Path(path).name).split())
    if isinstance(error, KeyError):
        text = f"its header says {text}, which is not known"
    if _ITK in text:
        text = text.rpartition(_ITK)[2].partition("): ")[2] or text
    return text[:200] or type(error).__name__


def scan_name(path: str | PurePath) -> str:
    """Return the name of a scan, as outputs are named after it: the file's, without a known ending (`.gz` included)."""
    name = PurePath(path).name
    stem = name[:-3] if name.lower().endswith(".gz") else name
    suffix = PurePath(stem).suffix
    return stem.removesuffix(suffix) if suffix.lower() in _EXTENSIONS else name


def is_nifti(path: str | PurePath) -> bool:
    """Tell by the ending whether a file is NIfTI."""
    return str(path).lower().endswith(_NIFTI)


def is_picture(path: str | PurePath) -> bool:
    """Tell by the ending whether a file is a picture: 2D, perhaps in colour, without a place in space."""
    return str(path).lower().endswith(_PICTURES)


def _read_nifti(path: str) -> Volume:
    opener: Any = gzip.open if path.lower().endswith(".gz") else open
    with opener(path, "rb") as stream:
        start = stream.read(nibabel.Nifti2Header.sizeof_hdr)
        kind = nifti_class(start)
        if kind is None:
            raise ValueError("no NIfTI header")
        stream.seek(0)
        # Unchecked: the check would silently replace a spacing of 0 mm by 1 mm.
        header = kind.header_class.from_fileobj(stream, check=False)
        axes = min(3, int(header["dim"][0]))
        _check_unit(path, int(header["xyzt_units"]) & _UNIT_OF_SPACE, header["pixdim"][1 : 1 + axes])
        _check_spacing(path, np.abs(header["pixdim"][1 : 1 + axes]), header["dim"][1 : 1 + axes])
        _check_voxel_type(path, header.get_data_dtype())
        _check_promise(path, header)
        stream.seek(0)
        image = kind.from_stream(stream)
        voxels = np.asanyarray(image.dataobj)
        # gzip compares length and checksum only at the end of its stream.
        while stream.read(1 << 20):
            pass
    qform = image.get_qform() if header["qform_code"] > 0 else None
    sform = image.get_sform() if header["sform_code"] > 0 else None
    pixdim = np.abs(header["pixdim"][1 : 1 + axes]).astype(float)
    return Volume(voxels, image.affine, header.get_data_dtype().name, qform, sform, pixdim)


def _read_with_monai(path: str) -> Volume:
    # Imported here, because MONAI takes seconds to import and NIfTI files do not need it.
    with quick_imports():
        from monai.transforms import LoadImage  # noqa: PLC0415

    if is_picture(path):
        # MONAI leaves a picture's file open where it is damaged.
        with Image.open(path) as picture:
            picture.load()
    if Path(path).is_dir():
        check_series(path)
    image = LoadImage(image_only=True, dtype=None)(path)
    voxels: np.ndarray = image.numpy()
    _check_voxel_type(path, voxels.dtype)
    return Volume(voxels, np.asarray(image.affine, dtype=float), voxels.dtype.name)


def _check_voxel_type(path: str, dtype: np.dtype[Any]) -> None:
    if dtype.kind not in "iufb":
        raise InputError(
            path,
            found=f"{'complex' if dtype.kind == 'c' else 'RGB'} voxels",
            expected="one real number per voxel",
            remedy="convert the file to a real data type, with one file per component",
            kind="voxel-type",
        )


def _check_promise(path: str, header: Any) -> None:
    """Refuse a header that promises more voxels than its file can hold, before memory is asked for them."""
    promised = math.prod(int(size) for size in header.get_data_shape()) * header.get_data_dtype().itemsize
    # Deflate packs 1032 bytes into one at best.
    held = Path(path).stat().st_size * (_BEST_DEFLATE if path.lower().endswith(".gz") else 1)
    if promised > held:
        msg = f"Expected {promised} bytes of voxels, got at most {held}"
        raise EOFError(msg)


def _check_unit(path: str, unit: int, spacing: np.ndarray) -> None:
    if unit in _OTHER_UNITS:
        raise InputError(
            path,
            found=f"a spacing in {_OTHER_UNITS[unit]} ({_product(spacing)})",
            expected="mm",
            remedy="convert spacing and affine to mm, or where the numbers are in mm already, set xyzt_units to mm",
            kind="unit",
        )


def _check_spacing(path: str, spacing: np.ndarray, shape: Sequence[int]) -> None:
    """Refuse a spacing (mm) along the axes of this shape (voxels); further axes of the shape are no matter."""
    if not np.isfinite(spacing).all() or (spacing == 0).any():
        expected = "a spacing above 0 mm along every axis"
    else:
        # Rounded, because 0.01 and 100 mm are fine after whatever float32 and a rotation did to them.
        used = [round(float(size), 6) for size, voxels in zip(spacing, shape, strict=False) if voxels > 1]
        if all(_FINEST_MM <= size <= _COARSEST_MM for size in used):
            return
        expected = f"a spacing of {_FINEST_MM:g} to {_COARSEST_MM:g} mm along every axis"
    raise InputError(
        path,
        found=f"a spacing of {_product(spacing)} mm",
        expected=expected,
        remedy="correct the file's header from the original scan",
        kind="spacing",
    )


def _product(spacing: np.ndarray) -> str:
    return " x ".join(f"{size:g}" for size in spacing)


def _check_affine(path: str, affine: np.ndarray, shape: Sequence[int]) -> None:
    axes = affine[:3, :3]
    lengths = np.linalg.norm(axes, axis=0)
    _check_spacing(path, lengths, shape)
    if not np.isfinite(affine).all() or abs(np.linalg.det(axes)) < _FLAT * np.prod(lengths):
        raise InputError(
            path,
            found="an affine that is not finite or maps the volume to a plane",
            expected="an affine with three independent axes",
            remedy="correct the file's header from the original scan",
            kind="affine",
        )

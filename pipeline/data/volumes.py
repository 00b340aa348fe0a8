"""Reading one image or label map whole, so that damage anywhere in the file is noticed."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

import nibabel
import numpy as np

from .errors import InputError

_NIFTI = (".nii", ".nii.gz")
_EXTENSIONS = {
    *(".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".hdr", ".img", ".dcm"),
    *(".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"),
}
_LFS_START = b"version https://git-lfs"
_GZIP_START = b"\x1f\x8b"
# Of the voxel's volume over the product of its edges: below it the axes lie in one plane, but for rounding.
_FLAT = 1e-6
# NIfTI's codes for units of space that are not mm; 0, unknown, is what most tools leave for mm.
_OTHER_UNITS = {1: "metres", 3: "micrometres"}
_UNIT_OF_SPACE = 0b111
# What a scanner or a microscope of tissue gives lies inside with room to spare; outside, the unit is another.
_FINEST_MM, _COARSEST_MM = 0.01, 100.0


def read_volume(path: str) -> tuple[np.ndarray, np.ndarray]:
    """Read a volume whole: NIfTI with nibabel, anything else with MONAI's LoadImage.

    A compressed file is decompressed once, up to the checksum at its end.

    Args:
        path: the file, or the folder of a DICOM series.

    Returns:
        The voxels, scaled as the header says, with shape (x, y, z), (x, y) or one of these with channels last; and
        the voxel-to-world affine, 4x4 (mm).

    Raises:
        InputError: the file is missing, empty, a Git LFS pointer, truncated, corrupt or no image, its voxels are
            complex or RGB, its spacing is said to be in metres or micrometres (which neither nibabel nor MONAI would
            convert) or lies outside 0.01 to 100 mm along an axis with more than one voxel, or its spacing or affine
            is zero or not finite.
    """
    _check_start(path)
    read = _read_nifti if is_nifti(path) else _read_with_monai
    try:
        voxels, affine = read(path)
    except InputError:
        raise
    except Exception as error:  # on a damaged file readers raise anything from zlib.error to EOFError
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(
            path,
            found=f"a truncated or corrupt file, or no image ({reason})",
            expected="an image that can be read to its end",
            remedy="copy or download the file again, or take the case out of the datalist",
        ) from error
    _check_affine(path, affine, voxels.shape)
    return voxels, affine


def scan_name(path: str | PurePath) -> str:
    """Return the name of a scan, as outputs are named after it: the file's, without a known ending (`.gz` included)."""
    name = PurePath(path).name
    stem = name[:-3] if name.lower().endswith(".gz") else name
    suffix = PurePath(stem).suffix
    return stem.removesuffix(suffix) if suffix.lower() in _EXTENSIONS else name


def is_nifti(path: str | PurePath) -> bool:
    """Tell by the ending whether a file is NIfTI."""
    return str(path).lower().endswith(_NIFTI)


def is_lfs_pointer(path: str | Path) -> bool:
    """Tell by its first bytes whether a file is only Git LFS's note of where the real one lies."""
    with Path(path).open("rb") as stream:
        return stream.read(len(_LFS_START)) == _LFS_START


def _check_start(path: str) -> None:
    """Raise an InputError for what the file's first bytes tell."""
    file = Path(path)
    if file.is_dir():
        return
    if not file.exists():
        found, remedy = "no such file", "check dataset_dir and the datalist, or copy the file there"
        raise InputError(path, found=found, expected="an image", remedy=remedy)
    with file.open("rb") as stream:
        start = stream.read(len(_GZIP_START))
    if not start:
        found, remedy = "an empty file (0 bytes)", "copy or download the file again"
    elif is_lfs_pointer(file):
        found, remedy = "a Git LFS pointer instead of the image", "run `git lfs pull` in the dataset's repository"
    elif path.lower().endswith(".nii.gz") and start != _GZIP_START:
        found = "a file that is not gzip-compressed although it is named .gz"
        remedy = "rename it to .nii if it is a NIfTI file, otherwise copy or download it again"
    elif path.lower().endswith(".nii") and start == _GZIP_START:
        found, remedy = "a gzip-compressed file named .nii", "rename it to .nii.gz"
    else:
        return
    raise InputError(path, found=found, expected="an image", remedy=remedy)


def _read_nifti(path: str) -> tuple[np.ndarray, np.ndarray]:
    opener: Any = gzip.open if path.lower().endswith(".gz") else open
    with opener(path, "rb") as stream:
        start = stream.read(nibabel.Nifti2Header.sizeof_hdr)
        kinds = (nibabel.Nifti1Image, nibabel.Nifti2Image)
        kind = next((kind for kind in kinds if kind.header_class.may_contain_header(start)), None)
        if kind is None:
            raise ValueError("no NIfTI header")
        stream.seek(0)
        # Unchecked: the check would silently replace a spacing of 0 mm by 1 mm.
        header = kind.header_class.from_fileobj(stream, check=False)
        axes = min(3, int(header["dim"][0]))
        _check_unit(path, int(header["xyzt_units"]) & _UNIT_OF_SPACE, header["pixdim"][1 : 1 + axes])
        _check_spacing(path, np.abs(header["pixdim"][1 : 1 + axes]), header["dim"][1 : 1 + axes])
        _check_voxel_type(path, header.get_data_dtype())
        stream.seek(0)
        image = kind.from_stream(stream)
        voxels = np.asanyarray(image.dataobj)
        # gzip compares length and checksum only at the end of its stream.
        while stream.read(1 << 20):
            pass
    return voxels, image.affine


def _read_with_monai(path: str) -> tuple[np.ndarray, np.ndarray]:
    # Imported here, because MONAI takes seconds to import and NIfTI files do not need it.
    from monai.transforms import LoadImage  # noqa: PLC0415

    image = LoadImage(image_only=True, dtype=None)(path)
    voxels: np.ndarray = image.numpy()
    _check_voxel_type(path, voxels.dtype)
    return voxels, np.asarray(image.affine, dtype=float)


def _check_voxel_type(path: str, dtype: np.dtype[Any]) -> None:
    if dtype.kind not in "iufb":
        raise InputError(
            path,
            found=f"{'complex' if dtype.kind == 'c' else 'RGB'} voxels",
            expected="one real number per voxel",
            remedy="convert the file to a real data type, with one file per component",
        )


def _check_unit(path: str, unit: int, spacing: np.ndarray) -> None:
    if unit in _OTHER_UNITS:
        raise InputError(
            path,
            found=f"a spacing in {_OTHER_UNITS[unit]} ({_product(spacing)})",
            expected="mm",
            remedy="convert spacing and affine to mm, or where the numbers are in mm already, set xyzt_units to mm",
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
        )

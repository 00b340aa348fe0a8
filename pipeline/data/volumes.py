"""Reading one image or label map whole, so that damage anywhere in the file is noticed."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from .errors import InputError

_LFS_START = b"version https://git-lfs"
_GZIP_START = b"\x1f\x8b"
# Of the voxel's volume over the product of its edges: below it the axes lie in one plane, but for rounding.
_FLAT = 1e-6


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
            complex or RGB, or its spacing or affine is zero or not finite.
    """
    _check_start(path)
    read = _read_nifti if path.lower().endswith((".nii", ".nii.gz")) else _read_with_monai
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
    _check_affine(path, affine)
    return voxels, affine


def _check_start(path: str) -> None:
    """Raise an InputError for what the file's first bytes tell."""
    file = Path(path)
    if file.is_dir():
        return
    if not file.exists():
        found, remedy = "no such file", "check dataset_dir and the datalist, or copy the file there"
        raise InputError(path, found=found, expected="an image", remedy=remedy)
    with file.open("rb") as stream:
        start = stream.read(len(_LFS_START))
    if not start:
        found, remedy = "an empty file (0 bytes)", "copy or download the file again"
    elif start == _LFS_START:
        found, remedy = "a Git LFS pointer instead of the image", "run `git lfs pull` in the dataset's repository"
    elif path.lower().endswith(".nii.gz") and not start.startswith(_GZIP_START):
        found = "a file that is not gzip-compressed although it is named .gz"
        remedy = "rename it to .nii if it is a NIfTI file, otherwise copy or download it again"
    elif path.lower().endswith(".nii") and start.startswith(_GZIP_START):
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
        _check_spacing(path, header["pixdim"][1 : 1 + min(3, int(header["dim"][0]))])
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


def _check_spacing(path: str, spacing: np.ndarray) -> None:
    if not np.isfinite(spacing).all() or (spacing == 0).any():
        raise InputError(
            path,
            found=f"a spacing of {' x '.join(f'{size:g}' for size in spacing)} mm",
            expected="a spacing above 0 mm along every axis",
            remedy="correct the file's header from the original scan",
        )


def _check_affine(path: str, affine: np.ndarray) -> None:
    axes = affine[:3, :3]
    lengths = np.linalg.norm(axes, axis=0)
    _check_spacing(path, lengths)
    if not np.isfinite(affine).all() or abs(np.linalg.det(axes)) < _FLAT * np.prod(lengths):
        raise InputError(
            path,
            found="an affine that is not finite or maps the volume to a plane",
            expected="an affine with three independent axes",
            remedy="correct the file's header from the original scan",
        )

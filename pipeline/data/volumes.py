"""Reading one image or label map whole, so that damage anywhere in the file is noticed."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import nibabel
import numpy as np
from PIL import Image

from ..imports import quick_imports
from .check_header import check_affine, check_itk_type, check_promise, check_spacing, check_unit, check_voxel_type
from .check_series import check_dicom_file, check_series
from .dicom_files import dicom_files, is_dicom
from .errors import InputError
from .file_start import check_start, nifti_class, unreadable

_NIFTI = (".nii", ".nii.gz")
_EXTENSIONS = {
    *(".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".hdr", ".img", ".dcm"),
    *(".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"),
}
_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
# What tells that a file of the right kind is not whole: gzip's errors, and what nibabel and Pillow say.
_CUT = (EOFError, zlib.error, gzip.BadGzipFile)
_CUT_WORDS = ("truncated", "Expected", "bytes, got", "buffer is smaller", "cannot reshape")
_ITK = "ITK ERROR: "


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
    """Read a volume whole: NIfTI, in one file or two, with nibabel, anything else with MONAI's LoadImage.

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
    if Path(path).is_dir():
        _check_folder(path)
    read = _read_nifti if is_nifti(path) else _read_pair if is_pair(path) else _read_with_monai
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
            remedy="copy or download the file again, or leave it out",
            kind="truncated" if cut else "not-an-image",
        ) from error
    check_affine(path, volume.affine, volume.voxels.shape)
    return volume


def _check_folder(path: str) -> None:
    """Refuse a folder that readers would take for a file, and one without DICOM."""
    if any(tell(path) for tell in (is_nifti, is_pair, is_picture)):
        found, remedy = "a folder named like a file", "give the file in it, or rename the folder of a DICOM series"
    elif not any(dicom_files(Path(path))):
        found, remedy = "a folder without DICOM files", "give the scan itself: a file, or the folder of its series"
    else:
        return
    raise InputError(path, found=found, expected="an image", remedy=remedy, kind="not-an-image")


def _check_parts(path: str) -> None:
    """Raise an InputError where another file belongs to this one and is not there."""
    # Imported here, because it imports this module.
    from .layouts.image_files import parts_of  # noqa: PLC0415

    missing = [] if Path(path).is_dir() else [part.name for part in parts_of(Path(path)) if not part.exists()]
    if missing:
        half = "voxels without their header" if path.lower().endswith(".img") else "a header without its voxels"
        raise InputError(
            path,
            found=f"{half}: no {missing[0]} beside it",
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


def is_pair(path: str | PurePath) -> bool:
    """Tell by the ending whether a file is one half of a pair: a header, `.hdr`, and its voxels, `.img`."""
    return PurePath(path).suffix.lower() in (".hdr", ".img")


def pair_of(path: str) -> tuple[str, str]:
    """Return the header and the file of the voxels of a pair, by the path of either."""
    half = PurePath(path)
    endings = (".HDR", ".IMG") if half.suffix.isupper() else (".hdr", ".img")
    return str(half.with_suffix(endings[0])), str(half.with_suffix(endings[1]))


def analyze_refused(path: str) -> InputError:
    """Say why an Analyze 7.5 pair is no input: readers guess differently which way its axes run."""
    return InputError(
        path,
        found="an Analyze 7.5 file, which does not say how its axes run",
        expected="a NIfTI file: readers mirror Analyze in different ways",
        remedy="convert it to NIfTI with the orientation that it was written in, and look at left and right",
        kind="form-missing",
    )


def is_picture(path: str | PurePath) -> bool:
    """Tell by the ending whether a file is a picture: 2D, perhaps in colour, without a place in space."""
    return str(path).lower().endswith(_PICTURES)


def _read_nifti(path: str) -> Volume:
    opener: Any = gzip.open if path.lower().endswith(".gz") else open
    with opener(path, "rb") as stream:
        kind, header = _nifti_header(path, stream)
        check_promise(path, header)
        stream.seek(0)
        image = kind.from_stream(stream)
        voxels = np.asanyarray(image.dataobj)
        # gzip compares length and checksum only at the end of its stream.
        while stream.read(1 << 20):
            pass
    return _nifti_volume(voxels, image, header)


def _read_pair(path: str) -> Volume:
    _check_parts(path)
    header_file, voxels_file = pair_of(path)
    with Path(header_file).open("rb") as stream:
        _, header = _nifti_header(path, stream)
    check_promise(path, header, voxels_file)
    image: Any = nibabel.load(path)
    return _nifti_volume(np.asanyarray(image.dataobj), image, header)


def _nifti_header(path: str, stream: Any) -> tuple[Any, Any]:
    """Read and check a NIfTI header; return nibabel's class for its image as well."""
    start = stream.read(nibabel.Nifti2Header.sizeof_hdr)
    kind = nifti_class(start)
    if kind is None and is_pair(path) and nibabel.AnalyzeHeader.may_contain_header(start):
        raise analyze_refused(path)
    if kind is None:
        raise ValueError("no NIfTI header")
    stream.seek(0)
    # Unchecked: the check would silently replace a spacing of 0 mm by 1 mm.
    header = kind.header_class.from_fileobj(stream, check=False)
    spacing = header["pixdim"][1 : 1 + min(3, int(header["dim"][0]))]
    check_unit(path, int(header["xyzt_units"]), spacing)
    check_spacing(path, np.abs(spacing), header["dim"][1 : 1 + len(spacing)])
    check_voxel_type(path, header.get_data_dtype())
    return kind, header


def _nifti_volume(voxels: np.ndarray, image: Any, header: Any) -> Volume:
    qform = image.get_qform() if header["qform_code"] > 0 else None
    sform = image.get_sform() if header["sform_code"] > 0 else None
    pixdim = np.abs(header["pixdim"][1 : 1 + min(3, int(header["dim"][0]))]).astype(float)
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
    elif is_dicom(path):
        check_dicom_file(path)
    elif not is_picture(path):
        check_itk_type(path)
    image = LoadImage(image_only=True, dtype=None)(path)
    voxels: np.ndarray = image.numpy()
    check_voxel_type(path, voxels.dtype)
    return Volume(voxels, np.asarray(image.affine, dtype=float), voxels.dtype.name)

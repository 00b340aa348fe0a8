"""The one way to read images: open a path of any format, for its header or its whole content, with clear errors."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NoReturn

import numpy as np

from ..check_header import check_affine
from ..errors import InputError
from .claimed_size import SizedImage, require_held
from .dicom_files import dicom_files, split_series
from .endings import format_name, is_store
from .file_start import check_path, check_start, unreadable_error
from .files import check_parts
from .formats import FloatImage, OpenImage, format_class, format_of
from .header import Header, Volume

__all__ = ["open_image", "read_header", "read_volume", "read_voxels", "require_size"]

# Signs of a truncated or damaged file: gzip's errors, and words in nibabel's and Pillow's errors.
_TRUNCATION_ERRORS = (EOFError, zlib.error, gzip.BadGzipFile)
_TRUNCATION_WORDS = (
    *("truncated", "Expected", "bytes, got", "buffer is smaller", "cannot reshape"),
    # Of compressed chunks of a Zarr store.
    *("decompress", "checksum", "Invalid data stream", "end-of-stream", "larger dtype"),
)
# ITK's words for a place that it does not accept: what is found, expected, and the kind.
_PLACES = {
    "Zero-valued spacing": ("a spacing of 0 along an axis", "a spacing above 0 mm along every axis", "spacing"),
    "Bad direction": ("directions of axes that are in one plane", "three independent axes", "affine"),
}
# The names of teem's functions before its reason, each with what it was trying to do.
_TEEM = re.compile(r".*\[nrrd\] \w+: (?=\S)")
# A part of the header that teem quotes. It may be any text, such as a patient's name, and messages go into reports.
_QUOTED = re.compile(r'".*"')
# The start of ITK's and SimpleITK's errors: a line of its source, and an object's address in memory.
_ITK = re.compile(r".*(?:ITK ERROR|itk::ERROR|sitk::ERROR): (?:\w+\(0x[0-9a-f]+\): *)?(?:ReadImageInformation: *)?")


@contextmanager
def open_image(path: str) -> Iterator[OpenImage]:
    """Open an image of any format and read its header; errors inside the block become InputErrors.

    A file that LightSkip reads itself is opened only here.

    Args:
        path: the file, or the folder of a DICOM series or a Zarr store; FOLDER/series=WORD names one DICOM series of a
            folder by its number, description or unique identifier.

    Raises:
        InputError: the file is missing, cannot be opened, is empty, a Git LFS pointer, truncated, corrupt or no image;
            or it is a pipe or a device, which might never end.
        MemoryError: the voxels do not fit into memory.
    """
    image: OpenImage | None = None
    try:
        check_path(path)
        stream, start = _open_file(path)
        try:
            image = format_class(format_of(path, start))(path, stream)
        except BaseException:
            if stream is not None:
                stream.close()
            raise
        yield image
    except (InputError, MemoryError):
        raise
    except Exception as error:  # for a damaged file readers raise any error, from zlib.error to EOFError
        _explain(error, path)
    finally:
        if image is not None:
            image.close()


def read_header(path: str | Path, *, sized: bool = False) -> Header:
    """Return the header of an image, unchecked.

    Args:
        path: as in `open_image`.
        sized: whether to refuse a header that promises far more voxels than its file can hold.

    Raises:
        InputError: as in `open_image`, or of `require_size`.
    """
    with open_image(str(path)) as image:
        if sized:
            require_size(image)
        return image.header


def read_voxels(image: OpenImage, *, as_float: bool = False) -> np.ndarray:
    """Return all voxels of an open image; arguments are those of `read_volume`."""
    require_size(image)
    voxels = image.float_voxels() if as_float and isinstance(image, FloatImage) else None
    return image.voxels() if voxels is None else voxels


def require_size(image: OpenImage) -> None:
    """Raise an InputError if an open image's header promises far more voxels than its file can hold."""
    if isinstance(image, SizedImage):
        require_held(image.header, image.held_bytes())


def read_volume(path: str, *, as_float: bool = False) -> Volume:
    """Return an image, read whole, up to the checksum at a compressed file's end.

    Args:
        path: the file, or the folder of a DICOM series or a Zarr store.
        as_float: whether the voxels may be float32 in C order, as MONAI's loader returns them, where the format can
            be read so. Their values are the same.

    Raises:
        InputError: as in `open_image`; or its voxels are complex or RGB, its spacing is in metres or micrometres
            (which neither nibabel nor MONAI converts) or outside 0.01 to 100 mm along an axis with more than one
            voxel, its spacing or affine is zero or not finite, or a folder contains several DICOM series or one with
            uneven slices.
        MemoryError: the voxels do not fit into memory.
    """
    with open_image(path) as image:
        image.check()
        voxels = read_voxels(image, as_float=as_float)
        volume = Volume(image.header, voxels, image.native)
    check_affine(path, volume.affine, voxels.shape)
    return volume


def _open_file(path: str) -> tuple[BinaryIO | None, bytes]:
    """Return a file, open at its start, and its first bytes; None and no bytes for a folder."""
    folder = split_series(path)[0]
    if Path(folder).is_dir():
        _check_folder(folder)
        return None, b""
    stream: BinaryIO = Path(path).open("rb")  # noqa: SIM115 - the image closes it
    try:
        return stream, check_start(path, stream)
    except BaseException:
        stream.close()
        raise


def _check_folder(path: str) -> None:
    """Refuse a folder that readers would take for a file, and a folder without DICOM files."""
    if is_store(path):
        return
    if format_name(path) not in (None, "dicom", "itk"):
        found, remedy = "a folder named like a file", "give the file in it, or rename the folder of a series"
    elif not any(dicom_files(Path(path))):
        found, remedy = "a folder without DICOM files", "give the scan itself: a file, or the folder of its series"
    else:
        return
    raise InputError(path, found=found, expected="an image", remedy=remedy, kind="not-an-image")


def _explain(error: Exception, path: str) -> NoReturn:
    """Raise a reader's error as an InputError."""
    if isinstance(error, FileNotFoundError):
        check_parts(path)
    if isinstance(error, OSError) and error.errno is not None:
        raise unreadable_error(path, error) from error
    check_parts(path)
    reason = _reason(error, path)
    for words, (found, expected, kind) in _PLACES.items():
        if words in reason:
            remedy = "correct the file's header from the original scan"
            raise InputError(path, found=found, expected=expected, remedy=remedy, kind=kind) from error
    is_truncated = isinstance(error, _TRUNCATION_ERRORS) or any(word in reason for word in _TRUNCATION_WORDS)
    raise InputError(
        path,
        found=f"a truncated or corrupt file{'' if is_truncated else ', or no image'} ({reason})",
        expected="an image that can be read to its end",
        remedy="copy or download the file again, or remove it from the dataset",
        kind="truncated" if is_truncated else "not-an-image",
    ) from error


def _reason(error: Exception, path: str) -> str:
    """Return a reader's message in one line; ITK's without the line of its source and the address in memory."""
    text = " ".join(str(error).replace(path, Path(path).name).split())
    if isinstance(error, KeyError):
        text = f"unknown value {text} in its header"
    text = _ITK.sub("", text)
    if _TEEM.match(text):
        text = _QUOTED.sub('"…"', _TEEM.sub("", text))
    if not text and str(error):
        return "ITK cannot read its header"
    return text[:200] or type(error).__name__

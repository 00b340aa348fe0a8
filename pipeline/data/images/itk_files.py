"""Images in the formats that ITK knows, mainly NRRD and MetaImage, with voxels in the same or another file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np

from ..check_header import check_itk_type, check_unit, check_voxel_type
from ..errors import InputError
from .claimed_size import DEFLATE
from .endings import is_detached, split_ending
from .files import check_parts, parts_of
from .header import Header
from .meta_header import MetaHeader, check_meta_axes, find_meta_notes, find_meta_unit, read_meta_header
from .nrrd_header import check_nrrd, find_space_note, find_unit, nrrd_end, nrrd_fields, nrrd_header
from .voxel_streams import VoxelStream, meta_streams, nrrd_streams, read_streams, rest_note, skip_streams

__all__ = ["ItkImage", "itk_affine", "itk_array", "ras_affine", "read_with_itk"]

_RATIOS = {"raw": 1, "gzip": DEFLATE, "zlib": DEFLATE}
_AXES = 3  # in space, at most
# ITK's and SimpleITK's classes by ending. Without a class, ITK lets some twenty classes open the file in turn.
_CLASSES = {".nrrd": "NrrdImageIO", ".nhdr": "NrrdImageIO", ".mha": "MetaImageIO", ".mhd": "MetaImageIO"}
# Of files with an ending of another kind.
_PLACED_CLASSES = ("NrrdImageIO", "MetaImageIO", "NiftiImageIO", "HDF5ImageIO", "GDCMImageIO")


class ItkImage:
    """An image that ITK reads; its header is read without its voxels.

    Args:
        path: the file.
        stream: the file, open at its start; closed, because ITK opens files itself.
    """

    def __init__(self, path: str, stream: BinaryIO | None) -> None:
        # Imported here, because NIfTI files do not need it.
        import SimpleITK as sitk  # noqa: PLC0415

        raw, self._end = b"", 0
        if stream is not None:
            raw = nrrd_header(stream)
            self._end = nrrd_end(stream, raw)
            stream.close()
        self._fields = nrrd_fields(raw)
        check_nrrd(path, self._fields)
        reader = sitk.ImageFileReader()
        reader.SetFileName(path)
        self._class = _CLASSES.get(split_ending(path)[1].lower())
        # Before ITK, which takes any name for a file, and some headers for the last.
        if self._class == "MetaImageIO":
            check_meta_axes(path)
        if is_detached(path):
            _check_data_files(path)
        with _without_warnings():
            if self._class is not None:
                reader.SetImageIO(self._class)
            else:
                _check_class(path)
            reader.ReadImageInformation()
        self._words: str = sitk.GetPixelIDValueAsString(reader.GetPixelIDValue())
        size, channels = reader.GetSize(), reader.GetNumberOfComponents()
        axes = min(len(size), _AXES)
        direction = np.reshape(reader.GetDirection(), (len(size), len(size)))
        affine = ras_affine(direction, reader.GetSpacing(), reader.GetOrigin())
        meta = read_meta_header(path) if self._class == "MetaImageIO" else MetaHeader()
        note = find_space_note(path, self._fields, axes)
        notes = (*(() if note is None else (note,)), *(find_meta_notes(path, meta) if axes == _AXES else ()))
        self.header = Header(
            path,
            "itk",
            (*size, channels) if channels > 1 else tuple(size),
            axes,
            affine,
            tuple(reader.GetSpacing()[:axes]),
            _dtype(self._words),
            unit=find_unit(self._fields) if self._fields else find_meta_unit(meta),
            raw=raw,
            notes=notes,
        )
        self.native: Any = None

    def check(self) -> None:
        """Refuse voxel types that ITK in Python, and so MONAI, cannot read, units other than mm, negative spacings."""
        header = self.header
        if min(header.spacing) < 0:
            raise InputError(
                header.path,
                found=f"a spacing of {' x '.join(f'{size:g}' for size in header.spacing)} mm",
                expected="a spacing above 0 mm along every axis, and a direction for an axis that is turned round",
                remedy="correct the file's header from the original scan",
                kind="spacing",
            )
        check_itk_type(header.path, header.channels if len(header.shape) > header.axes else 1, self._words)
        check_unit(header)

    def held_bytes(self) -> tuple[int, int] | None:
        """Return the files' bytes, and the most bytes of voxels in them, of NRRD and MetaImage."""
        if self._class not in ("NrrdImageIO", "MetaImageIO"):
            return None
        streams = self._streams()
        stored = sum(file.stat().st_size for file in {stream.file for stream in streams})
        if streams:
            ratio = _RATIOS.get(streams[0].coding)
            return None if ratio is None else (stored, stored * ratio)
        # Text: a digit and a blank for each voxel.
        stored = sum(file.stat().st_size for file in parts_of(Path(self.header.path)))
        return stored, (stored // 2 + 1) * self.header.dtype.itemsize

    def voxels(self) -> np.ndarray:
        """Return all voxels; compressed ones are read to the end of their stream and its checksum."""
        path, streams = self.header.path, self._streams()
        if rest := skip_streams(streams):
            self.header = replace(self.header, notes=(*self.header.notes, rest_note(path, rest)))
        if not all(stream.itk_reads for stream in streams) and self.header.channels == 1:
            return self._decode(streams)
        if self.header.channels == 1 and self._words.startswith("vector"):
            return _read_single_component(path, self._class)
        self.native = read_with_itk(path, self._class)
        voxels = itk_array(self.native)
        check_voxel_type(self.header.path, voxels.dtype)
        self.header = replace(self.header, shape=voxels.shape, affine=itk_affine(self.native), dtype=voxels.dtype)
        return voxels

    def slab(self, start: int, stop: int) -> np.ndarray:
        """Return the slab; the file is read whole, as ITK does for most formats."""
        return self.voxels()[(slice(None),) * (self.header.axes - 1) + (slice(start, stop),)]

    def close(self) -> None:
        """Do nothing: ITK closes its files."""

    def _streams(self) -> list[VoxelStream]:
        path, size = self.header.path, math.prod(self.header.shape) * self.header.dtype.itemsize
        if self._fields:
            return nrrd_streams(path, self.header.raw, size, start=self._end)
        return meta_streams(path, size) if self._class == "MetaImageIO" else []

    def _decode(self, streams: list[VoxelStream]) -> np.ndarray:
        """Return voxels of streams that ITK cannot read."""
        order: Literal["<", ">"] = ">" if streams[0].big_endian else "<"
        stored = np.frombuffer(read_streams(streams), self.header.dtype.newbyteorder(order))
        return stored.astype(self.header.dtype).reshape(self.header.shape, order="F")


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Keep ITK from printing warnings, which are lines of its source and addresses in memory."""
    import SimpleITK as sitk  # noqa: PLC0415

    shown = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(shown)


def _check_data_files(path: str) -> None:
    """Refuse a header whose voxels are missing, or come from a device, which ITK would read without an end."""
    check_parts(path)
    for part in parts_of(Path(path))[1:]:
        if not part.is_file():
            raise InputError(
                path,
                found=f"the name of a data file that is no file: {part.name:.80}",
                expected="an image with both of its files",
                remedy="correct the name in the header",
                kind="missing",
            )


def _check_class(path: str) -> None:
    """Refuse a format in which ITK does not know the scan's place.

    MINC comes mirrored, because ITK takes its RAS for LPS; lengths of MRC are in ångström, and taken as mm; VTK, GIPL
    and others do not say where left is.
    """
    import SimpleITK as sitk  # noqa: PLC0415

    name = sitk.ImageFileReader.GetImageIOFromFileName(path)
    if name and name not in _PLACED_CLASSES:
        raise InputError(
            path,
            found=f"a file in the format {name.removesuffix('ImageIO')}",
            expected="NIfTI, NRRD, MetaImage, MGZ, DICOM, OME-Zarr, or a picture: formats whose place is read right",
            remedy="convert it to NIfTI with a tool of its own format, such as mnc2nii for MINC",
            kind="other-format",
        )


def read_with_itk(files: str | list[str], class_name: str | None) -> Any:
    """Return ITK's image of a file, or of the slices of a series in this order, as MONAI's ITKReader reads it.

    Args:
        files: a path, or several of one volume.
        class_name: ITK's class for their format; None to let ITK choose one.
    """
    import itk  # noqa: PLC0415

    return itk.imread(files, imageio=None if class_name is None else getattr(itk, class_name).New())


def _read_single_component(path: str, class_name: str | None) -> np.ndarray:
    """Return the voxels of a file with vectors of one number, such as an NRRD file with a list axis of length 1.

    SimpleITK reads it, ITK in Python does not.
    """
    import SimpleITK as sitk  # noqa: PLC0415

    image = sitk.ReadImage(path, imageIO=class_name or "")
    array: np.ndarray = sitk.GetArrayFromImage(image).T
    return array.reshape(image.GetSize())


def itk_array(image: Any) -> np.ndarray:
    """Return the voxels of an ITK image without a copy, x first and channels last, as in MONAI."""
    import itk  # noqa: PLC0415

    array: np.ndarray = itk.array_view_from_image(image, keep_axes=False).T
    return array if image.GetNumberOfComponentsPerPixel() == 1 else np.moveaxis(array, 0, -1)


def itk_affine(image: Any) -> np.ndarray:
    """Return the affine of an ITK image, 4x4 (mm, RAS)."""
    import itk  # noqa: PLC0415

    return ras_affine(itk.array_from_matrix(image.GetDirection()), image.GetSpacing(), image.GetOrigin())


def ras_affine(direction: Any, spacing: Any, origin: Any) -> np.ndarray:
    """Return the affine, 4x4 (mm, RAS), of a grid in ITK's terms, which are LPS.

    Args:
        direction: cosines, n x n; axes beyond the third are left out, a missing third axis has 1 mm.
        spacing: mm.
        origin: centre of the first voxel, mm.
    """
    axes = min(len(spacing), _AXES)
    affine = np.eye(4)
    affine[:axes, :axes] = np.asarray(direction)[:axes, :axes] @ np.diag(np.asarray(spacing, dtype=float)[:axes])
    affine[:axes, 3] = np.asarray(origin, dtype=float)[:axes]
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine


def _dtype(words: str) -> np.dtype[Any]:
    """Return NumPy's type for SimpleITK's name of a type, such as "vector of 16-bit signed integer"."""
    bits, _, kind = words.removeprefix("vector of ").removeprefix("complex of ").partition("-bit ")
    if words.startswith("complex"):
        return np.dtype(f"complex{2 * int(bits)}")
    if not bits.isdecimal():
        return np.dtype("V1")
    names = {"float": "float", "signed integer": "int", "unsigned integer": "uint"}
    return np.dtype(f"{names[kind]}{bits}")

"""Write NIfTI files in their scan's grid: the header's geometry byte for byte, the voxels block by block.

Of a scan's header nothing else is copied: its texts (`descrip`, `db_name`, `aux_file`) may name a patient.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import nibabel as nib
import numpy as np
from monai.data.utils import correct_nifti_header_if_necessary, to_affine_nd
from monai.utils import convert_to_numpy
from numpy.typing import DTypeLike, NDArray

from ..data.errors import InputError
from ..data.images.gzip_stream import open_gzip
from ..data.images.header import Header
from ..data.images.nifti_header import copy_geometry, header_image, read_nifti_header
from ..files import whole_file
from .label_files import to_one_line
from .label_table import Label
from .region_masks import RegionMasks
from .voxels import split_blocks, to_file_order

__all__ = ["check_grid", "read_scan_grid", "to_3d", "to_affine_3d", "write_nifti"]

_GRID_TOLERANCE = 0.1  # share of the smallest voxel size: far above rounding, far below a flipped axis
_SCANNER = 1  # NIfTI's code for scanner coordinates
_MAX_AXIS = 32767  # voxels along an axis: NIfTI-1 stores sizes in 16 bits
_EXTENSION_STEP = 16  # bytes: an extension's size is a multiple of this
_EXTENSION_START = 8  # bytes: size and code, before the content


def read_scan_grid(
    scan: Header | str | Path | None,
) -> tuple[Header | None, tuple[int, ...] | None, NDArray[np.float64] | None]:
    """Return header, shape and affine of a NIfTI scan, without reading its voxels.

    Args:
        scan: a header, a file, a folder, or None.

    Returns:
        The header, its shape in space, and its affine (mm, RAS) as MONAI reads it: if sform and voxel sizes disagree,
        MONAI uses the qform or rescales. All three are None for other scans, including the older Analyze format.
    """
    header = scan if isinstance(scan, Header) else None if scan is None else read_nifti_header(scan)
    if header is None or header.forms is None:
        return None, None, None
    corrected = correct_nifti_header_if_necessary(header_image(header.raw))
    return header, header.spatial_shape, to_affine_3d(corrected.affine)


def check_grid(
    shape: Sequence[int],
    affine: NDArray[np.float64],
    scan_shape: Sequence[int] | None,
    scan_affine: NDArray[np.float64],
    scan: str,
) -> None:
    """Check that a prediction has its scan's shape, if that is known, and its affine.

    Args:
        shape: shape of the prediction in space.
        affine: affine of the prediction, 4 x 4 (mm, RAS).
        scan_shape: shape of the scan in space, or None.
        scan_affine: affine of the scan, 4 x 4 (mm, RAS).
        scan: name of the scan, for the error message.

    Raises:
        InputError: the prediction is not in the scan's grid.
    """
    size = to_3d(shape)
    if scan_shape is not None and size != to_3d(scan_shape):
        raise _grid_error(scan, f"shape {tuple(shape)}", f"the scan's, {tuple(map(int, scan_shape))}")
    change = affine - scan_affine
    corners = np.array([*np.ndindex(2, 2, 2)]) * (np.array(size) - 1)
    apart = np.linalg.norm(corners @ change[:3, :3].T + change[:3, 3], axis=1).max()
    if apart > _GRID_TOLERANCE * np.linalg.norm(scan_affine[:3, :3], axis=0).min():
        raise _grid_error(scan, f"an affine up to {apart:.3g} mm from the scan's", "the scan's")


def _grid_error(scan: str, found: str, expected: str) -> InputError:
    remedy = "save the prediction in the scan's grid, after the inverse of the pre-processing"
    return InputError(scan, found=f"a prediction with {found}", expected=expected, remedy=remedy)


def to_affine_3d(affine: Any) -> NDArray[np.float64]:
    """Return a 2D or 3D affine as 4 x 4."""
    expanded: NDArray[np.float64] = to_affine_nd(3, np.asarray(convert_to_numpy(affine), dtype=np.float64))
    return expanded


def to_3d(shape: Sequence[int]) -> tuple[int, ...]:
    """Return the first three axes of a shape, with 1 for missing axes."""
    return tuple(int(size) for size in (*shape, 1, 1)[:3])


def write_nifti(
    volume: NDArray[Any] | RegionMasks,
    path: str | Path,
    *,
    dtype: DTypeLike,
    scan: Header | None,
    affine: NDArray[np.float64],
    table: Sequence[Label] = (),
    unit: str = "mm",
    keep_header_text: bool = False,
) -> None:
    """Write a volume as one NIfTI file, completely or not at all, with about 50 MB of memory besides the volume's.

    Args:
        volume: (X, Y), (X, Y, Z) or (X, Y, Z, C).
        path: the file to write, with the ending `.nii` or `.nii.gz`.
        dtype: type of the voxels in the file. Values are not scaled.
        scan: the scan whose version, byte order and geometry the header gets. Nothing else of its header is copied.
        affine: 4 x 4 voxel-to-world (mm, RAS), used if there is no NIfTI scan.
        table: names and colours of labels, for a header extension in the format of Connectome Workbench.
        unit: of the affine. Where it is not mm, the file names none: most tools read any number as mm.
        keep_header_text: whether to copy the texts of the scan's header as well: `descrip`, `aux_file`, `db_name`.
    """
    shape = volume.shape
    if scan is None:
        header = _make_scanner_header(shape, dtype, affine, unit)
    else:
        header = _make_scan_header(shape, dtype, scan, texts=keep_header_text)
    if table:
        header.set_intent("label")
        header.extensions.append(_make_label_extension(table))
    stored = header.get_data_dtype()  # in the header's byte order
    with whole_file(path) as temporary, _open(temporary) as stream:
        header.write_to(stream)
        for block in split_blocks(volume):
            stream.write(to_file_order(np.asarray(block), stored).data)


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    with path.open("wb") as raw:
        if path.suffix.lower() != ".gz":
            yield raw
        else:
            with open_gzip(raw) as stream:
                yield stream


def _make_scan_header(shape: Sequence[int], dtype: DTypeLike, scan: Header, *, texts: bool) -> nib.Nifti1Header:
    """Return a header with the geometry of a NIfTI scan."""
    single = nib.Nifti2Header if len(scan.raw) == nib.Nifti2Header.sizeof_hdr else nib.Nifti1Header
    return copy_geometry(single(scan.raw, check=False), shape, dtype, texts=texts)


def _make_scanner_header(
    shape: Sequence[int], dtype: DTypeLike, affine: NDArray[np.float64], unit: str
) -> nib.Nifti1Header:
    """Return a header with sform and qform from an affine, in scanner coordinates."""
    header = (nib.Nifti2Header if max(shape) > _MAX_AXIS else nib.Nifti1Header)()
    header.set_data_shape(shape)
    header.set_data_dtype(dtype)
    header.set_xyzt_units("mm" if unit == "mm" else "unknown")
    header.set_qform(affine, code=_SCANNER)
    header.set_sform(affine, code=_SCANNER)
    return header


def _make_label_extension(table: Sequence[Label]) -> nib.nifti1.Nifti1Extension:
    """Return a header extension (code 30 of NIfTI's registry) with a label table in GIFTI's format."""
    root = ElementTree.Element("CaretExtension")
    volume = ElementTree.SubElement(root, "VolumeInformation", Index="0")
    rows = ElementTree.SubElement(volume, "LabelTable")
    for label in table:
        red, green, blue = (f"{part / 255:.6g}" for part in label.colour)
        colour = {"Red": red, "Green": green, "Blue": blue, "Alpha": "1"}
        row = ElementTree.SubElement(rows, "Label", {"Key": str(label.value), **colour})
        row.text = to_one_line(label.name)
    ElementTree.SubElement(volume, "StudyMetaDataLinkSet")
    ElementTree.SubElement(volume, "VolumeType").text = "Label"
    xml: bytes = ElementTree.tostring(root, encoding="UTF-8", xml_declaration=True)
    # Pad with line ends: nibabel would pad with zero bytes, which break XML parsers.
    xml += b"\n" * (-(len(xml) + _EXTENSION_START) % _EXTENSION_STEP)
    return nib.nifti1.Nifti1Extension("caret", xml)

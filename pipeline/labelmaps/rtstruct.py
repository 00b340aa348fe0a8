"""Write DICOM structure sets (RTSTRUCT) of a series of slices or an enhanced scan: the outlines of each label.

Written with pydicom, without a package for structure sets: rt-utils rounds outlines to whole voxels and has had no
release since 2023, and highdicom writes none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.errors import InputError
from ..data.images.dicom_slices import Slice
from ..data.images.header import Header
from ..files import whole_file
from .dicom_identity import NAME, REQUIRED, SERIES_OFFSET, complete_source, make_uid
from .dicom_series import Source, match_slices, read_source
from .label_files import to_one_line
from .label_table import Label
from .region_masks import find_mask
from .rtstruct_contours import encode_contours

__all__ = ["check_rtstruct_source", "write_rtstruct", "write_rtstruct_regions"]

_STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"
_STUDY = "1.2.840.10008.3.1.2.3.1"  # what structure sets name as the class of a study
_IMPLICIT = "1.2.840.10008.1.2"  # Other transfer syntaxes allow only 65,534 bytes of coordinates per outline.
_CONTOUR_SEQUENCE = 0x30060040
_MAX_NAME = 64  # characters of DICOM's long string
_Select = Callable[[NDArray[Any], int], NDArray[np.bool_]]


def write_rtstruct(
    labels: NDArray[Any],
    path: str | Path,
    *,
    scan: Header | str | Path | None,
    affine: NDArray[np.float64],
    table: Sequence[Label],
    anonymous: bool = False,
) -> None:
    """Write a label map as a DICOM structure set with a structure per label, completely or not at all.

    Outlines are those of `outline_mask`, in the planes of the scan's own slices, with corners to about a thousandth of
    a pixel. Identifiers and dates are as in `write_dicom_seg`: the same input gives the same file.

    Args:
        labels: (X, Y) or (X, Y, Z), integers from 0.
        path: the file to write.
        scan: header of the scan, or the folder of the DICOM series, one file per slice, or an enhanced file.
        affine: 4 x 4 voxel-to-world (mm, RAS), from which the slices' positions are found.
        table: the labels. A structure has the number, name and colour of its label, and no outline if the label map
            has none of it.
        anonymous: whether to replace the patient, as in `complete_source`.

    Raises:
        InputError: the scan is no such series, a slice has no identifier, the label map is not in the scan's grid, or a
            value is not in the table.
    """
    rows = sorted(table)
    unknown = set(np.unique(labels).tolist()) - {0, *(row.value for row in rows)}
    if unknown:
        raise InputError(
            path,
            found=f"label {min(unknown)}, which has no name",
            expected="a name for every label, because a structure set names each",
            remedy="name every label of the label map",
        )

    def select(frames: NDArray[Any], place: int) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = frames == rows[place].value
        return found

    _write(labels, path, rows, select, scan=scan, affine=affine, anonymous=anonymous)


def write_rtstruct_regions(
    patterns: NDArray[np.unsignedinteger[Any]],
    path: str | Path,
    *,
    scan: Header | str | Path | None,
    affine: NDArray[np.float64],
    table: Sequence[Label],
    anonymous: bool = False,
) -> None:
    """Write regions, which may overlap, as a DICOM structure set with a structure each: see `write_rtstruct`.

    Args:
        patterns: (X, Y) or (X, Y, Z): the sum of 2**k over the regions k that a voxel is in.
        path: the file to write.
        scan: as in `write_rtstruct`.
        affine: as in `write_rtstruct`.
        table: number from 1, name and colour of each region, in their order.
        anonymous: as in `write_rtstruct`.

    Raises:
        InputError: as in `write_rtstruct`.
    """
    _write(patterns, path, table, find_mask, scan=scan, affine=affine, anonymous=anonymous)


def check_rtstruct_source(scan: str | Path) -> None:
    """Check, before anything is computed, that a structure set of a scan can be written.

    Raises:
        InputError: as in `write_rtstruct`, except for what depends on the label map.
    """
    complete_source(read_source(scan), str(scan), quiet=True)


def _write(
    voxels: NDArray[Any],
    path: str | Path,
    rows: Sequence[Label],
    select: _Select,
    *,
    scan: Header | str | Path | None,
    affine: NDArray[np.float64],
    anonymous: bool,
) -> None:
    """Write the structure set; `select` returns where frames (slice, row, column) are in the structure of a row."""
    scan = scan.path if isinstance(scan, Header) else scan
    source = read_source(scan)
    volume = voxels.reshape((*voxels.shape, 1)[:3])
    order, frames = match_slices(volume, affine, source.slices, str(scan))
    frames = np.ascontiguousarray(frames)
    complete_source(source, str(scan), anonymous=anonymous)
    datasets = {str(one.file): dataset for one, dataset in _pair(source)}
    slices = [source.slices[index] for index in order]
    origin = repr([*map(tuple, rows), *((s.SeriesInstanceUID, s.SOPInstanceUID) for s in source.datasets)])
    identity = make_uid("structures", hashlib.sha256(frames.data).hexdigest(), origin)
    result = _describe(source, identity)
    references = [_refer(datasets[one.file], one) for one in slices]
    result.ReferencedFrameOfReferenceSequence = [_refer_to_series(source, references)]
    result.StructureSetROISequence, result.ROIContourSequence, result.RTROIObservationsSequence = [], [], []
    for place, row in enumerate(rows):
        result.StructureSetROISequence.append(
            _item(
                ROINumber=row.value,
                ReferencedFrameOfReferenceUID=str(source.datasets[0].FrameOfReferenceUID),
                ROIName=(to_one_line(row.name).replace("\\", "/") or str(row.value))[:_MAX_NAME],
                ROIGenerationAlgorithm="AUTOMATIC",
            )
        )
        outlined = _item(ROIDisplayColor=list(row.colour), ReferencedROINumber=row.value)
        if contours := encode_contours(select(frames, place), slices, references, f"{row.name} in {path}"):
            # Encoded already, so pydicom writes the bytes as they are. VRs are not written in this transfer syntax.
            outlined.add_new(_CONTOUR_SEQUENCE, "OB", contours)
        result.ROIContourSequence.append(outlined)
        result.RTROIObservationsSequence.append(
            _item(
                ObservationNumber=place + 1,
                ReferencedROINumber=row.value,
                RTROIInterpretedType="",
                ROIInterpreter="",
            )
        )
    with whole_file(path) as temporary:
        result.save_as(temporary, enforce_file_format=True)


def _pair(source: Source) -> list[tuple[Slice, Any]]:
    files = list(dict.fromkeys(one.file for one in source.slices))
    by_file = dict(zip(files, source.datasets, strict=True))
    return [(one, by_file[one.file]) for one in source.slices]


def _describe(source: Source, identity: str) -> Any:
    """Return the data set of a structure set without its structures."""
    import pydicom  # noqa: PLC0415 - as in dicom_series

    # Imported here, because an exported bundle has this module without `version`. It writes no DICOM.
    from ..version import __version__  # noqa: PLC0415

    first = source.datasets[0]
    result = pydicom.Dataset()
    result.file_meta = pydicom.dataset.FileMetaDataset()
    result.file_meta.MediaStorageSOPClassUID = result.SOPClassUID = _STRUCTURE_SET
    result.file_meta.MediaStorageSOPInstanceUID = result.SOPInstanceUID = make_uid("structure set", identity)
    result.file_meta.TransferSyntaxUID = _IMPLICIT
    # Label names may have letters that the scan's character set lacks.
    result.SpecificCharacterSet = "ISO_IR 192"
    for name in (*REQUIRED, "PositionReferenceIndicator"):
        if name in first:
            setattr(result, name, _as_text(first.get(name)))
    result.StudyInstanceUID = str(first.StudyInstanceUID)
    result.SeriesInstanceUID = make_uid("structure set series", identity)
    result.SeriesNumber = int(first.get("SeriesNumber") or 0) + SERIES_OFFSET
    result.InstanceNumber = 1
    result.Modality = "RTSTRUCT"
    result.Manufacturer = result.ManufacturerModelName = NAME
    result.SoftwareVersions = __version__
    result.OperatorsName = ""
    result.SeriesDescription = f"{NAME} structures"
    result.FrameOfReferenceUID = str(first.FrameOfReferenceUID)
    result.setdefault("PositionReferenceIndicator", "")
    result.StructureSetLabel = NAME
    known = next((kind for kind in ("Content", "Series", "Study") if first.get(f"{kind}Date")), None)
    # These two may be empty.
    result.StructureSetDate = "" if known is None else str(first.get(f"{known}Date"))
    result.StructureSetTime = "" if known is None else str(first.get(f"{known}Time") or "")
    result.ApprovalStatus = "UNAPPROVED"
    return result


def _as_text(value: Any) -> Any:
    """Return a name as text, which is written in the new file's character set; other values as they are."""
    return str(value) if type(value).__name__ == "PersonName" else value


def _refer(dataset: Any, one: Slice) -> Any:
    """Return the reference to a slice, or to a frame of an enhanced file."""
    reference = _item(
        ReferencedSOPClassUID=str(dataset.SOPClassUID), ReferencedSOPInstanceUID=str(dataset.SOPInstanceUID)
    )
    if one.frames > 1:
        reference.ReferencedFrameNumber = one.index + 1
    return reference


def _refer_to_series(source: Source, references: Sequence[Any]) -> Any:
    first = source.datasets[0]
    series = _item(SeriesInstanceUID=str(first.SeriesInstanceUID), ContourImageSequence=list(references))
    study = _item(
        ReferencedSOPClassUID=_STUDY,
        ReferencedSOPInstanceUID=str(first.StudyInstanceUID),
        RTReferencedSeriesSequence=[series],
    )
    return _item(FrameOfReferenceUID=str(first.FrameOfReferenceUID), RTReferencedStudySequence=[study])


def _item(**values: Any) -> Any:
    """Return an item of a DICOM sequence."""
    from pydicom import Dataset  # noqa: PLC0415

    item = Dataset()
    for name, value in values.items():
        setattr(item, name, value)
    return item

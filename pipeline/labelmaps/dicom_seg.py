"""Write DICOM segmentations (SEG) of a series of slices or an enhanced scan, with one segment per label."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.errors import InputError
from ..data.images.header import Header
from ..files import whole_file
from .dicom_identity import NAME, REQUIRED, SERIES_OFFSET, complete_source, make_uid
from .dicom_series import Source, match_slices, read_source
from .label_files import to_one_line
from .label_table import Label
from .region_masks import find_mask

__all__ = ["check_source", "write_dicom_regions", "write_dicom_seg"]

_CODING_SCHEME = "99LIGHTSKIP"  # names of private schemes start with 99
_TISSUE = ("85756007", "SCT", "Tissue")  # SNOMED's most general code
_FAMILY = ("123110", "DCM", "Artificial Intelligence")
# Groups of attributes of the patient, a clinical trial, a request, a visit, a specimen.
_PATIENT_GROUPS = (0x0010, 0x0012, 0x0032, 0x0038, 0x0040)
_STUDY_GROUP = 0x0008  # of the study's attributes, and of the file's own
_OWN = (
    *(
        "SpecificCharacterSet",
        "ImageType",
        "SOPClassUID",
        "SOPInstanceUID",
        "Modality",
        "Manufacturer",
        "ManufacturerModelName",
    ),
    *(f"{kind}{part}" for kind in ("InstanceCreation", "Content") for part in ("Date", "Time")),
    *("SeriesDescription", "ReferencedSeriesSequence", "SourceImageSequence"),
)
_MAX_NAME = 64  # characters of DICOM's long string


def write_dicom_seg(
    labels: NDArray[Any],
    path: str | Path,
    *,
    scan: Header | str | Path | None,
    affine: NDArray[np.float64],
    table: Sequence[Label],
    anonymous: bool = False,
) -> None:
    """Write a label map as a DICOM segmentation of binary segments, completely or not at all.

    The same input gives the same file: identifiers are computed from the scan's and from the labels, and dates are the
    scan's. For a scan without identifiers (some anonymisers remove them) they are computed from the slices' positions.

    Args:
        labels: (X, Y) or (X, Y, Z), integers from 0.
        path: the file to write.
        scan: header of the scan, or the folder of the DICOM series, one file per slice, or an enhanced file.
        affine: 4 x 4 voxel-to-world (mm, RAS), from which the slices' positions are found.
        table: the labels. Each is a segment, numbered from 1 in the order of values. A label map may have none of them.
        anonymous: whether to replace the patient, as in `complete_source`; dates are then 1 January 1900.

    Raises:
        InputError: highdicom is not installed, the scan is no such series, a slice has no identifier, the label map is
            not in the scan's grid, or a value is not in the table.
    """
    rows = sorted(table)

    def number(frames: NDArray[Any]) -> NDArray[Any]:
        return _segment_numbers(frames, rows, path)

    _write(labels, path, rows, number, scan=scan, affine=affine, anonymous=anonymous)


def write_dicom_regions(
    patterns: NDArray[np.unsignedinteger[Any]],
    path: str | Path,
    *,
    scan: Header | str | Path | None,
    affine: NDArray[np.float64],
    table: Sequence[Label],
    anonymous: bool = False,
) -> None:
    """Write regions, which may overlap, as a DICOM segmentation with one binary segment each: see `write_dicom_seg`.

    Args:
        patterns: (X, Y) or (X, Y, Z): the sum of 2**k over the regions k that a voxel is in.
        path: the file to write.
        scan: as in `write_dicom_seg`.
        affine: as in `write_dicom_seg`.
        table: number from 1, name and colour of each region, in their order.
        anonymous: as in `write_dicom_seg`.

    Raises:
        InputError: as in `write_dicom_seg`.
    """

    def split(frames: NDArray[Any]) -> NDArray[Any]:
        masks = np.empty((*frames.shape, len(table)), np.uint8)
        for place in range(len(table)):
            masks[..., place] = find_mask(frames, place)
        return masks

    _write(patterns, path, table, split, scan=scan, affine=affine, anonymous=anonymous)


def _write(
    voxels: NDArray[Any],
    path: str | Path,
    rows: Sequence[Label],
    make_segments: Callable[[NDArray[Any]], NDArray[Any]],
    *,
    scan: Header | str | Path | None,
    affine: NDArray[np.float64],
    anonymous: bool,
) -> None:
    """Write a segmentation; `make_segments` turns frames (slice, row, column) of voxels into numbers or masks."""
    highdicom = _import_highdicom(path)
    scan = scan.path if isinstance(scan, Header) else scan
    source = read_source(scan)
    volume = voxels.reshape((*voxels.shape, 1)[:3])
    order, frames = match_slices(volume, affine, source.slices, str(scan))
    if source.is_enhanced:
        # highdicom takes an enhanced scan's frames in the order of its file.
        frames = frames[np.argsort(order)]
    else:
        source = Source([source.datasets[index] for index in order], [source.slices[index] for index in order])
    segments = make_segments(frames)
    complete_source(source, str(scan), anonymous=anonymous)
    origin = repr([*map(tuple, rows), *((s.SeriesInstanceUID, s.SOPInstanceUID) for s in source.datasets)])
    identity = make_uid("content", hashlib.sha256(segments.data).hexdigest(), origin)
    segmentation = _make_segmentation(highdicom, source, segments, rows, identity, str(scan))
    with whole_file(path) as temporary:
        segmentation.save_as(temporary)


def check_source(scan: str | Path) -> None:
    """Check, before anything is computed, that a DICOM segmentation of a scan can be written.

    It makes one of a single pixel.

    Args:
        scan: the folder of the DICOM series, or the enhanced file.

    Raises:
        InputError: as in `write_dicom_seg`, except for what depends on the label map.
    """
    highdicom = _import_highdicom(scan)
    source = read_source(scan)
    complete_source(source, str(scan), quiet=True)
    first = source.datasets[0]
    if source.is_enhanced:
        first.NumberOfFrames = 1
        first.PerFrameFunctionalGroupsSequence = first.PerFrameFunctionalGroupsSequence[:1]
    columns, rows = source.slices[0].size
    pixels = np.zeros((1, rows, columns), np.uint8)
    pixels[0, 0, 0] = 1
    one = Source([first], source.slices[:1])
    _make_segmentation(highdicom, one, pixels, [Label(1, "check", (255, 0, 0))], "check", str(scan))


def _import_highdicom(path: str | Path) -> Any:
    try:
        # Imported here, because it is optional and only this format needs it.
        import highdicom  # noqa: PLC0415
        import highdicom.seg  # noqa: PLC0415
    except ImportError as error:
        raise InputError(
            path,
            found="no package highdicom in this environment",
            expected="the packages that write DICOM segmentations",
            remedy="install them: pip install 'lightskip[dicom]'",
        ) from error
    return highdicom


def _segment_numbers(frames: NDArray[Any], rows: Sequence[Label], path: str | Path) -> NDArray[Any]:
    """Return the label map with row numbers as labels: a segmentation counts its segments from 1 without gaps."""
    values = np.array([0, *(row.value for row in rows)])
    numbers = np.empty(frames.shape, dtype=np.min_scalar_type(len(rows)))
    for number, frame in zip(numbers, frames, strict=True):
        places = np.searchsorted(values, frame)
        unknown = frame != values[places.clip(max=len(rows))]
        if not rows or unknown.any():
            raise InputError(
                path,
                found=f"label {frame[unknown][0]}, which has no name" if rows else "labels without names",
                expected="a name for every label, because a DICOM segmentation describes each",
                remedy="name every label of the label map",
            )
        number[...] = places
    return numbers


def _make_segmentation(
    highdicom: Any, source: Source, segments: NDArray[Any], rows: Sequence[Label], identity: str, scan: str
) -> Any:
    try:
        with warnings.catch_warnings():
            # Names of one word, as of anonymous patients, are copied as they are.
            warnings.filterwarnings("ignore", message="The string .* is unlikely to represent the intended person name")
            return _segmentation(highdicom, source, segments, rows, identity)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            scan,
            found=f"slices that highdicom cannot refer to ({' '.join(str(error).split())})",
            expected="a series with the attributes that DICOM requires",
            remedy="save the label map as NIfTI or NRRD",
        ) from error


def _segmentation(highdicom: Any, source: Source, segments: NDArray[Any], rows: Sequence[Label], identity: str) -> Any:
    # Imported here, because an exported bundle has this module without `version`. It writes no DICOM.
    from ..version import __version__  # noqa: PLC0415

    first = source.datasets[0]
    segmentation = highdicom.seg.Segmentation(
        source_images=source.datasets,
        pixel_array=segments,
        segmentation_type="BINARY",
        segment_descriptions=[_describe_segment(highdicom, n, row, __version__) for n, row in enumerate(rows, start=1)],
        series_instance_uid=make_uid("series", identity),
        series_number=int(first.get("SeriesNumber") or 0) + SERIES_OFFSET,
        sop_instance_uid=make_uid("instance", identity),
        instance_number=1,
        # Without foreground all frames are kept, since a file needs at least one.
        omit_empty_frames=bool(segments.any()),
        manufacturer=NAME,
        manufacturer_model_name=NAME,
        software_versions=__version__,
        device_serial_number="0",
        content_label="SEGMENTATION",
        series_description=f"{NAME} segmentation",
    )
    _make_repeatable(segmentation, first, identity)
    _drop_copies(segmentation, first)
    return segmentation


def _describe_segment(highdicom: Any, number: int, label: Label, version: str) -> Any:
    name = (to_one_line(label.name).replace("\\", "/") or str(label.value))[:_MAX_NAME]
    concept = highdicom.sr.CodedConcept
    algorithm = highdicom.AlgorithmIdentificationSequence(name=NAME, family=concept(*_FAMILY), version=version)
    return highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=name,
        segmented_property_category=concept(*_TISSUE),
        # Some viewers show this instead of the label.
        segmented_property_type=concept(f"LABEL{label.value}", _CODING_SCHEME, name),
        algorithm_type="AUTOMATIC",
        algorithm_identification=algorithm,
        display_color=highdicom.color.CIELabColor.from_rgb(*label.colour),
    )


def _make_repeatable(segmentation: Any, dataset: Any, identity: str) -> None:
    """Replace the current time and random numbers by values that follow from the input."""
    organisation = make_uid("dimensions", identity)
    segmentation.DimensionOrganizationSequence[0].DimensionOrganizationUID = organisation
    for dimension in segmentation.DimensionIndexSequence:
        dimension.DimensionOrganizationUID = organisation
    known = next((kind for kind in ("Content", "Series", "Study") if dataset.get(f"{kind}Date")), None)
    if known is not None:
        segmentation.ContentDate = segmentation.InstanceCreationDate = dataset.get(f"{known}Date")
        segmentation.ContentTime = segmentation.InstanceCreationTime = dataset.get(f"{known}Time") or "000000"
    # Label names may have letters that the scan's character set lacks.
    segmentation.SpecificCharacterSet = "ISO_IR 192"


def _drop_copies(segmentation: Any, dataset: Any) -> None:
    """Remove what highdicom copied from the scan's data set, but for what the standard requires.

    highdicom copies all attributes of the patient and of the study. It lists the scanner, with its serial number and
    the institution, as contributing equipment.
    """
    segmentation.pop("ContributingEquipmentSequence", None)
    # Required, and empty: highdicom leaves it out.
    segmentation.setdefault("ContentCreatorName", "")
    for element in list(segmentation):
        of_patient = element.tag.group in _PATIENT_GROUPS or element.tag.is_private
        of_study = element.tag.group == _STUDY_GROUP and element.keyword not in _OWN and element.tag in dataset
        if (of_patient or of_study) and element.keyword not in REQUIRED:
            del segmentation[element.tag]

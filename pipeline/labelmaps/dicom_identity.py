"""Identifiers of DICOM files that refer to a scan, and those that the scan itself lacks."""

from __future__ import annotations

import logging
import uuid

from ..data.errors import InputError
from .dicom_series import Source

__all__ = ["MAY_BE_EMPTY", "NAME", "SERIES_OFFSET", "complete_source", "make_uid"]

logger = logging.getLogger(__name__)

NAME = "LightSkip"
SERIES_OFFSET = 1000  # added to the scan's series number
_OWN_UIDS = ("SOPClassUID", "SOPInstanceUID")
# They may be empty, but not missing (type 2; PS3.3, annex C.7): some anonymisers remove them.
MAY_BE_EMPTY = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyID", "StudyDate", "StudyTime"),
    *("AccessionNumber", "ReferringPhysicianName"),
)
_SHARED_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")


def complete_source(source: Source, scan: str, *, quiet: bool = False) -> None:
    """Fill in what the data sets lack: empty values, and identifiers, which a file that refers to them needs.

    Args:
        source: the scan.
        scan: its name, for messages.
        quiet: whether to leave out the warning about new identifiers.

    Raises:
        InputError: a slice has no identifier of its own.
    """
    missing = set()
    places = repr([(one.origin.tolist(), one.direction[:, :2].T.ravel().tolist()) for one in source.slices])
    if source.is_enhanced:
        _share_geometry(source)
    for dataset in source.datasets:
        for name in MAY_BE_EMPTY:
            if name not in dataset:
                setattr(dataset, name, "")
        instead = {name: dataset.file_meta.get(f"MediaStorage{name}") for name in _OWN_UIDS}
        instead |= {name: make_uid(name, places) for name in _SHARED_UIDS}
        for name in [name for name in instead if not dataset.get(name)]:
            if not instead[name]:
                raise InputError(
                    scan,
                    found=f"a slice without a {name}",
                    expected="slices with the identifiers that such a file refers to",
                    remedy="save the label map as NIfTI or NRRD",
                )
            missing.add(name)
            setattr(dataset, name, instead[name])
    invented = sorted(missing & set(_SHARED_UIDS))
    if invented and not quiet:
        logger.warning(
            "%s: the slices have no %s; the new file has new ones, so an archive will not match it to the scan",
            scan,
            ", ".join(invented),
        )


def _share_geometry(source: Source) -> None:
    """Write the spacing and the orientation of all frames where highdicom looks for them, if each frame has its own."""
    dataset = source.datasets[0]
    frame = dataset.PerFrameFunctionalGroupsSequence[0]
    if not dataset.get("SharedFunctionalGroupsSequence"):
        dataset.SharedFunctionalGroupsSequence = [type(frame)()]
    shared = dataset.SharedFunctionalGroupsSequence[0]
    for name in ("PixelMeasuresSequence", "PlaneOrientationSequence"):
        if name not in shared and name in frame:
            setattr(shared, name, frame[name].value)


def make_uid(role: str, *origin: str) -> str:
    """Return a unique identifier that follows from its role and from texts, so that it can be made again."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, ' '.join((NAME, role, *origin))).int}"

"""Identifiers of DICOM files that refer to a scan, also those that the scan lacks, and the least about its patient.

The standard (PS3.3, annexes A.51 and A.19) requires the patient's and the study's attributes in `MAY_BE_EMPTY`, of an
animal also its species, and of a scan without the patient's identity how that was removed. Nothing else is copied.
"""

from __future__ import annotations

import logging
import uuid
from typing import Any

from ..data.errors import InputError
from .dicom_series import Source

__all__ = [
    "MAY_BE_EMPTY",
    "NAME",
    "REQUIRED",
    "SERIES_OFFSET",
    "complete_source",
    "make_uid",
]

logger = logging.getLogger(__name__)

NAME = "LightSkip"
SERIES_OFFSET = 1000  # added to the scan's series number
_OWN_UIDS = ("SOPClassUID", "SOPInstanceUID")
# They may be empty, but not missing (type 2; PS3.3, annex C.7): some anonymisers remove them.
MAY_BE_EMPTY = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyID", "StudyDate", "StudyTime"),
    *("AccessionNumber", "ReferringPhysicianName"),
)
_ANIMAL = (
    *("PatientSpeciesDescription", "PatientSpeciesCodeSequence", "PatientBreedDescription", "PatientBreedCodeSequence"),
    *("BreedRegistrationSequence", "PatientSexNeutered", "ResponsiblePerson", "ResponsibleOrganization"),
)
_REMOVED = ("PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence")
# Of the patient and the study, all that is copied (types 1 and 2, and 1C and 2C where their condition holds).
REQUIRED = (*MAY_BE_EMPTY, *_ANIMAL, *_REMOVED)
_NO_DATE, _NO_TIME = "19000101", "000000"  # where a date is required and must not be the scan's
# Of DICOM's long string, up to 64 characters each.
_METHOD = ("LightSkip --anonymous: patient, dates and numbers replaced", "UIDs kept, as in PS3.15's Retain UIDs Option")
_DATES = tuple(f"{kind}{part}" for kind in ("Content", "Series", "Acquisition") for part in ("Date", "Time"))
_SHARED_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")


def complete_source(source: Source, scan: str, *, quiet: bool = False, anonymous: bool = False) -> None:
    """Fill in what the data sets lack: empty values, and identifiers, which a file that refers to them needs.

    Args:
        source: the scan.
        scan: its name, for messages.
        quiet: whether to leave out the warning about new identifiers.
        anonymous: whether to replace the patient, and the dates and numbers of the study. The scan's identifiers stay:
            without them the new file would refer to nothing.

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
        _keep_species(dataset)
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
        if anonymous:
            _replace_patient(dataset)
    invented = sorted(missing & set(_SHARED_UIDS))
    if invented and not quiet:
        logger.warning(
            "%s: the slices have no %s; the new file has new ones, so an archive will not match it to the scan",
            scan,
            ", ".join(invented),
        )


def _keep_species(dataset: Any) -> None:
    """Keep an animal's species and breed, which the standard requires, but not its owner, who may be empty."""
    is_animal = any(dataset.get(name) for name in ("PatientSpeciesDescription", "PatientSpeciesCodeSequence"))
    for name in _ANIMAL:
        if name in dataset and not is_animal:
            delattr(dataset, name)
    if is_animal:
        dataset.ResponsiblePerson = dataset.ResponsibleOrganization = ""


def _replace_patient(dataset: Any) -> None:
    """Replace what says who the patient is, and when and for whom the study was made.

    The new name follows from the study's identifier, which stays, so that it reveals nothing: two studies of one
    patient get different names.
    """
    for name in (*MAY_BE_EMPTY, *_REMOVED, *_DATES):
        if name in dataset:
            delattr(dataset, name)
    for name in MAY_BE_EMPTY:
        setattr(dataset, name, "")
    number = uuid.uuid5(uuid.NAMESPACE_OID, f"{NAME} patient {dataset.StudyInstanceUID}").hex[:12]
    dataset.PatientName, dataset.PatientID = f"ANON-{number}^", f"ANON-{number}"
    dataset.PositionReferenceIndicator = ""
    # Other dates are taken from this one.
    dataset.ContentDate, dataset.ContentTime = _NO_DATE, _NO_TIME
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = list(_METHOD)


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

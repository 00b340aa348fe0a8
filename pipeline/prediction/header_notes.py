"""Notes on a scan's header that a user should know, and that do not stop its prediction."""

from __future__ import annotations

from ..data.images.header import Header
from ..data.images.nifti_header import uneven_offset_error

__all__ = ["header_notes"]

# Of DICOM, as a bundle names them, or in words. Others are named as in the file.
_MODALITIES = {"MR": "MRI", "PT": "PET", "NM": "nuclear medicine", "RTDOSE": "dose", "OT": ""}
_BUNDLES = ("MRI", "CT", "US")


def header_notes(header: Header, *, modality: str) -> tuple[str, ...]:
    """Return notes on a scan's header.

    Args:
        header: header of its (first) file.
        modality: the bundle's modality in its metadata: MRI, CT, US or something else.
    """
    return (*_notes_on_anatomy(header, modality), *_notes_on_file(header))


def _notes_on_anatomy(header: Header, modality: str) -> tuple[str, ...]:
    found = _MODALITIES.get(header.modality, header.modality)
    if found and modality in _BUNDLES and found != modality:
        return (f"its modality is {found}, but the bundle is for {modality}",)
    if header.has_orientation:
        return ()
    missing = "no orientation of the axes" if header.forms is None else "neither a qform nor an sform"
    return (f"{missing}: left and right are a guess",)


def _notes_on_file(header: Header) -> tuple[str, ...]:
    error = uneven_offset_error(header)
    uneven = () if error is None else (f"{error.found}; expected {error.expected}: only SPM cannot read it",)
    return (*uneven, *(f"{note.found}; expected {note.expected}" for note in header.notes))

"""Notes on a scan's header that a user should know, and that do not stop its prediction."""

from __future__ import annotations

from ..data.images.header import Header

__all__ = ["header_notes"]

_MODALITIES = {"MR": "MRI", "CT": "CT", "US": "US"}


def header_notes(header: Header, *, modality: str) -> tuple[str, ...]:
    """Return notes on a scan's header.

    Args:
        header: header of its (first) file.
        modality: the bundle's modality in its metadata: MRI, CT, US or something else.
    """
    found = _MODALITIES.get(header.modality, modality)
    if modality in _MODALITIES.values() and found != modality:
        return (f"its modality is {found}, but the bundle is for {modality}",)
    if header.has_orientation:
        return ()
    missing = "no orientation of the axes" if header.forms is None else "neither a qform nor an sform"
    return (f"{missing}: left and right are a guess",)

"""What a scan's header says that a user should know, and that does not stop its prediction."""

from __future__ import annotations

from ..data.images.header import Header

__all__ = ["header_notes"]

_MODALITIES = {"MR": "MRI", "CT": "CT", "US": "US"}


def header_notes(header: Header, *, modality: str) -> tuple[str, ...]:
    """Return notes on a scan that was read.

    Args:
        header: of its (first) file.
        modality: what the bundle was made for, as its metadata has it: MRI, CT, US or something else.
    """
    found = _MODALITIES.get(header.modality, modality)
    if modality in _MODALITIES.values() and found != modality:
        return (f"its modality is {found}, and the bundle is for {modality}",)
    if header.placed:
        return ()
    missing = "no orientation of the axes" if header.forms is None else "neither a qform nor an sform"
    return (f"{missing}: where left and right are is a guess",)

"""Channels of a picture that hold nothing of their own: opacity (alpha), and three that are equal."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..errors import InputError
from .header import Header

__all__ = ["alpha_note", "count_colours", "merge_equal_channels"]

_COLOURS = 3


def count_colours(channels: int, *, alpha: bool) -> int:
    """Return the number of channels without the last one, if that is the opacity."""
    return channels - 1 if alpha and channels > 1 else channels


def alpha_note(path: str) -> InputError:
    """Return the note on a picture whose opacity is left out."""
    return InputError(
        path,
        found="an alpha channel, which is left out",
        expected="grey values or colours",
        remedy="do nothing: opacity is for display",
        kind="alpha-channel",
    )


def merge_equal_channels(header: Header, voxels: np.ndarray) -> tuple[Header, np.ndarray]:
    """Return a grey picture that is stored in colour with one channel, and a note; others unchanged.

    Args:
        header: of the picture.
        voxels: (x, y[, z]) or these with channels last.
    """
    if voxels.ndim != header.axes + 1 or voxels.shape[-1] != _COLOURS:
        return header, voxels
    if not all(np.array_equal(voxels[..., 0], voxels[..., number]) for number in (1, 2)):
        return header, voxels
    note = InputError(
        header.path,
        found="three equal channels, read as one",
        expected="one channel of grey values",
        remedy="do nothing; in a dataset in colour, leave this picture out",
        kind="equal-channels",
    )
    grey = voxels[..., 0]
    return replace(header, shape=grey.shape, notes=(*header.notes, note)), grey

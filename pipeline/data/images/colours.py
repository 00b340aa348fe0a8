"""Channels of a picture that hold nothing of their own: opacity (alpha), and three that are equal."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..errors import InputError
from .header import Header

__all__ = ["alpha_note", "count_colours", "merge_equal_channels", "palette_note"]

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


def palette_note(path: str, palette: np.ndarray) -> InputError | None:
    """Return the note on a picture whose pixels are numbers of colours; None if these are the grey values themselves.

    Args:
        path: the picture.
        palette: the colours, (number, 3), of any depth.
    """
    greys = np.linspace(0, 255, 256, dtype=int)[: len(palette)]
    # TIFF has 16 bits per colour.
    shown = np.asarray(palette, dtype=int) // (257 if np.max(palette, initial=0) > 255 else 1)
    if np.array_equal(shown, np.stack([greys] * 3, axis=1)):
        return None
    return InputError(
        path,
        found="pixels that are numbers of colours in a palette, read as these numbers",
        expected="grey values or colours in an image; in a label map such numbers are right",
        remedy="if it is an image, write it in grey or in colour without a palette",
        kind="palette",
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

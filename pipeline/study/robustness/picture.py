"""Draw a scan with every perturbation at every level, as PNG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ...labelmaps.views import to_grey_pixels
from ...report.preview_drawing import FAINT, TEXT, load_font
from .perturbations import choose_perturbations

__all__ = ["draw_perturbations"]

_PANEL = 132  # pixels of a panel's longer side
_GAP, _HEAD, _NAME = 6, 22, 190  # pixels
_WINDOW = 2.5  # standard deviations on both sides of the mean, from black to white


def draw_perturbations(
    scan: NDArray[Any],
    spacing: Sequence[float],
    *,
    perturbations: Sequence[str] | None = None,
    seed: int = 0,
    case: str = "",
) -> bytes:
    """Draw the untouched scan and its perturbed copies: a row for each perturbation, a column for each level.

    A scan in 3D is shown in the plane of its second and third axis, in which ghosts and thicker slices can be seen, at
    the middle of the first axis. The grey of each copy follows its own mean and standard deviation, so that it looks
    as it does to a network after z-score normalisation.

    Args:
        scan: first channel of a scan before normalisation, (X, Y, Z) in RAS orientation, or a picture (X, Y).
        spacing: voxel size in mm, one per axis.
        perturbations: names from `PERTURBATIONS`; None: all.
        seed: seed of the random parts.
        case: name of the case, on which they also depend.

    Returns:
        A PNG file.

    Raises:
        InputError: there is no perturbation of a name, or TorchIO is not installed.
    """
    chosen = choose_perturbations(perturbations)
    rows = [
        [_draw_panel(one.apply(scan[None], spacing, level, seed=seed, case=case)[0], spacing) for level in range(6)]
        for one in chosen
    ]
    width, height = rows[0][0].size
    step = height + _HEAD + _GAP
    page = Image.new("RGB", (_NAME + 6 * (width + _GAP), len(rows) * step + _GAP), (20, 21, 24))
    draw = ImageDraw.Draw(page)
    for place, (one, panels) in enumerate(zip(chosen, rows, strict=True)):
        upper = _GAP + place * step
        middle = upper + _HEAD + height // 2
        draw.text((10, middle - 10), one.name.replace("_", " "), font=load_font(17), fill=TEXT, anchor="lm")
        draw.multiline_text((10, middle + 4), _break_line(one.unit), font=load_font(13), fill=FAINT)
        for column, (panel, level) in enumerate(zip(panels, ("0", *one.levels), strict=True)):
            left = _NAME + column * (width + _GAP)
            title = "untouched" if column == 0 else f"{level:g}"
            draw.text((left + width // 2, upper + 11), title, font=load_font(13), fill=TEXT, anchor="mm")
            page.paste(panel, (left, upper + _HEAD))
    stream = io.BytesIO()
    page.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _draw_panel(scan: NDArray[np.float32], spacing: Sequence[float]) -> Image.Image:
    """Return one copy in grey: (X, Y, Z) with the third axis upwards, or (X, Y) with the second one downwards."""
    if scan.ndim == 3:
        plane, sides = scan[scan.shape[0] // 2].T[::-1], (spacing[2], spacing[1])
    else:
        plane, sides = scan.T, (spacing[1], spacing[0])
    mean, spread = float(scan.mean()), float(scan.std())
    grey = Image.fromarray(to_grey_pixels(plane, (mean - _WINDOW * spread, mean + _WINDOW * spread)))
    extent = [side * size for side, size in zip(sides, plane.shape, strict=True)]
    rows, columns = (max(1, round(_PANEL * length / max(extent))) for length in extent)
    return grey.resize((columns, rows), Image.Resampling.NEAREST)


def _break_line(text: str) -> str:
    """Return the text in two lines if it has a quotient."""
    return text.replace(" / ", "\n/ ")

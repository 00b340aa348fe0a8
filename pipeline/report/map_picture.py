"""Draw the maps of a network's skips next to the scan and its label maps, as PNG. It needs no display and no pyplot."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from ..labelmaps.palette import hex_colour
from ..labelmaps.views import PLANES, View, find_fullest_slice, find_grey_window, find_plane
from ..labelmaps.views import make_flat_view as _flat_view
from ..labelmaps.views import make_slice_view as _slice_view
from .text import drawable

__all__ = ["MapRow", "draw_maps"]

_PERCENTILES = (0.5, 99.5)
_SIGNED = "RdBu_r"  # colours of values of both signs
_PANEL = 2.4  # inches of a panel's longer side


@dataclass(frozen=True)
class MapRow:
    """Maps that are drawn in a row, in one scale of colours.

    Attributes:
        title: text above the row.
        voxels: (X, Y[, Z], maps), in the scan's grid.
    """

    title: str
    voxels: NDArray[Any]


def draw_maps(
    image: NDArray[Any],
    label_maps: Mapping[str, NDArray[Any]],
    rows: Sequence[MapRow],
    affine: NDArray[Any],
    *,
    names: Mapping[int, str],
    title: str,
) -> bytes:
    """Draw a scan, the scan with each label map, and rows of maps, all in one slice.

    In 3D it is the axial slice with most labelled voxels of the first label map, in radiological convention (the
    patient's right on the left). In 2D it is the picture. Maps have the outlines of the first label map. The colours of
    a row span its values in the slice, from the 0.5th to the 99.5th percentile; with values of both signs they are
    symmetric about zero, which is white.

    Args:
        image: the scan, (X, Y[, Z]).
        label_maps: label maps of the same shape, by title.
        rows: the maps.
        affine: voxel to world, 4x4 (mm, RAS).
        names: names of the labels for the legend, by value.
        title: the scan's name.

    Returns:
        A PNG file.
    """
    first = next(iter(label_maps.values()))
    spacing = [float(mm) for mm in np.linalg.norm(np.asarray(affine, dtype=np.float64)[:3, : image.ndim], axis=0)]
    cut = _Cut(image.shape, first, affine, spacing)
    columns = max(1 + len(label_maps), *(row.voxels.shape[-1] for row in rows))
    scan = cut.view(image, first)
    ratio = scan.extent[0] / scan.extent[1]
    width = min(_PANEL if columns <= 4 else _PANEL * 0.7, _PANEL / ratio)
    height = max(width * ratio, 0.6)
    count = 1 + len(rows)
    size = (columns * width + 0.8, count * (height + 0.3) + 0.8)
    figure = Figure(figsize=size, dpi=110, layout="constrained")
    # The last column has the scales of colours.
    grid = figure.subplots(count, columns + 1, squeeze=False, width_ratios=[1.0] * columns + [0.05])
    window = find_grey_window([scan])
    _draw_scan(grid[0, 0], scan, window)
    grid[0, 0].set_title(drawable(cut.caption), fontsize=9, loc="left")
    for panel, (name, labels) in zip(grid[0, 1:], label_maps.items(), strict=False):
        shown = cut.view(image, labels)
        _draw_scan(panel, shown, window)
        _draw_outlines(panel, shown.labels)
        panel.set_title(drawable(name), fontsize=9, loc="left")
    for panel in grid[0, 1 + len(label_maps) :]:
        panel.set_axis_off()
    for axes, row in zip(grid[1:], rows, strict=True):
        _draw_row(figure, axes, row, cut, first)
    figure.suptitle(drawable(title), fontsize=11)
    legend = [Patch(color=hex_colour(value), label=drawable(name)) for value, name in names.items()]
    if legend:
        figure.legend(handles=legend, loc="outside lower center", ncols=min(len(legend), 6), frameon=False)
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return stream.getvalue()


class _Cut:
    """The slice that is drawn."""

    def __init__(
        self, shape: Sequence[int], labels: NDArray[Any], affine: NDArray[Any], spacing: Sequence[float]
    ) -> None:
        self._spacing = spacing
        self._plane = find_plane(affine, PLANES["axial"]) if len(shape) == 3 else None
        self._index = find_fullest_slice(labels, self._plane.through) if self._plane is not None else 0
        self.caption = "scan"
        if self._plane is not None:
            self.caption = f"axial slice {self._index + 1} of {shape[self._plane.through]}"

    def view(self, image: NDArray[Any], labels: NDArray[Any] | None) -> View:
        if self._plane is None:
            return _flat_view(image, labels, self._spacing)
        return _slice_view(self._plane, self._index, image, labels, self._spacing)


def _draw_row(figure: Figure, axes: NDArray[Any], row: MapRow, cut: _Cut, labels: NDArray[Any]) -> None:
    views = [cut.view(row.voxels[..., number], labels) for number in range(row.voxels.shape[-1])]
    low, high, colours = _find_colours(np.stack([view.grey for view in views]))
    for panel in axes[len(views) : -1]:
        panel.set_axis_off()
    for panel, view in zip(axes, views, strict=False):
        aspect = view.mm[0] / view.mm[1]
        drawn = panel.imshow(view.grey, cmap=colours, vmin=low, vmax=high, origin="upper", aspect=aspect)
        _draw_outlines(panel, view.labels, thin="black" if colours == _SIGNED else "white")
        panel.set(xticks=[], yticks=[])
    figure.colorbar(drawn, cax=axes[-1])
    axes[-1].tick_params(labelsize=8)
    # A title may be wider than its panel; constrained layout would widen the panel for it.
    axes[0].set_title(drawable(row.title), fontsize=9, loc="left").set_in_layout(False)


def _draw_scan(panel: Axes, view: View, window: tuple[float, float]) -> None:
    black, white = window if window[0] < window[1] else (window[0] - 1.0, window[0] + 1.0)
    panel.imshow(view.grey, cmap="gray", vmin=black, vmax=white, origin="upper", aspect=view.mm[0] / view.mm[1])
    panel.set(xticks=[], yticks=[])


def _draw_outlines(panel: Axes, labels: NDArray[Any] | None, *, thin: str | None = None) -> None:
    """Draw the outlines of labels: in their colours with a light fill, or thin in one colour."""
    if labels is None:
        return
    for value in np.unique(labels[labels != 0]):
        # A frame of background closes outlines at the border.
        mask = np.pad((labels == value).astype(float), 1)
        x, y = np.arange(-1, mask.shape[1] - 1), np.arange(-1, mask.shape[0] - 1)
        colour = thin or hex_colour(int(value))
        if thin is None:
            panel.contourf(x, y, mask, levels=[0.5, 1.5], colors=[colour], alpha=0.3)
        panel.contour(x, y, mask, levels=[0.5], colors=[colour], linewidths=1.5 if thin is None else 0.7)
    panel.set(xlim=(-0.5, labels.shape[1] - 0.5), ylim=(labels.shape[0] - 0.5, -0.5))


def _find_colours(values: NDArray[Any]) -> tuple[float, float, str]:
    """Return the ends of the colour scale, and the name of the colours."""
    low, high = (float(end) for end in np.percentile(values, _PERCENTILES))
    if low < 0 < high:
        largest = max(-low, high)
        return -largest, largest, _SIGNED
    if low == high:
        return low - 0.5, high + 0.5, "viridis"
    return low, high, "viridis"

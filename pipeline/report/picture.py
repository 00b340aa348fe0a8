"""Draw a scan with its label maps, a row each in three planes, as PNG. It needs no display and no pyplot."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from ..data.errors import InputError
from ..data.images.door import read_volume
from ..files import whole_file
from ..labelmaps.palette import hex_colour
from ..labelmaps.views import PLANES, View, find_fullest_slice, find_grey_window, find_plane, make_slice_view
from .text import drawable

__all__ = ["draw_segmentation"]

FilePath = str | os.PathLike[str]

_AFFINE_TOLERANCE = 1e-2  # mm; headers round


def draw_segmentation(
    image: FilePath,
    label_maps: Mapping[str, FilePath],
    output: FilePath,
    *,
    label_names: Mapping[int, str] | None = None,
) -> Path:
    """Draw label maps over a scan: one row per label map, with an axial, a coronal and a sagittal slice.

    All rows show the same slices, those with most labelled voxels, in radiological convention (the patient's right on
    the left) and true proportions. For the greys see `find_grey_window`.

    Args:
        image: A 3D scan, or a 4D scan, of which the first channel is drawn.
        label_maps: Label maps on the scan's grid, by title, such as ``{"prediction": …, "expert": …}``.
        output: The PNG to write.
        label_names: Names for the legend, by label value. A label without a name is called ``label 3``.

    Returns:
        The path of the PNG.

    Raises:
        InputError: If there is no label map, a file cannot be read, or a label map is on another grid than the scan.
    """
    if not label_maps:
        raise InputError("label_maps", found="none", expected="at least one label map", remedy="pass a label map")
    grey, affine = _read_ras(image)
    voxels: dict[str, NDArray[np.int64]] = {}
    for row, path in label_maps.items():
        label_map, label_affine = _read_ras(path)
        if label_map.shape != grey.shape or not np.allclose(affine, label_affine, rtol=0.0, atol=_AFFINE_TOLERANCE):
            raise InputError(
                Path(path),
                found=_describe_grid(label_map.shape, label_affine),
                expected=f"the grid of {os.fspath(image)}: {_describe_grid(grey.shape, affine)}",
                remedy="resample the label map to the scan's grid, or pass the scan that it belongs to",
            )
        voxels[row] = np.rint(label_map).astype(np.int64)
    spacing = tuple(float(mm) for mm in np.linalg.norm(affine[:3, :3], axis=0))
    labelled = np.any([labels != 0 for labels in voxels.values()], axis=0)
    values = sorted({int(value) for labels in voxels.values() for value in np.unique(labels)} - {0})
    planes = {name: find_plane(affine, normal) for name, normal in PLANES.items()}
    slices = {name: find_fullest_slice(labelled, plane.through) for name, plane in planes.items()}

    figure = Figure(figsize=(10.0, 1.1 + 3.3 * len(voxels)), dpi=110, layout="constrained")
    axes = figure.subplots(len(voxels), 3, squeeze=False)
    window = find_grey_window([make_slice_view(planes[name], slices[name], grey, labelled, spacing) for name in planes])
    for (row, labels), row_axes in zip(voxels.items(), axes, strict=True):
        for (name, plane), panel in zip(planes.items(), row_axes, strict=True):
            _draw_view(panel, make_slice_view(plane, slices[name], grey, labels, spacing), window)
            panel.set_title(f"{name}, slice {slices[name] + 1} of {grey.shape[plane.through]}", fontsize=9)
        row_axes[0].set_ylabel(drawable(row), fontsize=12)
    size = " x ".join(f"{mm:.3g}" for mm in spacing)
    figure.suptitle(f"{drawable(Path(image).name)}   spacing {size} mm (R, A, S)", fontsize=11)
    names = label_names or {}
    legend = [Patch(color=hex_colour(value), label=drawable(names.get(value, f"label {value}"))) for value in values]
    if legend:
        figure.legend(handles=legend, loc="outside lower center", ncols=min(len(legend), 6), frameon=False)
    with whole_file(output) as temporary:
        figure.savefig(temporary, format="png")
    return Path(output)


def _draw_view(panel: Axes, view: View, window: tuple[float, float]) -> None:
    """Draw one slice with the outlines of its labels."""
    black, white = window if window[0] < window[1] else (window[0] - 1.0, window[0] + 1.0)
    grey, (height, width) = view.grey, view.mm
    panel.imshow(grey, cmap="gray", vmin=black, vmax=white, origin="upper", aspect=height / width)
    labels: NDArray[Any] = np.zeros(grey.shape, np.int64) if view.labels is None else view.labels
    for value in np.unique(labels[labels != 0]):
        # A frame of background closes outlines at the border, and those of slices one voxel wide.
        mask = np.pad((labels == value).astype(float), 1)
        x, y = np.arange(-1, mask.shape[1] - 1), np.arange(-1, mask.shape[0] - 1)
        panel.contourf(x, y, mask, levels=[0.5, 1.5], colors=[hex_colour(int(value))], alpha=0.3)
        panel.contour(x, y, mask, levels=[0.5], colors=[hex_colour(int(value))], linewidths=1.5)
    panel.set(xticks=[], yticks=[], xlim=(-0.5, labels.shape[1] - 0.5), ylim=(labels.shape[0] - 0.5, -0.5))
    places = ((0.02, 0.5), (0.98, 0.5), (0.5, 0.98), (0.5, 0.02))
    aligned = (("left", "center"), ("right", "center"), ("center", "top"), ("center", "bottom"))
    outline = [withStroke(linewidth=2, foreground="black")]  # legible on bright tissue
    for place, (ha, va), letter in zip(places, aligned, view.letters, strict=True):
        panel.text(
            *place, letter, ha=ha, va=va, transform=panel.transAxes, color="white", path_effects=outline, fontsize=10
        )


def _read_ras(path: FilePath) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return a volume's first channel, (X, Y, Z), and its affine, with axes swapped and flipped nearest to RAS."""
    volume = read_volume(os.fspath(path))
    voxels, affine = volume.voxels, volume.affine
    voxels = voxels[..., None] if voxels.ndim == 2 else voxels.reshape(*voxels.shape[:3], -1)[..., 0]
    ras = nib.as_closest_canonical(nib.Nifti1Image(voxels.astype(np.float32), affine))
    return np.asarray(ras.dataobj), ras.affine


def _describe_grid(shape: tuple[int, ...], affine: NDArray[np.float64]) -> str:
    return f"shape {shape} with affine {np.round(affine[:3], 3).tolist()} when turned to RAS"

"""Pictures: label maps over a scan, and the course of a training. PNG, drawn without a display and without pyplot."""

from __future__ import annotations

import csv
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
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import NDArray

from ..data.errors import InputError
from ..data.images.door import read_volume
from ..files import whole_file

FilePath = str | os.PathLike[str]

# Okabe and Ito, "Color Universal Design" (2008), without black: distinct for all common kinds of colour vision.
_COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")
_PLANES = {"axial": 2, "coronal": 1, "sagittal": 0}  # the axis of a RAS volume that the plane is perpendicular to
_EDGES = (("L", "R"), ("P", "A"), ("I", "S"))  # where each RAS axis begins and ends
_AFFINE_TOLERANCE = 1e-2  # mm; headers round
_CURVE_COLUMNS = ("epoch", "train_loss", "val_mean_dice", "elapsed_seconds")


def draw_segmentation(
    image: FilePath,
    label_maps: Mapping[str, FilePath],
    output: FilePath,
    *,
    label_names: Mapping[int, str] | None = None,
) -> Path:
    """Draw label maps over a scan: one row per label map, with an axial, a coronal and a sagittal slice.

    All rows show the same slices, those with most labelled voxels (see `fullest_slices`), in the RAS orientation
    nearest to the grid's own, with its true proportions. Grey goes from the 1st to the 99th percentile of the scan.

    Args:
        image: A 3D scan; of a 4D scan the first channel is drawn.
        label_maps: Label maps by what they are, such as ``{"prediction": …, "expert": …}``, on the grid of the scan.
        output: The PNG to write.
        label_names: Names for the legend, by label value; a label without a name is called ``label 3``.

    Returns:
        The path of the PNG.

    Raises:
        InputError: If there is no label map, a file cannot be read, or a label map is on another grid than the scan.
    """
    if not label_maps:
        raise InputError("label_maps", found="none", expected="at least one label map", remedy="name a label map")
    grey, affine = _read_ras(image)
    voxels: dict[str, NDArray[np.int64]] = {}
    for row, path in label_maps.items():
        label_map, label_affine = _read_ras(path)
        if label_map.shape != grey.shape or not np.allclose(affine, label_affine, rtol=0.0, atol=_AFFINE_TOLERANCE):
            raise InputError(
                Path(path),
                found=_describe_grid(label_map.shape, label_affine),
                expected=f"the grid of {os.fspath(image)}: {_describe_grid(grey.shape, affine)}",
                remedy="resample the label map to the scan's grid, or name the scan it belongs to",
            )
        voxels[row] = np.rint(label_map).astype(np.int64)
    spacing = tuple(float(mm) for mm in np.linalg.norm(affine[:3, :3], axis=0))
    slices = fullest_slices(np.any([labels != 0 for labels in voxels.values()], axis=0))
    values = sorted({int(value) for labels in voxels.values() for value in np.unique(labels)} - {0})

    figure = Figure(figsize=(10.0, 1.1 + 3.3 * len(voxels)), dpi=110, layout="constrained")
    axes = figure.subplots(len(voxels), 3, squeeze=False)
    for (row, labels), row_axes in zip(voxels.items(), axes, strict=True):
        for (plane, axis), panel in zip(_PLANES.items(), row_axes, strict=True):
            _draw_plane(panel, grey, labels, axis=axis, index=slices[axis], spacing=spacing)
            panel.set_title(f"{plane}, slice {slices[axis] + 1} of {grey.shape[axis]}", fontsize=9)
        row_axes[0].set_ylabel(row, fontsize=12)
    size = " x ".join(f"{mm:.3g}" for mm in spacing)
    figure.suptitle(f"{Path(image).name}   spacing {size} mm (R, A, S)", fontsize=11)
    names = label_names or {}
    legend = [Patch(color=_colour(value), label=names.get(value, f"label {value}")) for value in values]
    if legend:
        figure.legend(handles=legend, loc="outside lower center", ncols=min(len(legend), 6), frameon=False)
    return _save(figure, output)


def fullest_slices(label_map: NDArray[Any]) -> tuple[int, ...]:
    """Index, along each axis, of the slice with most labelled voxels; the middle slice where nothing is labelled.

    Args:
        label_map: Integers or booleans of any shape; a voxel counts when it is not 0.

    Returns:
        One index per axis, the first one where several slices are equally full.
    """
    labelled = label_map != 0
    if not labelled.any():
        return tuple(n // 2 for n in labelled.shape)
    every = range(labelled.ndim)
    return tuple(int(labelled.sum(axis=tuple(a for a in every if a != axis)).argmax()) for axis in every)


def draw_curve(history: FilePath, output: FilePath) -> Path:
    """Draw the course of a training over the minutes it took: the loss above, the Dice on the validation cases below.

    Args:
        history: A CSV file with a line per epoch and the columns ``epoch``, ``train_loss``, ``val_mean_dice`` (empty
            on epochs without validation) and ``elapsed_seconds``; further columns ``val_dice_<label>`` are drawn too,
            all others are ignored.
        output: The PNG to write.

    Returns:
        The path of the PNG.

    Raises:
        InputError: If the file or a column is missing, there is no epoch in it, or an entry is not a number.
    """
    columns = _read_history(history)
    minutes, loss, mean = (columns[name] for name in ("elapsed_seconds", "train_loss", "val_mean_dice"))
    minutes = minutes / 60.0
    figure = Figure(figsize=(8.0, 6.0), dpi=110, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    upper.plot(minutes, loss, color="black", linewidth=1.2, marker=".", markersize=3)
    upper.set_ylabel("training loss")
    if (loss[np.isfinite(loss)] > 0).all():
        upper.set_yscale("log")
        upper.yaxis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 5.0, 7.0)))
        upper.yaxis.set_major_formatter("{x:g}")  # 0.2 instead of 2 x 10^-1
        upper.yaxis.set_minor_formatter(NullFormatter())

    validated = np.isfinite(mean)
    labels = [name for name in columns if name.startswith("val_dice_")]
    for value, name in enumerate(labels, start=1):
        shown = np.isfinite(columns[name])
        lower.plot(
            minutes[shown], columns[name][shown], color=_colour(value), label=name.removeprefix("val_dice_"), marker="."
        )
    lower.plot(minutes[validated], mean[validated], color="black", linewidth=2.2, label="mean", marker=".")
    summary = f"{len(minutes)} epochs in {minutes.max():.3g} min"
    if validated.any():
        best = int(np.nanargmax(mean))
        epoch = f"{columns['epoch'][best]:.0f}"
        lower.plot(minutes[best], mean[best], "*", color="black", markersize=15, label=f"best: epoch {epoch}")
        summary += f"; best mean Dice {mean[best]:.3f} at epoch {epoch}"
    lower.set(xlabel="time (min)", ylabel="Dice on validation cases", ylim=(0.0, 1.0))
    lower.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    for panel in (upper, lower):
        panel.grid(alpha=0.3)
    upper.set_title(f"{Path(history).name}: {summary}", fontsize=10)
    return _save(figure, output)


def _draw_plane(
    panel: Axes, grey: NDArray[Any], labels: NDArray[np.int64], *, axis: int, index: int, spacing: tuple[float, ...]
) -> None:
    """Draw one slice of RAS volumes of shape (X, Y, Z), the second of its axes upwards."""
    across, up = (a for a in range(3) if a != axis)
    finite = grey[np.isfinite(grey)]
    low, high = np.percentile(finite, (1, 99)) if finite.size else (0.0, 1.0)
    panel.imshow(
        grey.take(index, axis).T, cmap="gray", vmin=low, vmax=high, origin="lower", aspect=spacing[up] / spacing[across]
    )
    shown: NDArray[Any] = np.take(labels, index, axis=axis).T
    for value in np.unique(shown[shown != 0]):
        # A frame of background closes the outlines of what reaches the border, and of slices one voxel wide.
        mask = np.pad((shown == value).astype(float), 1)
        x, y = np.arange(-1, mask.shape[1] - 1), np.arange(-1, mask.shape[0] - 1)
        panel.contourf(x, y, mask, levels=[0.5, 1.5], colors=[_colour(int(value))], alpha=0.3)
        panel.contour(x, y, mask, levels=[0.5], colors=[_colour(int(value))], linewidths=1.5)
    panel.set(xticks=[], yticks=[], xlim=(-0.5, shown.shape[1] - 0.5), ylim=(-0.5, shown.shape[0] - 0.5))
    places = ((0.02, 0.5), (0.98, 0.5), (0.5, 0.02), (0.5, 0.98))
    aligned = (("left", "center"), ("right", "center"), ("center", "bottom"), ("center", "top"))
    outline = [withStroke(linewidth=2, foreground="black")]  # legible on bright tissue too
    for place, (ha, va), letter in zip(places, aligned, (*_EDGES[across], *_EDGES[up]), strict=True):
        panel.text(
            *place, letter, ha=ha, va=va, transform=panel.transAxes, color="white", path_effects=outline, fontsize=10
        )


def _colour(value: int) -> str:
    return _COLOURS[(value - 1) % len(_COLOURS)]


def _read_ras(path: FilePath) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """First channel of a volume, (X, Y, Z), and its affine, with the axes swapped and flipped to be nearest to RAS."""
    volume = read_volume(os.fspath(path))
    voxels, affine = volume.voxels, volume.affine
    voxels = voxels[..., None] if voxels.ndim == 2 else voxels.reshape(*voxels.shape[:3], -1)[..., 0]
    ras = nib.as_closest_canonical(nib.Nifti1Image(voxels.astype(np.float32), affine))
    return np.asarray(ras.dataobj), ras.affine


def _describe_grid(shape: tuple[int, ...], affine: NDArray[np.float64]) -> str:
    return f"shape {shape} with affine {np.round(affine[:3], 3).tolist()} when turned to RAS"


def _read_history(history: FilePath) -> dict[str, NDArray[np.float64]]:
    """The columns of the CSV, (epochs,) each; an empty entry is NaN."""
    path = Path(history)
    if not path.is_file():
        raise InputError(path, found="no such file", expected="the history of a training", remedy="check the path")
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        names = [name for name in reader.fieldnames or () if name in _CURVE_COLUMNS or name.startswith("val_dice_")]
        missing = [name for name in _CURVE_COLUMNS if name not in names]
        lines = list(reader)
    if missing or not lines:
        found = f"no column {', '.join(missing)}" if missing else "no epoch"
        expected = f"columns {', '.join(_CURVE_COLUMNS)} and a line per epoch"
        raise InputError(path, found=found, expected=expected, remedy="name the history.csv that training wrote")
    return {name: np.array([_number(path, n, name, line[name]) for n, line in enumerate(lines, 2)]) for name in names}


def _number(path: Path, line: int, column: str, entry: str | None) -> float:
    """The entry as a number; NaN for an empty one, except in the columns that say when an epoch was."""
    try:
        number = float(entry or "nan")
    except ValueError:
        number = None
    if number is None or (column in {"epoch", "elapsed_seconds"} and not np.isfinite(number)):
        where, remedy = f"{path}, line {line}, column {column}", "correct the line, or take it out"
        raise InputError(where, found=repr(entry or ""), expected="a number", remedy=remedy)
    return number


def _save(figure: Figure, output: FilePath) -> Path:
    with whole_file(output) as temporary:
        figure.savefig(temporary, format="png")
    return Path(output)

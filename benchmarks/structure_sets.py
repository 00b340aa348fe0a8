"""Measure DICOM structure sets: time, memory and size of a large one, and the accuracy of the outlines of balls.

    python benchmarks/structure_sets.py
    python benchmarks/structure_sets.py --quick

The CT of 512 x 512 x 300 voxels has 20 synthetic organs. It is written as a structure set, and read back into a mask
per structure, each in its own process with one thread; processor times and peaks of memory include imports. The balls
are larger than 10 voxels across, in four grids; the errors of their outlines are against the analytic circles in each
slice, in pixels.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from measure import RESULTS, header, say, table, write_json
from numpy.typing import NDArray
from organs import make_organs
from processes import run_alone
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from scipy.spatial.transform import Rotation

from pipeline.data.contour_fill import fill_contours
from pipeline.data.structure_set import read_structure_set
from pipeline.labelmaps.label_table import make_label_table
from pipeline.labelmaps.save import save_label_map

__all__ = ["main"]

_SPACING = (0.8, 0.8, 1.0)  # mm
_UID = "1.2.826.0.1.3680043.8.498."
# Shape (voxels), spacing (mm) and Euler angles (degrees).
_GRIDS = {
    "1 mm": ((48, 48, 48), (1, 1, 1), (0, 0, 0)),
    "thick slices": ((56, 56, 16), (0.8, 0.8, 3), (0, 0, 0)),
    "oblique": ((48, 48, 48), (1, 1, 1), (20, -35, 10)),
    "oblique, all unlike": ((60, 48, 20), (0.7, 0.9, 2.5), (-70, 15, 130)),
}
_RADII = (6.0, 10.0, 16.0)  # mm
_PARTS = ("write", "read")
_FILE, _LABELS, _SCAN = "x_rtstruct.dcm", "labels.npy", "scan"


def main() -> int:
    """Measure, print and write the results."""
    options = _options()
    if options.part:
        _run_part(options.part, options.folder)
        return 0
    shape, labels = ((48, 40, 36), 4) if options.quick else ((512, 512, 300), 20)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        costs = _measure_large(folder, shape, labels, options.seed)
        size = (folder / _FILE).stat().st_size
        contours = sum(len(one.contours) for one in read_structure_set(folder / _FILE).structures)
    balls = [
        {"grid": grid, "radius_mm": radius} | _measure_ball(*_GRIDS[grid], radius)
        for grid in _GRIDS
        for radius in _RADII
    ]
    results = {
        **header("structure_sets", options),
        "shape": shape,
        "structures": labels,
        "contours": contours,
        "file_mb": size / 1e6,
        "parts": costs,
        "balls": balls,
    }
    write_json(options.output, results)
    say(f"{' x '.join(map(str, shape))}, {labels} structures, {contours:,} contours, {size / 1e6:.1f} MB")
    rows = [[part, f"{one['cpu_seconds']:.1f}", f"{one['peak_gb']:.2f}"] for part, one in costs.items()]
    say(table(["part", "processor, s", "peak, GB"], rows))
    columns = ("mean_error", "largest_error", "area_error", "dice")
    rows = [[one["grid"], f"{one['radius_mm']:g}", *(f"{one[name]:.4f}" for name in columns)] for one in balls]
    say(table(["grid", "radius, mm", "mean error", "largest", "area", "Dice"], rows))
    say(f"results: {options.output}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="of the organs [%(default)s]")
    parser.add_argument("--quick", action="store_true", help="a small volume, a few seconds: only shows that it runs")
    parser.add_argument("--part", choices=_PARTS, help="run only this, in --folder")
    parser.add_argument("--folder", type=Path, help="of --part")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / "structure_sets.json", help="[%(default)s]")
    options = parser.parse_args()
    options.device, options.threads = "cpu", 1
    return options


def _measure_large(folder: Path, shape: tuple[int, int, int], labels: int, seed: int) -> dict[str, dict[str, float]]:
    np.save(folder / _LABELS, make_organs(shape, _SPACING, labels, seed)[1])
    _write_series(folder / _SCAN, shape, _affine(shape, _SPACING, (0, 0, 0)))
    costs = {}
    for part in _PARTS:
        words = [sys.executable, Path(__file__), "--part", part, "--folder", folder]
        cost = run_alone(words, folder / f"{part}.txt")
        costs[part] = {"wall_seconds": cost.seconds, "cpu_seconds": cost.cpu_seconds, "peak_gb": cost.peak / 1e9}
    return costs


def _run_part(part: str, folder: Path) -> None:
    labels = np.load(folder / _LABELS)
    affine = _affine(labels.shape, _SPACING, (0, 0, 0))
    if part == "write":
        _save(labels, folder / _FILE, folder / _SCAN, affine)
        return
    for structure in read_structure_set(folder / _FILE).structures:
        filled = fill_contours(structure.contours, affine, labels.shape, structure.name)
        if not np.array_equal(filled.mask, labels[filled.box] == int(structure.name)):
            msg = f"structure {structure.name} came back with other voxels"
            raise RuntimeError(msg)


def _save(labels: NDArray[np.uint8], file: Path, scan: Path, affine: NDArray[np.float64]) -> None:
    names = {"background": 0} | {str(value): value for value in range(1, int(labels.max()) + 1)}
    save_label_map(labels, file, scan=scan, affine=affine, table=make_label_table(names))


def _measure_ball(
    shape: tuple[int, int, int], spacing: tuple[float, ...], angles: tuple[float, ...], radius: float
) -> dict[str, Any]:
    """Return distances (pixels) of corners from the circles, area error (share) and Dice of a round trip."""
    affine = _affine(shape, spacing, angles)
    voxels = np.stack([*np.meshgrid(*map(np.arange, shape), indexing="ij"), np.ones(shape)])
    points = np.tensordot(affine, voxels, 1)[:3]
    centre = points.mean(axis=(1, 2, 3)) + np.array([0.31, -0.17, 0.42])
    inside = np.linalg.norm(points - centre[:, None, None, None], axis=0) < radius
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_series(folder / _SCAN, shape, affine)
        _save(inside.astype(np.uint8), folder / _FILE, folder / _SCAN, affine)
        (structure,) = read_structure_set(folder / _FILE).structures
    normal = affine[:3, 2] / spacing[2]
    errors: list[float] = []
    areas = circles = 0.0
    for contour in structure.contours:
        height = float((contour[0] - centre) @ normal)
        expected = np.sqrt(radius**2 - height**2)
        away = np.linalg.norm(contour - centre - height * normal, axis=1)
        errors += (np.abs(away - expected) / np.mean(spacing[:2])).tolist()
        sides = np.cross(contour - contour[0], np.roll(contour, -1, axis=0) - contour[0])
        areas += float(np.linalg.norm(sides.sum(axis=0))) / 2
        circles += np.pi * expected**2
    filled = fill_contours(structure.contours, affine, shape, "ball")
    mask = np.zeros(shape, bool)
    mask[filled.box] = filled.mask
    return {
        "mean_error": float(np.mean(errors)),
        "largest_error": float(np.max(errors)),
        "area_error": areas / circles - 1,
        "dice": 2 * float((mask & inside).sum()) / float(mask.sum() + inside.sum()),
    }


def _affine(shape: tuple[int, ...], spacing: tuple[float, ...], angles: tuple[float, ...]) -> NDArray[np.float64]:
    """Return the grid of a series around the origin (mm, RAS), turned by Euler angles (degrees)."""
    axes = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() @ np.diag([-1.0, -1, 1])
    affine = np.eye(4)
    affine[:3, :3] = axes * np.array(spacing)
    affine[:3, 3] = -affine[:3, :3] @ (np.array(shape) - 1) / 2
    return affine


def _write_series(folder: Path, shape: tuple[int, int, int], affine: NDArray[np.float64]) -> None:
    """Write a CT of zeros."""
    folder.mkdir()
    lps = np.diag([-1.0, -1, 1, 1]) @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    for number in range(shape[2]):
        dataset = pydicom.Dataset()
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, f"{_UID}9.{number + 1}"
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"{_UID}1", f"{_UID}2"
        dataset.FrameOfReferenceUID, dataset.Modality, dataset.SeriesNumber = f"{_UID}3", "CT", 1
        dataset.ImagePositionPatient = [f"{value:.9g}" for value in lps[:3, 3] + number * lps[:3, 2]]
        dataset.ImageOrientationPatient = [f"{value:.12f}" for value in (lps[:3, :2] / spacing[:2]).T.ravel()]
        dataset.PixelSpacing, dataset.SliceThickness = [spacing[1], spacing[0]], spacing[2]
        dataset.Rows, dataset.Columns = shape[1], shape[0]
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
        dataset.PixelData = bytes(2 * shape[0] * shape[1])
        dataset.save_as(folder / f"{number:04}.dcm", enforce_file_format=True)


if __name__ == "__main__":
    sys.exit(main())

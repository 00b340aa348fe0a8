"""Compare the memory to read, check and pre-process a scan with the estimate of `lightskip predict`."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import SimpleITK as sitk
from measure import say, table
from predict_parts import make_bundle, make_ct
from processes import stream

from pipeline.memory import restart_peak, status_bytes
from pipeline.prediction.memory import preparation_bytes
from pipeline.prediction.predictor import Predictor

__all__ = [
    "PREPARATIONS",
    "Preparation",
    "measure_preparation",
    "measure_preparations",
    "report_preparations",
]

_SPACING = (0.8, 0.8, 1.0)  # mm, of the scans


@dataclass(frozen=True)
class Preparation:
    """A scan to read, check and pre-process.

    Attributes:
        shape: shape of the scan, voxels.
        spacing: spacing of the network's grid, mm. The scan's is 0.8, 0.8, 1.0.
        normalisation: normalisation in the plan.
        axes: world axis of each of the scan's axes.
        channels: number of the scan's channels, each in its own file.
        kind: format of the file.
    """

    shape: tuple[int, int, int] = (320, 320, 200)
    spacing: tuple[float, float, float] = _SPACING
    normalisation: str = "ct"
    axes: tuple[int, int, int] = (0, 1, 2)
    channels: int = 1
    kind: str = "nii.gz"


# Right is along the third axis, anterior along the first: the scan's own spacing in another order.
_TURNED_AXES, _TURNED_SPACING = (1, 2, 0), (1.0, 0.8, 0.8)
PREPARATIONS = {
    "own grid, ct": Preparation(),
    "own grid, zscore": Preparation(normalisation="zscore"),
    "own grid, zscore_nonzero": Preparation(normalisation="zscore_nonzero"),
    "own grid, 2 channels, ct": Preparation(channels=2),
    "own grid, 2 channels, zscore": Preparation(channels=2, normalisation="zscore"),
    "turned axes, ct": Preparation(axes=_TURNED_AXES, spacing=_TURNED_SPACING),
    "turned axes, zscore": Preparation(axes=_TURNED_AXES, spacing=_TURNED_SPACING, normalisation="zscore"),
    "turned axes, zscore_nonzero": Preparation(
        axes=_TURNED_AXES, spacing=_TURNED_SPACING, normalisation="zscore_nonzero"
    ),
    "to 1.5 mm, ct": Preparation(spacing=(1.5,) * 3),
    "to 1.5 mm, zscore": Preparation(spacing=(1.5,) * 3, normalisation="zscore"),
    "to 1.5 mm, 2 channels, zscore_nonzero": Preparation(
        spacing=(1.5,) * 3, normalisation="zscore_nonzero", channels=2
    ),
    "to 1.5 mm, turned axes, ct": Preparation(spacing=(1.5,) * 3, axes=(1, 2, 0)),
    "to 3 mm, ct": Preparation(spacing=(3.0,) * 3),
    "to 0.6 mm, ct": Preparation(shape=(256, 256, 120), spacing=(0.6,) * 3),
    "to 0.6 mm, zscore": Preparation(shape=(256, 256, 120), spacing=(0.6,) * 3, normalisation="zscore"),
    "to 0.6 mm, turned axes, 2 channels, zscore": Preparation(
        shape=(256, 256, 120), spacing=(0.6,) * 3, normalisation="zscore", axes=(1, 2, 0), channels=2
    ),
    "to 0.6 mm, zscore_nonzero": Preparation(shape=(256, 256, 120), spacing=(0.6,) * 3, normalisation="zscore_nonzero"),
    "own grid, ct, not compressed": Preparation(kind="nii"),
    "own grid, ct, scaled values": Preparation(kind="scaled.nii.gz"),
    "to 1.5 mm, ct, scaled values": Preparation(kind="scaled.nii.gz", spacing=(1.5,) * 3),
    "own grid, ct, MHA": Preparation(kind="mha"),
    "to 1.5 mm, ct, MHA": Preparation(kind="mha", spacing=(1.5,) * 3),
    "own grid, ct, DICOM": Preparation(kind="dicom"),
    "to 1.5 mm, ct, DICOM": Preparation(kind="dicom", spacing=(1.5,) * 3),
}
_SMALL = (40, 40, 16)
_QUICK = {"tiny": Preparation(shape=(64, 64, 64))}


def measure_preparations(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure each preparation in a separate process.

    Args:
        options: only (names of preparations, or None), seed, quick.
        folder: folder for temporary files.
    """
    preparations = _QUICK if options.quick else PREPARATIONS
    return {
        "preparations": {
            name: measure_preparation(preparation, folder, options.seed)
            for name, preparation in preparations.items()
            if not options.only or name in options.only
        }
    }


def measure_preparation(case: Preparation, folder: Path, seed: int) -> dict[str, Any]:
    """Compare the growth of memory (bytes) during pre-processing with the estimate."""
    bundle = folder / f"prepare_{case.normalisation}_{case.channels}_{'_'.join(map(str, case.spacing))}"
    if not bundle.exists():
        make_bundle(
            bundle,
            classes=2,
            spacing=case.spacing,
            window=32,
            channels=(4, 8),
            normalisation=case.normalisation,
            inputs=case.channels,
            seed=seed,
        )
    with tempfile.TemporaryDirectory(dir=folder) as name:
        small, scan = (
            _write_scan(Path(name), shape, case.axes, case.kind, seed=seed) for shape in (_SMALL, case.shape)
        )
        first, taken, network = next(stream(_prepare, bundle, *([path] * case.channels for path in (small, scan))))
    expected = preparation_bytes(prod(case.shape), network, channels=case.channels)
    copies = taken / 4 / case.channels / prod(case.shape)
    return {
        "case": asdict(case),
        "scan_voxels": prod(case.shape),
        "network_voxels": network,
        "measured": taken,
        "small_scan_before": first,
        "scans_as_float32": copies,
        "expected": expected,
        "ratio": expected / taken,
    }


def _write_scan(folder: Path, shape: Sequence[int], axes: Sequence[int], kind: str, *, seed: int) -> Path:
    """Write a scan as a file of the given format, or as a DICOM series."""
    stem = "x".join(map(str, shape))
    plain = make_ct(folder / f"{stem}.nii", shape, spacing=_SPACING, axes=axes, seed=seed)
    path = folder / f"{stem}.{kind}"
    if kind == "scaled.nii.gz":
        image = nib.load(plain)
        voxels = np.asarray(image.dataobj)
        scaled = nib.Nifti1Image(voxels, image.affine)
        scaled.header.set_slope_inter(1.0, -0.5)
        nib.save(scaled, path)
    elif kind in ("mha", "dicom"):
        image = sitk.ReadImage(str(plain))
        for key in image.GetMetaDataKeys():
            image.EraseMetaData(key)
        if kind == "mha":
            sitk.WriteImage(image, str(path))
        else:
            _write_series(image, path)
    elif path != plain:
        nib.save(nib.load(plain), path)
    return path


def _write_series(image: sitk.Image, folder: Path) -> None:
    """Write slice after slice, with the headers that make them a series."""
    folder.mkdir()
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    across = np.reshape(image.GetDirection(), (3, 3))[:, :2].T.ravel()
    fixed = {"0008|0060": "CT", "0020|000d": "1.2.3", "0020|000e": "1.2.3.4", "0020|0052": "1.2.3.5"}
    for number in range(image.GetSize()[2]):
        part = image[:, :, number]
        place = image.TransformIndexToPhysicalPoint((0, 0, number))
        own = {
            "0008|0018": f"1.2.3.4.{number + 1}",
            "0020|0013": str(number + 1),
            "0020|0032": "\\".join(f"{value:g}" for value in place),
            "0020|0037": "\\".join(f"{value:g}" for value in across),
        }
        for key, value in (fixed | own).items():
            part.SetMetaData(key, value)
        writer.SetFileName(str(folder / f"{number:04d}.dcm"))
        writer.Execute(part)


def _prepare(bundle: Path, small: Sequence[Path], scans: Sequence[Path]) -> Iterator[tuple[int, int, int]]:
    """Prepare a small scan and a large one. Run it in a fresh process.

    Yields:
        The growth of memory (bytes) that remains after the small one, such as libraries for the format; the growth at
        the peak of the large one; the number of its voxels in the network's grid.
    """
    predictor = Predictor(bundle, device="cpu", threads=1)
    start = status_bytes("VmRSS") or 0
    predictor.prepare(small if len(small) > 1 else small[0])
    restart_peak()
    before = status_bytes("VmRSS") or 0
    prepared = predictor.prepare(scans if len(scans) > 1 else scans[0])
    yield before - start, (status_bytes("VmHWM") or 0) - before, prod(prepared.image.shape[1:])


def report_preparations(results: Mapping[str, Any]) -> None:
    """Print the table."""
    rows = [
        [
            name,
            f"{one['scan_voxels'] / 1e6:.1f}",
            f"{one['network_voxels'] / 1e6:.1f}",
            f"{one['small_scan_before'] / 1e6:.0f}",
            f"{one['measured'] / 1e6:.0f}",
            f"{one['scans_as_float32']:.1f}",
            f"{one['expected'] / 1e6:.0f}",
            f"{one['ratio']:.2f}",
        ]
        for name, one in results["preparations"].items()
    ]
    columns = [
        "preparing",
        "scan, M voxels",
        "network's",
        "small MB",
        "measured MB",
        "scans as float32",
        "expected MB",
        "ratio",
    ]
    say("\n" + table(columns, rows))

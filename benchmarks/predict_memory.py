"""The memory of `lightskip predict` for large scans and many classes, and whether what it expects to take is right."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any

import nibabel as nib
import SimpleITK as sitk
from measure import say, table
from memory import stream
from predict_parts import differing, make_bundle, make_ct, monai_runner, predict_verb, run_alone

from pipeline.memory import restart_peak, status_bytes
from pipeline.prediction.memory import preparation_bytes
from pipeline.prediction.predictor import Predictor

__all__ = ["PREPARATIONS", "RUNS", "Preparation", "Run", "measure_memory", "measure_preparation", "report_memory"]

_SPACING = (0.8, 0.8, 1.0)  # mm, of the scans
_LARGE, _SMALL = (512, 512, 600), (256, 256, 150)


@dataclass(frozen=True)
class Run:
    """One scan through one bundle.

    Attributes:
        shape: of the scan, voxels.
        spacing: of the network's grid, mm; None: the scan's own, nothing is resampled.
        classes: of the network.
        memory: what ``--memory`` says; None: nothing.
        monai: whether MONAI's runner takes the scan, too, to compare with.
        window: side of the windows, voxels.
    """

    shape: tuple[int, int, int]
    spacing: float | None = 1.5
    classes: int = 20
    memory: str | None = None
    monai: bool = False
    window: int = 96

    @property
    def grid(self) -> tuple[float, ...]:
        """The network's spacing, mm."""
        return _SPACING if self.spacing is None else (self.spacing,) * 3


RUNS = {
    "1.5 mm": Run(_LARGE),
    "own grid": Run(_LARGE, spacing=None),
    "own grid, 4 GB": Run(_LARGE, spacing=None, memory="4GB"),
    "small, 1.5 mm": Run(_SMALL, monai=True),
    "small, own grid": Run(_SMALL, spacing=None, monai=True),
    "150 slices": Run((512, 512, 150)),
    "300 slices": Run((512, 512, 300)),
    "2 classes": Run((512, 512, 300), classes=2),
    "5 classes": Run((512, 512, 300), classes=5),
    "40 classes": Run((512, 512, 300), classes=40),
}
_QUICK_RUNS = {"tiny": Run((48, 40, 40), classes=3, memory="8GB", monai=True, window=32)}


@dataclass(frozen=True)
class Preparation:
    """One scan that is read, checked and pre-processed.

    Attributes:
        shape: of the scan, voxels.
        spacing: of the network's grid, mm; the scan's are 0.8, 0.8, 1.0.
        normalisation: of the plan.
        axes: world axis along which each of the scan's runs.
        channels: of the scan, in a file each.
        kind: of the file.
    """

    shape: tuple[int, int, int] = (320, 320, 200)
    spacing: tuple[float, float, float] = _SPACING
    normalisation: str = "ct"
    axes: tuple[int, int, int] = (0, 1, 2)
    channels: int = 1
    kind: str = "nii.gz"


_TURNED = {"axes": (1, 2, 0), "spacing": (1.0, 0.8, 0.8)}
PREPARATIONS = {
    "own grid, ct": Preparation(),
    "own grid, zscore": Preparation(normalisation="zscore"),
    "own grid, zscore_nonzero": Preparation(normalisation="zscore_nonzero"),
    "own grid, 2 channels, ct": Preparation(channels=2),
    "own grid, 2 channels, zscore": Preparation(channels=2, normalisation="zscore"),
    "turned axes, ct": Preparation(**_TURNED),
    "turned axes, zscore": Preparation(**_TURNED, normalisation="zscore"),
    "turned axes, zscore_nonzero": Preparation(**_TURNED, normalisation="zscore_nonzero"),
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
    "own grid, ct, without compression": Preparation(kind="nii"),
    "own grid, ct, MHA": Preparation(kind="mha"),
    "to 1.5 mm, ct, MHA": Preparation(kind="mha", spacing=(1.5,) * 3),
}
_QUICK_PREPARATIONS = {"tiny": Preparation(shape=(64, 64, 64))}


def measure_memory(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure each run and each preparation in processes of their own.

    Args:
        options: only (names of runs and preparations, or None), seed, quick.
        folder: for scratch files.
    """
    runs: Mapping[str, Run] = _QUICK_RUNS if options.quick else RUNS
    preparations = _QUICK_PREPARATIONS if options.quick else PREPARATIONS
    results: dict[str, Any] = {"runs": {}, "preparations": {}}
    for name, preparation in preparations.items():
        if not options.only or name in options.only:
            say(f"{name} ...")
            results["preparations"][name] = measure_preparation(preparation, folder, options.seed)
    for name, run in runs.items():
        if not options.only or name in options.only:
            say(f"{name} ...")
            results["runs"][name] = _measure_run(run, folder, options.seed)
    return results


def measure_preparation(preparation: Preparation, folder: Path, seed: int) -> dict[str, Any]:
    """Compare what pre-processing takes (bytes), above what the process held before, with what is expected of it."""
    what = preparation
    bundle = folder / f"prepare_{what.normalisation}_{what.channels}_{'_'.join(map(str, what.spacing))}"
    if not bundle.exists():
        make_bundle(
            bundle,
            classes=2,
            spacing=what.spacing,
            window=32,
            channels=(4, 8),
            normalisation=what.normalisation,
            inputs=what.channels,
            seed=seed,
        )
    file = make_ct(folder / "prepared.nii", what.shape, spacing=_SPACING, axes=what.axes, seed=seed)
    scan = file if what.kind == "nii" else folder / f"prepared.{what.kind}"
    if what.kind == "mha":
        sitk.WriteImage(sitk.ReadImage(str(file)), str(scan))
    elif scan != file:
        nib.save(nib.load(file), scan)
    taken, network = next(stream(_prepare, bundle, [scan] * what.channels))
    expected = preparation_bytes(prod(what.shape), network, channels=what.channels)
    for path in {file, scan}:
        path.unlink()
    copies = taken / 4 / what.channels / prod(what.shape)
    return {
        "case": asdict(what),
        "scan_voxels": prod(what.shape),
        "network_voxels": network,
        "measured": taken,
        "scans_as_float32": copies,
        "expected": expected,
        "ratio": expected / taken,
    }


def _prepare(bundle: Path, scans: Sequence[Path]) -> Iterator[tuple[int, int]]:
    """Give the growth of memory (bytes) while a scan is prepared, and the voxels it has then; for a fresh process."""
    predictor = Predictor(bundle, device="cpu", threads=1)
    restart_peak()
    before = status_bytes("VmRSS") or 0
    prepared = predictor.prepare(scans if len(scans) > 1 else scans[0])
    yield (status_bytes("VmHWM") or 0) - before, prod(prepared.image.shape[1:])


def _measure_run(run: Run, folder: Path, seed: int) -> dict[str, Any]:
    shape = "x".join(map(str, run.shape))
    bundle = folder / f"{run.classes}_{run.window}_{'_'.join(map(str, run.grid))}"
    if not bundle.exists():
        make_bundle(bundle, classes=run.classes, spacing=run.grid, window=run.window, seed=seed)
    scans = folder / shape
    if not scans.exists():
        scans.mkdir()
        make_ct(scans / "ct.nii.gz", run.shape, spacing=_SPACING, seed=seed)
    output = folder / "predicted"
    log = folder / "log.txt"
    limit = () if run.memory is None else ("--memory", run.memory)
    found = run_alone(predict_verb(bundle, scans, output, *limit, "--overwrite"), log)
    result: dict[str, Any] = {
        "case": asdict(run),
        "seconds": found.seconds,
        "peak": found.peak,
        "all_logits_in_scan_grid": 4 * run.classes * prod(run.shape),
    }
    if run.memory is not None:
        allowed = round(float(run.memory.removesuffix("GB")) * 1e9)
        result |= {"memory": allowed, "kept": found.peak <= allowed}
    if run.monai:
        other = folder / "monai"
        monai = run_alone(monai_runner(bundle, scans, other), log)
        same = differing(output / "ct_seg.nii.gz", other / "ct_seg.nii.gz")
        result["monai"] = {"seconds": monai.seconds, "peak": monai.peak, **same}
    return result


def report_memory(results: Mapping[str, Any]) -> None:
    """Print the tables."""
    rows = [
        [
            name,
            "x".join(map(str, run["case"]["shape"])),
            str(run["case"]["classes"]),
            f"{run['seconds']:.0f}",
            f"{run['peak'] / 1e9:.2f}",
            f"{run['all_logits_in_scan_grid'] / 1e9:.2f}",
            *_against_monai(run),
        ]
        for name, run in results["runs"].items()
    ]
    columns = ["predict", "scan", "classes", "seconds", "peak GB", "logits GB", "MONAI s", "peak GB", "ratio", "differ"]
    say("\n" + table(columns, rows))
    for name, run in results["runs"].items():
        if "kept" in run:
            say(f"{name}: the limit was {'kept' if run['kept'] else 'exceeded'}")
    rows = [
        [
            name,
            f"{one['scan_voxels'] / 1e6:.1f}",
            f"{one['network_voxels'] / 1e6:.1f}",
            f"{one['measured'] / 1e6:.0f}",
            f"{one['scans_as_float32']:.1f}",
            f"{one['expected'] / 1e6:.0f}",
            f"{one['ratio']:.2f}",
        ]
        for name, one in results["preparations"].items()
    ]
    columns = ["preparing", "scan, M voxels", "network's", "measured MB", "scans as float32", "expected MB", "ratio"]
    say("\n" + table(columns, rows))


def _against_monai(run: Mapping[str, Any]) -> list[str]:
    other = run.get("monai")
    if other is None:
        return [""] * 4
    share = f"{other['voxels'] / other['of']:.2g}"
    return [f"{other['seconds']:.0f}", f"{other['peak'] / 1e9:.2f}", f"{other['peak'] / run['peak']:.2f}", share]

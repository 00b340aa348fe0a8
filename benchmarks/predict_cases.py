"""Compare `lightskip predict` with MONAI's runner on the cases of a fold: time, memory, label maps, quality."""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import nibabel as nib
import numpy as np
from measure import Spread, paired_ratio, say, table
from numpy.typing import NDArray
from predict_parts import case_dice, compare_label_maps, fold_cases, make_bundle, monai_runner, predict_verb
from processes import run_alone
from scipy.ndimage import binary_dilation
from scipy.stats import spearmanr

from pipeline.data.sample import make_sample

__all__ = ["BASE", "WAYS", "case_scores", "measure_cases", "rate_scores", "report_cases"]

BASE, PREDICT, UNCERTAIN = "MONAI's runner", "predict", "predict --uncertainty"
WAYS: dict[str, tuple[str, ...]] = {
    PREDICT: (),
    "predict --fast": ("--fast",),
    "predict --tta": ("--tta",),
    UNCERTAIN: ("--uncertainty",),
}
_UNCERTAIN_CASES = 10
_RESAMPLES = 2000
_SHIPPED = "mean over the labels"
_Score = Callable[[NDArray[Any], NDArray[Any]], float]
# Scores of a case from its entropy map (0 to 1) and label map.
_SCORES: dict[str, _Score] = {
    _SHIPPED: lambda entropy, labels: float(entropy[labels > 0].mean()),
    "sum, per labelled voxel": lambda entropy, labels: float(entropy.sum() / (labels > 0).sum()),
    "mean over the labels and one voxel around": lambda entropy, labels: float(entropy[_dilate(labels)].mean()),
    "sum, per labelled voxel to the power 2/3": lambda entropy, labels: float(
        entropy.sum() / (labels > 0).sum() ** (2 / 3)
    ),
    "mean over the scan": lambda entropy, _: float(entropy.mean()),
}


def measure_cases(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure all ways, round after round, and compare their label maps with the references.

    Args:
        options: bundle, dataset_dir, datalist, fold, rounds, quick.
        folder: folder for temporary files.
    """
    bundle, cases = Path(options.bundle), []
    if options.quick:
        bundle, cases = _quick(folder)
    else:
        cases = fold_cases(options.datalist, options.dataset_dir, options.fold)
    scans = folder / "scans"
    scans.mkdir()
    for case in cases:
        shutil.copy(case["image"], scans)
    names = sorted(file.name.removesuffix(".nii.gz") for file in scans.iterdir())
    rounds: dict[str, list[dict[str, float]]] = {way: [] for way in (BASE, *WAYS)}
    same: list[dict[str, Any]] = []
    for number in range(options.rounds):
        found = {}
        order = list(rounds)
        for way in order if number % 2 == 0 else reversed(order):
            found[way] = folder / f"{number} {way}"
            rounds[way].append(_once(way, bundle, scans, found[way], names))
        same += [compare_label_maps(*(found[way] / f"{name}_seg.nii.gz" for way in (BASE, PREDICT))) for name in names]
    labels = json.loads((bundle / "configs" / "inference.json").read_text(encoding="utf-8"))["labels"]
    dice = {way: [_dice(case, found[way], labels) for case in cases] for way in WAYS}
    mean = [row["mean"] for row in dice[UNCERTAIN]]
    scores = [case_scores(*_maps(case, found[UNCERTAIN])) for case in cases]
    return {
        "cases": len(cases),
        "runs": {way: {key: Spread.of([run[key] for run in runs]) for key in runs[0]} for way, runs in rounds.items()},
        "ratios": {
            way: {
                key: paired_ratio([run[key] for run in runs], [run[key] for run in rounds[PREDICT]])
                for key in ("seconds", "per_scan", "peak")
            }
            for way, runs in rounds.items()
        },
        "same_as_monai": {
            "label_maps": len(same),
            "voxels_differing": sum(one["voxels"] for one in same),
            "of": sum(one["of"] for one in same),
            "files_equal": sum(one["bytes_equal"] for one in same),
        },
        "spent": _spent(found[PREDICT]),
        "quality": {way: {label: fmean(row[label] for row in rows) for label in rows[0]} for way, rows in dice.items()},
        "uncertainty": rate_scores(mean, {key: [one[key] for one in scores] for key in _SCORES}, options.seed),
    }


def case_scores(entropy: NDArray[Any], labels: NDArray[Any]) -> dict[str, float]:
    """Return the candidate scores of a case's uncertainty. The first is the one in ``report.json``."""
    return {name: score(entropy, labels) for name, score in _SCORES.items()}


def rate_scores(dice: Sequence[float], scores: Mapping[str, Sequence[float]], seed: int) -> dict[str, Any]:
    """Measure how well scores find the cases with a low Dice.

    Args:
        dice: mean Dice of each case.
        scores: scores of each case, higher for a lower expected Dice. The others are compared with the first.
        seed: seed of the resampling of cases.

    Returns:
        For each score Spearman's correlation with 1 - Dice, its 95 % interval, the interval of its difference from the
        first score's, and the mean Dice of the most uncertain cases and of the others.
    """
    bad = 1 - np.asarray(dice)
    random = np.random.default_rng(seed)
    drawn = [random.integers(len(bad), size=len(bad)) for _ in range(_RESAMPLES)]
    first: NDArray[Any] | None = None
    found = {}
    for name, values in scores.items():
        array = np.asarray(values)
        resampled = np.array([_correlation(array[places], bad[places]) for places in drawn])
        first = resampled if first is None else first
        order = np.argsort(-array)
        most, others = order[:_UNCERTAIN_CASES], order[_UNCERTAIN_CASES:]
        found[name] = {
            "correlation": _correlation(array, bad),
            "interval": np.nanpercentile(resampled, [2.5, 97.5]).tolist(),
            "better_by_interval": np.nanpercentile(resampled - first, [2.5, 97.5]).tolist(),
            "dice_most_uncertain": float(1 - bad[most].mean()),
            "dice_others": float(1 - bad[others].mean()) if len(others) else None,
        }
    return found


def report_cases(results: Mapping[str, Any]) -> None:
    """Print the tables."""
    runs, ratios, quality = results["runs"], results["ratios"], results["quality"]
    say(
        f"{results['cases']} cases; median [quartiles] of {runs[BASE]['seconds'].count} runs, each in a fresh process\n"
    )
    rows = [
        [
            way,
            run["seconds"].text(),
            run["startup"].text(),
            run["per_scan"].text(1000, 0),
            ratios[way]["per_scan"].text(),
            run["peak"].text(1e-6, 0),
            *(f"{quality[way][label]:.4f}" if way in quality else "" for label in quality[PREDICT]),
        ]
        for way, run in runs.items()
    ]
    columns = ["", "seconds", "start-up s", "ms per scan", f"of {PREDICT}'s", "peak MB"]
    say(table([*columns, *(f"Dice {label}" for label in quality[PREDICT])], rows))
    to = ratios[BASE]
    say(f"\n{BASE} takes {to['seconds'].text()} of {PREDICT}'s time, and {to['peak'].text()} of its memory")
    same = results["same_as_monai"]
    files = f"{same['files_equal']} of {same['label_maps']} files are identical byte for byte"
    say(f"{same['voxels_differing']} of {same['of']} voxels differ from MONAI's; {files}")
    say("ms per scan: " + ", ".join(f"{key} {1000 * value:.1f}" for key, value in results["spent"].items()) + "\n")
    rows = [
        [
            name,
            f"{one['correlation']:.2f} [{one['interval'][0]:.2f}, {one['interval'][1]:.2f}]",
            f"[{one['better_by_interval'][0]:+.2f}, {one['better_by_interval'][1]:+.2f}]",
            f"{one['dice_most_uncertain']:.4f}",
            "-" if one["dice_others"] is None else f"{one['dice_others']:.4f}",
        ]
        for name, one in results["uncertainty"].items()
    ]
    columns = [
        "score of the entropy map",
        "Spearman with 1 - Dice",
        "better by",
        f"Dice of {_UNCERTAIN_CASES} most uncertain",
    ]
    say(table([*columns, "of the others"], rows))


def _once(way: str, bundle: Path, scans: Path, output: Path, names: Sequence[str]) -> dict[str, float]:
    words = monai_runner(bundle, scans, output) if way == BASE else predict_verb(bundle, scans, output, *WAYS[way])
    run = run_alone(words, scans.parent / "log.txt")
    # Both ways are compared by the times of their first and last file.
    ends = [(output / f"{name}_seg.nii.gz").stat().st_mtime_ns / 1e9 for name in names]
    per_scan = (max(ends) - min(ends)) / (len(ends) - 1)
    startup = run.seconds - len(ends) * per_scan
    return {"seconds": run.seconds, "startup": startup, "per_scan": per_scan, "peak": run.peak}


def _spent(output: Path) -> dict[str, float]:
    scans = json.loads((output / "report.json").read_text(encoding="utf-8"))["scans"]
    return {key: fmean(scan["seconds"][key] for scan in scans) for key in scans[0]["seconds"]}


def _dice(case: Mapping[str, Path], output: Path, labels: Mapping[str, int]) -> dict[str, float]:
    name = case["image"].name.removesuffix(".nii.gz")
    return case_dice(np.asarray(nib.load(output / f"{name}_seg.nii.gz").dataobj), case["label"], labels)


def _maps(case: Mapping[str, Path], output: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    name = case["image"].name.removesuffix(".nii.gz")
    return (
        nib.load(output / f"{name}_entropy.nii.gz").get_fdata(),
        np.asarray(nib.load(output / f"{name}_seg.nii.gz").dataobj),
    )


def _dilate(labels: NDArray[Any]) -> NDArray[Any]:
    wider: NDArray[Any] = binary_dilation(labels > 0, np.ones((3, 3, 3)))
    return wider


def _correlation(values: NDArray[Any], others: NDArray[Any]) -> float:
    return float(spearmanr(values, others).statistic)


def _quick(folder: Path) -> tuple[Path, list[dict[str, Path]]]:
    """Return a toy bundle and the built-in sample's cases."""
    datalist = make_sample(folder / "data", cases=3, scans=0, folds=1)
    cases = fold_cases(datalist, datalist.parent, 0)
    spacing, channels = (2.0, 2.0, 2.0), (4, 8)
    bundle = make_bundle(
        folder / "bundle", classes=4, spacing=spacing, window=32, channels=channels, normalisation="zscore"
    )
    return bundle, cases

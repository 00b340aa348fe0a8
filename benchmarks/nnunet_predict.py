"""Compare nnU-Net's predictor with `lightskip predict` on the cases of a fold: time, memory, Dice.

    make .venv-nnunet/.complete
    .venv-nnunet/bin/pip install -c constraints.txt openvino
    .venv-nnunet/bin/python benchmarks/nnunet_predict.py --dataset_dir Task04_Hippocampus

nnU-Net plans and preprocesses the dataset as `3d_fullres` and trains on the other folds for some iterations. Its Dice
is that of this short training. With ``--model`` a trained model is taken instead: the folder with nnU-Net's
dataset.json, plans.json and one fold with checkpoint_final.pth.

Each measurement is a fresh process that predicts all cases, on as many cores as it has threads. nnU-Net runs as
`nnUNetv2_predict -npp 0 -nps 0` does, without processes for preprocessing and export: a scan is read, prepared,
predicted and written before the next one. Time per scan is that between the first and the last label map, divided by
the scans between them, for both programs. So it includes reading and writing, and leaves out starting up. The
network's time is that of the forward passes for nnU-Net, and what the report of `lightskip predict` calls network.
Processor time is that of the whole run, starting up included. With one thread it depends little on what else the
machine does.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean
from typing import Any

import nibabel as nib
import numpy as np
from measure import RESULTS, Spread, header, paired_ratio, say, table, write_json
from nnunet_parts import MODEL, copy_scans, write_dataset
from predict_parts import case_dice, fold_cases, make_bundle, predict_verb
from processes import run_alone

from pipeline.data.errors import InputError
from pipeline.data.sample import make_sample

__all__ = ["main"]

_MISSING = (
    "nnU-Net (nnunetv2) is missing in this Python; `make .venv-nnunet/.complete` makes an environment with it: "
    "run .venv-nnunet/bin/python benchmarks/nnunet_predict.py"
)
_PARTS = Path(__file__).with_name("nnunet_parts.py")
_DATALIST = Path(__file__).resolve().parents[1] / "data_manifests" / "msd_task04_hippocampus.json"
_BASE = "lightskip predict"


@dataclass(frozen=True)
class _Way:
    """A program with its options, and the end of its label maps' names."""

    program: str
    options: tuple[str, ...]
    ending: str


_WAYS = {
    _BASE: _Way("lightskip", (), "_seg.nii.gz"),
    "lightskip predict --tta": _Way("lightskip", ("--tta",), "_seg.nii.gz"),
    "nnU-Net without mirroring": _Way("nnunet", (), ".nii.gz"),
    "nnU-Net": _Way("nnunet", ("--mirror",), ".nii.gz"),
}


def main() -> int:
    """Measure, print and write the results. Return 0, or 2 if something could not run."""
    options = _options()
    if find_spec("nnunetv2") is None:
        say(f"error: {_MISSING}")
        return 2
    try:
        _check_cores(max(options.threads))
        with tempfile.TemporaryDirectory(dir=options.scratch) as name:
            results = _measure(options, Path(name))
    except (InputError, OSError, RuntimeError) as error:
        say(f"error: {error}")
        return 2
    _report(results)
    described = header("nnunet_predict", options)
    described["versions"] |= {name: version(name) for name in ("nnunetv2", "openvino") if find_spec(name)}
    write_json(options.output, described | results)
    say(f"\n{options.output}")
    return 0


def _measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    bundle, datalist, dataset_dir = options.bundle, options.datalist, options.dataset_dir
    if options.quick:
        datalist = make_sample(folder / "data", cases=4, scans=0, folds=2)
        dataset_dir, spacing = datalist.parent, (2.0, 2.0, 2.0)
        bundle = make_bundle(
            folder / "bundle", classes=4, spacing=spacing, window=32, channels=(4, 8), normalisation="zscore"
        )
    labels = json.loads((bundle / "configs" / "inference.json").read_text(encoding="utf-8"))["labels"]
    listed = json.loads(datalist.read_text(encoding="utf-8"))["training"]
    others = sorted({case["fold"] for case in listed} - {options.fold})
    cases = fold_cases(datalist, dataset_dir, options.fold)
    if options.model is None:
        with _cores(1):
            write_dataset(
                folder / "nnunet",
                [case for fold in others for case in fold_cases(datalist, dataset_dir, fold)],
                cases,
                labels,
            )
            _train(options, folder)
    model = options.model or folder / "nnunet" / MODEL
    if options.keep and options.model is None:
        shutil.copytree(model, options.keep, dirs_exist_ok=True)
    os.environ["LIGHTSKIP_CACHE"] = str(folder / "cache")
    copy_scans((case["image"] for case in cases), folder / "nnunet scans")
    (folder / "lightskip scans").mkdir()
    for case in cases:
        shutil.copy(case["image"], folder / "lightskip scans")
    found = {
        str(threads): _rounds(folder, bundle, model, cases, labels, threads, rounds)
        for threads, rounds in zip(options.threads, options.rounds, strict=True)
    }
    trained = model / "training.json"
    training = json.loads(trained.read_text(encoding="utf-8")) if trained.exists() else None
    return {"cases": len(cases), "training": training, "runs": found}


def _train(options: argparse.Namespace, folder: Path) -> None:
    words = ["train", folder / "nnunet", "--iterations", options.iterations, "--batch", options.batch]
    words += ["--divide", 8] if options.quick else []
    run_alone([sys.executable, "-W", "ignore", _PARTS, *map(str, words)], folder / "training.txt")
    found = json.loads((folder / "nnunet" / MODEL / "training.json").read_text(encoding="utf-8"))
    say(f"trained nnU-Net: {found['iterations']} iterations in {found['seconds']:.0f} s")


def _rounds(
    folder: Path,
    bundle: Path,
    model: Path,
    cases: Sequence[Mapping[str, Path]],
    labels: Mapping[str, int],
    threads: int,
    rounds: int,
) -> dict[str, Any]:
    """Measure all ways in turn. Return the spread of their times and peaks, and the Dice of the first round."""
    runs: dict[str, list[dict[str, float]]] = {way: [] for way in _WAYS}
    found: dict[str, Any] = {}

    for number in range(rounds):
        for name in list(runs) if number % 2 == 0 else reversed(runs):
            way, output = _WAYS[name], folder / f"{threads} {number} {name}"
            scans = folder / f"{way.program} scans"
            if way.program == "nnunet":
                words = [sys.executable, "-W", "ignore", str(_PARTS), "predict", str(model), str(scans), str(output)]
                words += way.options
            else:
                words = predict_verb(bundle, scans, output, *way.options, threads=threads)
            with _cores(threads):
                cost = run_alone(words, folder / "log.txt", threads=threads)
            label_maps = [output / case["image"].name.replace(".nii.gz", way.ending) for case in cases]
            ends = [file.stat().st_mtime_ns / 1e9 for file in label_maps]
            per_scan = (max(ends) - min(ends)) / (len(ends) - 1)
            network = _in_network(way, output)
            runs[name].append(
                {
                    "seconds": cost.seconds,
                    "startup": cost.seconds - len(ends) * per_scan,
                    "per_scan": per_scan,
                    "network": network.pop("seconds") / len(cases),
                    "cpu_seconds": cost.cpu_seconds,
                    "peak": cost.peak,
                }
            )
            if number == 0:
                dice = [
                    case_dice(np.asarray(nib.load(file).dataobj), case["label"], labels)
                    for file, case in zip(label_maps, cases, strict=True)
                ]
                found[name] = network | {"dice": {label: fmean(row[label] for row in dice) for label in dice[0]}}
            say(f"{threads} threads, round {number + 1}: {name} {per_scan:.3f} s per scan")
    return {
        name: found[name]
        | {key: Spread.of([one[key] for one in runs[name]]) for key in runs[name][0]}
        | {
            f"{key}_ratio": paired_ratio(*([one[key] for one in runs[way]] for way in (name, _BASE)))
            for key in ("per_scan", "cpu_seconds")
        }
        for name in runs
    }


def _in_network(way: _Way, output: Path) -> dict[str, Any]:
    """Return the seconds in the network for all scans, and what is known of the network."""
    if way.program == "nnunet":
        found: dict[str, Any] = json.loads((output / "network.json").read_text(encoding="utf-8"))
        return found | {"precision": "float32"}
    report = json.loads((output / "report.json").read_text(encoding="utf-8"))
    return {
        "seconds": sum(scan["seconds"]["network"] for scan in report["scans"]),
        "threads": report["threads"],
        **{key: report[key] for key in ("runtime", "runtime_reason", "precision") if key in report},
    }


def _report(results: Mapping[str, Any]) -> None:
    say(f"\n{results['cases']} cases, each run in a fresh process; median [quartiles]; ratios to {_BASE}\n")
    rows = [
        [
            name,
            threads,
            str(run["per_scan"].count),
            run["per_scan"].text(1000, 0),
            run["per_scan_ratio"].text(),
            run["cpu_seconds"].text(1, 1),
            run["cpu_seconds_ratio"].text(),
            run["network"].text(1000, 0),
            run["startup"].text(1, 1),
            run["peak"].text(1e-6, 0),
            f"{run['dice']['mean']:.4f}",
        ]
        for threads, runs in results["runs"].items()
        for name, run in runs.items()
    ]
    columns = [
        "",
        "threads",
        "runs",
        "ms per scan",
        "ratio",
        "CPU s",
        "ratio",
        "network ms",
        "start-up s",
        "peak MB",
    ]
    say(table([*columns, "mean Dice"], rows))


@contextmanager
def _cores(count: int) -> Iterator[None]:
    """Let this process and those that it starts use so many of its cores."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(allowed)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def _check_cores(threads: int) -> None:
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if threads > allowed:
        msg = f"{threads} threads, but this process may use {allowed} of the cores; start it without taskset, or set "
        raise RuntimeError(msg + f"--threads {allowed} --rounds 3")


def _options() -> Any:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=Path("bundles/hippocampus_mri"), help="[%(default)s]")
    parser.add_argument("--dataset_dir", type=Path, help="folder of the hippocampus dataset")
    parser.add_argument("--datalist", type=Path, default=_DATALIST, help="cases with folds [%(default)s]")
    parser.add_argument("--fold", type=int, default=0, help="fold to predict [%(default)s]")
    parser.add_argument("--model", type=Path, help="nnU-Net's folder of a trained model [a short training]")
    parser.add_argument("--keep", type=Path, help="copy the trained model to this folder, for --model")
    parser.add_argument("--iterations", type=int, default=300, help="of nnU-Net's training [%(default)s]")
    parser.add_argument("--batch", type=int, default=2, help="patches per iteration [%(default)s]")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="numbers of threads [%(default)s]")
    parser.add_argument("--rounds", type=int, nargs="+", default=[3, 1], help="for each of these [%(default)s]")
    parser.add_argument("--scratch", type=Path, help="folder for temporary files, up to 1 GB [the system's]")
    parser.add_argument("--note", default="", help="a remark on the machine during the run")
    parser.add_argument("--quick", action="store_true", help="toy sizes, one thread, a minute: only shows that it runs")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / "nnunet_predict.json", help="[%(default)s]")
    options: Any = parser.parse_args()
    if options.quick:
        options.iterations, options.batch, options.threads, options.rounds = 2, 2, [1], [1]
    elif options.dataset_dir is None:
        parser.error("--dataset_dir is missing")
    if len(options.threads) != len(options.rounds):
        parser.error("--threads and --rounds need as many numbers")
    options.device = "cpu"
    return options


if __name__ == "__main__":
    sys.exit(main())

"""Compare the memory that `lightskip plan` estimates with the memory that trainings use.

    python benchmarks/memory_estimate.py
    python benchmarks/memory_estimate.py --only plane cube
    python benchmarks/memory_estimate.py --networks

Each case is a bundle, rendered and trained on random scans for some steps by ``python -m monai.bundle run training`` in
its own process. The process's peak of resident memory is compared with the estimate's total. The peak of PyTorch's live
tensors in one real step, which does not depend on the machine or the allocator, is compared with the traced peak.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

import torch
import yaml
from arms import Arm, Task
from measure import add_options, header, say, table, write_json
from processes import run_alone, stream
from pydantic import TypeAdapter
from steps import Work, warm_up

from pipeline.bench.live_memory import MIB, live_peak
from pipeline.bench.random_data import make_random_dataset
from pipeline.bundle.network_schema import Network
from pipeline.bundle.planning.levels import make_levels
from pipeline.bundle.planning.memory import MemoryEstimate, estimate_memory
from pipeline.bundle.planning.networks import explain_network, network_spec
from pipeline.bundle.planning.size import Size
from pipeline.bundle.planning.skips import choose_skip
from pipeline.bundle.render import write_rendered
from pipeline.data.errors import InputError
from pipeline.inference import choose_precision

__all__ = ["CASES", "NETWORKS", "estimate", "main"]

_PIXDIM = "train#deterministic_transforms#3#pixdim"
_WIDE = [32, 64, 128, 256]

# The differences from the built-in sample's bundle. `scan` is the random scans' size (voxels). `native_spacing` is
# their spacing if it is not the plan's 1 mm. `seen` is true for the cases that the constants of the estimate were
# fitted to.
CASES: dict[str, dict[str, Any]] = {
    "hippocampus": {"patch": [40, 56, 40], "scan": [48, 64, 48], "skip": "sat4", "seen": True},
    "cube": {"patch": [96, 96, 96], "scan": [128, 128, 128], "skip": "concat", "seen": True},
    "wide, 2 channels": {
        "patch": [128, 128, 64],
        "scan": [160, 160, 96],
        "skip": "sat4",
        "seen": True,
        "inputs": 2,
        "channels": _WIDE,
    },
    "plane": {"patch": [256, 256], "scan": [400, 400], "batch": 8, "skip": "concat", "seen": True},
    "large scans": {"patch": [32, 32, 32], "scan": [256, 256, 160], "skip": "sat4", "seen": True, "levels": 3},
    "resampled": {
        "patch": [32, 32, 32],
        "scan": [192, 192, 128],
        "native_spacing": [1.0, 1.0, 2.0],
        "levels": 3,
        "skip": "sat4",
        "seen": True,
    },
    "float32": {"patch": [64, 64, 64], "scan": [96, 96, 96], "skip": "concat", "precision": "float32"},
    "wide plane, published": {
        "patch": [192, 192],
        "scan": [256, 256],
        "batch": 6,
        "skip": "concat",
        "channels": _WIDE,
        "network": {"residual": "merged"},
    },
    "thick slices": {
        "patch": [128, 128, 16],
        "scan": [192, 192, 24],
        "skip": "sat4",
        "channels": [24, 48, 96, 192],
        "network": {"strides": [[2, 2, 1], [2, 2, 1], 2], "kernel_size": [[3, 3, 1], [3, 3, 1], 3, 3]},
    },
    "large scans, 2 channels": {
        "patch": [48, 48, 48],
        "scan": [224, 224, 128],
        "skip": "concat",
        "inputs": 2,
        "levels": 3,
        "classes": 2,
    },
}
_CUBE = {"patch": [48, 48, 48], "scan": [64, 64, 64]}
_PLANE = {"patch": [192, 192], "scan": [256, 256], "batch": 4}
# Other networks and skip connections. `planned` is a network with the arguments that `lightskip plan` would choose, and
# its width. No constant of the estimate was fitted to any of these.
NETWORKS: dict[str, dict[str, Any]] = {
    name: {"planned": planned, "skip": skip, **(_CUBE if dims == 3 else _PLANE), **more}
    for name, planned, dims, skip, more in (
        ("vnet, sum", ("vnet", 16), 3, "sum", {}),
        ("vnet, cse", ("vnet", 16), 3, "cse", {}),
        ("vnet, sse", ("vnet", 16), 3, "sse", {}),
        ("vnet, scse", ("vnet", 16), 3, "scse", {}),
        ("vnet, project_excite", ("vnet", 16), 3, "project_excite", {}),
        ("vnet, attention_gate", ("vnet", 16), 3, "attention_gate", {}),
        ("vnet, scalar", ("vnet", 16), 3, "scalar", {}),
        ("vnet, recalibrated", ("vnet", 16), 3, "concat", {"network": {"recalibrate": "scse"}}),
        ("unet", ("unet", 16), 3, "concat", {}),
        ("unet, sat4", ("unet", 16), 3, "sat4", {}),
        ("unet, residual encoder", ("unet", 16), 3, "concat", {"network": {"encoder": "residual"}}),
        ("unet, plane", ("unet", 32), 2, "scse", {}),
        ("tiramisu", ("tiramisu", 4), 3, "sat", {}),
        ("tiramisu, plane", ("tiramisu", 8), 2, "concat", {}),
        ("tiramisu, sat inside", ("tiramisu", 12), 2, "sat", {"network": {"dense_skip": "sat"}}),
        ("residual FCN", ("residual_fcn", 24), 3, "concat", {}),
        ("residual FCN, plane", ("residual_fcn", 32), 2, "sum", {}),
    )
}
_QUICK = {"tiny": {"patch": [16, 16, 16], "scan": [24, 24, 24], "skip": "sat4", "channels": [4, 8, 16], "seen": True}}


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, "memory_estimate", minutes=0)
    parser.set_defaults(bundle="bundles/synthetic_shapes")
    parser.add_argument("--only", nargs="+", choices=[*CASES, *NETWORKS], help="names of cases [all of V-Net]")
    parser.add_argument("--networks", action="store_true", help="the cases of other networks and skips")
    parser.add_argument("--epochs", type=int, default=2, help="epochs of two steps each [%(default)s]")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    every = CASES | NETWORKS
    cases = _QUICK if options.quick else {name: every[name] for name in options.only or _chosen(options)}
    try:
        plan = yaml.safe_load((Path(options.bundle) / "plan.yaml").read_text(encoding="utf-8"))
        options.precision = choose_precision("cpu", options.precision)
    except (OSError, InputError) as error:
        say(f"error: {error}")
        sys.exit(2)
    results: dict[str, Any] = {"cases": {}}
    # Load libraries before the timed estimates.
    estimate({**plan, **_changes(plan, _QUICK["tiny"])}, _QUICK["tiny"], options)
    for name, case in cases.items():
        say(f"{name} ...")
        try:
            results["cases"][name] = _measure(plan, case, options)
        except RuntimeError as error:
            say(f"error: {error}")
            sys.exit(2)
        write_json(options.output, header("memory_estimate", options) | results)
    _report(results["cases"])
    say(f"\n{options.output}")


def _chosen(options: argparse.Namespace) -> Mapping[str, Any]:
    return NETWORKS if options.networks else CASES


def estimate(plan: Mapping[str, Any], case: Mapping[str, Any], options: argparse.Namespace) -> MemoryEstimate:
    """Return LightSkip's estimate for a case."""
    native = case["scan"]
    spacing = case.get("native_spacing", [1.0] * len(native))
    scan = [round(size * mm) for size, mm in zip(native, spacing, strict=True)]
    return estimate_memory(
        _arguments(plan),
        patch=plan["patch"],
        batch=plan["batch"],
        window=plan["window"],
        largest_scan=scan,
        largest_native=native,
        cases_voxels=[prod(scan)] * (2 * plan["batch"] + 1),
        precision=case.get("precision", options.precision),
        threads=options.threads,
    )


def _measure(plan: Mapping[str, Any], case: Mapping[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    changed = {**plan, **_changes(plan, case)}
    start = time.perf_counter()
    estimated = estimate(changed, case, options)
    seconds = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as folder:
        resident = _train(changed, case, options, Path(folder))
    task = _task(changed, case, options)
    live = next(stream(_live, Arm(str(case["skip"]), spec=_arguments(changed)), task))
    # The estimate includes two batches, the loader's and the augmented one. A single step loads and augments none.
    traced = estimated.live - 2 * task.batch * prod(task.patch) * (4 * task.in_channels + 1)
    return {
        "case": dict(case),
        "estimate": vars(estimated),
        "total": estimated.total,
        "resident": resident,
        "ratio": estimated.total / resident,
        "seconds": seconds,
        "live_traced": traced,
        "live_measured": live,
        "live_ratio": traced / live,
    }


def _changes(plan: Mapping[str, Any], case: Mapping[str, Any]) -> dict[str, Any]:
    axes = len(case["patch"])
    labels = dict(list(plan["labels"].items())[: case.get("classes")])
    return {
        "labels": labels,
        "spacing": [1.0] * axes,
        "mirror_axes": list(range(axes)),
        "skip": case["skip"],
        "patch": case["patch"],
        "window": case["patch"],
        "batch": case.get("batch", 2),
        "data": {**plan["data"], "scans": None, "channels": [f"channel {i}" for i in range(case.get("inputs", 1))]},
        "network": _network(plan, case) | case.get("network", {}),
        "training": {**plan["training"], "samples_per_case": 1, "warmup_epochs": 0, "epochs": 1, "val_interval": 1},
    }


def _network(plan: Mapping[str, Any], case: Mapping[str, Any]) -> dict[str, Any]:
    if "planned" in case:
        name, width = case["planned"]
        spacing = [1.0] * len(case["patch"])
        size = Size(width, make_levels(case["patch"], spacing), case.get("batch", 2), "")
        spec = network_spec(size, dims=len(spacing), in_channels=1, out_channels=2, network=name)
        written = explain_network(spec, size, spacing, width_reason="", memory="")
        return {key: choice.value for key, choice in written.items()}
    channels = case.get("channels", [16, 32, 64, 128])[: case.get("levels")]
    levels = len(channels)
    convs = {"convs_per_level": [1] + [2] * (levels - 1), "decoder_convs_per_level": [1] * (levels - 2) + [2]}
    return {**plan["network"], "channels": channels, **convs}


def _train(plan: Mapping[str, Any], case: Mapping[str, Any], options: argparse.Namespace, folder: Path) -> int:
    """Train in a separate process and return its peak of resident memory (bytes)."""
    bundle = folder / "bundle"
    bundle.mkdir()
    (bundle / "plan.yaml").write_text(yaml.safe_dump(dict(plan)), encoding="utf-8")
    write_rendered(bundle)
    config = bundle / "configs" / "train.json"
    sizes = {"window": case["scan"]} | ({_PIXDIM: case["native_spacing"]} if "native_spacing" in case else {})
    cases = {"training": 2 * plan["batch"], "validation": 1}
    data = make_random_dataset(config, sizes, folder / "data", **cases, different=sum(cases.values()))
    settings = {
        "config_file": config,
        "dataset_dir": data.parent,
        "datalist": data,
        "ckpt_dir": folder / "run",
        "cache_dir": folder / "prepared",
        "epochs": options.epochs,
        "val_interval": options.epochs,
        "precision": case.get("precision", options.precision),
        "seed": options.seed,
    }
    words = [str(word) for key, value in settings.items() for word in (f"--{key}", value)]
    command = [sys.executable, "-W", "ignore", "-m", "monai.bundle", "run", "training", *words]
    return run_alone(command, folder / "log.txt", threads=options.threads).peak


def _live(arm: Arm, task: Task) -> Iterator[int]:
    """Yield the peak (bytes) of the live tensors of a second step. Run it in a fresh process."""
    warm_up(task)
    work = Work(arm, task)
    work.train()
    yield live_peak(work.train)


def _task(plan: Mapping[str, Any], case: Mapping[str, Any], options: argparse.Namespace) -> Task:
    return Task(
        network=_WARM_UP,
        in_channels=len(plan["data"]["channels"]),
        out_channels=len(plan["labels"]),
        patch=tuple(plan["patch"]),
        window=tuple(plan["window"]),
        window_overlap=plan["window_overlap"],
        batch=plan["batch"],
        device="cpu",
        precision=case.get("precision", options.precision),
        threads=options.threads,
        seed=options.seed,
    )


# A tiny V-Net, which lets the libraries allocate their own memory first.
_WARM_UP = {
    "channels": [16, 32],
    "convs_per_level": [1, 1],
    "decoder_convs_per_level": [1],
    "kernel_size": 3,
    "norm": "instance",
    "act": "leakyrelu",
}


def _arguments(plan: Mapping[str, Any]) -> dict[str, Any]:
    settings = TypeAdapter(Network).validate_python(plan["network"])
    return {
        "name": settings.name,
        "spatial_dims": len(plan["patch"]),
        "in_channels": len(plan["data"]["channels"]),
        "out_channels": len(plan["labels"]),
        **settings.settings(),
        "skip": choose_skip(plan["skip"]).argument,
    }


def _report(cases: Mapping[str, Mapping[str, Any]]) -> None:
    columns = ["case", "estimated, MiB", "measured", "ratio", "traced live", "measured live", "ratio", "s"]
    rows = [
        [
            f"{name}{'' if row['case'].get('seen') else ' *'}",
            *(f"{row['total'] / MIB:.0f}", f"{row['resident'] / MIB:.0f}", f"{row['ratio']:.2f}"),
            *(f"{row['live_traced'] / MIB:.1f}", f"{row['live_measured'] / MIB:.1f}", f"{row['live_ratio']:.3f}"),
            f"{row['seconds']:.2f}",
        ]
        for name, row in cases.items()
    ]
    say("\n" + table(columns, rows))
    say("\n* the estimate was not fitted to this case")


if __name__ == "__main__":
    main()

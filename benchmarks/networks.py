"""Measure what each skip costs in each network: time, memory, parameters, multiply-adds, and bytes of the skips.

    python benchmarks/networks.py --patch 32 40 32 --batch 2 --threads 1 --clock cpu
    python benchmarks/networks.py --bundle bundles/em_membrane --network tiramisu --skip sat --skip scalar --minutes 2
    python benchmarks/networks.py --bundle bundles/em_membrane --published --patch 256 256 --device cuda --minutes 1

The default networks are V-Net (the published stage, and the plan's) and U-Net in 3D, Tiramisu and residual FCN in 2D.
They have the bundle's widths, kernels, normalisation and activation as far as they take them, or with ``--published``
their own: V-Net and U-Net in 3D; U-Net, FC-DenseNet103 and residual FCN in 2D. The input is the bundle's
batch and patch in float32, or ``--batch`` and ``--patch``. Bytes are those of one patch. A batch of one image is not
typical: on one thread, PyTorch then computes small convolutions in another way, which takes more memory.

Ratios are to ``concat`` of the same network, within a round. Recalibration is compared with the same skip without it.
Each network has a process of its own. Peaks are those of the first two steps of a new network.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from arms import Arm, Task, read_network, read_task
from measure import RESULTS, Spread, add_options, header, paired_ratio, say, table, write_json
from processes import stream
from steps import PHASES, measure_peaks, time_rounds

from pipeline.bench.live_memory import MIB
from pipeline.bundle.plan import load_plan
from pipeline.bundle.schema import Plan
from pipeline.data.errors import InputError

__all__ = ["count_bytes", "main"]

BASELINE = "concat"
SKIPS = (
    *("sum", "none", "at", "st", "sat", "sat4", "cse", "sse", "scse", "project_excite", "attention_gate", "scalar"),
)
RECALIBRATED = " + recalibrate scse"
# By the number of spatial dimensions.
NETWORKS: dict[int, dict[str, dict[str, Any]]] = {
    3: {
        "vnet, published stage": {"name": "vnet", "residual": "merged", "head": "conv"},
        "vnet, the plan's stage": {"name": "vnet", "residual": "decoder", "head": "pointwise"},
        "unet": {"name": "unet"},
    },
    2: {
        "tiramisu 56": {"name": "tiramisu", "form": 56, "dropout": 0.0},
        "residual_fcn": {"name": "residual_fcn", "channels": [16, 16, 16, 64, 128, 256]},
    },
}
# With widths, depths, kernels and normalisation as published; U-Net's in 3D are LightSkip's choice.
PUBLISHED: dict[int, dict[str, dict[str, Any]]] = {
    3: {"vnet": {"name": "vnet"}, "unet": {"name": "unet"}},
    2: {
        "unet": {"name": "unet", "norm": None},
        "tiramisu 103": {"name": "tiramisu", "form": 103},
        "residual_fcn": {"name": "residual_fcn"},
    },
}
# The highest ratio: of light skips to concat, and of recalibration to the same network without it.
LIGHT = ("at", "sat", "sat4", "scalar", "sse")
MARKS = {"light": {"train": 0.85, "infer": 0.80}, "recalibrated": {"train": 1.10}}


def main() -> int:
    """Measure, print and write the results. Return 0, or 2 for a mistake of the user's."""
    options = _options()
    kind = "_published" * options.published + "_gpu" * (options.device != "cpu")
    options.output = options.output or RESULTS / f"networks_{Path(options.bundle).name}{kind}.json"
    try:
        task = read_task(options)
        plan = load_plan(options.bundle)
        if options.patch and len(options.patch) != len(task.patch):
            expected = f"{len(task.patch)} sizes, as the bundle has axes"
            raise InputError("--patch", found=str(options.patch), expected=expected, remedy="give one per axis")
        given = {"patch": tuple(options.patch or task.patch), "batch": options.batch or task.batch}
        if options.quick:
            # Batch normalisation needs more than one number per channel.
            given = {"patch": (64, 64) if len(task.patch) == 2 else (16, 16, 16), "batch": 1 + options.published}
            options.minutes = 0.0
        task = replace(task, **given)
        networks = {name: _arms(spec, plan, options) for name, spec in _networks(options, len(task.patch)).items()}
    except (InputError, ValueError, TypeError) as error:
        say(f"error: {error}")
        return 2
    results = header("networks", options) | {"task": vars(task), "marks": MARKS, "networks": {}}
    say(
        f"patch {'x'.join(map(str, task.patch))}, batch {task.batch}, {task.precision}, {task.threads} threads, "
        f"{task.device}"
    )
    for name, arms in networks.items():
        found: dict[str, Any] = {"arms": {key: _counts(arm, base, task) for key, (arm, base) in arms.items()}}
        results["networks"][name] = found
        rounds: list[dict[str, Any]] = []
        pairs = {key: (arm, task) for key, (arm, _) in arms.items()}
        for kind, content in stream(measure, pairs, minutes=options.minutes, clock=options.clock):
            if kind == "peaks":
                for key, peaks in content.items():
                    found["arms"][key] |= {phase: {"memory": peak} for phase, peak in peaks.items()}
                continue
            rounds.append(content)
            found["rounds"] = len(rounds)
            _compare(found["arms"], rounds)
            write_json(options.output, results)
        _say_network(name, found)
    say(f"\n{options.output}")
    return 0


def measure(
    pairs: Mapping[str, tuple[Arm, Task]], *, minutes: float, clock: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield ``("peaks", ...)`` once, see :func:`steps.measure_peaks`, then ``("times", ...)`` for each round.

    Run it in a fresh process. Live tensors are counted, so networks that were measured before change nothing.
    """
    yield "peaks", {key: {phase: next(measure_peaks(*pair, phase)) for phase in PHASES} for key, pair in pairs.items()}
    # More rounds say more than more calls in a round.
    for times in time_rounds(pairs, minutes=minutes, repeats=1, clock=clock):
        yield "times", times


def count_bytes(arm: Arm, task: Task) -> dict[str, list[int]]:
    """Return the bytes of each skip for one patch in float32, finest level first.

    Returns:
        ``kept`` is what waits for the decoder (``SkipConnection.keep``), ``transferred`` what the decoder receives
        (``SkipConnection.transfer``). A sum receives as many channels as the decoder has.
    """
    found: dict[str, list[int]] = {"kept": [], "transferred": []}
    kept: dict[str, torch.Tensor] = {}

    def record(name: str, keep: Any, encoder: torch.Tensor) -> torch.Tensor:
        kept[name] = keep(encoder)
        return kept[name]

    with torch.device("meta"), torch.no_grad():
        network = arm.build(task).eval()
        skips = network.skips()
        for name, skip in skips.items():
            skip.keep = partial(record, name, skip.keep)
        network(torch.empty(1, task.in_channels, *arm.patch(task)))
        for name, skip in skips.items():
            decoder = torch.empty(1, skip.decoder_channels, *kept[name].shape[2:])
            found["kept"].append(kept[name].nbytes)
            found["transferred"].append(skip.transfer(kept[name], decoder).nbytes)
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, "networks", minutes=2.0)
    parser.set_defaults(output=None, precision="float32")
    parser.add_argument("--patch", type=int, nargs="+", help="voxels per axis, instead of the bundle's")
    parser.add_argument("--batch", type=int, help="patches per step, instead of the bundle's cases")
    parser.add_argument("--network", action="append", help="a name, or JSON with its arguments; may be repeated")
    parser.add_argument("--skip", action="append", help="a name, instead of the default ones; may be repeated")
    parser.add_argument("--published", action="store_true", help="networks of published widths, not of the bundle's")
    return parser.parse_args()


def _networks(options: argparse.Namespace, spatial_dims: int) -> dict[str, dict[str, Any]]:
    """Return the networks by a name for people: the default ones, or those of the command line."""
    chosen: list[str] | None = options.network
    if not chosen:
        return (PUBLISHED if options.published else NETWORKS)[spatial_dims]
    return {text: json.loads(text) if text.lstrip().startswith("{") else {"name": text} for text in chosen}


def _arms(network: Mapping[str, Any], plan: Plan, options: argparse.Namespace) -> dict[str, tuple[Arm, str]]:
    """Return a network's arms by name, each with the name of the arm that it is compared with."""
    chosen = [skip for skip in (options.skip or (("sat",) if options.quick else SKIPS)) if skip != BASELINE]
    arms = {skip: ({**network, "skip": skip}, BASELINE) for skip in (BASELINE, *chosen)}
    for skip in (BASELINE, "sum"):
        if skip in arms:
            arms[skip + RECALIBRATED] = ({**network, "skip": skip, "recalibrate": "scse"}, skip)
    return {
        name: (Arm(name, spec=read_network(json.dumps(given), plan, published=options.published)), base)
        for name, (given, base) in arms.items()
    }


def _counts(arm: Arm, base: str, task: Task) -> dict[str, Any]:
    forward, step = arm.multiply_adds(task)
    sizes = count_bytes(arm, task)
    return {
        "spec": arm.spec,
        "compared_with": base,
        "parameters": arm.parameters(task),
        "multiply_adds": {"infer": forward, "train": step},
        "bytes": {key: {"total": sum(levels), "levels": levels} for key, levels in sizes.items()},
    }


def _compare(arms: dict[str, Any], rounds: list[dict[str, Any]]) -> None:
    """Add times, the ratios of times and peaks, and whether they are within their mark, to the arms."""
    for phase in PHASES:
        times = {name: [one[name][phase] for one in rounds] for name in arms}
        for name, arm in arms.items():
            base = arm["compared_with"]
            ratio = paired_ratio(times[name], times[base])
            mark = _mark(name, phase)
            arm[phase] |= {
                "seconds": Spread.of(times[name]),
                "ratios": {
                    "seconds": ratio,
                    "live": arm[phase]["memory"]["live"] / arms[base][phase]["memory"]["live"],
                },
                "mark": mark,
                "within_mark": None if mark is None else ratio.median <= mark,
            }


def _mark(name: str, phase: str) -> float | None:
    kind = "recalibrated" if name.endswith(RECALIBRATED) else "light" if name in LIGHT else ""
    return MARKS.get(kind, {}).get(phase)


def _say_network(name: str, found: Mapping[str, Any]) -> None:
    arms = found["arms"]
    say(f"\n{name}: {found['rounds']} rounds. Time: median [quartiles]; ratios to concat, or to the same skip without")
    say("recalibration, within each round; ! is above its mark. Peaks are above weights and batch. MiB of all skips")
    columns = ["skip", "M param.", "G mult-adds", "MiB passed", "MiB kept"]
    columns += [f"{phase} {word}" for phase in PHASES for word in ("ms", "ratio", "MiB", "ratio")]
    rows = []
    for key, arm in arms.items():
        row = [key, f"{arm['parameters'] / 1e6:.3f}", f"{arm['multiply_adds']['infer'] / 1e9:.2f}"]
        row += [f"{arm['bytes'][word]['total'] / MIB:.2f}" for word in ("transferred", "kept")]
        for phase in PHASES:
            one = arm[phase]
            over = "!" if one["within_mark"] is False else ""
            row += [f"{1e3 * one['seconds'].median:.0f}", one["ratios"]["seconds"].text() + over]
            row += [f"{one['memory']['live'] / MIB:.1f}", f"{one['ratios']['live']:.2f}"]
        rows.append(row)
    say(table(columns, rows))


if __name__ == "__main__":
    sys.exit(main())

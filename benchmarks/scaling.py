"""How time and memory grow: with voxels, width and depth of a step, and with the size of a scan.

    python benchmarks/scaling.py
    python benchmarks/scaling.py --only scans --sizes 256 512x512x600 --full --classes 20

V-Nets with concatenation and with one other skip connection, MONAI's DynUNet and UNet of the same widths beside them.
The result is written after every round and every scan; a second start with the same options goes on from there.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from arms import Arm, Task, parse_skip, read_task
from measure import Spread, add_options, header, paired_ratio, plain, say, table, write_json
from memory import stream
from scans import MONAI, measure_scans, parse_size, size_text
from steps import PHASES, timed_rounds

from pipeline.data.errors import InputError

__all__ = ["main"]

BASELINE = "concat"
SIZES = ("96", "128", "192", "256")
LARGEST = "512x512x600"


@dataclass(frozen=True)
class Point:
    """A network at one place of a series; ``value`` is what the series varies."""

    series: str
    value: float
    arm: Arm
    task: Task

    @property
    def size(self) -> str:
        """Patch, widths and levels in words."""
        channels = "-".join(map(str, self.task.network["channels"]))
        return f"{size_text(self.task.patch)}, {channels}"


def main() -> int:
    """Measure, print and write; 0, or 2 for a mistake of the user's."""
    options = _options()
    try:
        task = read_task(options)
        sizes = [parse_size(text, len(task.patch)) for text in options.sizes]
        other = parse_skip(options.skip)
        arms = {arm.name: arm for arm in (Arm(BASELINE, BASELINE), other)}
        if options.quick:
            task = replace(task.resized(width=0.5), patch=(32,) * len(task.patch), batch=1)
            task = replace(task, window=task.patch)
            sizes, options.minutes = [(48,) * len(task.patch)], 0.0
        task = replace(task, out_channels=options.classes or task.out_channels)
        with torch.device("meta"):
            other.build(task)
    except (InputError, ValueError, TypeError) as error:
        say(f"error: {error}")
        return 2
    results = _begun(options, task)
    say(f"batch {task.batch}, {task.precision}, {task.threads} threads, {task.device}; window {size_text(task.window)}")
    if options.only != "scans":
        _steps(results, list(arms.values()), task, options)
    if options.only != "steps":
        measure_scans(results, list(arms.values()), task, sizes, options.output)
    say(f"\n{options.output}")
    return 0


def step_points(arms: Sequence[Arm], task: Task, *, quick: bool) -> dict[str, Point]:
    """Series over voxels, width and levels around one patch, which the deepest network takes too; MONAI's at two."""
    deepest = task.levels + (0 if quick else 1)
    divisor = task.resized(levels=deepest).size_divisor
    patch = tuple(-(-size // d) * d for size, d in zip(task.patch, divisor, strict=True))
    smaller = tuple(size // 2 for size in patch)
    # At 1.5 and at half of the patch four levels still fit.
    factors = (0.5, 1) if quick else (0.5, 1, 1.5, 2)
    patches = [tuple(int(size * factor) for size in patch) for factor in factors]
    series: list[tuple[str, float, Task]] = [
        ("voxels", math.prod(one) * task.batch, task.resized(patch=one)) for one in patches
    ]
    series += [("width", width, task.resized(width=width, patch=patch)) for width in ((1, 2) if quick else (0.5, 1, 2))]
    series += [("levels", n, task.resized(levels=n, patch=patch)) for n in range(task.levels - 1, deepest + 1)]
    points = [Point(name, value, arm, one) for name, value, one in series for arm in arms]
    points += [
        Point("voxels", math.prod(one) * task.batch, Arm(name), task.resized(patch=one))
        for one in (smaller, patch)
        for name in MONAI
    ]
    return {f"{point.series} {point.value:g} {point.arm.name}": point for point in points}


def exponent(values: Sequence[float], times: Sequence[float]) -> float:
    """Slope of log time over log value, by least squares: time grows as value to this power."""
    return statistics.linear_regression([math.log(v) for v in values], [math.log(t) for t in times]).slope


def _steps(results: dict[str, Any], arms: list[Arm], task: Task, options: argparse.Namespace) -> None:
    points = step_points(arms, task, quick=options.quick)
    if not results.get("steps_complete"):
        rows = {name: _counts(point) for name, point in points.items()}
        pairs = {name: (point.arm, point.task) for name, point in points.items()}
        rounds = []
        for times in stream(
            timed_rounds, pairs, minutes=options.minutes, repeats=1 if options.quick else 2, clock=options.clock
        ):
            rounds.append(times)
            for name, row in rows.items():
                base = f"{points[name].series} {points[name].value:g} {BASELINE}"
                for phase in PHASES:
                    mine, bases = ([times[key][phase] for times in rounds] for key in (name, base))
                    spread = Spread.of(mine)
                    rate = 2 * row["multiply_adds"][phase] / spread.median / 1e9
                    row[phase] = {"seconds": spread, "ratio": paired_ratio(mine, bases), "gflops_per_second": rate}
            results |= {"steps": rows, "rounds": len(rounds), "exponents": _exponents(rows)}
            write_json(options.output, results)
        results["steps_complete"] = True
        write_json(options.output, results)
    _say_steps(plain(results))


def _counts(point: Point) -> dict[str, Any]:
    forward, step = point.arm.multiply_adds(point.task)
    return {
        "series": point.series,
        "value": point.value,
        "arm": point.arm.name,
        "size": point.size,
        "parameters": point.arm.parameters(point.task),
        "multiply_adds": {"infer": forward, "train": step},
    }


def _exponents(rows: dict[str, Any]) -> dict[str, dict[str, dict[str, float]]]:
    found: dict[str, dict[str, dict[str, float]]] = {}
    for series in ("voxels", "width"):
        for arm in {row["arm"] for row in rows.values() if row["series"] == series}:
            mine = [row for row in rows.values() if (row["series"], row["arm"]) == (series, arm)]
            values = [row["value"] for row in mine]
            times = {phase: [row[phase]["seconds"].median for row in mine] for phase in PHASES}
            found.setdefault(series, {})[arm] = {phase: exponent(values, times[phase]) for phase in PHASES}
    return found


def _begun(options: argparse.Namespace, task: Task) -> dict[str, Any]:
    """Take the unfinished results of the same settings, or none, and note this start in them."""
    head = header("scaling", options)
    # As JSON gives them back: lists for tuples.
    settings = plain({"task": vars(task), "skip": options.skip, "clock": options.clock, "quick": options.quick})
    results: dict[str, Any] = {"benchmark": "scaling", "settings": settings, "starts": []}
    if options.output.is_file() and not options.fresh:
        found = json.loads(options.output.read_text(encoding="utf-8"))
        if found.get("settings") == settings and found["starts"][-1]["versions"] == head["versions"]:
            results = found
            say(f"going on with {options.output}; --fresh begins anew")
    results["starts"].append(head)
    return results


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, "scaling", minutes=3.0)
    parser.add_argument("--skip", default="sat", help="name or JSON of the skip beside concat [%(default)s]")
    parser.add_argument("--only", choices=["steps", "scans"], help="one of the two parts")
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), help="of scans, voxels: 128 or 512x512x300")
    parser.add_argument("--full", action="store_true", help=f"also a scan of {LARGEST}: many minutes on a CPU")
    parser.add_argument("--classes", type=int, help="output channels, instead of the plan's")
    parser.add_argument("--fresh", action="store_true", help="measure again what the output file has already")
    options = parser.parse_args()
    options.sizes = [*options.sizes, *([LARGEST] if options.full else [])]
    return options


def _say_steps(results: dict[str, Any]) -> None:
    say("\nOne step: median [quartiles] over rounds; ratios to concat of the same size in the same round")
    columns = ["series", "network", "patch, widths", "G mult-adds", "train ms", "GFLOP/s", "ratio"]
    rows = [
        [f"{row['series']} {row['value']:g}", row["arm"], row["size"]]
        + [f"{row['multiply_adds']['train'] / 1e9:.1f}"]
        + [text for phase in PHASES for text in _step_texts(row[phase])]
        for row in results["steps"].values()
    ]
    say(table([*columns, "infer ms", "GFLOP/s", "ratio"], rows))
    say("\nTime grows as the power of")
    rows = [
        [series, arm, *(f"{powers[phase]:.2f}" for phase in PHASES)]
        for series, arms in results["exponents"].items()
        for arm, powers in sorted(arms.items())
    ]
    say(table(["series", "network", "train", "infer"], rows))


def _step_texts(phase: dict[str, Any]) -> list[str]:
    times, ratio = Spread(**phase["seconds"]), Spread(**phase["ratio"])
    return [times.text(1e3, 0), f"{phase['gflops_per_second']:.0f}", ratio.text()]


if __name__ == "__main__":
    sys.exit(main())

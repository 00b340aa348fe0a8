"""Measure how the time of a training step and of an inference grows with voxels, width and depth.

    python benchmarks/scaling.py
    python benchmarks/scaling.py --skip '["sat", {"maps": 4}]' --minutes 10

The networks are V-Nets with concatenation and with another skip connection, and MONAI's DynUNet and UNet of the same
widths. The result is written after every round. `predict.py memory` measures whole scans.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from arms import MONAI_ARMS, Arm, Task, parse_skip, read_task
from measure import Spread, add_options, header, paired_ratio, say, table, write_json
from processes import stream
from steps import PHASES, time_rounds

from pipeline.data.errors import InputError

__all__ = ["main"]

BASELINE = "concat"
# With its 5x5x5 kernels MONAI's VNet would take most of the time; skips.py measures it.
MONAI = tuple(name for name in MONAI_ARMS if name != "MONAI VNet")


@dataclass(frozen=True)
class Point:
    """A network at one place of a series; ``value`` is what the series varies."""

    series: str
    value: float
    arm: Arm
    task: Task

    @property
    def size(self) -> str:
        """The patch and the widths of all levels as text."""
        channels = "-".join(map(str, self.task.network["channels"]))
        return f"{_size_text(self.task.patch)}, {channels}"


def main() -> int:
    """Measure, print and write the results. Return 0, or 2 for a mistake of the user's."""
    options = _options()
    try:
        task = read_task(options)
        other = parse_skip(options.skip)
        arms = {arm.name: arm for arm in (Arm(BASELINE, BASELINE), other)}
        if options.quick:
            task = replace(task.resized(width=0.25), patch=(16,) * len(task.patch), batch=1)
            options.minutes = 0.0
        with torch.device("meta"):
            other.build(task)
    except (InputError, ValueError, TypeError) as error:
        say(f"error: {error}")
        return 2
    say(f"batch {task.batch}, {task.precision}, {task.threads} threads, {task.device}")
    results = header("scaling", options) | {"task": vars(task)}
    _steps(results, list(arms.values()), task, options)
    _say_steps(results)
    say(f"\n{results['rounds']} rounds; {options.output}")
    return 0


def step_points(arms: Sequence[Arm], task: Task, *, quick: bool) -> dict[str, Point]:
    """Return series over voxels, width and levels for one patch that fits the deepest network too, MONAI's at two."""
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
    """Return the power of the value by which time grows: the slope of log time over log value, by least squares."""
    return statistics.linear_regression([math.log(v) for v in values], [math.log(t) for t in times]).slope


def _steps(results: dict[str, Any], arms: list[Arm], task: Task, options: argparse.Namespace) -> None:
    points = step_points(arms, task, quick=options.quick)
    rows = {name: _counts(point) for name, point in points.items()}
    pairs = {name: (point.arm, point.task) for name, point in points.items()}
    rounds: list[dict[str, dict[str, float]]] = []
    repeats = 1 if options.quick else 2
    for times in stream(time_rounds, pairs, minutes=options.minutes, repeats=repeats, clock=options.clock):
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


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, "scaling", minutes=3.0)
    parser.add_argument("--skip", default="sat", help="name or JSON of the skip to compare with concat [%(default)s]")
    return parser.parse_args()


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
    return [phase["seconds"].text(1e3, 0), f"{phase['gflops_per_second']:.0f}", phase["ratio"].text()]


def _size_text(size: Sequence[int]) -> str:
    return "x".join(map(str, size))


if __name__ == "__main__":
    sys.exit(main())

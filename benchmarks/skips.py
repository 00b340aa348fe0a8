"""Measure how light each skip connection is: parameters, multiply-adds, time and memory, against concatenation.

    python benchmarks/skips.py
    python benchmarks/skips.py --skip sat --skip '["sat", {"maps": 4, "merge": "sum"}]' --minutes 2

The networks are V-Nets with the widths of a bundle's plan, and MONAI's networks. Times are measured in turn, and ratios
are taken within a round: to ``concat`` in the plan's form, and to ``concat, merged``, the paper's form, whose decoder
is as wide as the concatenation. Memory peaks are those of the first two steps of a fresh process.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from typing import Any

import torch
from arms import MONAI_ARMS, REMARKS, Arm, Task, parse_skip, read_task
from measure import Spread, add_options, header, paired_ratio, say, table, write_json
from processes import stream
from steps import PHASES, measure_peaks, time_rounds
from tqdm import tqdm

from pipeline.bench.live_memory import MIB
from pipeline.data.errors import InputError

__all__ = ["main"]

BASELINE = "concat"
# The paper's form: a stage as wide as the concatenation, 16 + 16 or 16 + 1 channels.
PAPER = ", merged"
BASELINES = (BASELINE, BASELINE + PAPER)
SKIPS = (
    "sum",
    "none",
    "at",
    "st",
    "sat",
    '["sat", {"maps": 4}]',
    '["sat", {"maps": 4, "merge": "sum", "gate": "linear"}]',
)
# SAT's targets, as ratios to concat.
MARKS = {"train": {"time": 0.85, "memory": 0.85}, "infer": {"time": 0.80, "memory": 0.75}}
RATIOS = ("to concat", "to merged")


def main() -> int:
    """Measure, print and write the results. Return 0, or 2 for a mistake of the user's."""
    options = _options()
    try:
        task = read_task(options)
        arms = _arms(options)
        if options.quick:
            task = replace(task.resized(width=0.25), patch=(16,) * len(task.patch), batch=1)
            options.minutes = 0.0
        for arm in arms.values():
            with torch.device("meta"):
                arm.build(task)
    except (InputError, ValueError, TypeError) as error:
        say(f"error: {error}")
        return 2
    results = header("skips", options) | {"task": vars(task), "marks": MARKS, "remarks": REMARKS}
    _say_task(task)
    results["arms"] = {name: {"skip": arm.skip, **_counts(arm, task)} for name, arm in arms.items()}
    for name, arm in tqdm(arms.items(), desc="memory", leave=False, disable=None):
        results["arms"][name] |= {phase: {"memory": next(stream(measure_peaks, arm, task, phase))} for phase in PHASES}
    pairs = {name: (arm, task) for name, arm in arms.items()}
    rounds: list[dict[str, Any]] = []
    for times in stream(
        time_rounds, pairs, minutes=options.minutes, repeats=1 if options.quick else 3, clock=options.clock
    ):
        rounds.append(times)
        _compare(results["arms"], rounds)
        results["rounds"] = len(rounds)
        write_json(options.output, results)
    _say_results(results)
    say(f"\n{len(rounds)} rounds; {options.output}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, "skips", minutes=4.0)
    parser.add_argument("--skip", action="append", help="a name or JSON, instead of the default ones; may be repeated")
    parser.add_argument("--no-monai", action="store_true", help="leave MONAI's networks out")
    return parser.parse_args()


def _arms(options: argparse.Namespace) -> dict[str, Arm]:
    usual = ("sat",) if options.quick else SKIPS
    chosen = [parse_skip(text) for text in (BASELINE, *(options.skip or usual))]
    paper = [replace(arm, name=arm.name + PAPER, residual="merged") for arm in chosen if arm.name in (BASELINE, "sat")]
    monai = () if options.no_monai else MONAI_ARMS
    return {arm.name: arm for arm in (*chosen, *paper, *map(Arm, monai))}


def _counts(arm: Arm, task: Task) -> dict[str, Any]:
    forward, step = arm.multiply_adds(task)
    return {
        "patch": arm.patch(task),
        "parameters": arm.parameters(task),
        "multiply_adds": {"infer": forward, "train": step},
    }


def _compare(arms: dict[str, Any], rounds: list[dict[str, Any]]) -> None:
    """Add times, and the ratios of times and peaks to both baselines, to the arms."""
    for phase in PHASES:
        times = {name: [one[name][phase] for one in rounds] for name in arms}
        for name, arm in arms.items():
            arm[phase]["seconds"] = Spread.of(times[name])
            arm[phase]["ratios"] = {
                base: {
                    "seconds": paired_ratio(times[name], times[base]),
                    "live": arm[phase]["memory"]["live"] / arms[base][phase]["memory"]["live"],
                }
                for base in BASELINES
            }


def _say_task(task: Task) -> None:
    size = "x".join(map(str, task.patch))
    say(f"patch {size}, batch {task.batch}, {task.precision}, {task.threads} threads, {task.device}")
    say("V-Net: " + ", ".join(f"{key} {value}" for key, value in task.network.items()))
    for name, remark in REMARKS.items():
        say(f"{name}: {remark}")


def _say_results(results: dict[str, Any]) -> None:
    arms = results["arms"]
    say("\nTime: median [quartiles] over rounds; ratios to both forms of concat, within each round")
    columns = ["network", "M param.", "G mult-adds", "train ms", *RATIOS, "infer ms", *RATIOS]
    rows = [
        [name, f"{arm['parameters'] / 1e6:.3f}", f"{arm['multiply_adds']['infer'] / 1e9:.2f}"]
        + [text for phase in PHASES for text in _time_texts(arm[phase])]
        for name, arm in arms.items()
    ]
    marks = [f"<= {MARKS[phase]['time']:.2f}" for phase in PHASES]
    say(table(columns, [*rows, ["target for sat", "", "", "", marks[0], "", "", marks[1], ""]]))
    say("\nPeak memory above weights and batch, MiB; ratios to both forms of concat")
    for phase in PHASES:
        mark = f"<= {MARKS[phase]['memory']:.2f}"
        rows = [[name, *_memory_texts(arm[phase])] for name, arm in arms.items()]
        say(table([f"{phase}: network", "live", *RATIOS], [*rows, ["target for sat", "", mark, ""]]))


def _time_texts(found: dict[str, Any]) -> list[str]:
    ratios = [found["ratios"][base]["seconds"] for base in BASELINES]
    return [found["seconds"].text(1e3, 0), ratios[0].text(), f"{ratios[1].median:.2f}"]


def _memory_texts(found: dict[str, Any]) -> list[str]:
    ratios = [found["ratios"][base]["live"] for base in BASELINES]
    return [f"{found['memory']['live'] / MIB:.1f}", *(f"{ratio:.2f}" for ratio in ratios)]


if __name__ == "__main__":
    sys.exit(main())

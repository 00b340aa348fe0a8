"""Measure a training step with another activation, memory format, precision or memory allocator.

    python benchmarks/variants.py
    python benchmarks/variants.py --skip sat --compile

Each variant changes one thing in the bundle's own network. Times are measured in turn, and ratios are to the bundle's
own network in the same round.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from arms import Arm, Task, parse_skip, read_task
from measure import Spread, add_options, header, paired_ratio, rounds_in_time, say, seconds, table, write_json
from processes import stream
from steps import PHASES, Work, warm_up

from pipeline.data.errors import InputError
from pipeline.training import keep_memory

__all__ = ["main"]

OWN, COMPILED = "as the bundle has it", "torch.compile"
SLOPE = {"negative_slope": 0.01}


def main() -> int:
    """Measure, print and write the results. Return 0, or 2 for a mistake of the user's."""
    options = _options()
    try:
        task = read_task(options)
        skip = json.loads((Path(options.bundle) / "configs" / "train.json").read_text(encoding="utf-8"))["skip"]
        arm = parse_skip(options.skip or json.dumps(skip))
    except InputError as error:
        say(f"error: {error}")
        return 2
    if options.quick:
        task = replace(task.resized(width=0.5), patch=(16,) * len(task.patch), batch=1)
        options.minutes = 0.0
    results = header("variants", options)
    rounds = list(stream(_rounds, arm, task, minutes=options.minutes, compiled=options.compile, clock=options.clock))
    results["variants"] = {
        name: {
            phase: {
                "seconds": Spread.of([one[name][phase] for one in rounds]),
                "ratio": paired_ratio([one[name][phase] for one in rounds], [one[OWN][phase] for one in rounds]),
            }
            for phase in PHASES
        }
        for name in rounds[0]
    }
    if options.compile:
        results["compile_seconds"] = rounds[0][COMPILED]["start"]
    results["allocator"] = _allocator(arm, task, options)
    write_json(options.output, results)
    _say(results)
    say(f"\n{len(rounds)} rounds; {options.output}")
    return 0


def _rounds(
    arm: Arm, task: Task, *, minutes: float, compiled: bool, clock: str
) -> Iterator[dict[str, dict[str, float]]]:
    keep_memory()
    warm_up(task)
    works = {name: change(arm, task) for name, change in _variants(compiled=compiled).items()}

    def both(work: Work) -> dict[str, float]:
        return {phase: seconds(work.phase(phase), task.device, repeats=3, clock=clock) for phase in PHASES}

    calls = {name: partial(both, work) for name, work in works.items()}
    if compiled:
        # The first calls compile. Their time counts once, not as that of a step.
        spent = seconds(lambda: both(works[COMPILED]), task.device, repeats=1, clock=clock)
        calls[COMPILED] = lambda: both(works[COMPILED]) | {"start": spent}
    yield from rounds_in_time(calls, minutes=minutes, at_least=3, seed=task.seed)


def _variants(*, compiled: bool) -> dict[str, Callable[[Arm, Task], Work]]:
    def layers(**changed: Any) -> Callable[[Arm, Task], Work]:
        return lambda arm, task: Work(arm, replace(task, network=task.network | changed))

    grouped = layers(norm=["group", {"num_groups": 8}])
    known = {
        OWN: Work,
        "activation in place": layers(act=["leakyrelu", SLOPE | {"inplace": True}]),
        "PReLU": layers(act="prelu"),
        "channels last": lambda arm, task: _channels_last(Work(arm, task)),
        "group normalisation": grouped,
        "group normalisation, channels last": lambda arm, task: _channels_last(grouped(arm, task)),
        "float32": lambda arm, task: Work(arm, replace(task, precision="float32")),
    }
    return known | ({COMPILED: _compiled} if compiled else {})


def _channels_last(work: Work) -> Work:
    form = torch.channels_last_3d if work.images.ndim == 5 else torch.channels_last
    work.network = work.network.to(memory_format=form)  # type: ignore[call-overload]
    work.images = work.images.to(memory_format=form)
    return work


def _compiled(arm: Arm, task: Task) -> Work:
    work = Work(arm, task)
    work.network.compile()
    return work


def _allocator(arm: Arm, task: Task, options: argparse.Namespace) -> dict[str, Any]:
    """Compare a training step with default malloc and with freed memory kept. Each needs its own process."""
    found: dict[str, list[float]] = {"gives back": [], "keeps": []}
    for _ in range(1 if options.quick else 5):
        for name, times in found.items():
            times.append(next(stream(_one_step, arm, task, keep=name == "keeps", clock=options.clock)))
    ratio = paired_ratio(found["keeps"], found["gives back"])
    return {"seconds": {name: Spread.of(times) for name, times in found.items()}, "ratio": ratio}


def _one_step(arm: Arm, task: Task, *, keep: bool, clock: str) -> Iterator[float]:
    if keep:
        keep_memory()
    warm_up(task)
    yield seconds(Work(arm, task).train, task.device, repeats=7, clock=clock)


def _say(results: dict[str, Any]) -> None:
    rows = [
        [name, *(text for phase in PHASES for text in (one[phase]["seconds"].text(1e3, 0), one[phase]["ratio"].text()))]
        for name, one in results["variants"].items()
    ]
    say(table(["variant", "train ms", "ratio", "infer ms", "ratio"], rows))
    if "compile_seconds" in results:
        say(f"\ncompiling, with its first steps: {results['compile_seconds']:.0f} s")
    allocator = results["allocator"]
    say(f"\nmalloc keeping freed memory, against returning it: training step {allocator['ratio'].text()}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, "variants", minutes=2.0)
    parser.add_argument("--skip", help="a name or JSON [the bundle's]")
    parser.add_argument("--compile", action="store_true", help="torch.compile too: minutes, and a C++ compiler")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

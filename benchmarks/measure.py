"""Helpers of all benchmarks: repeated measurements and their spread, tables for people, JSON for machines.

The speed of a shared machine changes from minute to minute. So no two runs are compared. Things to compare are measured
in turn, round after round, and ratios are taken within each round.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import torch
from tqdm import tqdm

from pipeline.bench.machine import cpu_model
from pipeline.files import write_text

__all__ = [
    "RESULTS",
    "Spread",
    "add_options",
    "header",
    "paired_ratio",
    "rounds_in_time",
    "say",
    "seconds",
    "table",
    "write_json",
]

RESULTS = Path(__file__).resolve().parent / "results"
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
_PACKAGES = ("lightskip", "torch", "monai", "numpy", "pytorch-ignite")


@dataclass(frozen=True)
class Spread:
    """Median, quartiles and number of repeated measurements, in the unit of the measurements."""

    median: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Summarise one or more values. The quartiles are interpolated between the values."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0], 1)
        low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(middle, low, high, len(values))

    def text(self, scale: float = 1.0, digits: int = 2) -> str:
        """Return "median [lower quartile, upper quartile]", each times ``scale``."""
        median, low, high = (f"{scale * value:.{digits}f}" for value in (self.median, self.low, self.high))
        return f"{median} [{low}, {high}]"


def paired_ratio(values: Sequence[float], baseline: Sequence[float]) -> Spread:
    """Return the spread of the ratios to the baseline. Each is taken within a round, which affects both."""
    return Spread.of([value / base for value, base in zip(values, baseline, strict=True)])


def seconds(work: Callable[[], object], device: str, *, repeats: int, clock: str = "wall") -> float:
    """Return the median time (s) of some calls after an untimed one. Stop early if the calls took a second together.

    Args:
        work: the function to call.
        device: where it computes.
        repeats: number of timed calls.
        clock: ``"wall"``, or ``"cpu"`` for the processor time of this process. With one thread that is the time on an
            otherwise idle core. With several threads it includes their waiting for each other.
    """
    now = CLOCKS[clock]
    work()
    times: list[float] = []
    while len(times) < repeats and sum(times) < 1:
        _synchronise(device)
        start = now()
        work()
        _synchronise(device)
        times.append(now() - start)
    return statistics.median(times)


def rounds_in_time(
    works: Mapping[str, Callable[[], Any]], *, minutes: float, at_least: int, seed: int
) -> Iterator[dict[str, Any]]:
    """Call all functions in rounds, in a new random order each time, until the time is over.

    Args:
        works: the functions to call, by name.
        minutes: time for all rounds. A round does not start if it would end later, judged by the previous round.
        at_least: minimum number of rounds, however long they take.
        seed: seed of the orders.

    Yields:
        For each round, what each function returned, by name.
    """
    order = random.Random(seed)
    start = time.monotonic()
    rounds, last = 0, 0.0
    while rounds < at_least or time.monotonic() - start + last < 60 * minutes:
        round_start = time.monotonic()
        names = order.sample(list(works), len(works))
        yield {name: works[name]() for name in tqdm(names, desc=f"round {rounds + 1}", leave=False, disable=None)}
        rounds, last = rounds + 1, time.monotonic() - round_start


def add_options(parser: argparse.ArgumentParser, name: str, *, minutes: float) -> None:
    """Add the options that all benchmarks have, with the benchmark's name and default minutes."""
    parser.add_argument(
        "--bundle",
        default="bundles/hippocampus_mri",
        help="its plan sizes the networks [%(default)s]",
    )
    parser.add_argument("--minutes", type=float, default=minutes, help="time for the rounds of timing [%(default)s]")
    parser.add_argument("--seed", type=int, default=0, help="of weights, inputs and the order in a round [%(default)s]")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="PyTorch's threads [%(default)s]")
    parser.add_argument(
        "--clock", choices=list(CLOCKS), default="wall", help="cpu: one thread on a busy machine [%(default)s]"
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda:0, ... [%(default)s]")
    parser.add_argument("--precision", default="auto", help="auto, bfloat16, float16, float32 [%(default)s]")
    parser.add_argument("--quick", action="store_true", help="toy sizes, a few seconds: only shows that it runs")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / f"{name}.json", help="the JSON [%(default)s]")


def header(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return the description of a run that goes with its numbers: the machine, the versions, the options."""
    # Only the last part of a path: the folders of this machine do not matter.
    given = {
        key: value.name if isinstance(value, Path) else value for key, value in vars(options).items() if key != "output"
    }
    words = [Path(word).name if Path(word).is_absolute() else word for word in sys.argv[1:]]
    return {
        "benchmark": name,
        "command": shlex.join(["python", f"benchmarks/{name}.py", *words]),
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "machine": machine(options.device or "cpu", options.threads),
        "versions": {"python": platform.python_version()} | {package: version(package) for package in _PACKAGES},
        "options": given,
    }


def machine(device: str, threads: int) -> dict[str, Any]:
    """Return the processor, its cores, the memory (GiB), and the load average over a minute."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found = {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "cores_allowed": affinity,
        "threads": threads,
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "load_average": round(os.getloadavg()[0], 2),
    }
    return found | ({"gpu": torch.cuda.get_device_name(device)} if torch.device(device).type == "cuda" else {})


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a text table. The first column is aligned to the left, the others to the right."""
    widths = [max(len(row[i]) for row in (columns, *rows)) for i in range(len(columns))]
    lines = [
        "  ".join(f"{cell:{'<' if i == 0 else '>'}{widths[i]}}" for i, cell in enumerate(row)).rstrip()
        for row in (columns, ["-" * width for width in widths], *rows)
    ]
    return "\n".join(lines)


def say(text: str = "") -> None:
    """Print a line for people."""
    print(text, flush=True)  # noqa: T201


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write the results in full or not at all."""
    write_text(path, json.dumps(content, default=_to_json, indent=2) + "\n")


def _to_json(value: object) -> Any:
    return asdict(value) if isinstance(value, Spread) else str(value)


def _synchronise(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)

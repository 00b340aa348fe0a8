"""What every benchmark shares: repeated measurements and their spread, tables for people, JSON for machines.

A machine that others use too is slower from one minute to the next. So nothing here compares two runs: what is
compared is measured in turn, round after round, and a ratio is taken within each round.
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
    """Median and quartiles of repeated measurements, in the unit of what was measured, and how many there were."""

    median: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Summarise at least one value; the quartiles are interpolated between the values themselves."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0], 1)
        low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(middle, low, high, len(values))

    def text(self, scale: float = 1.0, digits: int = 2) -> str:
        """Median [lower quartile, upper quartile], each times ``scale``."""
        median, low, high = (f"{scale * value:.{digits}f}" for value in (self.median, self.low, self.high))
        return f"{median} [{low}, {high}]"


def paired_ratio(values: Sequence[float], baseline: Sequence[float]) -> Spread:
    """Spread of the ratios to the baseline, each taken within one round: what slows a round down slows both."""
    return Spread.of([value / base for value, base in zip(values, baseline, strict=True)])


def seconds(work: Callable[[], object], device: str, *, repeats: int, clock: str = "wall") -> float:
    """Median time (s) of some calls in a row, after one that is not timed; fewer calls where they take seconds.

    Args:
        work: what is called.
        device: where it computes.
        repeats: how many calls are timed.
        clock: ``"wall"``, or ``"cpu"`` for the processor time of this process: with one thread, the time that it would
            take alone, however many others wait for the same core; with several, it counts their waiting too.
    """
    now = CLOCKS[clock]
    work()
    times: list[float] = []
    while len(times) < repeats and sum(times) < 1:
        _finish(device)
        start = now()
        work()
        _finish(device)
        times.append(now() - start)
    return statistics.median(times)


def rounds_in_time(
    works: Mapping[str, Callable[[], Any]], *, minutes: float, at_least: int, seed: int
) -> Iterator[dict[str, Any]]:
    """Call all the works, in an order shuffled anew for each round, until the time is over.

    Args:
        works: what to measure, by name.
        minutes: no round begins that would end after this time, if it took as long as the last one.
        at_least: rounds to make however long they take.
        seed: of the orders.

    Yields:
        What each work returned, by name, for each round.
    """
    order = random.Random(seed)
    start = time.monotonic()
    made, last = 0, 0.0
    while made < at_least or time.monotonic() - start + last < 60 * minutes:
        begun = time.monotonic()
        names = order.sample(list(works), len(works))
        yield {name: works[name]() for name in tqdm(names, desc=f"round {made + 1}", leave=False, disable=None)}
        made, last = made + 1, time.monotonic() - begun


def add_options(parser: argparse.ArgumentParser, name: str, *, minutes: float) -> None:
    """Add the options that all benchmarks have; ``name`` is the benchmark's, ``minutes`` its default."""
    parser.add_argument("--bundle", default="bundles/hippocampus_mri", help="whose plan.yaml sizes the networks")
    parser.add_argument("--minutes", type=float, default=minutes, help="time for the rounds of timing [%(default)s]")
    parser.add_argument("--seed", type=int, default=0, help="of weights, inputs and the order in a round")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of PyTorch [%(default)s]")
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall", help="cpu: one thread on a busy machine")
    parser.add_argument("--device", default="cpu", help="cpu, cuda:0, ... [%(default)s]")
    parser.add_argument("--precision", default="auto", help="auto, bfloat16, float16, float32 [%(default)s]")
    parser.add_argument("--quick", action="store_true", help="toy sizes, some seconds: shows that it runs, no more")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / f"{name}.json", help="the JSON [%(default)s]")


def header(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """What has to be known about a run to read its numbers: the machine, the versions, the options."""
    # Of a path its last part: where things lie on this machine says nothing about the numbers.
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
    """The processor, its cores, the memory (GiB), and how busy others keep it (load average over a minute)."""
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
    """Align rows of text under their columns: the first to the left, the others to the right."""
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
    """Write the results, whole or not at all."""
    write_text(path, json.dumps(content, default=_plain, indent=2) + "\n")


def _plain(value: object) -> Any:
    return asdict(value) if isinstance(value, Spread) else str(value)


def _finish(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)

"""Whole scans by sliding window: how time and memory grow with the scan, and what the memory is made of."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import torch
from arms import MONAI_ARMS, Arm, Task
from measure import Spread, plain, say, seconds, table, write_json
from memory import MIB, available_bytes, device_peak, resident_peak, stream
from monai.data.utils import dense_patch_slices
from steps import Work, begin, peaks

from pipeline.data.errors import InputError
from pipeline.inference import PrecisionSlidingWindowInferer

__all__ = ["MONAI", "count_windows", "measure_scans", "parse_size", "scan_cost", "size_text", "window_cost"]

# As configs/inference.yaml has it.
WINDOWS_AT_ONCE = 2
FLOAT = 4
# With its 5x5x5 kernels MONAI's VNet would take most of the time; skips.py measures it.
MONAI = tuple(name for name in MONAI_ARMS if name != "MONAI VNet")


def measure_scans(
    results: dict[str, Any], arms: Sequence[Arm], task: Task, sizes: Sequence[tuple[int, ...]], output: Path
) -> None:
    """Segment a scan of each size with each network, and with MONAI's at the first two sizes; print a table.

    Args:
        results: where ``scans`` and ``windows`` are put; what is there already is not measured again. The ratio of
            two scans is told where both are of the last start.
        arms: networks; the first is what the others are compared with.
        task: what they compute on.
        sizes: of scans, voxels.
        output: file in which the results are written after each scan.
    """
    say("\nWhole scans, sliding window: one scan in a fresh process, MiB above weights")
    done = results.setdefault("scans", {})
    start = len(results["starts"]) - 1
    for i, size in enumerate(sizes):
        for arm in [*arms, *(Arm(name) for name in MONAI if i < 2)]:
            name = f"{size_text(size)} {arm.name}"
            if name in done:
                continue
            window = results.setdefault("windows", {}).setdefault(arm.name, {})
            if not window:
                for found in stream(window_cost, arm, task):
                    window |= found
            row = {"arm": arm.name, "size": size, "start": start, **_expected(task, size, window["resident"])}
            minutes = row["windows"] / WINDOWS_AT_ONCE * window["seconds"] / 60
            available = available_bytes() if task.device == "cpu" else None
            if available is not None and sum(row["expected"].values()) > available:
                say(f"{name}: left out, {_mib(sum(row['expected'].values()))} MiB needed, {_mib(available)} available")
                continue
            say(f"{name}: {row['windows']} windows, about {minutes:.1f} minutes")
            done[name] = row | next(stream(scan_cost, arm, task, size))
            write_json(output, results)
    _say_scans(plain(results["scans"]), arms[0].name)


def count_windows(size: Sequence[int], window: Sequence[int], overlap: float) -> int:
    """Windows that MONAI lays over a scan of that size (voxels)."""
    padded = [max(pair) for pair in zip(size, window, strict=True)]
    steps = [n if n == whole else max(int(n * (1 - overlap)), 1) for n, whole in zip(window, padded, strict=True)]
    return len(dense_patch_slices(padded, window, steps))


def parse_size(text: str, dimensions: int) -> tuple[int, ...]:
    """Read a size (voxels) from the command line: ``128``, or ``512x512x300``.

    Raises:
        InputError: when it is neither, or has another number of axes.
    """
    parts = text.split("x")
    numbers = [int(part) if part.isdecimal() else 0 for part in parts * (dimensions if len(parts) == 1 else 1)]
    if len(numbers) != dimensions or min(numbers) < 1:
        raise InputError(
            "--sizes",
            found=repr(text),
            expected=f"{dimensions} numbers of voxels, or one for all axes",
            remedy="write 128 or 512x512x300",
        )
    return tuple(numbers)


def size_text(size: Sequence[int]) -> str:
    """``40x56x40``."""
    return "x".join(map(str, size))


def window_cost(arm: Arm, task: Task) -> Iterator[dict[str, Any]]:
    """Peak (bytes) and time (s) of inference on as many windows as are computed at once; for a fresh process."""
    at_once = replace(task, patch=task.window, batch=WINDOWS_AT_ONCE)
    yield from ({"resident": found["resident"] or found["live"]} for found in peaks(arm, at_once, "infer"))
    yield {"seconds": seconds(Work(arm, at_once).infer, task.device, repeats=3)}


def scan_cost(arm: Arm, task: Task, size: tuple[int, ...]) -> Iterator[dict[str, Any]]:
    """Segment a whole scan of noise as configs/inference.yaml does; for a fresh process.

    Yields:
        ``peak`` (bytes) of the first scan above weights, input included, and ``seconds`` of it and, where it is
        quick, of two more.
    """
    begin(task)
    network = arm.build(task).to(task.device).eval()
    inferer = PrecisionSlidingWindowInferer(
        precision=task.precision,
        roi_size=task.window,
        sw_batch_size=WINDOWS_AT_ONCE,
        overlap=task.window_overlap,
        mode="gaussian",
    )
    times: list[float] = []

    def segment() -> None:
        image = torch.randn(1, task.in_channels, *size, device=task.device)
        start = time.perf_counter()
        with torch.inference_mode():
            # On a GPU reading a value waits for all of them.
            inferer(image, network).flatten()[0].item()
        times.append(time.perf_counter() - start)

    peak = resident_peak(segment) if task.device == "cpu" else device_peak(segment, task.device)
    while len(times) < 3 and sum(times) < 5:
        segment()
    yield {"peak": peak, "seconds": Spread.of(times)}


def _expected(task: Task, size: tuple[int, ...], window: int) -> dict[str, Any]:
    voxels = prod(size)
    return {
        "windows": count_windows(size, task.window, task.window_overlap),
        "expected": {
            "logits": task.out_channels * voxels * FLOAT,
            "count_map": voxels * FLOAT,
            "input": task.in_channels * voxels * FLOAT,
            "windows_at_once": window,
        },
    }


def _say_scans(scans: dict[str, Any], baseline: str) -> None:
    columns = ["scan", "windows", "seconds", "ratio", "logits", "count map", "input", "windows'", "sum", "measured"]
    rows = []
    for name, row in scans.items():
        parts = row["expected"].values()
        base = scans.get(f"{size_text(row['size'])} {baseline}")
        ratio = "-"
        # Another start is another run, at another time.
        if base and base["start"] == row["start"]:
            ratio = f"{row['seconds']['median'] / base['seconds']['median']:.2f}"
        seconds_text = Spread(**row["seconds"]).text(digits=1)
        rows.append([name, str(row["windows"]), seconds_text, ratio, *map(_mib, (*parts, sum(parts), row["peak"]))])
    say(table(columns, rows))


def _mib(count: int | None) -> str:
    return "-" if count is None else f"{count / MIB:.0f}"

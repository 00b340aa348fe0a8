"""Profile an inference: whole scans, window by window, in the bundle's own evaluator."""

from __future__ import annotations

import statistics
from math import prod
from typing import Any

from monai.engines.utils import IterationEvents

from .clock import OTHER
from .stages import Stages, call_around_events, summarise_seconds

__all__ = ["PHASES", "measure_inference"]

PHASES = ("loading", "network", "windows", "postprocessing", "metrics", OTHER)


def measure_inference(evaluator: Any, *, scans: int) -> dict[str, Any]:
    """Run a bundle's evaluator over some scans.

    Args:
        evaluator: MONAI ``SupervisedEvaluator``; it is instrumented and cannot be used for an evaluation afterwards.
        scans: scans to time. One before them is counted and one after them is profiled.

    Returns:
        The ``inference_`` keys that `bench` documents, except those that compare with the machine.
    """
    stages = Stages(evaluator, waiting="loading", warmup=0, timed=scans, profiled=1)
    counts = _ScanCounts()
    _instrument(evaluator, stages, counts)
    stages.run()
    clock, timed = stages.clock, stages.clock.seconds()
    first, *others = counts.scans
    per_voxel = stages.counted.total / max(first["window_voxels"], 1)
    measured = others[:scans]
    window = measured[0]["window_voxels"] // max(measured[0]["windows"], 1)
    voxels = sum(scan["voxels"] for scan in measured)
    # All windows of a bundle have one size, so a scan's multiply-adds follow from the voxels of its windows.
    multiply_adds = [per_voxel * scan["window_voxels"] for scan in measured]
    network_share = clock.share("network")
    gflops = 2e-9 * sum(multiply_adds) / sum(timed)
    return {
        "inference_scans": len(timed),
        "inference_scan_voxels": statistics.median(scan["voxels"] for scan in measured),
        "inference_scan_windows": statistics.median(scan["windows"] for scan in measured),
        "inference_window_voxels": window,
        **summarise_seconds("inference_scan", timed),
        "inference_scan_cpu_seconds": stages.cpu_seconds,
        "inference_scans_per_second": len(timed) / sum(timed),
        "inference_windows_per_second": sum(scan["windows"] for scan in measured) / sum(timed),
        "inference_voxels_per_second": voxels / sum(timed),
        "inference_window_multiply_adds": round(per_voxel * window),
        "inference_scan_multiply_adds": round(statistics.median(multiply_adds)),
        "inference_gflops_per_second": gflops,
        "inference_network_gflops_per_second": gflops / network_share if network_share else 0.0,
        **{f"inference_share_{phase}": clock.share(phase) for phase in PHASES},
        **stages.profile("inference"),
    }


class _ScanCounts:
    """Count the windows, their voxels and the scan's voxels that go through the inferer, scan by scan."""

    def __init__(self) -> None:
        self.scans: list[dict[str, int]] = []

    def add_scan(self, inputs: Any) -> None:
        self.scans.append({"voxels": len(inputs) * prod(inputs.shape[2:]), "windows": 0, "window_voxels": 0})

    def add_windows(self, inputs: Any) -> None:
        self.scans[-1]["windows"] += len(inputs)
        self.scans[-1]["window_voxels"] += len(inputs) * prod(inputs.shape[2:])


def _instrument(evaluator: Any, stages: Stages, counts: _ScanCounts) -> None:
    """Make the evaluator switch the clock's phases and count what it sends through the network."""
    clock, inferer = stages.clock, evaluator.inferer

    def infer(inputs: Any, network: Any, *args: Any, **kwargs: Any) -> Any:
        def run(windows: Any, *more: Any, **named: Any) -> Any:
            counts.add_windows(windows)
            with clock.during("network"):
                return network(windows, *more, **named)

        counts.add_scan(inputs)
        if stages.counting:
            stages.counted.start()
        try:
            with clock.during("windows"):
                return inferer(inputs, run, *args, **kwargs)
        finally:
            stages.counted.stop()

    def before(event: Any) -> None:
        clock.switch("postprocessing" if event is IterationEvents.MODEL_COMPLETED else OTHER)

    def after(event: Any) -> None:
        # The iteration ends with this event. Until the next scan only the handlers that measure follow.
        clock.switch("metrics" if event is IterationEvents.MODEL_COMPLETED else OTHER)

    evaluator.inferer = infer
    evaluator.prepare_batch = clock.time_calls(evaluator.prepare_batch, "loading")
    call_around_events(evaluator, before, after)

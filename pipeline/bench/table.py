"""Format the result of `bench` as a table and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from . import inference, training

__all__ = ["format_bench", "format_bench_json"]

_WIDTH = 22
_PREFIXES = ("", "k", "M", "G", "T", "P")


def format_bench_json(measured: Mapping[str, Any]) -> str:
    """Return the result of `bench` as JSON text."""
    return json.dumps(measured, indent=2) + "\n"


def format_bench(measured: Mapping[str, Any]) -> str:
    """Return the result of `bench` as a table with units."""
    return "\n".join(line.rstrip() for part in (_machine, _training, _inference) for line in part(measured))


def _machine(m: Mapping[str, Any]) -> Iterator[str]:
    changed = "".join(f", {key}={value}" for key, value in m["overrides"].items())
    threads = f"{m['machine_threads']} thread" + "s" * (m["machine_threads"] > 1)
    versions = f"lightskip {m['lightskip_version']}, MONAI {m['monai_version']}, PyTorch {m['torch_version']}"
    yield _row("bundle", f"{m['bundle']}{changed}; {m['data']}")
    yield _row("network", f"{m['parameters']:,} parameters")
    yield _row("machine", f"{m['machine_device']}, {m['machine_cpu']}, {threads}, {m['precision']}")
    yield _row("", f"matrix products at {m['machine_gflops_per_second']:.1f} GFLOP/s (the limit in this table)")
    yield _row("versions", versions)


def _training(m: Mapping[str, Any]) -> Iterator[str]:
    batch = f"{m['training_step_samples']} patches, {_si(m['training_step_voxels'], 'voxel')}"
    step, forward, backward = (_si(m[f"training_{way}_multiply_adds"]) for way in ("step", "forward", "backward"))
    memory = m["training_peak_memory_bytes"]
    yield ""
    yield f"Training: {m['training_steps']} steps of {batch}"
    yield _row("multiply-adds", f"{step} a step: {forward} forward, {backward} backward")
    yield _row("time", _seconds(m, "training_step", "step"))
    yield _row(
        "throughput",
        f"{m['training_samples_per_second']:.3g} samples/s, {_si(m['training_voxels_per_second'], 'voxel/s')}",
    )
    yield from _rates(m, "training", "whole steps", "forward and backward only")
    yield _row("peak memory", "not reported by this system" if memory is None else f"{memory / 2**20:.0f} MiB")
    yield from _shares(m, "training", training.PHASES, "step")


def _inference(m: Mapping[str, Any]) -> Iterator[str]:
    size = f"{_si(m['inference_scan_voxels'], 'voxel')}, windows in each: {m['inference_scan_windows']:g}"
    window, scan = (_si(m[f"inference_{part}_multiply_adds"]) for part in ("window", "scan"))
    yield ""
    yield f"Inference, as in validation: {m['inference_scans']} scans of {size}"
    yield _row("multiply-adds", f"{scan} a scan, {window} a window of {_si(m['inference_window_voxels'], 'voxel')}")
    yield _row("time", _seconds(m, "inference_scan", "scan"))
    yield _row(
        "throughput",
        f"{m['inference_scans_per_second']:.3g} scans/s, {m['inference_windows_per_second']:.3g} windows/s, "
        f"{_si(m['inference_voxels_per_second'], 'voxel/s')}",
    )
    yield from _rates(m, "inference", "whole scans", "the network only")
    yield from _shares(m, "inference", inference.PHASES, "scan")


def _rates(m: Mapping[str, Any], prefix: str, whole: str, network: str) -> Iterator[str]:
    for title, part, of in (("rate", "", whole), ("", "network_", network)):
        rate, share = m[f"{prefix}_{part}gflops_per_second"], m[f"{prefix}_{part}machine_share"]
        yield _row(title, f"{share:6.1%} of the limit over {of}: {rate:.1f} GFLOP/s")
    share = m[f"{prefix}_cpu_machine_share"]
    if share is not None:
        yield _row("", f"{share:6.1%} of the limit by processor time")


def _shares(m: Mapping[str, Any], prefix: str, phases: tuple[str, ...], step: str) -> Iterator[str]:
    for number, phase in enumerate(phases):
        yield _row(f"share of a {step}" if number == 0 else "", f"{m[f'{prefix}_share_{phase}']:6.1%} {phase}")
    kernels, convolutions = m[f"{prefix}_share_matrix_kernels"], m[f"{prefix}_share_convolutions"]
    yield _row("matrix kernels", f"{kernels:6.1%} in convolutions and matrix products (profiled)")
    yield _row("", f"{convolutions:6.1%} in convolutions only")
    for number, row in enumerate(m[f"{prefix}_operators"]):
        text = f"{row['share']:6.1%} {1e3 * row['seconds']:9.2f} ms  {row['operator']}"
        yield _row("operators" if number == 0 else "", text)


def _row(title: str, text: str) -> str:
    return f"  {title:<{_WIDTH}}{text}"


def _seconds(m: Mapping[str, Any], prefix: str, step: str) -> str:
    median, first, third = (1e3 * m[f"{prefix}_seconds_{part}"] for part in ("median", "quartile_1", "quartile_3"))
    spread = f"quartiles {first:.4g} to {third:.4g}"
    return f"{median:.4g} ms a {step} ({spread}); processor time {1e3 * m[f'{prefix}_cpu_seconds']:.4g} ms"


def _si(number: float, unit: str = "") -> str:
    """Return the number with three digits, an SI prefix and its unit: ``12.3 G``, ``950 voxel``."""
    power = 0
    while abs(number) >= 999.5 and power + 1 < len(_PREFIXES):
        number, power = number / 1000, power + 1
    return f"{number:.3g} {_PREFIXES[power]}{unit}".rstrip()

"""The work of ``lightskip predict``: segment scans into a folder or a file, and write a report."""

from __future__ import annotations

import contextlib
import hashlib
import json
import platform
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from ..files import write_text
from ..labelmaps.label_files import write_label_files
from ..labelmaps.statistics import write_table
from .checks import REPORT, STATISTICS, check_outputs
from .inputs import read_inputs
from .outputs import STATISTICS_OF_SCAN, Outputs, Wanted, is_output_file
from .predictor import Predictor
from .ranks import Ranks
from .records import Records
from .result import Result, as_record
from .run import predict_scans

__all__ = ["Request", "Summary", "predict_files"]

_PACKAGES = ("lightskip", "monai", "torch", "numpy", "nibabel", "itk")


@dataclass(frozen=True)
class Request:
    """The options of one call of ``lightskip predict``.

    Attributes:
        bundle: the bundle's folder.
        inputs: files, folders, datalists.
        output: a folder; or a file, for one scan.
        wanted: the files to write for every scan.
        checkpoints: weights instead of the bundle's own; the probabilities of several are averaged.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
        tta: average over mirrored inputs.
        fast: use fewer windows.
        memory: bytes that the process may take; None: no limit.
        threads: CPU threads; None: PyTorch's choice.
        postprocessing: whether to post-process label maps as the bundle declares.
        overwrite: repeat finished scans, and replace files.
        settings: overrides of the inference config, by id.
        runtime: ``"pytorch"`` or ``"openvino"``.
        progress: whether to draw a bar.
    """

    bundle: Path
    inputs: Sequence[str | Path]
    output: Path
    wanted: Wanted = field(default_factory=Wanted)
    checkpoints: Sequence[str | Path] = ()
    device: str = "auto"
    tta: bool = False
    fast: bool = False
    memory: int | None = None
    threads: int | None = None
    postprocessing: bool = True
    overwrite: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    runtime: str = "pytorch"
    progress: bool = True


@dataclass(frozen=True)
class Summary:
    """The results of one call of ``lightskip predict``.

    Attributes:
        results: one per scan, in the order of the inputs, other processes' results included.
        report: the report's content.
        report_file: the report's file; None for a single output file.
        first: whether this process reports for all processes.
    """

    results: tuple[Result, ...]
    report: Mapping[str, Any]
    report_file: Path | None
    first: bool = True

    @property
    def status(self) -> int:
        """Exit status: 0 if all succeeded, 1 if some failed, 2 if all failed."""
        failed = sum(result.status == "failed" for result in self.results)
        return 0 if failed == 0 else 1 if failed < len(self.results) else 2

    @property
    def text(self) -> str:
        """The summary in one line."""
        counts = Counter(result.status for result in self.results)
        done = [f"{counts['done']} of {len(self.results)} segmented"]
        done += [f"{counts[status]} {text}" for status, text in _STATUSES if counts[status]]
        peak = self.report["peak_memory_bytes"]
        memory = f", at most {peak / 1e9:.2f} GB of memory" if peak else ""
        where = f"; report: {self.report_file}" if self.report_file else ""
        return f"{', '.join(done)} in {self.report['seconds']:.1f} s{memory}{where}"


_STATUSES = (("skipped", "finished earlier"), ("failed", "failed"))


def predict_files(request: Request, *, on_result: Callable[[Result], Any] | None = None) -> Summary:
    """Segment scans into files.

    Under ``torchrun`` every process takes its share of the scans, the first one writes the report, and all return the
    same summary.

    Args:
        request: the options.
        on_result: called with every result of this process as soon as it is known.

    Raises:
        InputError: nothing can be segmented: the bundle, the inputs as a whole, the output or a setting is unusable.
        KeyboardInterrupt: the call was interrupted. Files that were started are finished, and the report is written.
    """
    start, began = time.perf_counter(), datetime.now(UTC)
    # Paths in the report have to hold from any folder.
    request = replace(request, output=request.output.expanduser().absolute())
    ranks = Ranks()
    device = ranks.device(request.device) if request.runtime == "pytorch" else request.device
    predictor = Predictor(
        request.bundle,
        checkpoint=list(request.checkpoints),
        device=device,
        tta=request.tta,
        fast=request.fast,
        memory=request.memory,
        threads=request.threads,
        postprocessing=request.postprocessing,
        settings=request.settings,
        runtime=request.runtime,
    )
    scans = read_inputs(request.inputs, channels=predictor.bundle.channels)
    single = is_output_file(request.output)
    outputs_for = _outputs_for(request, single=single)
    check_outputs(request.output, request.wanted, scans, outputs_for, single=single, overwrite=request.overwrite)
    settings = _settings(predictor, request)
    records = None if single else Records(request.output, settings)
    results: list[Result] = []
    interrupted: KeyboardInterrupt | None = None
    try:
        for result in predict_scans(
            predictor,
            ranks.share(scans),
            outputs_for,
            request.wanted,
            records=records,
            overwrite=request.overwrite,
            progress=request.progress and ranks.first,
            on_result=on_result,
        ):
            results.append(result)
    except KeyboardInterrupt as error:
        interrupted = error
        # Another process may have ended already: each reports its own results.
        gathered = [(results, predictor.watch.peak_bytes())]
    else:
        gathered = ranks.gather((results, predictor.watch.peak_bytes()))
    order = {scan.name: number for number, scan in enumerate(scans)}
    everything = sorted((one for part, _ in gathered for one in part), key=lambda one: order[one.name])
    report = {
        "started": began.isoformat(timespec="seconds"),
        **_environment(predictor),
        "memory_budget_bytes": request.memory,
        "checkpoints": [str(path) for path in predictor.bundle.checkpoints],
        **settings,
        "labels": {label.name: label.value for label in predictor.bundle.table},
        "processes": ranks.count,
        "interrupted": interrupted is not None,
        "seconds": round(time.perf_counter() - start, 3),
        "peak_memory_bytes": max(peak for _, peak in gathered),
        "scans": [as_record(one) for one in everything],
    }
    summary = Summary(tuple(everything), report, None if single else request.output / REPORT, ranks.first)
    if ranks.first and records is not None:
        _write_summary(summary, request, predictor, records)
    if interrupted is not None:
        raise interrupted
    ranks.leave()
    return summary


def _write_summary(summary: Summary, request: Request, predictor: Predictor, records: Records) -> None:
    """Write the files about all scans together: the report, the label names, the statistics."""
    # Of all scans in the folder, earlier calls' included.
    statistics = records.finished_files(STATISTICS_OF_SCAN) if request.wanted.statistics else None
    write_text(request.output / REPORT, json.dumps(summary.report, indent=2) + "\n")
    write_label_files(request.output, predictor.bundle.table)
    if statistics is not None:
        write_table(statistics, request.output / STATISTICS)


def _outputs_for(request: Request, *, single: bool) -> Callable[[str], Outputs]:
    """Return the function that returns a scan's outputs by the scan's name."""
    if single:
        return lambda _: Outputs.at(request.output, request.wanted)
    return lambda name: Outputs.of(name, request.output, request.wanted)


def _settings(predictor: Predictor, request: Request) -> dict[str, Any]:
    """Return everything but the scan that label maps depend on."""
    bundle = predictor.bundle
    return {
        "bundle": bundle.name,
        "version": bundle.version,
        "config": hashlib.sha256((bundle.folder / "configs" / "inference.json").read_bytes()).hexdigest(),
        "weights": list(bundle.sha256),
        "tta": request.tta,
        "fast": request.fast,
        "post-processing": request.postprocessing,
        "precision": bundle.precision,
        "runtime": bundle.runtime,
        "settings": {key: str(value) for key, value in request.settings.items()},
    }


def _environment(predictor: Predictor) -> dict[str, Any]:
    """Return versions, device and threads, and the time that converting the network took."""
    bundle = predictor.bundle
    return {
        "versions": {"python": platform.python_version(), **_versions(bundle.runtime)},
        "device": str(bundle.device),
        "threads": torch.get_num_threads(),
        "conversion_seconds": round(bundle.converting, 3),
    }


def _versions(runtime: str) -> dict[str, str]:
    found = {}
    for package in (*_PACKAGES, *(() if runtime == "pytorch" else (runtime,))):
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found

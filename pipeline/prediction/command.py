"""What ``lightskip predict`` does: scans of any kind into a folder or a file, and a report of how it went."""

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
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from ..files import write_text
from ..labelmaps.label_files import write_label_files
from ..labelmaps.statistics import write_table
from .checks import REPORT, STATISTICS, check_apart, check_known, check_packages, check_single, check_writable
from .inputs import read_inputs
from .outputs import STATISTICS_OF_SCAN, Outputs, Wanted, is_output_file
from .predictor import Predictor
from .ranks import Ranks
from .records import Records
from .result import Result, as_record
from .run import predict_scans
from .settings import runtime_device

__all__ = ["Request", "Summary", "predict_files"]

_PACKAGES = ("lightskip", "monai", "torch", "numpy", "nibabel", "itk")


@dataclass(frozen=True)
class Request:
    """What a user asks of a prediction.

    Attributes:
        bundle: the bundle's folder.
        inputs: files, folders, datalists.
        output: a folder; or a file, for one scan.
        wanted: what is to be written for every scan.
        checkpoints: weights instead of the bundle's own; of several the probabilities are averaged.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
        tta: average over mirrored inputs.
        fast: fewer windows.
        memory: bytes that the process may take; None: no bound.
        threads: CPU threads; None: as PyTorch has them.
        postprocessing: whether label maps are post-processed as the bundle declares.
        overwrite: do again what was finished, and replace files.
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
    """How a prediction went.

    Attributes:
        results: of all scans, those of other processes included, in the order of the inputs.
        report: the report's content.
        report_file: where it was written; None for a single output file.
        first: whether this process speaks for all.
    """

    results: tuple[Result, ...]
    report: Mapping[str, Any]
    report_file: Path | None
    first: bool = True

    @property
    def status(self) -> int:
        """Exit status: 0 all, 1 some failed, 2 all failed."""
        failed = sum(result.status == "failed" for result in self.results)
        return 0 if failed == 0 else 1 if failed < len(self.results) else 2

    @property
    def words(self) -> str:
        """One line for people."""
        counts = Counter(result.status for result in self.results)
        done = [f"{counts['done']} of {len(self.results)} segmented"]
        done += [f"{counts[status]} {words}" for status, words in _STATUSES if counts[status]]
        peak = self.report["peak_memory_bytes"]
        memory = f", at most {peak / 1e9:.2f} GB of memory" if peak else ""
        where = f"; report: {self.report_file}" if self.report_file else ""
        return f"{', '.join(done)} in {self.report['seconds']:.1f} s{memory}{where}"


_STATUSES = (("skipped", "finished before"), ("failed", "failed"))


def predict_files(request: Request, *, tell: Callable[[Result], Any] | None = None) -> Summary:
    """Segment scans into files.

    Started by ``torchrun`` every process takes its share of the scans, the first one writes the report, and all return
    the same.

    Args:
        request: what is asked for.
        tell: called with every result of this process as soon as it is known.

    Raises:
        InputError: nothing could be run: the bundle, the inputs as a whole, the output or a setting cannot be used.
        KeyboardInterrupt: as it came; files that were begun are finished, and the report tells what is done.
    """
    start, began = time.perf_counter(), datetime.now(UTC)
    # What the report says holds from any folder.
    request = replace(request, output=request.output.expanduser().absolute())
    ranks = Ranks()
    predictor = Predictor(
        request.bundle,
        checkpoint=list(request.checkpoints),
        device=ranks.device(runtime_device(request.runtime, request.device)),
        tta=request.tta,
        fast=request.fast,
        memory=request.memory,
        threads=request.threads,
        postprocessing=request.postprocessing,
        settings=request.settings,
        runtime=request.runtime,
    )
    scans = read_inputs(request.inputs, channels=predictor.parts.channels)
    single = is_output_file(request.output)
    if single:
        check_single(request.output, request.wanted, scans)
    check_packages(request.wanted)
    folder = request.output.parent if single else request.output
    check_apart(scans, _place(request, single=single))
    check_writable(folder)
    if not single and not request.overwrite:
        check_known(folder, request.wanted)
    records = None if single else Records(folder, _settings(predictor, request))
    results: list[Result] = []
    interrupted: KeyboardInterrupt | None = None
    try:
        for result in predict_scans(
            predictor,
            ranks.share(scans),
            _place(request, single=single),
            request.wanted,
            records=records,
            overwrite=request.overwrite,
            progress=request.progress and ranks.first,
            tell=tell,
        ):
            results.append(result)
    except KeyboardInterrupt as error:
        interrupted = error
        # Another process may be gone already: each tells what it knows itself.
        gathered = [(results, predictor.watch.peak_bytes())]
    else:
        gathered = ranks.gathered((results, predictor.watch.peak_bytes()))
    order = {scan.name: number for number, scan in enumerate(scans)}
    everything = sorted((one for part, _ in gathered for one in part), key=lambda one: order[one.name])
    report = {
        **_about(predictor, request, began),
        "processes": ranks.count,
        "interrupted": interrupted is not None,
        "seconds": round(time.perf_counter() - start, 3),
        "peak_memory_bytes": max(peak for _, peak in gathered),
        "scans": [as_record(one) for one in everything],
    }
    summary = Summary(tuple(everything), report, None if single else folder / REPORT, ranks.first)
    if ranks.first:
        _finish(summary, folder, predictor, request, records)
    if interrupted is not None:
        raise interrupted
    ranks.leave()
    return summary


def _finish(summary: Summary, folder: Path, predictor: Predictor, request: Request, records: Records | None) -> None:
    """Write what belongs to all scans together; nothing for a single output file."""
    if records is None:
        return
    if summary.report_file is not None:
        write_text(summary.report_file, json.dumps(summary.report, indent=2) + "\n")
    write_label_files(folder, predictor.parts.table)
    if request.wanted.statistics:
        # Of all scans in the folder, also those of earlier starts.
        write_table(records.finished_files(STATISTICS_OF_SCAN), folder / STATISTICS)


def _place(request: Request, *, single: bool) -> Callable[[str], Outputs]:
    def place(name: str) -> Outputs:
        named = Outputs.at if single else partial(Outputs.of, name)
        return named(request.output, request.wanted)

    return place


def _settings(predictor: Predictor, request: Request) -> dict[str, Any]:
    """Return what label maps depend on besides the scan."""
    parts = predictor.parts
    return {
        "bundle": parts.name,
        "version": parts.version,
        "config": hashlib.sha256((parts.bundle / "configs" / "inference.json").read_bytes()).hexdigest(),
        "weights": list(parts.sha256),
        "tta": request.tta,
        "fast": request.fast,
        "post-processing": request.postprocessing,
        "precision": parts.precision,
        "runtime": parts.runtime,
        "settings": {key: str(value) for key, value in request.settings.items()},
    }


def _about(predictor: Predictor, request: Request, began: datetime) -> dict[str, Any]:
    parts = predictor.parts
    return {
        "started": began.isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version(), **_versions(parts.runtime)},
        "device": str(parts.device),
        "threads": torch.get_num_threads(),
        "conversion_seconds": round(parts.converting, 3),
        "memory_budget_bytes": request.memory,
        "checkpoints": [str(path) for path in parts.checkpoints],
        **_settings(predictor, request),
        "labels": {label.name: label.value for label in parts.table},
    }


def _versions(runtime: str) -> dict[str, str]:
    found = {}
    for package in (*_PACKAGES, *(() if runtime == "pytorch" else (runtime,))):
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found

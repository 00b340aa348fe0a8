"""The report of one call of ``lightskip predict``, and the files about all scans. Needs neither torch nor MONAI."""

from __future__ import annotations

import contextlib
import hashlib
import json
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

from ..files import write_text
from ..labelmaps.label_files import write_label_files
from ..labelmaps.label_table import Label
from ..runtime_names import PACKAGES
from ..version import installed_version
from .checks import REPORT, STATISTICS
from .outputs import STATISTICS_OF_SCAN
from .records import Records
from .request import Request, Summary
from .result import Result, as_record

__all__ = ["Clock", "make_report", "make_settings", "make_summary", "package_versions", "write_summary", "write_tables"]

_PACKAGES = ("lightskip", "monai", "torch", "numpy", "nibabel", "itk")


@dataclass(frozen=True)
class Clock:
    """The start of a call."""

    began: datetime
    start: float

    @classmethod
    def started(cls) -> Clock:
        """Return a clock that starts now."""
        return cls(datetime.now(UTC), time.perf_counter())


def make_settings(
    request: Request, *, name: str, version: str, folder: Path, sha256: Sequence[str], **chosen: str
) -> dict[str, Any]:
    """Return everything but the scan that label maps depend on.

    Args:
        request: the options.
        name: the bundle's name in its metadata.
        version: the bundle's version in its metadata.
        folder: the bundle's folder.
        sha256: checksums of the weights.
        **chosen: precision and runtime, if they are known.
    """
    settings = {key: str(value) for key, value in request.settings.items()}
    if request.dropout_samples > 1:
        # Among the settings, so that folders begun before there was this option can still be continued.
        settings["dropout_samples"] = str(request.dropout_samples)
    for word in ("keep_header_text", "anonymous"):
        if getattr(request.wanted, word):
            # Otherwise a finished scan would keep a file with its patient.
            settings[word] = "True"
    return {
        "bundle": name,
        "version": version,
        "config": hashlib.sha256((folder / "configs" / "inference.json").read_bytes()).hexdigest(),
        "weights": list(sha256),
        "tta": request.tta,
        "fast": request.fast,
        "post-processing": request.postprocessing,
        **chosen,
        "settings": settings,
    }


def make_report(
    request: Request, clock: Clock, results: Sequence[Result], *, labels: Mapping[str, int], **known: Any
) -> dict[str, Any]:
    """Return the content of ``report.json``.

    Args:
        request: the options.
        clock: the start of the call.
        results: results of all scans.
        labels: value of each foreground label by name.
        **known: further entries: versions, device, settings, ....
    """
    return {
        "started": clock.began.isoformat(timespec="seconds"),
        **known,
        "memory_budget_bytes": request.memory,
        "labels": dict(labels),
        "seconds": round(time.perf_counter() - clock.start, 3),
        "scans": [as_record(one) for one in results],
    }


def make_summary(
    request: Request, report: Mapping[str, Any], results: Sequence[Result], *, first: bool = True
) -> Summary:
    """Return the summary of a call."""
    name = REPORT if request.shard is None else request.shard.report_name
    return Summary(tuple(results), report, None if request.single else request.output / name, first)


def write_summary(summary: Summary, request: Request, table: Sequence[Label], records: Records) -> None:
    """Write the files about all scans together; of a shard only its report: merging writes the others."""
    if request.shard is not None:
        records.claim()
        write_text(request.output / request.shard.report_name, json.dumps(summary.report, indent=2) + "\n")
        return
    # Of all scans in the folder, earlier calls' included.
    statistics = records.finished_files(STATISTICS_OF_SCAN) if request.wanted.statistics else None
    records.claim()
    write_tables(request.output, summary.report, table, statistics)


def write_tables(
    output: Path, report: Mapping[str, Any], table: Sequence[Label], statistics: Mapping[str, Path] | None
) -> None:
    """Write the report, the label names, and the table of statistics.

    Args:
        output: the folder.
        report: the report's content.
        table: the labels.
        statistics: the files of statistics, by scan; None writes no table.
    """
    write_text(output / REPORT, json.dumps(report, indent=2) + "\n")
    write_label_files(output, table)
    if statistics is not None:
        from ..labelmaps.statistics import write_table  # noqa: PLC0415 - imports SciPy

        write_table(statistics, output / STATISTICS)


def package_versions(runtime: str) -> dict[str, str]:
    """Return the versions of Python and of the packages that label maps depend on."""
    found = {"python": platform.python_version()}
    for package in (*_PACKAGES, *([PACKAGES[runtime]] if runtime in PACKAGES else [])):
        with contextlib.suppress(PackageNotFoundError):
            found[package] = installed_version(package)
    return found

"""`lightskip check`: reads every case of a datalist whole, measures it, and compares it with the others."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..files import write_text
from ..version import installed_version
from .check_checksums import checksums_by_case, find_changed_files
from .check_grid import MAX_SHEAR, ROUNDING_VOXELS, SAME_PLACE_MM, SAME_PLACE_VOXELS
from .check_memory import MemoryGate, default_limit, estimate_case
from .check_outside import find_files_outside
from .compare_cases import compare_cases
from .compare_units import common_unit
from .dataset import Case, Dataset, locate, read_dataset
from .errors import InputError
from .findings import Finding, Severity
from .images.files import parts_of
from .inspect_case import Stopped, inspect_case
from .inspection import Inspection, failed_case, refused_case
from .measure_case import Draw
from .resume import NO_ROOM, Progress
from .wanted import Wanted, find_wanted

__all__ = ["REPORT", "check_dataset"]

REPORT = "check.json"
_FORMAT = 1
# Another number makes a check measure every case again.
_MEASURES = 3
_TOLERANCES = {
    "same place, mm": SAME_PLACE_MM,
    "same place, share of the smallest spacing": SAME_PLACE_VOXELS,
    "rounding of a header, share of the smallest spacing": ROUNDING_VOXELS,
    "shear, cosine of the angle between two axes": MAX_SHEAR,
}


def check_dataset(
    datalist: str | Path,
    output: str | Path | None = None,
    *,
    dataset_dir: str | Path | None = None,
    workers: int | None = None,
    memory: int | None = None,
    resume: bool = True,
    progress: bool = True,
    draw: Draw | None = None,
) -> dict[str, Any]:
    """Check a dataset, measure it for `lightskip plan`, and return the report.

    A case's files are read whole: its label map, and one image at a time. As many cases are in memory as there are
    workers. Results are written to the output folder at once, so that an interrupted check resumes, and a second
    check reads only files whose size or modification time has changed.

    Args:
        datalist: JSON file, as `lightskip datalist` writes it.
        output: folder for `check.json` and the results to resume from; None writes nothing.
        dataset_dir: folder that the datalist's paths start from, if not the one it names.
        workers: cases read at the same time; by default the number of CPUs, 8 at most.
        memory: bytes that the cases which are read at the same time may take together; by default 80 % of the free
            memory. A case that alone needs more is not read, which is a finding.
        resume: whether to use the results of an earlier check in the same folder.
        progress: whether to show a progress bar on stderr, if that is a terminal.
        draw: draws a picture of every case: a function of a module, such as `pipeline.report.thumbnail.draw_thumbnail`.

    Returns:
        The report as in `check.json`, with one more entry: "thumbnails", JPEG bytes by the case's name. Without
        `draw` these are the thumbnails of an earlier check, if there are any.

    Raises:
        InputError: the datalist cannot be read, its folder is missing, or the output folder cannot be written to.
            Bad images raise nothing: they are findings, as are errors of the check itself.
    """
    started = time.monotonic()
    if workers is not None and workers < 1:
        raise InputError("workers", found=str(workers), expected="1 or more", remedy="leave it out, or give a number")
    dataset = read_dataset(datalist, dataset_dir, needs_training=False)
    sha256 = dataset.sha256
    wanted = find_wanted(dataset)
    gate = MemoryGate(default_limit() if memory is None else memory)
    inspections = _inspect(dataset, wanted, output, gate, workers=workers, resume=resume, progress=progress, draw=draw)
    labels = dataset.labels or _name_label_values(inspections)
    findings = [finding for inspection in inspections for finding in inspection.findings]
    refused = {(finding.case, finding.file) for finding in findings if finding.is_problem}
    outside = [finding for case in dataset.cases for finding in find_files_outside(case, dataset.folder)]
    findings += [finding for finding in outside if (finding.case, finding.file) not in refused]
    findings += compare_cases(dataset, labels, inspections)
    report = {
        "format": _FORMAT,
        "datalist": dataset.file.name,
        "datalist_sha256": sha256,
        "name": dataset.name,
        "dataset_dir": str(dataset.folder),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": _versions(),
        "seconds": round(time.monotonic() - started, 2),
        "tolerances": _TOLERANCES,
        "spatial_dims": wanted.spatial_dims,
        "unit": common_unit(inspection.record for inspection in inspections),
        "channels": dataset.channels or [f"channel {index}" for index in range(wanted.channels)],
        "labels": labels,
        "regions": {name: list(values) for name, values in (dataset.regions or {}).items()},
        "ignored_values": list(dataset.ignored),
        "summary": _summarize(dataset, findings),
        "findings": [finding.record() for finding in findings],
        "cases": [_name_classes(inspection.record, labels) for inspection in inspections],
    }
    if output is not None:
        _write(Path(output) / REPORT, json.dumps(report, indent=1, allow_nan=False) + "\n")
    thumbnails = {str(each.record["name"]): each.thumbnail for each in inspections if each.thumbnail is not None}
    return report | {"thumbnails": thumbnails}


def _write(path: Path, text: str) -> None:
    try:
        write_text(path, text)
    except OSError as error:
        raise InputError(
            path,
            found=f"a file that cannot be written ({error.strerror})",
            expected="a folder with room for the report",
            remedy=NO_ROOM,
        ) from error


def _inspect(
    dataset: Dataset,
    wanted: Wanted,
    output: str | Path | None,
    gate: MemoryGate,
    *,
    workers: int | None,
    resume: bool,
    progress: bool,
    draw: Draw | None,
) -> list[Inspection]:
    settings = repr((_FORMAT, _MEASURES, installed_version("lightskip"), wanted))
    if draw is not None:
        # With `draw`, only results with its pictures are used; without it, results with any pictures.
        settings += f" with pictures by {getattr(draw, '__module__', '')}.{getattr(draw, '__qualname__', '')}"
    state = Progress(output, settings=settings, resume=resume)
    stop = threading.Event()
    executor = ThreadPoolExecutor(workers or min(8, os.cpu_count() or 1))
    checksums = checksums_by_case(dataset)

    def inspect(case: Case) -> Inspection:
        expected = checksums.get(case.name, {})
        try:
            key = _state_key(case, dataset.folder, expected)
            known = state.find(key)
            if known is not None:
                return _update_case(known, case)
            try:
                with gate.enter(estimate_case(case, dataset.folder), case.images[0]):
                    inspection = inspect_case(case, dataset.folder, wanted, stop, draw)
            except InputError as error:
                # Another start may have more memory, so this is not kept.
                return refused_case(case, error)
            inspection.findings.extend(find_changed_files(case, dataset.folder, expected))
        except (Stopped, InputError):
            raise
        except Exception as error:  # a bug, or too little memory, must not lose the findings of the other cases
            return failed_case(case, error)
        # A disk or network may work again next time.
        if not any(finding.kind == "unreadable" for finding in inspection.findings):
            state.add(key, inspection)
        return inspection

    try:
        results = executor.map(inspect, dataset.cases)
        bar = tqdm(results, total=len(dataset.cases), desc="Checking", unit="case", disable=None if progress else True)
        return list(bar)
    finally:
        # After Ctrl-C no further case is started, and running ones stop.
        stop.set()
        executor.shutdown(cancel_futures=True)
        state.close()


def _update_case(known: Inspection, case: Case) -> Inspection:
    """Return an earlier result for these files with name, fold and subject of this case."""
    listed: dict[str, Any] = {"name": case.name, "part": case.part, "fold": case.fold, "subject": case.subject}
    listed["annotated"] = None if case.annotated is None else list(case.annotated)
    findings = [replace(finding, case=case.name) for finding in known.findings]
    # A copy, because a datalist may name the same files twice.
    return replace(known, findings=findings, record=known.record | listed)


def _state_key(case: Case, folder: Path, checksums: Mapping[str, str]) -> str:
    """Return a key for the state of a case's files, which changes if a file changes."""
    files = [*case.images, *([case.label] if case.label else [])]
    parts = [part for file in files for part in (file, *_file_states(locate(folder, file)))]
    parts += sorted(checksums.items())
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()


def _file_states(path: Path) -> Iterable[tuple[str, int, int]]:
    # The voxels of a .mhd are in the file that it names, those of a series in the folder's files.
    try:
        for file in parts_of(path):
            if file.is_file():
                state = file.stat()
                yield file.name, state.st_size, state.st_mtime_ns
    except (OSError, InputError):
        # Reading the case reports the reason.
        return


def _name_label_values(inspections: Iterable[Inspection]) -> dict[str, int]:
    values = sorted({int(value) for inspection in inspections for value in inspection.record["classes"]})
    return {"background": 0, **{f"label_{value}": value for value in values}}


def _name_classes(record: dict[str, Any], labels: Mapping[str, int]) -> dict[str, Any]:
    names = {str(value): name for name, value in labels.items()}
    return record | {"classes": {names.get(value, value): each for value, each in record["classes"].items()}}


def _summarize(dataset: Dataset, findings: Iterable[Finding]) -> dict[str, Any]:
    severities: Counter[Severity] = Counter()
    kinds: Counter[str] = Counter()
    for finding in findings:
        record = finding.record()
        severities[record["severity"]] += 1
        kinds[finding.kind] += 1
    training = sum(case.part == "training" for case in dataset.cases)
    return {
        "training": training,
        "test": len(dataset.cases) - training,
        "checked": len(dataset.cases),
        "problems": severities["problem"],
        "warnings": severities["warning"],
        "notes": severities["note"],
        "kinds": dict(sorted(kinds.items())),
    }


def _versions() -> dict[str, str]:
    packages = {name: installed_version(name) for name in ("lightskip", "numpy", "nibabel", "scipy")}
    return {"python": platform.python_version(), **packages}

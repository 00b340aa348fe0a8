"""Segment scans that another program names one by one: a job per line, JSON in and out.

The network is loaded once. A line that is no job fails, and the next one is read.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ..data.errors import InputError
from ..data.json_file import parse_json
from ..files import remove_unused_folders
from ..imports import deferred_imports, quick_imports
from .bundle_files import read_bundle_files
from .checks import check_outputs
from .inputs import ScanInput, read_inputs
from .job_words import name_keys
from .outputs import Outputs
from .request import Request
from .result import Job, Result, as_record, failed
from .settings import check_thread_count
from .verify import verify_results

__all__ = ["read_id", "read_job", "run_jobs"]

_KEYS = ("scan", "output", "overwrite", "id")


@dataclass(frozen=True)
class _Order:
    """One line: the scan's words, its output, and whether files may be replaced."""

    scan: tuple[str, ...]
    output: Path
    overwrite: bool


def run_jobs(
    request: Request, lines: Iterable[str], reply: Callable[[Mapping[str, Any]], Any], *, output: Path | None
) -> int:
    """Segment the scan of each line, and reply to it before the next line is read.

    Args:
        request: the options of all jobs; its inputs and its output are not used.
        lines: JSON objects; see `read_job`. Empty lines are left out.
        reply: called once the network is loaded, with ``status`` ready, and then with the result of each line: its
            ``id``, ``status`` (done or failed), and the entries of a scan in ``report.json``.
        output: output of jobs that name none; None if each has to.

    Returns:
        Exit status: 0 if all jobs were done, 1 if some failed, 2 if all failed.

    Raises:
        InputError: the bundle or an option cannot be used.
    """
    check_thread_count(request.threads)
    files = read_bundle_files(request.bundle, checkpoints=list(request.checkpoints), **request.computing)
    request = request.for_bundle(files)
    with quick_imports(), deferred_imports():
        from .predictor import Predictor  # noqa: PLC0415 - imports torch and MONAI

    predictor = Predictor(
        request.bundle,
        checkpoint=list(request.checkpoints),
        memory=request.memory,
        threads=request.threads,
        postprocessing=request.postprocessing,
        anyway=request.anyway,
        **request.computing,
    )
    bundle = predictor.bundle
    reply(
        {
            "status": "ready",
            "bundle": bundle.name,
            "labels": {label.name: label.value for label in bundle.table},
            **({"regions": list(files.regions)} if files.regions else {}),
            "runtime": bundle.runtime.runtime,
            "precision": bundle.precision,
            "device": str(bundle.device),
        }
    )
    statuses = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        result: dict[str, Any] = {"id": read_id(line)}
        try:
            order = read_job(line, output)
        except InputError as error:
            told = InputError(f"line {number}", found=error.found, expected=error.expected, remedy=error.remedy)
            result |= {"status": "failed", "line": number, "error": str(told)}
        else:
            result |= _run(predictor, request, order)
        statuses.append(result["status"])
        reply(result)
    failures = statuses.count("failed")
    return 0 if not failures else 1 if failures < len(statuses) else 2


def read_job(text: str, output: Path | None) -> _Order:
    """Return the job of a line.

    Args:
        text: a JSON object with ``scan`` (a path, or a list with one file per channel), ``output`` (a file, or a folder
            for files that are named after the scan), and on request ``overwrite`` (true replaces files) and ``id`` (any
            value, which the reply repeats).
        output: output of a job that names none; None if it has to.

    Raises:
        InputError: the line is not such an object.
    """
    expected = 'a line such as {"scan": "scan.nii.gz", "output": "seg.nii.gz"}'
    try:
        content = _parse(text)
    except (ValueError, RecursionError) as error:
        raise _refuse(f"text that is not JSON ({error})", expected) from error
    if not isinstance(content, dict):
        raise _refuse(f"a {type(content).__name__}", expected)
    unknown = [key for key in content if key not in _KEYS]
    if unknown:
        close = get_close_matches(unknown[0], _KEYS, n=1)
        raise _refuse(
            f"the key {unknown[0]!r}", f"{', '.join(_KEYS)}" + (f" (did you mean {close[0]}?)" if close else "")
        )
    scan, overwrite = content.get("scan"), content.get("overwrite", False)
    words = (scan,) if isinstance(scan, str) else tuple(scan) if isinstance(scan, list) else ()
    if not words or not all(isinstance(word, str) and word.strip() for word in words):
        raise _refuse("no scan" if scan is None else f"the scan {scan!r}", "a path, or a list with a path per channel")
    if not isinstance(overwrite, bool):
        raise _refuse(f"overwrite {overwrite!r}", "true or false")
    target = content.get("output", None if output is None else str(output))
    if not isinstance(target, str) or not target.strip():
        raise _refuse("no output" if target is None else f"the output {target!r}", "the path of a file or a folder")
    for path in (*words, target):
        _check_path(path)
    return _Order(words, Path(target).expanduser().absolute(), overwrite)


def read_id(text: str) -> Any:
    """Return the ``id`` of a line, also if the line is no job otherwise; None if it has none, or is not JSON."""
    try:
        content = _parse(text)
    except (ValueError, RecursionError):
        return None
    return content.get("id") if isinstance(content, dict) else None


def _parse(text: str) -> Any:
    """Return the value of JSON; raise ValueError for other text, and for numbers that a reply could not repeat."""
    return parse_json(text, constants=False)


def _check_path(text: str) -> None:
    """Raise InputError for a path that no system accepts."""
    try:
        usable = b"\0" not in os.fsencode(Path(text).expanduser())
    except (ValueError, RuntimeError):
        usable = False
    if not usable:
        raise _refuse(f"the path {text!r}"[:200], "a path that this system can have")


def _run(predictor: Any, request: Request, order: _Order) -> dict[str, Any]:
    """Return the record of a job's scan, segmented. A job that failed leaves no empty folder behind."""
    request = replace(request, overwrite=request.overwrite or order.overwrite, output=order.output)
    try:
        with remove_unused_folders(request.output.parent if request.single else request.output):
            result = _segment(predictor, request, order)
    except OSError as error:
        # Even a look at the output may fail: its name is too long, or a folder above it may not be read.
        scan = ScanInput(Path(order.scan[0]).name, order.scan)
        result = failed(Job(scan, Outputs(order.output, None, None, None, None), request.wanted), error)
    record = as_record(result)
    if "error" in record:
        record["error"] = name_keys(record["error"])
    return record


def _segment(predictor: Any, request: Request, order: _Order) -> Result:
    """Return the result of a job's scan."""
    from .run import predict_scans  # noqa: PLC0415 - imports torch and MONAI

    word, channels = ",".join(order.scan), predictor.bundle.channels
    try:
        if len(order.scan) not in (1, channels):
            raise InputError(
                order.scan[0],
                found=f"the first of {len(order.scan)} files of a scan",
                expected=f"{channels} files, one per channel of the network" if channels > 1 else "one file per scan",
                remedy='name one file per channel in "scan", in the order of the channels',
            )
        scans = read_inputs([word], channels=channels)
        if len(scans) != 1:
            raise InputError(
                order.scan[0],
                found=f"{len(scans)} scans",
                expected="one scan per job",
                remedy="name each scan in a line of its own",
            )
        check_outputs(
            request.output,
            request.wanted,
            scans,
            request.outputs_for,
            single=request.single,
            overwrite=True,
        )
    except (InputError, OSError) as error:
        scan = ScanInput(Path(order.scan[0]).name, order.scan)
        return failed(Job(scan, request.outputs_for(scan.name), request.wanted), error)
    results = predict_scans(
        predictor,
        scans,
        request.outputs_for,
        request.wanted,
        overwrite=request.overwrite,
        progress=False,
    )
    [result] = verify_results(list(results))
    return result


def _refuse(found: str, expected: str) -> InputError:
    return InputError("the line", found=found, expected=expected, remedy="correct this line; the others go on")

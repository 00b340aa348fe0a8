"""`lightskip compare`: read what is compared, check all of it, measure it, and write the results."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ..data.one_at_a_time import one_at_a_time
from ..files import remove_unused_folders
from .check_cases import check_cases
from .choose_labels import Labels
from .describe import describe_inputs, list_versions, summarise_lesions
from .inputs import Inputs, read_inputs
from .measure import Measured, Measuring, measure_cases
from .membranes import require_slices
from .memory import choose_at_a_time
from .notes import make_notes
from .output import (
    CALIBRATION,
    CASES,
    KIND,
    LESIONS,
    LOCK,
    SUMMARY,
    check_output,
    format_csv,
    format_json,
    list_columns,
    write_files,
)
from .pool import Pool, count_jobs
from .prepare import find_labels, prepare_cases
from .request import Request, check_numbers, choose_metrics, choose_tolerances, require_labels, require_plain_labels
from .statistics import compute_statistics

__all__ = ["compare"]


def compare(request: Request) -> dict[str, Any]:
    """Compare sets of label maps with a reference, and write the results to the output folder.

    Everything is checked before anything is measured, and everything is measured before anything is written.

    Args:
        request: the options.

    Returns:
        The content of ``summary.json``.

    Raises:
        InputError: an option, a folder or a file cannot be used; the message has every file with a problem. Another
            comparison is at work in the output folder.
    """
    start = time.perf_counter()
    began = datetime.now(UTC)
    check_numbers(request)
    metrics = choose_metrics(request.metrics)
    inputs = read_inputs(request)
    check_output(request.output, [inputs.reference.path, *(source.path for source in inputs.sets.values())])
    with (
        remove_unused_folders(request.output),
        one_at_a_time(request.output / LOCK, request.output, verb="lightskip compare"),
    ):
        return _compare(request, inputs, metrics, start=start, began=began)


def _compare(
    request: Request, inputs: Inputs, metrics: tuple[str, ...], *, start: float, began: datetime
) -> dict[str, Any]:
    cases = inputs.joined.cases
    with Pool(count_jobs(request.jobs, len(cases)), progress=request.progress) as pool:
        probabilities = request.calibration or bool(request.membranes)
        at_a_time = choose_at_a_time(cases, pool, memory=request.memory, probabilities=probabilities)
        pool.at_a_time = min(pool.at_a_time, at_a_time)
        checked = check_cases(cases, pool, probabilities=probabilities)
        require_slices(request.membranes, len(checked[0].reference.grid.shape))
        labels = find_labels(inputs, checked)
        measuring = _choose_measuring(inputs, labels, metrics)
        prepared = prepare_cases(inputs, checked, labels)
        measured = measure_cases(prepared.cases, measuring, pool)
    statistics = compute_statistics(
        measured.rows,
        inputs.named,
        labels=list(labels.rows),
        spatial_dims=len(checked[0].reference.grid.shape),
        calibration=measured.calibration,
        resamples=request.resamples,
        seed=request.seed,
    )
    summary = {
        "kind": KIND,
        "made": began.isoformat(timespec="seconds"),
        "seconds": round(time.perf_counter() - start, 3),
        "command": request.command,
        "versions": list_versions(),
        **describe_inputs(inputs, prepared, labels, measuring, measured.rows),
        **summarise_lesions(measured.lesion_classes, measuring.lesion_iou),
        **({"membranes": measured.membranes} if measured.membranes else {}),
        **statistics.as_content(),
        "notes": make_notes(
            inputs.reference,
            inputs.sets,
            inputs.joined,
            prepared,
            labels,
            measured,
            calibration=request.calibration,
            membranes=bool(request.membranes),
        ),
    }
    write_files(request.output, _format_files(summary, measured))
    return summary


def _choose_measuring(inputs: Inputs, labels: Labels, metrics: tuple[str, ...]) -> Measuring:
    request, names = inputs.request, list(labels.rows)
    if request.membranes:
        require_plain_labels("--membranes", regions=list(labels.regions), ignored=labels.ignored)
    require_labels("--lesions", request.lesions, names)
    require_labels("--cldice", request.cldice, names)
    require_labels("--membranes", request.membranes, names)
    return Measuring(
        labels=labels.values,
        tolerance_mm=choose_tolerances(request.tolerance_mm, names, inputs.reference.tolerance_mm),
        metrics=metrics,
        lesions=tuple(name for name in names if name in request.lesions),
        cldice=tuple(name for name in names if name in request.cldice),
        membranes=tuple(name for name in names if name in request.membranes),
        lesion_iou=request.lesion_iou,
        calibration=request.calibration,
        regions=labels.regions,
        ignored=(labels.ignored_value,) if labels.ignored else (),
    )


def _format_files(summary: Mapping[str, Any], measured: Measured) -> dict[str, str]:
    texts = {CASES: format_csv(measured.rows, list_columns(measured.rows)), SUMMARY: format_json(summary)}
    for name, rows in ((LESIONS, measured.lesions), (CALIBRATION, measured.calibration)):
        if rows:
            texts[name] = format_csv(rows, list(rows[0]))
    return texts

"""`lightskip compare`: read what is compared, check all of it, measure it, and write the results."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ..data.errors import InputError
from .check_cases import CheckedCase, check_cases, raise_all
from .choose_labels import Labels, choose_labels, find_file_values, read_given_labels, values_of_file
from .describe import describe_inputs, list_versions, summarise_lesions
from .inputs import Inputs, read_inputs
from .measure import Measured, Measuring, Prepared, measure_cases
from .notes import make_notes
from .output import (
    CALIBRATION,
    CASES,
    KIND,
    LESIONS,
    SUMMARY,
    check_output,
    format_csv,
    format_json,
    list_columns,
    write_files,
)
from .pool import Pool, count_jobs
from .probabilities import check_channels
from .request import Request, check_numbers, choose_metrics, choose_tolerances, require_labels
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
        InputError: an option, a folder or a file cannot be used; the message has every file with a problem.
    """
    start = time.perf_counter()
    began = datetime.now(UTC)
    check_numbers(request)
    metrics = choose_metrics(request.metrics)
    inputs = read_inputs(request)
    check_output(request.output, [inputs.reference.path, *(source.path for source in inputs.sets.values())])
    cases = inputs.joined.cases
    with Pool(count_jobs(request.jobs, len(cases)), progress=request.progress) as pool:
        checked = check_cases(cases, pool, calibration=request.calibration)
        labels = _choose_labels(inputs, checked)
        measuring = _choose_measuring(inputs, labels, metrics)
        measured = measure_cases(_prepare(inputs, checked, labels), measuring, pool)
    statistics = compute_statistics(
        measured.rows,
        inputs.named,
        labels=list(labels.foreground),
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
        **describe_inputs(inputs, checked, labels, measuring, measured.rows),
        **summarise_lesions(measured.lesion_classes, measuring.lesion_iou),
        **statistics.as_content(),
        "notes": make_notes(inputs.reference, inputs.sets, inputs.joined, checked, labels, measured),
    }
    write_files(request.output, _format_files(summary, measured))
    return summary


def _choose_labels(inputs: Inputs, checked: Sequence[CheckedCase]) -> Labels:
    return choose_labels(
        given=read_given_labels(inputs.request.labels) if inputs.request.labels else None,
        declared=inputs.reference.labels,
        tables=_list_tables(inputs, checked),
        found={value for one in checked for value in one.reference.values} - set(inputs.request.as_background),
    )


def _list_tables(inputs: Inputs, checked: Sequence[CheckedCase]) -> Iterator[tuple[str, Mapping[int, str]]]:
    """Yield the tables of label names, those of the reference first."""
    yield from ((f"the label table of {one.reference.path}", one.reference.table) for one in checked[:1])
    yield f"the label table in {inputs.reference.path}", inputs.reference.table
    for name, source in inputs.sets.items():
        facts = next((one.predictions[name] for one in checked if one.predictions[name] is not None), None)
        if facts is not None:
            yield f"the label table of {facts.path}", facts.table
        yield f"the label table in {source.path}", source.table


def _choose_measuring(inputs: Inputs, labels: Labels, metrics: tuple[str, ...]) -> Measuring:
    request, names = inputs.request, list(labels.foreground)
    require_labels("--lesions", request.lesions, names)
    require_labels("--cldice", request.cldice, names)
    return Measuring(
        labels=labels.values,
        tolerance_mm=choose_tolerances(request.tolerance_mm, names, inputs.reference.tolerance_mm),
        metrics=metrics,
        lesions=tuple(name for name in names if name in request.lesions),
        cldice=tuple(name for name in names if name in request.cldice),
        lesion_iou=request.lesion_iou,
    )


def _prepare(inputs: Inputs, checked: Sequence[CheckedCase], labels: Labels) -> list[Prepared]:
    """Return the cases with their values.

    Raises:
        InputError: a label map holds a value that is no label; the message has every such file.
    """
    errors: list[InputError] = []
    background = inputs.request.as_background
    declared = {value: name for name, value in labels.foreground.items()}

    def find_values(facts: Any, case: str, table: Mapping[int, str]) -> dict[int, int]:
        try:
            return values_of_file(facts, labels, case=case, table=table, as_background=background)
        except InputError as error:
            errors.append(error)
            return {}

    prepared = []
    for one in checked:
        predictions = {
            name: find_values(facts, one.case.name, facts.table or inputs.sets[name].table)
            for name, facts in one.predictions.items()
            if facts is not None
        }
        # The labels' values are those of the reference.
        reference = find_values(one.reference, one.case.name, declared)
        channels = {name: _find_channels(inputs, one, labels, name) for name in one.probabilities}
        try:
            for name, found in one.probabilities.items():
                check_channels(found, channels[name])
        except InputError as error:
            errors.append(error)
        prepared.append(Prepared(one, reference, predictions, channels))
    raise_all(errors)
    return prepared


def _find_channels(inputs: Inputs, one: CheckedCase, labels: Labels, name: str) -> dict[int, int]:
    """Return the channel of the probabilities by the comparison's value: the network's value of the label."""
    facts = one.predictions[name]
    table = facts.table if facts is not None else {}
    return {0: 0, **find_file_values(labels, table or inputs.sets[name].table)}


def _format_files(summary: Mapping[str, Any], measured: Measured) -> dict[str, str]:
    texts = {CASES: format_csv(measured.rows, list_columns(measured.rows)), SUMMARY: format_json(summary)}
    for name, rows in ((LESIONS, measured.lesions), (CALIBRATION, measured.calibration)):
        if rows:
            texts[name] = format_csv(rows, list(rows[0]))
    return texts

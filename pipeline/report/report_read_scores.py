"""Read a comparison (the folder of ``lightskip compare``) or an evaluation (of ``lightskip evaluate``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..data.errors import InputError
from ..evaluation.metric_names import list_metrics, tolerance_of
from .report_content import MEAN, CaseFiles, Content, Lesion, Metric, Score
from .report_read_files import format_time, parse_number, read_table, settings_text, versions_text
from .text import count_of

__all__ = ["list_cases", "read_comparison", "read_evaluation", "read_scores"]

_KEYS = ("case", "label", "outcome")
_MAX_NAMED = 4  # sets in the heading


def read_comparison(folder: Path, summary: Mapping[str, Any]) -> Content:
    """Return the content of a comparison's folder.

    Args:
        folder: of ``lightskip compare``, with ``cases.csv`` and ``summary.json``.
        summary: the content of ``summary.json``.

    Raises:
        InputError: ``cases.csv`` is missing or broken, or there is no case.
    """
    sets = [str(one.get("name", "")) for one in summary.get("sets") or ()]
    given = [
        Metric(
            str(one["name"]), str(one.get("title") or one["name"]), _unit(one.get("unit")), str(one.get("better") or "")
        )
        for one in summary.get("metrics") or ()
    ]
    scores, metrics = read_scores(folder, given, default=sets[0] if sets else folder.absolute().name)
    values = _read_values(summary)
    cases = [replace(_read_case(folder, one, sets), values=values) for one in summary.get("cases") or ()]
    if not (cases or scores):
        raise _no_case(folder)
    reference = summary.get("reference") or {}
    subjects = {case.subject or case.name for case in cases}
    run = {
        "Command": summary.get("command"),
        "Reference": ", ".join(settings_text(reference[key]) for key in ("path", "part", "fold") if reference.get(key)),
        **{f"Set {one.get('name')}": _describe_set(one) for one in summary.get("sets") or ()},
        "Tolerance of NSD": _describe_tolerance(*tolerance_of(summary)),
        "Made": format_time(summary.get("made"), summary.get("seconds")),
        "Versions": versions_text(summary.get("versions")),
    }
    return Content(
        kind="comparison",
        name=_name(folder, sets),
        facts=[
            count_of(len(cases) or len({score.case for score in scores}), "case"),
            *([count_of(len(subjects), "subject")] if len(subjects) not in (0, len(cases)) else []),
            count_of(len(sets), "set"),
            f"{summary.get('spatial_dims', 3)}D",
        ],
        run={title: str(text) for title, text in run.items() if text},
        labels=_read_labels(summary, scores),
        regions=_read_regions(summary),
        sets=sets or list(dict.fromkeys(score.set for score in scores)),
        metrics=metrics,
        scores=scores,
        lesions=_read_lesions(folder),
        cases=cases or list_cases(scores),
        summary=summary,
        notes=[str(note) for note in summary.get("notes") or ()],
        source=("summary.json", "cases.csv"),
    )


def read_evaluation(folder: Path, summary: Mapping[str, Any]) -> Content:
    """Return the content of an evaluation's folder; arguments and errors are those of `read_comparison`."""
    name = folder.absolute().name
    scores, metrics = read_scores(folder, (), default=name)
    if not scores:
        raise _no_case(folder)
    units = summary.get("units") or {}
    metrics = [replace(metric, unit=_unit(units.get(metric.name, metric.unit))) for metric in metrics]
    statistics = {**(summary.get("labels") or {}), MEAN: summary.get("overall") or {}}
    cases = list_cases(scores)
    run = {
        **{str(key).replace("_", " "): settings_text(one) for key, one in (summary.get("provenance") or {}).items()},
        "Tolerance of NSD": _describe_tolerance(*tolerance_of(summary)),
        "Versions": versions_text(summary.get("versions")),
    }
    return Content(
        kind="evaluation",
        name=name,
        facts=[count_of(len(cases), "case")],
        run={title: text for title, text in run.items() if text},
        labels=_read_labels(summary, scores),
        sets=list(dict.fromkeys(score.set for score in scores)),
        metrics=metrics,
        scores=scores,
        cases=cases,
        summary={"statistics": {name: statistics}, "regions": summary.get("regions") or {}},
        notes=[str(note) for note in summary.get("notes") or ()],
        source=("summary.json", "cases.csv"),
    )


def read_scores(folder: Path, given: Sequence[Metric], *, default: str) -> tuple[list[Score], list[Metric]]:
    """Return the rows of ``cases.csv`` and its metrics.

    Args:
        folder: folder of the file.
        given: metrics of the summary; without any, those that LightSkip knows.
        default: name of the set of rows that name none.
    """
    lines = read_table(folder / "cases.csv", _KEYS)
    known = {metric.name: metric for metric in given} or _known_metrics(lines)
    columns = [name for name in (lines[0] if lines else ()) if name in known]
    scores = [
        Score(
            set=line.get("set") or default,
            case=line["case"],
            label=line["label"],
            outcome=line["outcome"],
            values={name: number for name in columns if (number := parse_number(line[name])) is not None},
            sizes=(parse_number(line.get("reference_size")), parse_number(line.get("prediction_size"))),
            unit=line.get("size_unit", ""),
        )
        for line in lines
    ]
    return scores, [known[name] for name in columns]


def _name(folder: Path, sets: Sequence[str]) -> str:
    if len(sets) in (1, 2):
        return " against ".join(sets)
    return ", ".join(sets) if 0 < len(sets) <= _MAX_NAMED else f"{folder.absolute().name}: {len(sets)} sets"


def _read_lesions(folder: Path) -> list[Lesion]:
    """Return the lesions that one side lacks; none without ``lesions.csv``."""
    if not (folder / "lesions.csv").is_file():
        return []
    lines = read_table(folder / "lesions.csv", ("set", "case", "label", "status"))
    return [
        Lesion(
            set=line["set"],
            case=line["case"],
            label=line["label"],
            status=line["status"],
            size=parse_number(line.get("size")),
            unit=line.get("size_unit", ""),
        )
        for line in lines
        if line["status"] in ("missed", "invented")
    ]


def list_cases(scores: Sequence[Score]) -> list[CaseFiles]:
    """Return the cases of the scores, without files."""
    return [CaseFiles(name) for name in dict.fromkeys(score.case for score in scores)]


def _read_case(folder: Path, case: Mapping[str, Any], sets: Sequence[str]) -> CaseFiles:
    name, image = str(case.get("case", "")), case.get("image")
    subject = str(case.get("subject") or "")
    predictions = case.get("predictions") or {}
    # Of several channels the first is shown.
    image = image[0] if isinstance(image, list) and image else image
    return CaseFiles(
        name=name,
        subject="" if subject == name else subject,
        image=_locate(folder, image),
        reference=_locate(folder, case.get("reference")),
        predictions={one: _locate(folder, (predictions.get(one) or {}).get("path")) for one in sets},
    )


def _read_values(summary: Mapping[str, Any]) -> dict[str, dict[int, int]]:
    """Return the label's value by the value in the files, of sets where they differ, and of the reference at "".

    Ignored values of a reference have no label, so that they are drawn as background.
    """
    labels = summary.get("labels") or {}
    ignored = bool(summary.get("ignored_values"))
    files = {"": (summary.get("reference") or {}).get("labels")}
    files |= {str(one.get("name")): one.get("labels") for one in summary.get("sets") or ()}
    return {
        key: {int(value): int(labels[name]) for name, value in own.items() if name in labels}
        for key, own in files.items()
        if own and (own != labels or (ignored and key == ""))
    }


def _locate(folder: Path, path: object) -> Path | None:
    return folder / path if isinstance(path, str) and path else None


def _read_labels(summary: Mapping[str, Any], scores: Sequence[Score]) -> dict[str, int]:
    """Return the value of each foreground label; labels of an evaluation are numbered in their order."""
    labels = summary.get("labels") or {}
    if all(isinstance(value, int) for value in labels.values()) and labels:
        return {str(name): value for name, value in labels.items() if str(name) != "background"}
    return {name: value for value, name in enumerate(dict.fromkeys(score.label for score in scores), start=1)}


def _read_regions(summary: Mapping[str, Any]) -> dict[str, list[int]]:
    """Return the values of each region's labels; nothing in a comparison of labels."""
    labels = summary.get("labels") or {}
    return {str(name): [int(labels[one]) for one in own] for name, own in (summary.get("regions") or {}).items()}


def _describe_set(one: Mapping[str, Any]) -> str:
    arm, seed = one.get("arm"), one.get("seed")
    facts = [one.get("path"), f"arm {arm}" if arm else None, None if seed is None else f"seed {seed}"]
    return ", ".join(str(fact) for fact in facts if fact)


def _describe_tolerance(tolerance: object, unit: str) -> str:
    if isinstance(tolerance, Mapping):
        values = set(tolerance.values())
        if len(values) == 1:
            return f"{values.pop():g} {unit}"
        return ", ".join(f"{name} {length:g} {unit}" for name, length in tolerance.items())
    return f"{tolerance:g} {unit}" if isinstance(tolerance, int | float) else ""


def _no_case(folder: Path) -> InputError:
    return InputError(
        folder, found="no case", expected="at least one compared case", remedy="compare folders that share case names"
    )


def _known_metrics(rows: Sequence[Mapping[str, Any]]) -> dict[str, Metric]:
    metrics = list_metrics(rows)
    return {one.name: Metric(one.name, one.title, _unit(one.unit), one.better) for one in metrics}


def _unit(unit: object) -> str:
    """Return a unit as it is written; empty for a ratio, whose unit is 1."""
    return "" if unit in (None, "1", "") else str(unit)

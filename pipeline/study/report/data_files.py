"""Write a study's numbers for programs: a row per arm, a row per run, and everything as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...evaluation.metric_names import name_in_unit
from ...spreadsheet import format_table
from ...version import __version__
from .arms import Run
from .content import Content, Part
from .costs import COSTS, average_costs
from .origin import list_lost, list_origins, measure_dice
from .results import OVERALL, Contrast, Estimate
from .robustness import AREA
from .values import METRICS, as_array, mean_known

__all__ = ["format_arms", "format_json", "format_runs"]

_KEY = ("bundle", "network", "skip")
_SETTINGS = ("bundle", "network", "skip", "fold", "seed")


def format_arms(content: Content) -> str:
    """Return ``study.csv``: a row per arm.

    Columns: ``bundle``, ``network``, ``skip``, ``budget``, ``group``, ``baseline``; the number of runs in each state,
    ``seeds`` and ``cases``; for each of ``dice``, ``hd95_mm`` (of pictures ``hd95_px``, ``hd95_um`` or ``hd95_nm``),
    ``nsd`` (mean of labels), these with ``_LABEL``, and
    ``robustness_area`` (all, and with ``_PERTURBATION``): the mean, the ends of its interval (``_low``, ``_high``) and
    the deviation over seeds (``_sd_seeds``); ``dice_sd_cases``; the costs by their keys in a run, means over trainings;
    ``dice_difference`` to the baseline with ``_low`` and ``_high``, ``dice_p``, ``dice_p_holm``, ``dice_detectable``;
    ``verdict``. A cell is empty where a number does not exist.
    """
    rows = [row for part in content.parts for row in _list_arms(part, content.given.baseline)]
    return _format_rows(rows, (*_KEY, "budget", "group", "baseline"))


def format_runs(content: Content) -> str:
    """Return ``study_runs.csv``: a row per run, also of those without numbers.

    Columns: ``id``, ``state`` (done, diverged, failed, not run), ``reason``, settings, ``cases``, ``dice`` (mean of
    labels), each metric by label, ``robustness_area``, membranes, costs, machine, and ``taken_from``: the study whose
    run it is.
    """
    given = content.given
    rows = [_describe_run(run, str(run.get("state", "done"))) for run in given.runs]
    rows += [_describe_run(run, "failed") for run in given.failed]
    rows += [_describe_run(run, "not run") for run in given.missing]
    rows = [{**row, "taken_from": given.reused.get(row["id"], "")} for row in rows]
    return _format_rows(rows, ("id", "state", "reason", *_SETTINGS))


def format_json(content: Content) -> str:
    """Return ``study.json``: the study file, the verdicts, the arms, all comparisons, and the state of every run."""
    given = content.given
    states = {"done": [run for run in given.runs if run.get("state") != "diverged"]}
    states |= {"diverged": [run for run in given.runs if run.get("state") == "diverged"]}
    states |= {"failed": list(given.failed), "not run": list(given.missing)}
    document = {
        "format": 1,
        "kind": "study",
        "name": given.name,
        "question": given.question,
        "baseline": given.baseline,
        "lightskip": __version__,
        "origins": list_origins(given),
        "study_sha256": given.sha256,
        "study_text": given.text,
        "verdict": content.headline,
        "verdicts": [vars(one) for one in content.verdicts],
        "arms": [row for part in content.parts for row in _list_arms(part, given.baseline)],
        "comparisons": [row for part in content.parts for row in _list_contrasts(part)],
        "notes": {part.group.title: [*([part.warning] if part.warning else []), *part.notes] for part in content.parts},
        "runs": {state: [str(run.get("id", "?")) for run in runs] for state, runs in states.items()},
        "failed": [
            {"id": run.get("id"), "settings": run.get("settings"), "reason": run.get("reason")} for run in given.failed
        ],
        "left_over": list(given.left_over),
        "reused": dict(given.reused),
        "not_in_the_numbers": list_lost(given),
    }
    return json.dumps(_as_json(document), indent=1, allow_nan=False, ensure_ascii=False, default=str) + "\n"


def _list_arms(part: Part, baseline: str) -> Iterator[dict[str, Any]]:
    group, result, robust = part.group, part.result, part.robust
    verdicts = {one.skip: one for one in part.verdicts}
    for skip, arm in group.arms.items():
        found = result.arms.get(skip)
        row: dict[str, Any] = dict(zip(_KEY, (group.bundle, group.network, skip), strict=True))
        row |= {"budget": group.budget, "group": group.title, "baseline": skip == baseline}
        for state in ("done", "diverged", "failed", "missing"):
            row[f"runs_{state}"] = len(getattr(arm, state))
        row |= {"seeds": len(arm.seeds), "cases": 0 if found is None else found.cases}
        if found is not None:
            for (label, metric), one in found.estimates.items():
                column = name_in_unit(metric, group.unit)
                name = column if label == OVERALL else f"{column}_{label}"
                row |= _describe_estimate(name, one)
            row["dice_sd_cases"] = found.sd_cases
        own = None if robust is None else robust.arms.get(skip)
        for label, area in ({} if own is None else own.areas).items():
            row |= _describe_estimate("robustness_area" if label == AREA else f"robustness_area_{label}", area)
        row |= average_costs(arm)
        contrast = result.find(skip)
        if contrast is not None:
            row |= {f"dice_{key}": value for key, value in _describe_contrast(contrast).items()}
        row["verdict"] = "" if skip not in verdicts else verdicts[skip].kind
        yield row


def _describe_estimate(name: str, one: Estimate) -> dict[str, Any]:
    low, high = one.interval.ends or (math.nan, math.nan)
    return {name: one.mean, f"{name}_low": low, f"{name}_high": high, f"{name}_sd_seeds": one.sd_seeds}


def _describe_contrast(one: Contrast) -> dict[str, Any]:
    found = one.comparison
    low, high = found.interval.ends or (math.nan, math.nan)
    return {
        "difference": found.difference,
        "difference_low": low,
        "difference_high": high,
        "p": found.p,
        "p_holm": math.nan if found.p_holm is None else found.p_holm,
        "detectable": math.nan if found.detectable is None else found.detectable,
    }


def _list_contrasts(part: Part) -> Iterator[dict[str, Any]]:
    contrasts = [*part.result.contrasts, *(part.robust.contrasts if part.robust else ())]
    for one in contrasts:
        found = one.comparison
        metric = name_in_unit(one.metric, part.group.unit)
        names = {"group": part.group.title, "skip": one.skip, "metric": metric, "label": one.label}
        yield (
            names
            | found.as_row()
            | {
                "family": found.family,
                "seeds": list(found.seeds),
                "cases": one.cases,
                "shown": found.shown,
            }
        )


def _describe_run(run: Run, state: str) -> dict[str, Any]:
    settings = run.get("settings") or {}
    row: dict[str, Any] = {"id": str(run.get("id", "?")), "state": state, "reason": str(run.get("reason") or "")}
    row |= {key: settings.get(key, "") for key in _SETTINGS}
    row |= {f"budget_{unit}": value for unit, value in (settings.get("budget") or {}).items() if value is not None}
    cases = run.get("cases") or {}
    if cases.get("dice") and state == "done":
        row |= {"cases": len(cases["names"]), "dice": measure_dice(run)}
        for metric, key in METRICS.items():
            if cases.get(key):
                values = mean_known(as_array(cases[key], (len(cases["names"]), len(cases["labels"]))), axis=0)
                column = name_in_unit(metric, cases.get("unit", "mm"))
                row |= {f"{column}_{label}": float(one) for label, one in zip(cases["labels"], values, strict=True)}
    if state == "done":
        row["robustness_area"] = (run.get("robustness") or {}).get("area", "")
        row |= {key: value for key, value in (run.get("membranes") or {}).items() if value is not None}
    row |= {cost.name: run["cost"][cost.name] for cost in COSTS if cost.name in (run.get("cost") or {})}
    machine = run.get("machine") or {}
    return row | {key: machine.get(key, "") for key in ("cpu", "threads", "precision", "torch", "lightskip", "date")}


def _format_rows(rows: Sequence[Mapping[str, Any]], first: Sequence[str]) -> str:
    """Return rows as CSV, with some columns first and then those of all rows; an empty cell is a missing number."""
    columns = list(dict.fromkeys([*first, *(key for row in rows for key in row)]))
    return format_table(columns, ([_format_cell(row.get(key, "")) for key in columns] for row in rows))


def _format_cell(value: Any) -> Any:
    if isinstance(value, float):
        return f"{value:.6g}" if math.isfinite(value) else ""
    return str(value).lower() if isinstance(value, bool) else value


def _as_json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _as_json(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(one) for one in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value

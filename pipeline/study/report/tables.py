"""Make the tables of a study, for the page and for Markdown: verdicts, numbers and costs of arms, comparisons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...evaluation.metric_names import ALL_METRICS
from ...report.html.parts import Row, Table
from .arms import Group
from .costs import COSTS, average_costs
from .forest import FOREST_HEADS, describe_contrast
from .fronts import FRONT, find_fronts
from .numbers import NOTHING, format_bytes, format_interval, format_signed, format_value
from .results import OVERALL, Contrast, Estimate, GroupResult
from .robustness import AREA, Robustness
from .styles import style_arms
from .values import METRICS
from .verdict import KINDS, Verdict

__all__ = [
    "make_accuracy_table",
    "make_contrast_table",
    "make_cost_table",
    "make_label_table",
    "make_level_table",
    "make_matrix",
]


def make_matrix(verdicts: Sequence[Verdict]) -> Table | None:
    """Return a row per skip and a column per group: the difference of Dice, and the verdict; None for one group."""
    verdicts = [one for one in verdicts if one.measure == "Dice"]
    groups = list(dict.fromkeys(one.group for one in verdicts))
    if len(groups) < 2:
        return None
    rows = []
    for skip in dict.fromkeys(one.skip for one in verdicts):
        by_group = {one.group: one for one in verdicts if one.skip == skip}
        rows.append(Row(skip, [_describe_verdict(by_group.get(group)) for group in groups]))
    return Table("Difference of Dice to the baseline", ["skip", *groups], rows)


def _describe_verdict(one: Verdict | None) -> str:
    if one is None:
        return ""
    difference = format_signed(one.difference)
    return KINDS[one.kind] if difference == NOTHING else f"{difference}, {KINDS[one.kind]}"


def make_accuracy_table(group: Group, result: GroupResult, baseline: str, robust: Robustness | None) -> Table:
    """Return a row per arm: seeds, Dice with its interval, its deviations, HD95, NSD, and the area of robustness."""
    heads = ["skip", "seeds", f"Dice, {group.overall}", "SD, seeds", "SD, cases", f"HD95, {group.unit}", "NSD"]
    heads += ["robustness, area"] if robust is not None else []
    styles = style_arms(group, baseline)
    rows = []
    for skip, arm in group.arms.items():
        found = result.arms.get(skip)
        cells = [NOTHING] * (len(heads) - 2)
        if found is not None:
            dice, hd95, nsd = (found.estimates[OVERALL, metric] for metric in METRICS)
            cells[:5] = [
                _show(dice),
                *(format_value(value) for value in (dice.sd_seeds, found.sd_cases)),
                format_value(hd95.mean, group.unit),
                format_value(nsd.mean),
            ]
        own = None if robust is None else robust.arms.get(skip)
        if own is not None and AREA in own.areas:
            cells[-1] = _show(own.areas[AREA])
        note = _note(skip, baseline)
        rows.append(Row(skip, [_count_seeds(len(arm.seeds), arm.planned, len(arm.done)), *cells], note, styles[skip]))
    return Table(f"Accuracy: {group.title}", heads, rows)


def make_label_table(group: Group, result: GroupResult, baseline: str) -> Table | None:
    """Return a row per arm: Dice, HD95 and NSD of each label; None with one label."""
    if len(result.labels) < 2:
        return None
    heads = ["skip"]
    for metric in METRICS:
        unit = "" if ALL_METRICS[metric].unit == "1" else f", {group.unit}"
        heads += [f"{ALL_METRICS[metric].title} {label}{unit}" for label in result.labels]
    styles = style_arms(group, baseline)
    rows = []
    for skip in group.arms:
        found = result.arms.get(skip)
        cells = []
        for metric in METRICS:
            unit = "" if ALL_METRICS[metric].unit == "1" else group.unit
            for label in result.labels:
                cells.append(NOTHING if found is None else format_value(found.estimates[label, metric].mean, unit))
        rows.append(Row(skip, cells, _note(skip, baseline), styles[skip]))
    return Table(f"{group.structure.capitalize()}s: {group.title}", heads, rows)


def make_cost_table(group: Group, result: GroupResult, baseline: str) -> Table | None:
    """Return a row per arm: its costs, with a mark if it is on the front; None if nothing was measured."""
    costs = {skip: average_costs(arm) for skip, arm in group.arms.items()}
    shown = [cost for cost in COSTS if any(cost.name in one for one in costs.values())]
    if not shown:
        return None
    fronts = find_fronts(result, costs)
    styles = style_arms(group, baseline)
    rows = []
    for skip, own in costs.items():
        cells = [
            cost.write(own.get(cost.name)) + (f" {FRONT}" if skip in fronts.get(cost.name, ()) else "")
            for cost in shown
        ]
        rows.append(Row(skip, cells, _note(skip, baseline), styles[skip]))
    return Table(f"Cost: {group.title}", ["skip", *(cost.title for cost in shown)], rows)


def make_contrast_table(group: Group, contrasts: Sequence[Contrast], title: str, unit: str = "") -> Table | None:
    """Return a row per skip: its difference to the baseline, interval, p after Holm, detectable difference."""
    if not contrasts:
        return None
    rows = [
        Row(one.skip, describe_contrast(one, unit), "" if one.label in (OVERALL, AREA) else one.label)
        for one in contrasts
    ]
    return Table(f"{title}: {group.title}", ["skip", *FOREST_HEADS], rows)


def make_level_table(group: Group, baseline: str) -> Table | None:
    """Return a row per arm: bytes that the skip of each level hands over and keeps; None if unknown."""
    found: dict[str, Mapping[int, Mapping[str, Any]]] = {}
    for skip, arm in group.arms.items():
        levels = next((run["levels"] for run in arm.done if run.get("levels")), None)
        if levels:
            found[skip] = {int(one["level"]): one for one in levels}
    numbers = sorted({number for levels in found.values() for number in levels})
    if not numbers:
        return None
    styles = style_arms(group, baseline)
    keys = ("handed_bytes", "kept_bytes")
    heads = [f"level {number}, {word}" for number in numbers for word in ("handed", "kept")]
    rows = [
        Row(
            skip,
            [format_bytes(levels.get(number, {}).get(key)) for number in numbers for key in keys],
            swatch=styles[skip],
        )
        for skip, levels in found.items()
    ]
    return Table(f"Bytes of the skips: {group.title}", ["skip", *heads], rows)


def _show(one: Estimate) -> str:
    return f"{format_value(one.mean)} {format_interval(one.interval.ends)}".rstrip()


def _count_seeds(seeds: int, planned: int, done: int) -> str:
    """Return the number of seeds, and where runs are lost that of the runs that count."""
    return str(seeds) if planned == done else f"{seeds} ({done} of {planned} runs)"


def _note(skip: str, baseline: str) -> str:
    return "baseline" if skip == baseline else ""

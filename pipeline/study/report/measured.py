"""Make the tables of what only some studies measure: probes of the skips, and V_rand and V_info of membranes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...evaluation.holm import holm
from ...evaluation.seed_test import compare_seeds
from ...report.html.parts import Row, Table
from .arms import Arm, Group
from .numbers import NOTHING, format_signed, format_value, shorten_p
from .styles import style_arms

__all__ = ["make_membrane_table", "make_probe_table"]

_MEMBRANES = (("v_rand", "V_rand"), ("v_info", "V_info"))


def make_probe_table(group: Group, baseline: str) -> Table | None:
    """Return a row per arm and level, a column per probe: the change of Dice, mean and range over trainings.

    None if no run has probes.
    """
    probes: dict[str, None] = {}
    found: dict[tuple[str, int], dict[str, list[float]]] = {}
    trainings: dict[str, int] = {}
    for skip, arm in group.arms.items():
        probed = [run["probes"] for run in arm.done if run.get("probes")]
        trainings[skip] = len(probed)
        for one in (one for entries in probed for one in entries):
            probes[str(one["probe"])] = None
            values = found.setdefault((skip, int(one["level"])), {}).setdefault(str(one["probe"]), [])
            if one.get("difference") is not None:
                values.append(float(one["difference"]))
    if not probes:
        return None
    styles = style_arms(group, baseline)
    rows = [
        Row(
            f"{skip}, level {level}",
            [str(trainings[skip]), *(_show_changes(by_probe.get(probe, ())) for probe in probes)],
            swatch=styles[skip],
        )
        for (skip, level), by_probe in sorted(
            found.items(), key=lambda item: (list(group.arms).index(item[0][0]), item[0][1])
        )
    ]
    return Table(f"Probes: {group.title}", ["skip", "seeds", *probes], rows)


def make_membrane_table(group: Group, baseline: str) -> Table | None:
    """Return a row per arm: V_rand and V_info, mean and deviation over trainings, and against the baseline.

    p is of a t-test over trainings, because a training has one number, with Holm's correction over skips. None if no
    run has them.
    """
    measured = {skip: _list_membranes(arm) for skip, arm in group.arms.items()}
    if not any(measured.values()):
        return None
    columns = {skip: [str(len(parts))] for skip, parts in measured.items()}
    for key, _ in _MEMBRANES:
        values = {skip: _list_values(parts, key) for skip, parts in measured.items()}
        tests = {skip: compare_seeds(values.get(baseline, ()), own) for skip, own in values.items() if skip != baseline}
        corrected = holm([np.nan if test is None else test.p for test in tests.values()])
        p_values = dict(zip(tests, corrected, strict=True))
        base = _mean(values.get(baseline, ()))
        for skip, parts in measured.items():
            mean, p = _mean(values[skip]), p_values.get(skip, np.nan)
            spread = float(np.std(values[skip], ddof=1)) if len(values[skip]) > 1 else None
            thresholds = sorted(set(_list_values(parts, f"{key}_threshold")))
            columns[skip] += [
                format_value(mean),
                format_value(spread),
                NOTHING if skip == baseline else format_signed(mean - base),
                NOTHING if np.isnan(p) else shorten_p(p),
                ", ".join(f"{one:g}" for one in thresholds) or NOTHING,
            ]
    styles = style_arms(group, baseline)
    rows = [Row(skip, cells, "baseline" if skip == baseline else "", styles[skip]) for skip, cells in columns.items()]
    heads = [head for _, title in _MEMBRANES for head in (title, "SD, seeds", "difference", "p, Holm", "threshold")]
    return Table(f"Membranes: {group.title}", ["skip", "seeds", *heads], rows)


def _list_values(parts: Sequence[Mapping[str, Any]], key: str) -> list[float]:
    return [float(part[key]) for part in parts if part.get(key) is not None]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def _list_membranes(arm: Arm) -> list[Mapping[str, Any]]:
    return [run["membranes"] for run in arm.done if run.get("membranes")]


def _show_changes(values: Sequence[float]) -> str:
    if not values:
        return NOTHING
    mean = format_signed(float(np.mean(values)))
    return mean if len(values) == 1 else f"{mean} ({format_signed(min(values))} to {format_signed(max(values))})"

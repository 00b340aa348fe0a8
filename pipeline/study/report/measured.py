"""Make the tables of what only some studies measure: probes of the skips, and V_rand and V_info of membranes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...report.html.parts import Row, Table
from .arms import Arm, Group
from .numbers import NOTHING, format_signed, format_value
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
    """Return a row per arm: V_rand and V_info, mean over trainings with their range; None if no run has them."""
    measured = {skip: _list_membranes(arm) for skip, arm in group.arms.items()}
    if not any(measured.values()):
        return None
    styles = style_arms(group, baseline)
    rows = []
    for skip, parts in measured.items():
        cells = [str(len(parts))]
        for key, _ in _MEMBRANES:
            values = [float(part[key]) for part in parts if part.get(key) is not None]
            spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
            thresholds = sorted({float(part[f"{key}_threshold"]) for part in parts if f"{key}_threshold" in part})
            cells += [
                format_value(float(np.mean(values)) if values else None),
                format_value(spread),
                ", ".join(f"{one:g}" for one in thresholds) or NOTHING,
            ]
        rows.append(Row(skip, cells, "baseline" if skip == baseline else "", styles[skip]))
    heads = [head for _, title in _MEMBRANES for head in (title, f"{title}, SD of seeds", f"{title}, threshold")]
    return Table(f"Membranes: {group.title}", ["skip", "seeds", *heads], rows)


def _list_membranes(arm: Arm) -> list[Mapping[str, Any]]:
    return [run["membranes"] for run in arm.done if run.get("membranes")]


def _show_changes(values: Sequence[float]) -> str:
    if not values:
        return NOTHING
    mean = format_signed(float(np.mean(values)))
    return mean if len(values) == 1 else f"{mean} ({format_signed(min(values))} to {format_signed(max(values))})"

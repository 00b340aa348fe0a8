"""Note what differs between the runs of a group and should not."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from .arms import Arm, Group, Run

__all__ = ["note_differences"]

# What all runs of a group have in common, whatever their skip.
_COMMON = {
    "bundle_version": "versions of the bundle",
    "plan_sha256": "plans",
    "datalist_sha256": "datalists",
    "device": "devices",
    "threads": "numbers of threads",
    "precision": "number formats",
}
_MACHINE = {"cpu": ("Seconds", "processors"), "torch": ("Numbers", "versions of PyTorch")}
_VARIED = ("seed", "fold")


def note_differences(group: Group) -> list[str]:
    """Return a sentence for each thing that differs between runs of a group, or of an arm, and should not."""
    notes = []
    for key, title in _COMMON.items():
        values = _list_values(run["settings"].get(key) for run in group.done)
        if len(values) > 1:
            notes.append(f"The runs have different {title}: {', '.join(values)}.")
    for arm in group.arms.values():
        notes += _note_arm(arm)
    for key, (what, title) in _MACHINE.items():
        values = _list_values((run.get("machine") or {}).get(key) for run in group.done)
        if len(values) > 1:
            notes.append(f"{what} are of different {title}: {', '.join(values)}.")
    return notes


def _note_arm(arm: Arm) -> list[str]:
    own = {key for run in arm.done for key in run["settings"]} - {*_VARIED, *_COMMON}
    differ = sorted(key for key in own if len(_list_values(run["settings"].get(key) for run in arm.done)) > 1)
    notes = []
    if differ:
        words = ", ".join(differ)
        notes.append(f"The runs of {arm.skip} differ in {words}: they are not trainings of one setting.")
    twice = _find_twice(arm.done)
    if twice:
        notes.append(f"{arm.skip} has several runs of seed {', '.join(twice)}: only the last of each counts.")
    return notes


def _find_twice(runs: Sequence[Run]) -> list[str]:
    pairs = [tuple(run["settings"].get(key) for key in _VARIED) for run in runs]
    return sorted({str(seed) for seed, fold in pairs if pairs.count((seed, fold)) > 1})


def _list_values(values: Iterable[Any]) -> list[str]:
    """Return different values as text, in their order."""
    return list(dict.fromkeys(_write(value) for value in values))


def _write(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)

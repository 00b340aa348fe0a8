"""Sort the runs of a study into arms, and arms into groups that are compared with each other."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...evaluation.rows import name_overall

__all__ = ["Arm", "Group", "Run", "describe_budget", "describe_run", "sort_runs"]

Run = Mapping[str, Any]
"""A run, as in its JSON file; of a failed or missing one only ``id`` and ``settings``."""


@dataclass
class Arm:
    """The trainings of one skip in one group. They differ in seed and fold only.

    Attributes:
        skip: label of the skip.
        done: runs that ended, by seed and fold.
        diverged: runs that diverged.
        failed: runs without a result, each with its reason.
        missing: runs that have not been started or have not ended.
    """

    skip: str
    done: list[Run] = field(default_factory=list)
    diverged: list[Run] = field(default_factory=list)
    failed: list[Run] = field(default_factory=list)
    missing: list[Run] = field(default_factory=list)

    @property
    def planned(self) -> int:
        """Number of runs, whatever became of them."""
        return len(self.done) + len(self.diverged) + len(self.failed) + len(self.missing)

    @property
    def seeds(self) -> list[Any]:
        """The seeds of the runs that ended."""
        return list(dict.fromkeys(run["settings"].get("seed") for run in self.done))


@dataclass
class Group:
    """The arms of one bundle, network and budget, with the same overrides.

    Attributes:
        title: bundle and network, and what else distinguishes the group from others.
        bundle: name of the bundle.
        network: label of the network.
        budget: the budget in words.
        arms: the arms by their skip, in the order of the study file.
    """

    title: str
    bundle: str
    network: str
    budget: str
    arms: dict[str, Arm] = field(default_factory=dict)

    @property
    def done(self) -> list[Run]:
        """The runs of all arms that ended."""
        return [run for arm in self.arms.values() for run in arm.done]

    @property
    def unit(self) -> str:
        """The unit of lengths in the runs that ended: ``mm``, or of pictures ``px``, ``µm`` or ``nm``."""
        stated = [(run.get("cases") or {}).get("unit") for run in self.done]
        return next((str(unit) for unit in stated if unit), "mm")

    @property
    def structure(self) -> str:
        """What was measured: ``label`` or ``region``."""
        return "region" if any((run.get("cases") or {}).get("regions") for run in self.done) else "label"

    @property
    def overall(self) -> str:
        """The name of the mean over all labels or regions, for people."""
        return name_overall(["all"] if self.structure == "region" else None)


def sort_runs(
    study: Mapping[str, Any], runs: Sequence[Run], failed: Sequence[Run], missing: Sequence[Run]
) -> list[Group]:
    """Return the groups of a study, with all of its runs.

    Args:
        study: the parsed study file, for the order of skips and networks.
        runs: runs that ended or diverged.
        failed: runs without a result.
        missing: runs that have not been started.
    """
    groups: dict[tuple[str, ...], Group] = {}
    for kind, entries in (("done", runs), ("failed", failed), ("missing", missing)):
        for run in entries:
            settings = run.get("settings") or {}
            key = _identify(settings)
            group = groups.setdefault(key, Group("", key[0], key[1], describe_budget(settings.get("budget"))))
            skip = str(settings.get("skip", "?"))
            arm = group.arms.setdefault(skip, Arm(skip))
            state = "diverged" if kind == "done" and run.get("state") == "diverged" else kind
            getattr(arm, state).append(run)
    order = _list_labels(study)
    found = [groups[key] for key in sorted(groups, key=lambda key: _place(key, list(groups), order))]
    for key, group in groups.items():
        group.title = _make_title(key, group, groups)
        group.arms = {skip: group.arms[skip] for skip in sorted(group.arms, key=lambda one: _rank(one, order["skips"]))}
        for arm in group.arms.values():
            for entries in (arm.done, arm.diverged, arm.failed, arm.missing):
                entries.sort(key=lambda run: _sort_key(run.get("settings") or {}))
    return found


def describe_budget(budget: Mapping[str, Any] | None) -> str:
    """Return a budget in words, such as ``6 epochs``."""
    return ", ".join(f"{value:g} {unit}" for unit, value in (budget or {}).items() if value is not None) or "no budget"


def describe_run(run: Run) -> str:
    """Return the network, skip, seed and fold of a run in words."""
    settings = run.get("settings") or {}
    parts = [str(settings[key]) for key in ("bundle", "network", "skip") if key in settings]
    parts += [f"{key} {settings[key]}" for key in ("seed", "fold") if key in settings]
    return ", ".join(parts) or str(run.get("id", "?"))


def _identify(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what runs that are compared have in common: bundle, network, budget and overrides."""
    rest = [json.dumps(settings.get(key) or {}, sort_keys=True, default=str) for key in ("budget", "overrides")]
    return (str(settings.get("bundle", "?")), str(settings.get("network", "?")), *rest)


def _make_title(key: tuple[str, ...], group: Group, groups: Iterable[tuple[str, ...]]) -> str:
    twins = [other for other in groups if other[:2] == key[:2]]
    title = f"{group.bundle}, {group.network}"
    if len({other[2] for other in twins}) > 1:
        title += f", {group.budget}"
    if len({other[3] for other in twins}) > 1:
        changed = json.loads(key[3])
        title += ", " + (", ".join(f"{name} {value}" for name, value in changed.items()) or "no overrides")
    return title


def _list_labels(study: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the labels of bundles, networks and skips in the order of the study file."""
    found: dict[str, list[str]] = {"bundles": [], "networks": [], "skips": []}
    for entry in study.get("arms") or ():
        found["bundles"].append(str(entry.get("bundle")))
        skips = [_find_label(one) for one in entry.get("skips") or ()]
        for network in entry.get("networks") or ():
            found["networks"].append(_find_label(network))
            variant = network.get("variant") if isinstance(network, Mapping) else None
            found["skips"] += [f"{skip}, {variant}" if variant else skip for skip in skips]
    return found


def _find_label(entry: Any) -> str:
    if isinstance(entry, Mapping):
        named = entry.get("label") or entry.get("name") or entry.get("skip")
        return named if isinstance(named, str) else str(named)
    return str(entry)


def _rank(label: str, labels: Sequence[str]) -> int:
    return labels.index(label) if label in labels else len(labels)


def _place(key: tuple[str, ...], keys: list[tuple[str, ...]], order: Mapping[str, list[str]]) -> tuple[int, ...]:
    return _rank(key[0], order["bundles"]), _rank(key[1], order["networks"]), keys.index(key)


def _sort_key(settings: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(f"{settings.get(key)!s:>12}" for key in ("seed", "fold"))

"""Turn a study into its runs: one training for each network, skip, fold and seed of each group."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ..bundle.plan import load_plan
from ..data.errors import InputError
from .arms import Arm, expand_group
from .datasets import datalist_of
from .read_study import StudyFile
from .schema import Group

__all__ = ["Run", "expand_study"]

# Parts of a plan that say nothing about a study's training: texts, and what the study sets itself.
_UNUSED: dict[str, Any] = {
    **dict.fromkeys(("name", "title", "version", "changelog", "task", "description", "intended_use", "authors"), True),
    **dict.fromkeys(("copyright", "references", "data", "network", "skip", "evaluation", "postprocessing"), True),
    "training": {"epochs", "minutes", "val_interval", "warmup_epochs", "early_stop_patience", "threads", "cache_rate",
                 "seed"},
}  # fmt: skip
_MAX_NETWORK, _MAX_SKIP = 24, 36  # of labels in the name of a run, which is the name of files


@dataclass(frozen=True)
class Run:
    """One training of an arm.

    Attributes:
        id: its name: the main settings, and a digest of all of them.
        arm: the arm.
        fold: the fold that validates.
        seed: seed of the training.
        settings: all settings, ready for JSON.
    """

    id: str
    arm: Arm
    fold: int
    seed: int
    settings: Mapping[str, Any]


def expand_study(file: StudyFile, datasets: Mapping[str, Path] | None = None) -> list[Run]:
    """Return the runs of a study, in the order in which they start: all arms of a seed before the next seed.

    A study that is stopped early then has whole comparisons with fewer seeds.

    Args:
        file: the study.
        datasets: folders of datasets by the name of their bundle, which replace those of the file.

    Raises:
        InputError: a bundle, network, skip or key does not exist, a network cannot be built, or cannot hold the patch;
            two arms have the same name; the baseline is no arm; ``datasets`` names a bundle that the study lacks.
    """
    study = file.study
    _check_datasets(file, datasets or {})
    arms: list[tuple[Group, Arm]] = []
    for number, group in enumerate(study.arms):
        where = f"{file.path}, arms.{number}"
        arms += [(group, arm) for arm in expand_group(group, file, where, datasets or {})]
    _check_labels(file, [arm for _, arm in arms])
    folders = {arm.bundle: arm.dataset_dir for _, arm in arms}
    plans = {bundle: _describe_bundle(bundle, dataset) for bundle, dataset in folders.items()}
    runs = []
    for place in range(max(len(group.seeds or study.seeds) for group in study.arms)):
        for group, arm in arms:
            for seed in (group.seeds or study.seeds)[place : place + 1]:
                runs += [_make_run(arm, fold, seed, file, plans[arm.bundle]) for fold in group.folds or study.folds]
    return runs


def _check_datasets(file: StudyFile, datasets: Mapping[str, Path]) -> None:
    known = list(dict.fromkeys(Path(group.bundle).expanduser().absolute().name for group in file.study.arms))
    strange = [name for name in datasets if name not in known]
    if strange:
        close = get_close_matches(strange[0], known, n=1)
        raise InputError(
            f"--dataset_dir {strange[0]}={datasets[strange[0]]}",
            found=f"{strange[0]}, which is no bundle of {file.path}",
            expected=f"one of {', '.join(known)}",
            remedy=f"did you mean {close[0]}?" if close else "correct the name, or leave the option out",
        )


def _check_labels(file: StudyFile, arms: Sequence[Arm]) -> None:
    names = [(arm.bundle.name, arm.network, arm.skip, arm.budget.words()) for arm in arms]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(
            file.path,
            found=f"two arms with the name {' / '.join(twice)}",
            expected="each arm once",
            remedy="remove one, or give them labels: {skip: ..., label: ...}",
        )
    groups: dict[tuple[str, str], list[str]] = {}
    for arm in arms:
        groups.setdefault((arm.bundle.name, arm.network), []).append(arm.skip)
    if not any(file.study.baseline in skips for skips in groups.values()):
        labels = sorted({arm.skip for arm in arms})
        close = get_close_matches(file.study.baseline, labels, n=1)
        raise InputError(
            f"{file.path}, baseline",
            found=f"{file.study.baseline}, which is not among the skips of any group",
            expected=f"one of {', '.join(labels)}",
            remedy=f"did you mean {close[0]}?" if close else "add it to the skips, or name another baseline",
        )


def _describe_bundle(folder: Path, dataset: Path | None) -> dict[str, Any]:
    """Return what the trainings of a bundle depend on: digests of its plan (`_UNUSED` left out) and of its datalist."""
    plan = load_plan(folder)
    # Without defaults, so that a key that a later version adds changes no digest.
    content = plan.model_dump(mode="json", exclude=_UNUSED, exclude_defaults=True)
    datalist, _ = datalist_of(folder, dataset)
    return {
        "bundle": folder.name,
        "plan_sha256": _digest(content),
        "datalist_sha256": hashlib.sha256(datalist.read_bytes()).hexdigest()[:16] if datalist.is_file() else None,
    }


def _make_run(arm: Arm, fold: int, seed: int, file: StudyFile, bundle: Mapping[str, Any]) -> Run:
    settings = {
        **bundle,
        "network": arm.network,
        "network_spec": dict(arm.spec),
        "skip": arm.skip,
        "skip_definition": arm.skip_definition,
        "sparsity": arm.sparsity,
        "fold": fold,
        "seed": seed,
        "budget": arm.budget.model_dump(exclude_none=True),
        "overrides": dict(arm.overrides),
        "threads": file.study.threads,
        "device": file.study.device,
        "precision": file.study.precision,
    }
    # Labels are for people: the same training has one name in every study.
    digest = _digest({key: value for key, value in settings.items() if key not in ("network", "skip")})[:12]
    words = [arm.bundle.name, _file_word(arm.network)[:_MAX_NETWORK], _file_word(arm.skip)[:_MAX_SKIP]]
    name = "_".join(words)
    length = arm.budget.words().replace(" ", "")
    return Run(f"{name}_fold{fold}_seed{seed}_{length}_{digest}", arm, fold, seed, settings)


def _file_word(label: str) -> str:
    return re.sub(r"[^A-Za-z0-9.+=-]+", "_", label).strip("_").lower()


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

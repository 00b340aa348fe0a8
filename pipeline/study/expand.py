"""Turn a study into its runs: one training for each network, skip, fold and seed of each group."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from inspect import signature
from pathlib import Path
from typing import Any

from ..bundle.at_hand.find import find_bundle
from ..bundle.network_check import build_on_meta, check_deepest_level, explain_refusal
from ..bundle.plan import load_plan
from ..bundle.render import list_skips, read_skip, recipes_folder
from ..bundle.schema import InlineSkip, Plan
from ..data.errors import InputError
from ..networks import Networks, Skip
from .override_checks import SIZES, check_json, check_overrides
from .read_study import StudyFile
from .schema import Budget, Group, NetworkChoice, SkipChoice

__all__ = ["Arm", "Run", "expand_study"]

# Arguments of a plan's network that another network takes from it.
_SHARED = ("channels", "kernel_size", "strides", "norm", "act", "dropout")
# Arguments of a network that no study may set.
_OF_TASK = ("spatial_dims", "in_channels", "out_channels", "skip")
# Parts of a plan that say nothing about a study's training: texts, and what the study sets itself.
_UNUSED: dict[str, Any] = {
    **dict.fromkeys(("name", "title", "version", "changelog", "task", "description", "intended_use", "authors"), True),
    **dict.fromkeys(("copyright", "references", "data", "network", "skip", "evaluation", "postprocessing"), True),
    "training": {"epochs", "minutes", "val_interval", "warmup_epochs", "early_stop_patience", "threads", "cache_rate",
                 "seed"},
}  # fmt: skip
_MAX_NETWORK, _MAX_SKIP = 24, 36  # of labels in the name of a run, which is the name of files


@dataclass(frozen=True)
class Arm:
    """A network with a skip connection on a bundle.

    Attributes:
        bundle: folder of the bundle.
        dataset_dir: folder of its dataset; None for the bundle's own.
        network: label of the network.
        spec: name of the network and its arguments, without those that the task sets.
        skip: label of the skip connection.
        skip_definition: the skip connection, as a network takes it.
        sparsity: weight of the sparsity term in the loss.
        budget: length of the training.
        overrides: values of the config's keys.
    """

    bundle: Path
    dataset_dir: Path | None
    network: str
    spec: Mapping[str, Any]
    skip: str
    skip_definition: Any
    sparsity: float
    budget: Budget
    overrides: Mapping[str, Any] = field(default_factory=dict)


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
        arms += [(group, arm) for arm in _expand_group(group, file, where, datasets or {})]
    _check_labels(file, [arm for _, arm in arms])
    folders = {arm.bundle: arm.dataset_dir for _, arm in arms}
    plans = {bundle: _describe_bundle(bundle, dataset) for bundle, dataset in folders.items()}
    runs = []
    for place in range(max(len(group.seeds or study.seeds) for group in study.arms)):
        for group, arm in arms:
            for seed in (group.seeds or study.seeds)[place : place + 1]:
                runs += [_make_run(arm, fold, seed, file, plans[arm.bundle]) for fold in group.folds or study.folds]
    return runs


def _expand_group(group: Group, file: StudyFile, where: str, datasets: Mapping[str, Path]) -> list[Arm]:
    try:
        folder = find_bundle(group.bundle)
    except InputError as error:
        raise InputError(
            f"{where}.bundle",
            found=f"{group.bundle}: {error.found}",
            expected=error.expected,
            remedy=error.remedy,
        ) from error
    if not (folder / "configs" / "train.json").is_file():
        raise InputError(
            f"{where}.bundle",
            found=f"{group.bundle}, which has no configs/train.json",
            expected="a bundle: its name, or its folder relative to the working directory",
            remedy="list the names with `lightskip bundles`, or write the configs with `lightskip render`",
        )
    plan = load_plan(folder)
    config = json.loads((folder / "configs" / "train.json").read_text(encoding="utf-8"))
    check_overrides(group.overrides, config, plan.spatial_dims, f"{where}.overrides")
    given = datasets.get(folder.resolve().name, group.dataset_dir)
    arms = []
    for network in group.networks:
        choice = NetworkChoice(name=network) if isinstance(network, str) else network
        spec = _read_network(choice, plan, f"{where}.networks")
        for skip in group.skips:
            label, definition, sparsity = _read_skip(skip, file.path, f"{where}.skips")
            arm = Arm(
                bundle=folder.resolve(),
                dataset_dir=None if given is None else Path(given).expanduser().absolute(),
                network=choice.label or _name_network(choice),
                spec=spec,
                skip=label if choice.variant is None else f"{label}, {choice.variant}",
                skip_definition=definition,
                sparsity=sparsity,
                budget=group.budget or file.study.budget,
                overrides=group.overrides,
            )
            _check_sizes(arm, plan, f"{where}, {arm.network} with {arm.skip}")
            arms.append(arm)
    return arms


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


def _read_network(choice: NetworkChoice, plan: Plan, where: str) -> dict[str, Any]:
    """Return the name of a network and its arguments."""
    known = sorted(name.lower() for name in Networks.names)
    if choice.name.lower() not in known:
        close = get_close_matches(choice.name.lower(), known, n=1)
        raise InputError(
            where,
            found=f"{choice.name}, which is not a network",
            expected=f"one of {', '.join(known)}",
            remedy=f"did you mean {close[0]}?" if close else "choose one of these",
        )
    fixed = [key for key in _OF_TASK if key in choice.arguments]
    if fixed:
        raise InputError(
            where,
            found=f"the argument {fixed[0]} of {choice.label or choice.name}",
            expected="arguments that neither the bundle's task nor the study sets",
            remedy="name skip connections under skips" if fixed[0] == "skip" else "remove it",
        )
    takes = signature(Networks[choice.name]).parameters
    settings = plan.network.settings()
    own = choice.name.lower() == plan.network.name
    shared = {key: settings[key] for key in (settings if own else _SHARED) if key in takes and key in settings}
    for key, value in choice.arguments.items():
        check_json(key, value, where)
    return {"name": choice.name.lower(), **shared, **choice.arguments}


def _read_skip(choice: str | SkipChoice, file: Path, where: str) -> tuple[str, Any, float]:
    """Return the label, the definition and the sparsity of a skip."""
    if isinstance(choice, str):
        # A registered skip without a file of its own has its defaults.
        if choice not in list_skips() and choice.upper() in Skip.names:
            return choice, choice, 0.0
        content = read_skip(choice, recipes_folder() / "skips", Path(f"{file}, {where.rpartition(', ')[2]}"))
        return choice, content["skip"], float(content.get("sparsity", 0.0))
    check_json("skip", choice.skip, where)
    content = InlineSkip(skip=choice.skip, sparsity=choice.sparsity).model_dump(mode="json")
    return choice.label or _name_skip(choice.skip), content["skip"], choice.sparsity


def _name_network(choice: NetworkChoice) -> str:
    return " ".join([choice.name.lower(), *(f"{key}={_plain(value)}" for key, value in choice.arguments.items())])


def _name_skip(skip: Any) -> str:
    if isinstance(skip, str):
        return skip
    if len(skip) == 2 and isinstance(skip[1], dict):
        return " ".join([str(skip[0]), *(f"{key}={_plain(value)}" for key, value in skip[1].items())])
    return ", ".join(_name_skip(entry) for entry in skip)


def _plain(value: Any) -> str:
    return re.sub(r"[\s\"']", "", json.dumps(value))


def _check_sizes(arm: Arm, plan: Plan, where: str) -> None:
    """Build the network without memory, and compare its size divisor with patch and window."""
    spec = {
        **arm.spec,
        "skip": arm.skip_definition,
        "spatial_dims": plan.spatial_dims,
        "in_channels": len(plan.data.channels),
        "out_channels": len(plan.labels),
    }
    sizes = {key: arm.overrides.get(key, getattr(plan, key)) for key in SIZES}
    with explain_refusal(where):
        network = build_on_meta(spec)
    for key, size in sizes.items():
        divisor = network.size_divisor
        if any(voxels % step for voxels, step in zip(size, divisor, strict=True)):
            raise InputError(
                where,
                found=f"a {key} of {list(size)}",
                expected=f"sizes that divide by {list(divisor)}: the network halves the grid that often",
                remedy=f"give the network fewer levels, or another {key}: overrides: {{{key}: [...]}}",
            )
        check_deepest_level(network, list(size), f"{where}, {key}", found=str(list(size)))


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
    datalist = folder / "configs" / "datalist.json"
    if not datalist.is_file():
        datalist = (dataset or folder / "data") / "dataset.json"
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

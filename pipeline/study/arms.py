"""Turn a group of a study into its arms: every network with every skip, checked and built without memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..bundle.at_hand.find import find_bundle
from ..bundle.network_check import build_on_meta, check_deepest_level, find_refusal
from ..bundle.plan import load_plan
from ..bundle.schema import Plan
from ..data.errors import InputError
from .network_choices import name_network, read_network
from .override_checks import SIZES, check_overrides
from .problems import shorten
from .read_study import StudyFile
from .schema import Budget, Group, NetworkChoice
from .skip_choices import read_skip

__all__ = ["Arm", "expand_group"]


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


def expand_group(group: Group, file: StudyFile, where: str, datasets: Mapping[str, Path]) -> list[Arm]:
    """Return the arms of a group.

    Args:
        group: the group.
        file: its study.
        where: the file and the group's key, for messages.
        datasets: folders of datasets by the name of their bundle, which replace the group's.

    Raises:
        InputError: the bundle, a network, a skip or an override cannot be used, or a network cannot hold the patch.
    """
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
    check_overrides(group.overrides, folder / "configs" / "train.json", plan.spatial_dims, f"{where}.overrides")
    given = datasets.get(folder.resolve().name, group.dataset_dir)
    arms = []
    skips = [read_skip(skip, file.path, f"{where}.skips.{place}") for place, skip in enumerate(group.skips)]
    for place, network in enumerate(group.networks):
        choice = NetworkChoice(name=network) if isinstance(network, str) else network
        spec = read_network(choice, plan, f"{where}.networks.{place}")
        for label, definition, sparsity in skips:
            arm = Arm(
                bundle=folder.resolve(),
                dataset_dir=None if given is None else Path(given).expanduser().absolute(),
                network=choice.label or name_network(choice),
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


def _check_sizes(arm: Arm, plan: Plan, where: str) -> None:
    """Build the network without memory, and compare its size divisor with patch and window."""
    spec = {
        **arm.spec,
        "skip": arm.skip_definition,
        "spatial_dims": plan.spatial_dims,
        "in_channels": len(plan.data.channels),
        "out_channels": len(plan.outputs),
    }
    sizes = {key: arm.overrides.get(key, getattr(plan, key)) for key in SIZES}
    try:
        network = build_on_meta(spec)
    except InputError:
        raise
    except Exception as error:
        refusal = find_refusal(error)
        if refusal is None:
            raise
        raise InputError(
            where,
            found=f"a network that cannot be built{_name_culprit(spec, plan)}: {refusal}",
            expected="settings that the network and its skip connections accept",
            remedy="correct it under networks or skips",
        ) from error
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


def _name_culprit(spec: Mapping[str, Any], plan: Plan) -> str:
    """Return which argument keeps a network from being built, in words; empty if it is not a single one.

    It is the one without which the network can be built: with the bundle's value, or the network's own.
    """
    known = plan.network.settings() if spec["name"] == plan.network.name else {}
    for key in ("skip", *(key for key in spec if key not in ("name", "skip"))):
        others = {name: value for name, value in spec.items() if name != key}
        others |= {key: "concat"} if key == "skip" else {key: known[key]} if key in known else {}
        try:
            build_on_meta(others)
        except Exception:
            continue
        return f" with {key}: {shorten(spec[key])}"
    return ""

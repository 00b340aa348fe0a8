"""Build the network that weights are of. Bundles' configs call this while MONAI runs them. Needs torch and MONAI only.

The spec next to the weights (``model.json``), or in a training's ``last.pt``, takes precedence over the config, so that
nobody has to repeat how a network was trained. What the command line gives must agree with it.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser
from monai.networks.layers.factories import split_args
from torch import nn

from ..data.errors import InputError
from ..networks import Network, Networks, build_network
from ..networks.skips import skip_per_level
from ..networks.spec_file import read_spec, spec_file
from .overrides import known_ids, normalised
from .runtime import config_files, running_workflow

__all__ = ["given_arguments", "network_of_spec", "network_of_weights", "network_to_resume", "read_spec_of"]

_SEPARATOR = "::"
_DEFINITION = "network_def"
# What a network has from the task: weights of other classes or channels are of no use here, whoever says so.
_OF_THE_TASK = ("spatial_dims", "in_channels", "out_channels")

logger = logging.getLogger(__name__)


def network_of_weights(network: nn.Module, weights: str | Path) -> nn.Module:
    """Return the network that a file of weights is of, without the weights.

    Args:
        network: the config's, which it is where no spec says otherwise.
        weights: ``model.pt`` as a training wrote it, with ``model.json`` next to it, or any other state dict.

    Raises:
        InputError: the spec cannot be read or built, is of another task, or contradicts the command line.
    """
    return network_of_spec(network, read_spec_of(Path(weights)), Path(weights), given=_given_now())


def network_to_resume(network: nn.Module, checkpoint: str | Path) -> nn.Module:
    """Return the network of the training that wrote a ``last.pt``; see :func:`network_of_weights`."""
    try:
        state: Any = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
    except Exception:
        # No such file, or not a whole one: the training's own check of it says so.
        return network
    spec = state.get("network_spec") if isinstance(state, dict) else None
    return network_of_spec(network, spec, Path(checkpoint), given=_given_now())


def read_spec_of(weights: Path) -> dict[str, Any] | None:
    """Return the spec next to a file of weights; None where there is none, or it is of other weights.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        return read_spec(weights)
    except (OSError, ValueError) as error:
        raise InputError(
            spec_file(weights),
            found=f"a file that cannot be read as JSON ({error})",
            expected=f"what a training writes next to {weights.name}: the spec of its network",
            remedy="copy it again, or remove it: then the config says which network the weights are of",
        ) from error


def network_of_spec(
    network: nn.Module, spec: Mapping[str, Any] | None, where: Path, *, given: Collection[str] = ()
) -> nn.Module:
    """Return the network of a spec: the given one where it is of that spec, or there is none.

    Args:
        network: the config's.
        spec: of the weights; None where nothing says it.
        where: the file of the weights.
        given: arguments of the network that the user gave, by name; ``_target_`` for its class.

    Raises:
        InputError: the network of the spec is of another task, what was given contradicts it, or it cannot be built.
    """
    own = network.spec if isinstance(network, Network) else None
    if spec is None or spec == own:
        return network
    if own is None or not isinstance(network, Network):
        raise _contradiction(where, f"the network {spec['name']}", f"a {type(network).__name__}", _DEFINITION)
    _require_agreement(spec, own, where, given, levels=len(network.skips()))
    changed = [f"{key} {value!r}" for key, value in spec.items() if value != own.get(key)]
    logger.info(f"{where}: weights of a network with {', '.join(changed)}, which is built instead of the config's")
    # An exported bundle has classes of its own.
    same_class = type(network) if spec["name"].lower() == own["name"].lower() else None
    return _build(spec, same_class, where)


def _require_agreement(
    spec: Mapping[str, Any], own: Mapping[str, Any], where: Path, given: Collection[str], *, levels: int
) -> None:
    """Raise InputError where the weights' spec is of another task than the config's, or not what the user gave."""
    if "_target_" in given and spec["name"].lower() != own["name"].lower():
        raise _contradiction(where, f"the network {spec['name']}", f"the network {own['name']}", _DEFINITION)
    for key in own:
        if _is_same(key, spec.get(key), own[key], levels):
            continue
        theirs, ours = f"a network with {key} {spec.get(key)!r}", f"{key} {own[key]!r}"
        if key in _OF_THE_TASK and key in spec:
            raise InputError(
                where,
                found=f"weights of {theirs}",
                expected=f"{ours}, as this bundle's task has it",
                remedy="name weights that were trained for this task (its labels, channels and axes)",
            )
        if key in given:
            raise _contradiction(where, theirs, ours, key)


def _build(spec: Mapping[str, Any], network_type: type[nn.Module] | None, where: Path) -> nn.Module:
    try:
        if network_type is not None:
            return network_type(**{key: value for key, value in spec.items() if key != "name"})
        return build_network(spec)  # type: ignore[no-any-return]
    except (ValueError, TypeError) as error:
        raise InputError(
            where,
            found=f"weights of a network that cannot be built here: {' '.join(str(error).split()).rstrip('.')}",
            expected=f"one of the networks {', '.join(name.lower() for name in Networks.names)}, with skip connections "
            "that are registered",
            remedy="where network or skip are your own, name their module in imports of plan.yaml",
        ) from error


def given_arguments(definition: Mapping[str, Any], overridden: Collection[str]) -> set[str]:
    """Return the network's arguments that overrides of a config change, by name.

    Args:
        definition: ``network_def`` as the config has it, with references.
        overridden: ids of the overrides.
    """
    ids = [normalised(id_) for id_ in overridden]
    if _DEFINITION in ids:
        return {"_target_", *definition}
    given = {id_.split(_SEPARATOR)[1] for id_ in ids if id_.startswith(_DEFINITION + _SEPARATOR)}
    heads = {id_.partition(_SEPARATOR)[0] for id_ in ids}
    return given | {key for key, value in definition.items() if isinstance(value, str) and value[1:] in heads}


def _given_now() -> set[str]:
    """Return the arguments of the network that the command of the running workflow gives."""
    workflow, call = running_workflow()
    if workflow is None:
        return set()
    config: dict[str, Any] = workflow.parser.config
    definition = config.get(_DEFINITION)
    if not isinstance(definition, dict):
        return {"_target_"}
    overridden = [*call.get("kwargs", {})]
    # Those that come otherwise, as from a file of arguments, differ from what the config's files say.
    known = known_ids(ConfigParser.load_config_file(file) for file in config_files(workflow, call))
    ids = [f"{_DEFINITION}{_SEPARATOR}{key}" for key in definition]
    ids += [value[1:] for value in definition.values() if isinstance(value, str) and value.startswith("@")]
    for id_ in ids:
        value: Any = config
        for part in id_.split(_SEPARATOR):
            value = value.get(part) if isinstance(value, dict) else None
        if value not in known.get(id_, [value]):
            overridden.append(id_)
    return given_arguments(definition, overridden)


def _is_same(key: str, first: Any, second: Any, levels: int) -> bool:
    if key != "skip" or first == second:
        return bool(first == second)
    try:
        return _names_and_options(first, levels) == _names_and_options(second, levels)
    except ValueError:
        return False


def _names_and_options(skip: Any, levels: int) -> list[tuple[str, Any]]:
    pairs = map(split_args, skip_per_level(skip, levels))
    return [(name.lower(), options) for name, options in pairs]


def _contradiction(where: Path, theirs: str, ours: str, key: str) -> InputError:
    return InputError(
        where,
        found=f"weights of {theirs}",
        expected=f"{ours}, which was asked for",
        remedy=f"leave {key} out, as the weights say it themselves; or name weights that were trained with it",
    )

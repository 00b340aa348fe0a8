"""Build the network of trained weights, from a bundle's config while MONAI runs it. Needs only torch and MONAI.

The spec next to the weights (``model.json``), or in a training's ``last.pt``, takes precedence over the config, so that
no settings of the training have to be repeated. Settings on the command line must agree with it.
"""

from __future__ import annotations

import inspect
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
from ..networks.registry import normalise_spec
from ..networks.skips import skip_per_level
from ..networks.spec_file import read_spec, spec_file
from .overrides import known_ids, normalise_id
from .runtime import config_files, running_workflow

__all__ = ["find_given_arguments", "network_of_spec", "network_of_weights", "network_to_resume", "read_spec_of"]

_SEPARATOR = "::"
_DEFINITION = "network_def"
# Arguments that the task sets: weights with other classes or channels are of no use, even if they are asked for.
_TASK_ARGUMENTS = ("spatial_dims", "in_channels", "out_channels")

logger = logging.getLogger(__name__)


def network_of_weights(network: nn.Module, weights: str | Path) -> nn.Module:
    """Return the network for a file of weights, without loading them.

    Args:
        network: the config's network, which is returned where no spec differs from it.
        weights: a training's ``model.pt`` with ``model.json`` next to it, or any other state dict.

    Raises:
        InputError: the spec cannot be read or built, is for another task, or contradicts the command line.
    """
    return network_of_spec(network, read_spec_of(Path(weights)), Path(weights), given=_find_given_now())


def network_to_resume(network: nn.Module, checkpoint: str | Path) -> nn.Module:
    """Return the network of the training that wrote a ``last.pt``; see :func:`network_of_weights`."""
    try:
        state: Any = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
    except Exception:
        # A missing or damaged file is reported by the training's own check.
        return network
    spec = state.get("network_spec") if isinstance(state, dict) else None
    if not (isinstance(spec, Mapping) and isinstance(spec.get("name"), str)):
        return network  # the training's own check reports another form
    return network_of_spec(network, spec, Path(checkpoint), given=_find_given_now())


def read_spec_of(weights: Path) -> dict[str, Any] | None:
    """Return the spec next to a file of weights; None if there is none, or it belongs to other weights.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        return read_spec(weights)
    except (OSError, ValueError) as error:
        raise InputError(
            spec_file(weights),
            found=f"a file that cannot be read as JSON ({error})",
            expected=f"the spec of the network, which a training writes next to {weights.name}",
            remedy="copy it again, or remove it to use the network of the config",
        ) from error


def network_of_spec(
    network: nn.Module, spec: Mapping[str, Any] | None, where: Path, *, given: Collection[str] = ()
) -> nn.Module:
    """Return the network of a spec; the config's network if it has that spec, or there is no spec.

    Args:
        network: the config's network.
        spec: the weights' spec; None if it is unknown.
        where: the file of the weights.
        given: names of the network's arguments that the user set; ``_target_`` for its class.

    Raises:
        InputError: the spec is for another task, contradicts the user's arguments, or cannot be built.
    """
    own = network.spec if isinstance(network, Network) else None
    if spec is None or spec == own:
        return network
    if own is None or not isinstance(network, Network):
        raise _contradiction(where, f"the network {spec['name']}", f"a {type(network).__name__}", _DEFINITION)
    spec = _complete(spec, network)
    if spec == own:
        return network
    _require_agreement(spec, own, where, given, levels=len(network.skips()))
    changed = [f"{key} {value!r}" for key, value in spec.items() if value != own.get(key)]
    logger.info(f"{where}: built the weights' network instead of the config's: {', '.join(changed)}")
    # An exported bundle has its own copy of the class.
    same_class = type(network) if spec["name"].lower() == own["name"].lower() else None
    return _build(spec, same_class, where)


def _complete(spec: Mapping[str, Any], network: Network) -> dict[str, Any]:
    """Return the spec with the defaults of arguments that its network did not have yet when it was written."""
    if spec["name"].lower() != (network.spec or spec)["name"].lower():
        return dict(spec)
    parameters = inspect.signature(type(network)).parameters.values()
    defaults = {each.name: each.default for each in parameters if each.default is not each.empty}
    return {"name": spec["name"], **normalise_spec(defaults), **spec}


def _require_agreement(
    spec: Mapping[str, Any], own: Mapping[str, Any], where: Path, given: Collection[str], *, levels: int
) -> None:
    """Raise InputError where the weights' spec is for another task, or differs from the user's arguments."""
    if "_target_" in given and spec["name"].lower() != own["name"].lower():
        raise _contradiction(where, f"the network {spec['name']}", f"the network {own['name']}", _DEFINITION)
    for key in own:
        if _is_same(key, spec.get(key), own[key], levels):
            continue
        trained, asked = f"a network with {key} {spec.get(key)!r}", f"{key} {own[key]!r}"
        if key in _TASK_ARGUMENTS and key in spec:
            raise InputError(
                where,
                found=f"weights of {trained}",
                expected=f"{asked}, for this bundle's task",
                remedy="use weights that were trained for this task (its labels, channels and axes)",
            )
        if key in given:
            raise _contradiction(where, trained, asked, key)


def _build(spec: Mapping[str, Any], network_type: type[nn.Module] | None, where: Path) -> nn.Module:
    try:
        if network_type is not None:
            return network_type(**{key: value for key, value in spec.items() if key != "name"})
        return build_network(spec)  # type: ignore[no-any-return]
    except (ValueError, TypeError) as error:
        raise InputError(
            where,
            found=f"weights of a network that cannot be built here: {' '.join(str(error).split()).rstrip('.')}",
            expected=f"one of the networks {', '.join(name.lower() for name in Networks.names)}, with registered skip "
            "connections",
            remedy="if network or skip are your own, add their module to imports in plan.yaml",
        ) from error


def find_given_arguments(definition: Mapping[str, Any], overridden: Collection[str]) -> set[str]:
    """Return the names of the network's arguments that overrides of a config change.

    Args:
        definition: the config's ``network_def``, with references.
        overridden: ids of the overrides.
    """
    ids = [normalise_id(id_) for id_ in overridden]
    if _DEFINITION in ids:
        return {"_target_", *definition}
    given = {id_.split(_SEPARATOR)[1] for id_ in ids if id_.startswith(_DEFINITION + _SEPARATOR)}
    heads = {id_.partition(_SEPARATOR)[0] for id_ in ids}
    return given | {key for key, value in definition.items() if isinstance(value, str) and value[1:] in heads}


def _find_given_now() -> set[str]:
    """Return the names of the network's arguments that the running workflow's command sets."""
    workflow, call = running_workflow()
    if workflow is None:
        return set()
    config: dict[str, Any] = workflow.parser.config
    definition = config.get(_DEFINITION)
    if not isinstance(definition, dict):
        return {"_target_"}
    overridden = [*call.get("kwargs", {})]
    # Other overrides, such as those of a file of arguments, differ from the values in the config's files.
    known = known_ids(ConfigParser.load_config_file(file) for file in config_files(workflow, call))
    ids = [f"{_DEFINITION}{_SEPARATOR}{key}" for key in definition]
    ids += [value[1:] for value in definition.values() if isinstance(value, str) and value.startswith("@")]
    for id_ in ids:
        value: Any = config
        for part in id_.split(_SEPARATOR):
            value = value.get(part) if isinstance(value, dict) else None
        if value not in known.get(id_, [value]):
            overridden.append(id_)
    return find_given_arguments(definition, overridden)


def _is_same(key: str, first: Any, second: Any, levels: int) -> bool:
    if key != "skip" or first == second:
        return bool(first == second)
    try:
        return _split_skip(first, levels) == _split_skip(second, levels)
    except ValueError:
        return False


def _split_skip(skip: Any, levels: int) -> list[tuple[str, Any]]:
    pairs = map(split_args, skip_per_level(skip, levels))
    return [(name.lower(), options) for name, options in pairs]


def _contradiction(where: Path, trained: str, asked: str, key: str) -> InputError:
    return InputError(
        where,
        found=f"weights of {trained}",
        expected=f"{asked}, which was asked for",
        remedy=f"leave {key} out, as it is stored with the weights; or use weights that were trained with it",
    )

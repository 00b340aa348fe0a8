"""Read the networks of a study: their names, their arguments, and what they take from the bundle's plan."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from difflib import get_close_matches
from inspect import signature
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ..bundle.network_schema import Network, network_tag
from ..bundle.schema import Plan
from ..data.errors import InputError
from ..networks import Networks
from .override_checks import check_json
from .problems import explain_problem, shorten
from .schema import NetworkChoice

__all__ = ["name_network", "plain", "read_network"]

# Arguments of a plan's network that another network takes from it.
_SHARED = ("channels", "kernel_size", "strides", "norm", "act", "dropout")
# Arguments of a network that no study may set.
_OF_TASK = ("spatial_dims", "in_channels", "out_channels", "skip")
_SETTINGS: TypeAdapter[Any] = TypeAdapter(Network)


def read_network(choice: NetworkChoice, plan: Plan, where: str) -> dict[str, Any]:
    """Return the name of a network and its arguments.

    Args:
        choice: what the study file says.
        plan: the bundle's plan.
        where: the file and the key, for messages.

    Raises:
        InputError: there is no such network, the study may not set an argument, or its value has a wrong form.
    """
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
    spec = {"name": choice.name.lower(), **shared, **choice.arguments}
    _check_forms(spec, choice.arguments, where)
    return spec


def _check_forms(spec: Mapping[str, Any], given: Mapping[str, Any], where: str) -> None:
    """Refuse values that the plan of a bundle could not have: the network would say it less clearly, or not at all."""
    if network_tag(spec) == "[own]":
        return
    try:
        _SETTINGS.validate_python(dict(spec))
    except ValidationError as error:
        # A network has defaults for what a plan must say, knows all its arguments, and may take null for none.
        wrong = [
            one
            for one in error.errors()
            if one["type"] not in ("missing", "extra_forbidden") and spec[str(one["loc"][1])] is not None
        ]
        if not wrong:
            return
        # What the file says comes before what follows from it.
        first = min(wrong, key=lambda one: str(one["loc"][1]) not in given)
        key = str(first["loc"][1])
        origin = "" if key in given else ", of the bundle"
        # An entry of a list has its number; after it are Pydantic's names for the members of a union.
        entry = first["loc"][2:3] if type(first["loc"][-1]) is int else ()
        raise InputError(
            ".".join(map(str, (where, key, *entry))),
            found=f"{shorten(first['input'] if entry else spec[key])}{origin}",
            expected=re.sub(r"^(must be|should be|should have|needs) ", "", explain_problem(first)).replace(
                "network.", ""
            ),
            remedy=f"correct {key}" if key in given else f"add {key} to the network, or leave out what it must fit",
        ) from None


def name_network(choice: NetworkChoice) -> str:
    """Return the label of a network without one: its name and arguments."""
    return " ".join([choice.name.lower(), *(f"{key}={plain(value)}" for key, value in choice.arguments.items())])


def plain(value: Any) -> str:
    """Return a value as a short word."""
    return re.sub(r"[\s\"']", "", json.dumps(value))

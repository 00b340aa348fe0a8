"""Read a plan, ``bundles/NAME/plan.yaml``, and report every problem with its key and line."""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, Tag, ValidationError
from pydantic_core import ErrorDetails

from ..data.errors import InputError
from ..data.yaml_file import Keys, Lines, line_of, read_yaml
from .network_schema import network_tag
from .schema import Plan

__all__ = ["Plan", "load_plan", "plan_file"]

_MAX_PROBLEMS = 20  # in a message, which a terminal shows at once
_MAX_VALUE = 200  # characters of a value in a message


def plan_file(bundle: str | Path) -> Path:
    """Return ``plan.yaml`` in a bundle's folder; a path that is not a folder is returned unchanged."""
    path = Path(bundle)
    return path / "plan.yaml" if path.is_dir() else path


def load_plan(bundle: str | Path) -> Plan:
    """Read a bundle's plan.

    Args:
        bundle: the bundle's folder, or its ``plan.yaml``.

    Raises:
        InputError: lists the first problems in the file with dotted key and line, says how many more there are, and
            for an unknown key names the nearest known one.
    """
    file = plan_file(bundle)
    content, lines = read_yaml(file)
    try:
        return Plan.model_validate(content)
    except ValidationError as error:
        network = network_tag(content.get("network") if isinstance(content, dict) else None)
        problems = [text for _, text in sorted(_describe_problem(one, lines, network) for one in error.errors())]
        more = [f"and {len(problems) - _MAX_PROBLEMS} more"] if len(problems) > _MAX_PROBLEMS else []
        raise InputError(
            file,
            found=f"{len(problems)} problem{'s' * (len(problems) > 1)}",
            expected="the keys and values of a plan",
            remedy="correct these lines:\n  " + "\n  ".join(problems[:_MAX_PROBLEMS] + more),
        ) from None


def _describe_problem(details: ErrorDetails, lines: Lines, network: str) -> tuple[int, str]:
    path = _key_path(details, lines)
    line = line_of(lines, path)
    where = f"line {line}: {'.'.join(path)}"
    if details["type"] == "extra_forbidden":
        return line, f"{where} is not a key of a plan{_suggest_key(path, network)}"
    if details["type"] == "missing":
        return line, f"{where} is missing"
    subkey = details.get("ctx", {}).get("subkey")
    found = repr(details["input"][subkey] if subkey else details["input"])
    if len(found) > _MAX_VALUE:
        found = f"{found[:_MAX_VALUE]}..."
    message = re.sub(r"^(Input|String) should", "should", details["msg"])
    return line, f"{where} {message} (found {found})"


def _key_path(details: ErrorDetails, lines: Lines) -> Keys:
    parts: Keys = ()
    for part in map(str, details["loc"]):
        # Pydantic adds parts such as "[key]" or a union's member, which are not in the file.
        if not re.search(r"[\[\]]", part) or (*parts, part) in lines:
            parts = (*parts, part)
    subkey = details.get("ctx", {}).get("subkey")
    return (*parts, subkey) if subkey else parts


def _suggest_key(path: Keys, network: str) -> str:
    known = list(dict.fromkeys(_known_paths(Plan, network)))
    siblings = [key[-1] for key in known if key[:-1] == path[:-1]]
    close = get_close_matches(path[-1], siblings, n=1)
    if close:
        return f"; did you mean {'.'.join((*path[:-1], close[0]))}?"
    elsewhere = get_close_matches(path[-1], [key[-1] for key in known], n=1)
    if elsewhere:
        return f"; did you mean {' or '.join('.'.join(key) for key in known if key[-1] == elsewhere[0])}?"
    return f"; keys here: {', '.join(siblings)}"


def _known_paths(model: type[BaseModel], network: str, path: Keys = ()) -> Iterator[Keys]:
    for name, field in model.model_fields.items():
        yield (*path, name)
        for schema in _schemas_in(field.annotation, network):
            yield from _known_paths(schema, network, (*path, name))


def _schemas_in(annotation: Any, network: str) -> Iterator[type[BaseModel]]:
    """Yield a field's schema, or those of a union's members; of networks, only the chosen one."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    arguments = get_args(annotation)
    if all(one.tag == network for one in arguments if isinstance(one, Tag)):
        for argument in arguments:
            yield from _schemas_in(argument, network)

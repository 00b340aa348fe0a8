"""Writes down the part of a running config that transforms are made from, as text to recognise prepared cases by."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from typing import Any

from monai.bundle import ConfigParser, ReferenceResolver

from .code_text import code_text

__all__ = ["config_text"]

_IMPORT = re.compile(r"\$\s*(?:import|from)\s+([\w.]+)")


def config_text(id: str, *, without: str | None = None) -> str | None:
    """Return the text of a part of the config that MONAI is evaluating, with all that it refers to.

    A config calls this in an expression: ``$config_text('train#preprocessing', without='train#random_transforms')``.
    Overrides and files laid over the config count. The modules of the config's ``imports`` and those of each `_target_`
    count by their version, or by the content of their files: see `code_text`. What an expression or a transform reads
    by itself, such as a file or an environment variable, does not count.

    Args:
        id: the part.
        without: a part that does not count where the first refers to it.

    Returns:
        A text that does not depend on the process; None where no config is being evaluated, or where it holds objects
        instead of text, numbers, lists and mappings.
    """
    parser = _running_parser()
    if parser is None:
        return None
    left_out = None if without is None else ReferenceResolver.normalize_id(without)
    parts = _with_references(parser, ReferenceResolver.normalize_id(id), left_out)
    try:
        lines = [f"{part} {json.dumps(content)}" for part, content in sorted(parts.items())]
    except (TypeError, ValueError):
        return None
    return "\n".join([*lines, code_text([*_imported(parser.get("imports")), *_targets(list(parts.values()))])])


def _running_parser() -> ConfigParser | None:
    """Find the parser on the call stack: MONAI gives a config no handle on it."""
    frame = inspect.currentframe()
    while frame is not None:
        candidate = frame.f_locals.get("self")
        if isinstance(candidate, ConfigParser):
            return candidate
        frame = frame.f_back
    return None


def _with_references(parser: ConfigParser, id: str, left_out: str | None) -> dict[str, Any]:
    """Return a part and all that it refers to, each by its id as it is configured."""
    found: dict[str, Any] = {}
    waiting = [id]
    while waiting:
        part = waiting.pop()
        if part in found or (left_out is not None and f"{part}::".startswith(f"{left_out}::")):
            continue
        found[part] = parser.get(part)
        inside = (other for other in found if part.startswith(f"{other}::"))
        if next(inside, None) is not None:
            del found[part]  # a part of what is there already
            continue
        waiting += ReferenceResolver.find_refs_in_config(found[part], part)
    return found


def _imported(imports: Any) -> Iterator[str]:
    for text in imports if isinstance(imports, list) else [imports]:
        match = _IMPORT.match(text) if isinstance(text, str) else None
        if match:
            yield match[1]


def _targets(value: Any) -> Iterator[str]:
    """Yield the modules of all classes and functions that a part names with their module."""
    if isinstance(value, dict):
        target = value.get("_target_")
        if isinstance(target, str) and re.fullmatch(r"\w+(\.\w+)+", target):
            yield target.rpartition(".")[0]
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _targets(item)

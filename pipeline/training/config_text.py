"""Return the text of the config that transforms are built from, which identifies the cases prepared with them."""

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
    """Return the text of a part of the config that MONAI is evaluating, with everything that it refers to.

    A config calls this in an expression: ``$config_text('train#preprocessing', without='train#random_transforms')``.
    The text includes overrides and files merged over the config. It has a line for each module in the config's
    ``imports`` and in a `_target_`: its version, or a digest of its files (see `code_text`). It does not include what
    an expression or a transform reads itself, such as a file or an environment variable.

    Args:
        id: the part.
        without: a part to leave out where the first refers to it.

    Returns:
        The text, which is the same in every process. None if no config is being evaluated, or if the part contains
        objects other than text, numbers, lists and mappings.
    """
    parser = _find_running_parser()
    if parser is None:
        return None
    left_out = None if without is None else ReferenceResolver.normalize_id(without)
    parts = _resolve_references(parser, ReferenceResolver.normalize_id(id), left_out)
    try:
        lines = [f"{part} {json.dumps(content)}" for part, content in sorted(parts.items())]
    except (TypeError, ValueError):
        return None
    return "\n".join(
        [*lines, code_text([*_find_imports(parser.get("imports")), *_find_target_modules(list(parts.values()))])]
    )


def _find_running_parser() -> ConfigParser | None:
    """Return the parser from the call stack. MONAI offers a config no other access to it."""
    frame = inspect.currentframe()
    while frame is not None:
        candidate = frame.f_locals.get("self")
        if isinstance(candidate, ConfigParser):
            return candidate
        frame = frame.f_back
    return None


def _resolve_references(parser: ConfigParser, id: str, left_out: str | None) -> dict[str, Any]:
    """Return the configured content of a part and of everything that it refers to, by id."""
    found: dict[str, Any] = {}
    waiting = [id]
    while waiting:
        part = waiting.pop()
        if part in found or (left_out is not None and f"{part}::".startswith(f"{left_out}::")):
            continue
        found[part] = parser.get(part)
        inside = (other for other in found if part.startswith(f"{other}::"))
        if next(inside, None) is not None:
            del found[part]  # already included in another part
            continue
        waiting += ReferenceResolver.find_refs_in_config(found[part], part)
    return found


def _find_imports(imports: Any) -> Iterator[str]:
    for text in imports if isinstance(imports, list) else [imports]:
        match = _IMPORT.match(text) if isinstance(text, str) else None
        if match:
            yield match[1]


def _find_target_modules(value: Any) -> Iterator[str]:
    """Yield the modules of all classes and functions that a part names by a dotted path."""
    if isinstance(value, dict):
        target = value.get("_target_")
        if isinstance(target, str) and re.fullmatch(r"\w+(\.\w+)+", target):
            yield target.rpartition(".")[0]
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _find_target_modules(item)

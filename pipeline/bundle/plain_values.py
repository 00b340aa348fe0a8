"""Values of a bundle's config that JSON alone shows: numbers, texts, and texts that are put together from these.

Needs neither torch nor MONAI, so that a mistake in them is reported before these are imported.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["UNKNOWN", "PlainValues"]

UNKNOWN: Any = object()  # value of a key that only MONAI can evaluate, or that does not exist

_EVALUATED = ("$", "@", "%")
_REFERENCE = re.compile(r"@(\w+)")
_ROOT = "bundle_root"


class PlainValues:
    """The plain values of a config.

    Args:
        config: the config with its overrides. References to the bundle's folder are known without its own expression.
        bundle: the bundle's folder.
    """

    def __init__(self, config: Mapping[str, Any], bundle: Path) -> None:
        # An override is a plain text. The config's own expression searches MONAI's stack frames.
        own = config.get(_ROOT)
        root = own if isinstance(own, str) and not own.startswith(_EVALUATED) else str(bundle.resolve())
        self._config = {**config, _ROOT: root}

    def find(self, key: str) -> Any:
        """Return the value of a key at the top of the config; `UNKNOWN` if only MONAI can evaluate it.

        Expressions of constants, ``@KEY``, ``str(@KEY)`` and ``+`` of texts are evaluated, such as ``$None`` and
        ``$@bundle_root + '/data'``.
        """
        return self._find(key, ())

    def find_text(self, key: str) -> str | None:
        """Return the text of a key; None if it is no text, or unknown."""
        value = self.find(key)
        return value if isinstance(value, str) else None

    def _find(self, key: str, within: tuple[str, ...]) -> Any:
        value = self._config.get(key, UNKNOWN)
        if isinstance(value, str) and value.startswith(_EVALUATED):
            return UNKNOWN if key in within else self._evaluate(value, (*within, key))
        return UNKNOWN if _has_expressions(value) else value

    def _evaluate(self, text: str, within: tuple[str, ...]) -> Any:
        source = text.removeprefix("$")
        if source.startswith("%"):
            return UNKNOWN
        try:
            tree = ast.parse(_REFERENCE.sub(r"\1", source).strip(), mode="eval").body
        except (SyntaxError, ValueError):
            return UNKNOWN
        return self._evaluate_node(tree, within)

    def _evaluate_node(self, node: ast.expr, within: tuple[str, ...]) -> Any:
        match node:
            case ast.Constant(value=None | bool() | int() | float() | str() as value):
                return value
            case ast.Name(id=key):
                return self._find(key, within)
            case ast.Call(func=ast.Name(id="str"), args=[argument], keywords=[]):
                value = self._evaluate_node(argument, within)
                return UNKNOWN if value is UNKNOWN else str(value)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                parts = [self._evaluate_node(part, within) for part in (left, right)]
                return parts[0] + parts[1] if all(isinstance(part, str) for part in parts) else UNKNOWN
        return UNKNOWN


def _has_expressions(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_has_expressions, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_has_expressions, value))
    return isinstance(value, str) and value.startswith(_EVALUATED)

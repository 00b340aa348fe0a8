"""How MONAI finds what a text refers to: absolute ids, references written into expressions, and what stands there."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from .reading import Node, parts_of

__all__ = ["Table", "absolute", "name_of", "parsed", "reference_of"]

_TABLE = "__local_refs"
_REFERENCE = re.compile(r"@\w*(?:::\w*)*")
_RELATIVE = re.compile(r"([@%])((?:::)+)")
_MOST_CHARACTERS = 100_000
_HOPS = 20
_MOST_VALUES = 50


class Table:
    """All that a bundle's configs say, by id. They are laid over each other, so every one of them counts."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self._values: dict[tuple[str, ...], list[Any]] = defaultdict(list)
        self._children: dict[tuple[str, ...], dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
        self._crowded: set[tuple[str, ...]] = set()
        self._aliases: dict[int, list[tuple[str, ...]]] = defaultdict(list)
        for node in nodes:
            values = self._values[node.path]
            if len(values) > _MOST_VALUES:
                # Nobody writes one key so often, and judging each with each would take hours.
                self._crowded.add(node.path[:-1])
                continue
            values.append(node.value)
            if node.path:
                self._children[node.path[:-1]][node.path[-1]].append(node.value)
            if isinstance(node.value, list):
                self._aliases[id(node.value)].append(node.path)

    def __contains__(self, path: tuple[str, ...]) -> bool:
        return path in self._values

    def is_crowded(self, path: tuple[str, ...]) -> bool:
        """Tell whether something beside a path's last part is there too often to be judged."""
        return path[:-1] in self._crowded

    def beside(self, path: tuple[str, ...]) -> dict[str, list[Any]]:
        """Return what stands in one mapping with a path's last part: by key, all that any config puts there."""
        places = {path[:-1]} | {
            other for value in self._values.get(path[:-1], ()) for other in self._aliases.get(id(value), ())
        }
        found: dict[str, list[Any]] = defaultdict(list)
        for place in places:
            for key, values in self._children.get(place, {}).items():
                found[key] += values
        return found

    def meant(self, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
        """Yield what stands at an id, references and macros followed; nothing where there is nothing."""
        waiting, seen = [path], {path}
        while waiting and len(seen) <= _HOPS:
            here = waiting.pop()
            if self.is_crowded(here):
                yield here, None
                continue
            for value in self._values.get(here, ()):
                text = absolute(value, here) if isinstance(value, str) else ""
                further = reference_of(text)
                if further is None:
                    yield here, value
                elif further not in seen:
                    seen.add(further)
                    waiting.append(further)

    def is_component(self, path: tuple[str, ...]) -> bool:
        """Tell whether a class or function is made or called at an id."""
        return (*path, "_target_") in self


def absolute(text: str, path: tuple[str, ...]) -> str:
    """Return a text as MONAI takes it at an id: ``#`` is ``::`` everywhere, and `@::x` has its whole id."""

    def whole(match: re.Match[str]) -> str:
        levels = len(match[2]) // 2
        return match[1] + "".join(f"{part}::" for part in path[:-levels])

    return _RELATIVE.sub(whole, text.replace("#", "::"))


def reference_of(text: str) -> tuple[str, ...] | None:
    """Return the id where a text is nothing but a reference or a macro of the same configs."""
    if text.startswith("%") and not re.search(r"\.(json|ya?ml)(::|$)", text, re.IGNORECASE):
        return parts_of(text[1:])
    return parts_of(text[1:]) if _REFERENCE.fullmatch(text) else None


def name_of(path: Iterable[str]) -> str:
    """Return the name that stands for a reference while an expression is judged."""
    return re.sub(r"\W", "_", "_".join(["reference", *path]))


def parsed(text: str, path: tuple[str, ...]) -> ast.AST | str:
    """Return the tree of what MONAI would evaluate of an expression, or what hinders reading it.

    Args:
        text: with its ``$``.
        path: where it stands.

    Returns:
        A tree in which ``reference_a_b`` stands for ``@a::b``.
    """
    if len(text) > _MOST_CHARACTERS:
        return f"{len(text):,} characters: too long to be judged"
    try:
        if _is_import(text[1:]):
            # MONAI takes imports as they are written, before it looks for ids.
            return ast.parse(text[1:])
        evaluated = _REFERENCE.sub(lambda one: f"{_TABLE}['{one[0][1:]}']", absolute(text, path)[1:])
        return _named(ast.parse(evaluated.lstrip(" \t")))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return f"not Python as it stands ({type(error).__name__}): not judged"


def _is_import(text: str) -> bool:
    try:
        return isinstance(next(ast.iter_child_nodes(ast.parse(text)), None), ast.Import | ast.ImportFrom)
    except SyntaxError:
        return False


def _named(tree: ast.AST) -> ast.AST:
    """Put a name in the place of each look into MONAI's table."""
    for node in ast.walk(tree):
        for field, value in ast.iter_fields(node):
            if isinstance(value, list):
                value[:] = [_name_for(item) for item in value]
            else:
                setattr(node, field, _name_for(value))
    return tree


def _name_for(node: Any) -> Any:
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == _TABLE:
        key = node.slice
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            return ast.copy_location(ast.Name(name_of(parts_of(key.value)), ast.Load()), node)
    return node

"""List every text in a bundle's configs that makes MONAI run code. The configs are read as data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .reading import Node, nodes_of, read_config

__all__ = ["CodeText", "list_config_code"]

_CONFIG_FILE = re.compile(r"%.*\.(?:json|ya?ml)(?:$|::|#)", re.IGNORECASE | re.DOTALL)
# MONAI looks up a reader, writer or merger by its name, and imports that name if it is not one of its own.
_HELPERS = ("reader", "writer", "merger_cls")
_USUAL_MODES = ("default", "callable")


@dataclass(frozen=True)
class CodeText:
    """A text that makes code run.

    Attributes:
        file: its file, relative to the bundle's folder.
        id: its place in the file, such as `train#trainer#max_epochs`.
        kind: ``"expression"``, ``"class"`` (a `_target_`, or a reader, writer or merger by its name), ``"file"`` (a
            config that a `%` macro reads), ``"mode"`` (a `_mode_` that starts the debugger), ``"logging"`` or
            ``"unreadable"`` (the text is the reason).
        text: the text as written.
    """

    file: str
    id: str
    kind: str
    text: str


def list_config_code(folder: Path, files: Iterable[str]) -> list[CodeText]:
    """List every expression, class and further config in a bundle's configs.

    A plain argument can also be the name of a function that MONAI or a library looks up. Of these only readers, writers
    and mergers are listed.

    Args:
        folder: the bundle's folder.
        files: its configs, relative to that folder.

    Returns:
        The texts in the order of the files. An unreadable file is one text of the kind ``"unreadable"``.
    """
    return [text for file in files for text in _list_file(folder, file)]


def _list_file(folder: Path, file: str) -> Iterator[CodeText]:
    try:
        content = read_config(folder / file)
    except (ValueError, OSError) as error:
        yield CodeText(file, "", "unreadable", str(error))
        return
    for node in nodes_of(file, content):
        if kind := _kind(node):
            yield CodeText(file, node.id, kind, node.value if isinstance(node.value, str) else "(not a text)")


def _kind(node: Node) -> str:
    key = node.path[-1] if node.path else ""
    if key == "_target_":
        return "class"
    if not isinstance(node.value, str):
        return ""
    if node.value.startswith("$"):
        return "expression"
    if _CONFIG_FILE.match(node.value):
        return "file"
    if key == "_mode_" and node.value not in _USUAL_MODES:
        return "mode"
    named = node.path[-2] if key.isdigit() and len(node.path) > 1 else key
    return "class" if named in _HELPERS else ""

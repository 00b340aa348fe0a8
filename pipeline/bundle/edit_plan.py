"""Edits one key of a plan's text and leaves every other line, comments too, as people wrote it.

Loading and dumping the whole plan, as ruamel.yaml does, keeps comments but wraps, aligns and respells other lines.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from ..data.errors import InputError
from .yaml_lines import Loader

__all__ = ["with_block"]


def with_block(file: Path, key: str, block: str) -> str:
    """Return the text of a YAML file with another block for a top-level key.

    Args:
        file: the file, a mapping in block style, UTF-8.
        key: the key.
        block: its lines, the key's own and comments included, each with its line end; empty removes the key. A key
            that is not there comes at the end.

    Returns:
        The text, in the line ends of the file. Comments within the key's old lines go with them.

    Raises:
        InputError: the key shares a line with its neighbours, as in a file in flow style.
    """
    text = file.read_bytes().decode()
    end = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += end
    first, last = _lines_of(text, key, lines)
    changed = "".join([*lines[:first], block.replace("\n", end), *lines[last:]])
    before, after = _without(text, key), _without(changed, key)
    if before is None or before != after:
        raise InputError(
            file,
            found=f"{key} on one line with other keys",
            expected="a plan with each key on lines of its own",
            remedy=f"write it by hand:\n{block}" if block else f"remove {key} by hand",
        )
    return changed


def _lines_of(text: str, key: str, lines: list[str]) -> tuple[int, int]:
    """The first line of a top-level key, and the one after its last, from 0; both past the end where it is not."""
    node = yaml.compose(text, Loader)
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    for name, value in pairs:
        if name.value == key:
            mark = value.end_mark
            last = mark.line + (mark.column > 0)
            # YAML counts what stands before the next key as this one's.
            while last > name.start_mark.line + 1 and (not lines[last - 1].strip() or lines[last - 1][0] == "#"):
                last -= 1
            return name.start_mark.line, last
    return len(lines), len(lines)


def _without(text: str, key: str) -> dict[str, Any] | None:
    """The content of the other keys; None where the text is no mapping."""
    try:
        content = yaml.load(text, Loader)
    except yaml.YAMLError:
        return None
    return {name: value for name, value in content.items() if name != key} if isinstance(content, dict) else None

"""Replace one key in a plan's text, and keep every other line and comment byte for byte.

Loading and dumping the whole plan with ruamel.yaml would keep comments, but rewrap, realign and respell other lines.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from ..data.errors import InputError
from ..data.yaml_file import Loader, parse_yaml

__all__ = ["replace_block"]


def replace_block(file: Path, key: str, block: str) -> str:
    """Return the text of a YAML file with a new block for a top-level key.

    Args:
        file: the file, a mapping in block style, UTF-8.
        key: the key.
        block: the new lines with the key and comments, each with its line end; empty removes the key. A missing key is
            added at the end.

    Returns:
        The text, with the file's line ends. Comments within the key's old lines are removed.

    Raises:
        InputError: the key shares a line with other keys, as in a file in flow style.
    """
    text = file.read_bytes().decode()
    end = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += end
    first, last = _find_lines(text, key, lines)
    changed = "".join([*lines[:first], block.replace("\n", end), *lines[last:]])
    before, after = _read_without(text, key), _read_without(changed, key)
    if before is None or before != after:
        raise InputError(
            file,
            found=f"{key} on one line with other keys",
            expected="each key of the plan on its own lines",
            remedy=f"add this by hand:\n{block}" if block else f"remove {key} by hand",
        )
    return changed


def _find_lines(text: str, key: str, lines: list[str]) -> tuple[int, int]:
    """Return a top-level key's first line and the line after its last, from 0; both past the end if it is missing."""
    node = yaml.compose(text, Loader)
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    for name, value in pairs:
        if name.value == key:
            mark = value.end_mark
            last = mark.line + (mark.column > 0)
            # YAML counts blank lines and comments before the next key as part of this one.
            while last > name.start_mark.line + 1 and (not lines[last - 1].strip() or lines[last - 1][0] == "#"):
                last -= 1
            return name.start_mark.line, last
    return len(lines), len(lines)


def _read_without(text: str, key: str) -> dict[str, Any] | None:
    """Return the content of the other keys; None if the text is not a mapping."""
    try:
        content = parse_yaml(text)
    except ValueError:
        return None
    return {name: value for name, value in content.items() if name != key} if isinstance(content, dict) else None

"""Read configs as data, with MONAI's ids for their parts. MONAI evaluates nothing here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

__all__ = ["Node", "Pairs", "is_config", "nodes_of", "parts_of", "read_config"]

_ENDINGS = (".json", ".yaml", ".yml")
_MAX_BYTES = {".json": 64 * 2**20, ".yaml": 2 * 2**20, ".yml": 2 * 2**20}  # PyYAML reads some 0.1 MB in a second
_MAX_MERGED = 10**6
_MERGE = "tag:yaml.org,2002:merge"


class Pairs(list[tuple[str, Any]]):
    """A mapping as written, as key-value pairs: repeated keys are kept."""


@dataclass(frozen=True)
class Node:
    """A value in a config.

    Attributes:
        file: the config, relative to the bundle's folder.
        path: the parts of its id, as MONAI splits them: ``x#_target_`` at a config's top is `_target_` in `x`.
        value: a text, number, boolean, None, list or `Pairs`.
    """

    file: str
    path: tuple[str, ...]
    value: Any

    @property
    def id(self) -> str:
        """The id as users write it."""
        return "#".join(self.path)


def is_config(name: str) -> bool:
    """Return whether a file has the name of a config that MONAI can read."""
    return name.lower().endswith(_ENDINGS)


def read_config(file: Path) -> Any:
    """Read a config as data: mappings as `Pairs`, lists, texts; YAML's scalars as their text.

    Raises:
        ValueError: the file is not JSON or YAML, or larger than 64 MiB, YAML than 2 MiB; the message says which.
    """
    limit = _MAX_BYTES[file.suffix.lower()]
    if file.stat().st_size > limit:
        raise ValueError(f"larger than {limit // 2**20} MiB: too large for a config")
    try:
        text = file.read_bytes().decode("utf-8-sig")
        if file.suffix.lower() == ".json":
            return json.loads(text, object_pairs_hook=Pairs)
        return _read_node(yaml.compose(text, yaml.SafeLoader), {}, [0])
    except UnicodeDecodeError as error:
        raise ValueError("text that is not UTF-8") from error
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except (json.JSONDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"not {file.suffix[1:].upper()}: {' '.join(str(error).split())}") from error


def _read_node(node: yaml.Node | None, done: dict[int, Any], merged: list[int]) -> Any:
    """Return a YAML node as data. An alias becomes the same object again, so that nested aliases cannot explode."""
    if node is None or id(node) in done:
        return None if node is None else done[id(node)]
    if isinstance(node, yaml.MappingNode):
        mapping = done[id(node)] = Pairs()
        pairs = [(key, _read_node(value, done, merged)) for key, value in node.value]
        merged_in = [value for key, value in pairs if key.tag == _MERGE]
        mapping += _merge_pairs(merged_in, merged)
        mapping += [(str(key.value), value) for key, value in pairs if key.tag != _MERGE]
        return mapping
    if isinstance(node, yaml.SequenceNode):
        items: list[Any] = []
        done[id(node)] = items
        items += [_read_node(item, done, merged) for item in node.value]
        return items
    # Numbers stay text, since a checksum may consist of digits only. Tags have no effect.
    return None if node.tag == "tag:yaml.org,2002:null" else node.value


def _merge_pairs(values: list[Any], count: list[int]) -> list[tuple[str, Any]]:
    """Return the pairs that ``<<`` merges; the mapping's own pairs follow, and the first of a list wins."""
    flat = [one for value in values for one in ([value] if isinstance(value, Pairs) else reversed(value or []))]
    pairs = {(key, id(item)): (key, item) for one in flat if isinstance(one, Pairs) for key, item in one}
    count[0] += len(pairs)
    if count[0] > _MAX_MERGED:
        raise ValueError("mappings that grow when they are merged: too large for a config")
    return list(pairs.values())


def parts_of(key: str) -> tuple[str, ...]:
    """Split an id as MONAI does, without the ``+`` that means merging."""
    return tuple(key.removeprefix("+").replace("#", "::").split("::"))


def nodes_of(file: str, content: Any) -> Iterator[Node]:
    """Yield every value in a config, from its top. A list or mapping with aliases is entered once."""
    seen: set[int] = set()
    stack = [Node(file, (), content)]
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node.value, list) or id(node.value) in seen:
            continue
        seen.add(id(node.value))
        named = node.value if isinstance(node.value, Pairs) else [(str(n), item) for n, item in enumerate(node.value)]
        for name, item in reversed(named):
            parts = parts_of(str(name)) if isinstance(node.value, Pairs) else (name,)
            stack.append(Node(file, (*node.path, *parts), item))

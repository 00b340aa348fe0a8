"""Every expression, foreign class and file that a bundle's configs name, read as text: MONAI evaluates nothing."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from .judge import ACTING, REACHING, Context, Remark, imported_names, judge, level_of

__all__ = ["Pairs", "Text", "expressions_of", "is_config", "read_config", "texts_of"]

_ENDINGS = (".json", ".yaml", ".yml")
_MOST_BYTES = 64 * 2**20
_MOST_CHARACTERS = 100_000
_REFERENCE = re.compile(r"@(?:(?:#|::)*\w+)(?:(?:#|::)\w+)*")
_MACRO_FILE = re.compile(r"(.*?\.(?:json|ya?ml))(?:(?:#|::).*)?$", re.IGNORECASE)
_OWN = ("monai.", "torch.", "ignite.", "numpy.", "np.")


class Pairs(list[tuple[str, Any]]):
    """A mapping as it is written: a key that stands there twice is there twice."""


@dataclass(frozen=True)
class Text:
    """A text of a config that can make something run.

    Attributes:
        file: the config, from the bundle's folder.
        id: where in it, as `train#trainer#max_epochs`.
        kind: ``"expression"``, ``"class"`` (a `_target_`), ``"file"`` (a `%` macro), ``"logging"`` or ``"unreadable"``.
        text: what is written there.
        remarks: what is notable, the most notable first.
    """

    file: str
    id: str
    kind: str
    text: str
    remarks: tuple[Remark, ...] = ()

    @property
    def level(self) -> int:
        """The highest level among the remarks."""
        return level_of(self.remarks)


def is_config(name: str) -> bool:
    """Tell whether a file's name is that of a config which MONAI can read."""
    return name.lower().endswith(_ENDINGS)


def read_config(file: Path) -> Any:
    """Read a config as data: mappings as `Pairs`, lists, texts; of YAML every scalar as its text.

    Raises:
        ValueError: it is no JSON or YAML, or larger than 64 MiB; the message says what is wrong.
    """
    if file.stat().st_size > _MOST_BYTES:
        raise ValueError("larger than 64 MiB: too large for a config")
    try:
        text = file.read_bytes().decode("utf-8-sig")
        if file.suffix.lower() == ".json":
            return json.loads(text, object_pairs_hook=Pairs)
        return _of_node(yaml.compose(text, yaml.SafeLoader), {})
    except UnicodeDecodeError as error:
        raise ValueError("text that is not UTF-8") from error
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except (json.JSONDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"not {file.suffix[1:].upper()}: {' '.join(str(error).split())}") from error


def _of_node(node: yaml.Node | None, done: dict[int, Any]) -> Any:
    """Turn YAML's nodes into data; an alias becomes the same object again, so that a bomb of aliases stays small."""
    if node is None or id(node) in done:
        return None if node is None else done[id(node)]
    if isinstance(node, yaml.MappingNode):
        mapping = done[id(node)] = Pairs()
        mapping += [(str(key.value), _of_node(value, done)) for key, value in node.value]
        return mapping
    if isinstance(node, yaml.SequenceNode):
        items: list[Any] = []
        done[id(node)] = items
        items += [_of_node(item, done) for item in node.value]
        return items
    # Numbers stay as they are written: a checksum of digits alone is none. Tags make nothing here.
    return None if node.tag == "tag:yaml.org,2002:null" else node.value


def texts_of(content: Any) -> Iterator[tuple[str, str, str]]:
    """Yield each text of a config: its id, the key it stands under, and itself. What is there by alias comes once."""
    seen: set[int] = set()
    stack: list[tuple[tuple[str, ...], str, Any]] = [((), "", content)]
    while stack:
        path, key, value = stack.pop()
        if isinstance(value, str):
            yield "#".join(path), key, value
            continue
        if not isinstance(value, list) or id(value) in seen:
            continue
        seen.add(id(value))
        named = value if isinstance(value, Pairs) else [(str(number), item) for number, item in enumerate(value)]
        stack += [((*path, str(name)), str(name), item) for name, item in reversed(named)]


def expressions_of(folder: Path, files: Iterable[str], own: Iterable[str]) -> tuple[list[Text], int]:
    """List what configs can make run.

    Args:
        folder: the bundle's folder.
        files: its configs, from that folder.
        own: modules that the bundle brings.

    Returns:
        The texts in the order of the files, and how many classes of MONAI, PyTorch, Ignite and NumPy they name besides.
    """
    found: list[Text] = []
    contents: dict[str, list[tuple[str, str, str]]] = {}
    for file in files:
        try:
            contents[file] = list(texts_of(read_config(folder / file)))
        except (ValueError, OSError) as error:
            found.append(Text(file, "", "unreadable", str(error), (Remark(ACTING, "could not be read and judged"),)))
    trees = {text: _parse(text) for texts in contents.values() for _, _, text in texts if text.startswith("$")}
    context = Context(_names(contents.values(), trees), frozenset(own))
    usual = 0
    for file, texts in contents.items():
        for where, key, text in texts:
            if text.startswith("$"):
                remarks = _remarks(trees[text], context)
                found.append(Text(file, where, "expression", text, tuple(remarks)))
            elif key == "_target_":
                remarks = _of_target(text, context)
                if level_of(remarks) or not _is_usual(text):
                    found.append(Text(file, where, "class", text, tuple(remarks)))
                else:
                    usual += 1
            elif key == "_mode_" and text == "debug":
                found.append(Text(file, where, "class", text, (Remark(REACHING, "stops in the debugger"),)))
            elif text.startswith("%") and (other := _MACRO_FILE.match(text[1:])):
                found.append(Text(file, where, "file", text, tuple(_of_file(other[1]))))
    return found, usual


def _names(
    contents: Iterable[Iterable[tuple[str, str, str]]], trees: Mapping[str, ast.AST | str]
) -> dict[str, set[str]]:
    """Return what imports make known, by name and by reference: `@imports#0` is what stands there.

    Configs are laid over each other: what one imports another uses.
    """
    names = imported_names(*(tree for tree in trees.values() if isinstance(tree, ast.AST)))
    for where, _, text in (one for texts in contents for one in texts):
        first = next(ast.iter_child_nodes(tree), None) if isinstance(tree := trees.get(text, ""), ast.AST) else None
        if isinstance(first, ast.Import):
            names.setdefault(_name_of(where), set()).add(first.names[0].name)
        elif isinstance(first, ast.ImportFrom):
            names.setdefault(_name_of(where), set()).add(f"{first.module}.{first.names[0].name}")
    return names


def _name_of(reference: str) -> str:
    """Return the name that stands for a reference while an expression is judged."""
    return "_".join(["reference", *re.findall(r"\w+", reference)])


def _parse(text: str) -> ast.AST | str:
    """Return the tree of an expression, its references replaced by a name, or what hinders reading it."""
    if len(text) > _MOST_CHARACTERS:
        return f"{len(text):,} characters: too long to be judged"
    try:
        return ast.parse(_REFERENCE.sub(lambda one: _name_of(one[0]), text[1:].lstrip(" \t")))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return f"not Python as it stands ({type(error).__name__}): not judged"


def _remarks(tree: ast.AST | str, context: Context) -> list[Remark]:
    return [Remark(ACTING, tree)] if isinstance(tree, str) else judge(tree, context)


def _of_target(target: str, context: Context) -> list[Remark]:
    """Judge a class or function as if it were called."""
    tree = _parse(f"${target}()")
    remarks = [one for one in _remarks(tree, context) if one.level >= REACHING]
    root, dot, _ = target.partition(".")
    if dot and root not in context.own and not _is_usual(target):
        remarks.append(Remark(REACHING, f"code of the package {root}"))
    return sorted(remarks, key=lambda one: -one.level)


def _is_usual(target: str) -> bool:
    return "." not in target or target.startswith(_OWN)


def _of_file(path: str) -> list[Remark]:
    """What is notable of another config that a macro takes in: whether it lies outside of the bundle."""
    pure = PurePosixPath(path.replace("\\", "/"))
    outside = pure.is_absolute() or ".." in pure.parts or ":" in path
    return [Remark(ACTING, "takes in a config from outside of the bundle")] if outside else []

"""Every expression, foreign class and file that a bundle's configs name, read as text: MONAI evaluates nothing."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from .ids import Table, absolute, name_of, parsed, reference_of
from .judge import ACTING, REACHING, Context, Remark, dotted_of, imported_names, judge, level_of
from .reading import Node, nodes_of, read_config
from .targets import of_target
from .terminal import is_cut

__all__ = ["Text", "expressions_of"]

# As MONAI splits a macro: all up to the last ending that an id or nothing follows.
_MACRO_FILE = re.compile(r"(.*\.(?:json|ya?ml))(?:::.*)?", re.IGNORECASE)
_ROUNDS, _MOST_MEANINGS = 5, 50
_CUT = Remark(REACHING, "too long to be shown whole: --json has it")


@dataclass(frozen=True)
class Text:
    """A text of a config that can make something run.

    Attributes:
        file: the config, from the bundle's folder.
        id: where in it, as `train#trainer#max_epochs`.
        kind: ``"expression"``, ``"class"`` (a `_target_`), ``"file"`` (a `%` macro), ``"key"``, ``"logging"`` or
            ``"unreadable"``.
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


def expressions_of(folder: Path, files: Iterable[str], own: Iterable[str]) -> tuple[list[Text], dict[str, int]]:
    """List what configs can make run.

    Args:
        folder: the bundle's folder.
        files: its configs, from that folder.
        own: modules that the bundle brings.

    Returns:
        The texts in the order of the files; and the ordinary classes of MONAI, PyTorch and Ignite that they name
        besides, with how often.
    """
    files = list(files)
    found: list[Text] = []
    nodes: list[Node] = []
    for file in files:
        try:
            nodes += nodes_of(file, read_config(folder / file))
        except (ValueError, OSError) as error:
            found.append(Text(file, "", "unreadable", str(error), (Remark(ACTING, "could not be read and judged"),)))
    table = Table(nodes)
    trees = {
        (one.path, one.value): parsed(one.value, one.path)
        for one in nodes
        if isinstance(one.value, str) and one.value.startswith("$")
    }
    names = _names(trees)
    _follow(names, nodes, table)
    context = Context(names, frozenset(own))
    usual: dict[str, int] = {}
    for node in nodes:
        if node.path and node.path[-1] == "_target_":
            name, remarks = of_target(node, table, context)
            if name:
                usual[name] = usual.get(name, 0) + 1
            else:
                found.append(_text(node, "class", remarks))
        elif isinstance(node.value, str):
            found += _of_text(node, trees, context, files)
        if node.afar and node.path[:-1] not in table:
            found.append(_text(node, "key", [Remark(ACTING, "changes something that was not found")]))
    return found, dict(sorted(usual.items()))


def _of_text(
    node: Node, trees: Mapping[tuple[tuple[str, ...], str], ast.AST | str], context: Context, files: Collection[str]
) -> Iterator[Text]:
    text = str(node.value)
    if text.startswith("$"):
        tree = trees[node.path, text]
        yield _text(node, "expression", [Remark(ACTING, tree)] if isinstance(tree, str) else judge(tree, context))
    elif node.path and node.path[-1] == "_mode_" and text not in ("default", "callable"):
        yield _text(node, "class", [Remark(REACHING, "stops in the debugger")])
    elif text.startswith("%") and (other := _MACRO_FILE.fullmatch(absolute(text, node.path)[1:])):
        yield _text(node, "file", _of_file(other[1], files))


def _text(node: Node, kind: str, remarks: Sequence[Remark]) -> Text:
    text = node.value if isinstance(node.value, str) else "(not a text)"
    if is_cut(text):
        remarks = sorted([*remarks, _CUT], key=lambda one: -one.level)
    return Text(node.file, node.id, kind, text, tuple(remarks))


def _names(trees: Mapping[tuple[tuple[str, ...], str], ast.AST | str]) -> dict[str, set[str]]:
    """Return what imports make known, by name and by reference: `@imports#0` is what stands there.

    Configs are laid over each other: what one imports another uses.
    """
    names = imported_names(*(tree for tree in trees.values() if isinstance(tree, ast.AST)))
    for (path, _), tree in trees.items():
        first = next(ast.iter_child_nodes(tree), None) if isinstance(tree, ast.AST) else None
        if isinstance(first, ast.Import):
            names.setdefault(name_of(path), set()).add(first.names[0].name)
        elif isinstance(first, ast.ImportFrom):
            names.setdefault(name_of(path), set()).add(f"{first.module}.{first.names[0].name}")
        elif isinstance(first, ast.Expr) and (dotted := dotted_of(first.value)):
            # `$torch.load` gives the function, whatever the id.
            names.setdefault(name_of(path), set()).add(dotted)
    return names


def _follow(names: dict[str, set[str]], nodes: Iterable[Node], table: Table) -> None:
    """Give what is nothing but a reference the meaning of what stands at its end."""
    for node in nodes:
        if isinstance(node.value, str) and reference_of(absolute(node.value, node.path)):
            for here, _ in table.meant(node.path):
                names.setdefault(name_of(node.path), set()).update(names.get(name_of(here), ()))
    for _ in range(_ROUNDS):
        for meanings in names.values():
            for meaning in sorted(meanings):
                root, dot, rest = meaning.partition(".")
                if root.startswith("reference_") and len(meanings) < _MOST_MEANINGS:
                    meanings.update(f"{one}{dot}{rest}" for one in sorted(names.get(root, ()))[:_MOST_MEANINGS])


def _of_file(path: str, files: Collection[str]) -> list[Remark]:
    """What is notable of another config that a macro takes in: whether the bundle brings it."""
    pure = PurePosixPath(path.replace("\\", "/"))
    if pure.is_absolute() or ".." in pure.parts or ":" in path:
        return [Remark(ACTING, "takes in a config from outside of the bundle")]
    return [] if pure.as_posix() in files else [Remark(REACHING, "takes in a config that the bundle does not bring")]
